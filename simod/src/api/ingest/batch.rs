//! `POST /messages/batch`: a JSON array or NDJSON, answered item by item.

mod items;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequestParts as _, Request, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde::Deserialize;
use simo_common::{
    api::message::{BatchAnswer, BatchItem, PostMessage, PostedMessage},
    lang::Lang,
    text,
};
use tokio::time::{Instant, timeout_at};

pub(super) use self::items::Items;
use self::items::Part;
use super::{poster, refuse_strangers, refused_posts, strict};
use crate::{
    api::{ApiError, ApiResult, Peer, auth, body, due::Due, middleware, parameters::Params},
    app::App,
    bodies::SMALL,
    intake::{Sender, Unposted, post_many},
    refused_posts::Head,
    store::{self, Poster},
};

/// The result of an item: it was handed in, or is not a valid message.
pub(super) type Answer = ApiResult<Result<PostedMessage, Unposted>>;

fn is_taken(answer: &Answer) -> bool {
    matches!(answer, Ok(Ok(_)))
}

#[derive(Debug, Deserialize)]
struct BatchParams {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    strict: bool,
}

/// Post many messages
///
/// A JSON array, or one JSON object per line. Each item is answered by itself; one bad item never spoils the rest, unless
/// `strict` is asked for.
#[utoipa::path(
    post, path = "/messages/batch", tag = "messages", operation_id = "post_batch",
    params(
        ("dry_run" = Option<bool>, Query, description = "Only say what would happen"),
        ("strict" = Option<bool>, Query,
            description = "Store all (1,000 and 4 MiB at most) or, when any item is refused, nothing: then 422 `batch_refused` says all that is wrong"),
        ("client" = Option<String>, Query, description = "Operators: the client's slug, where they may see several"),
    ),
    request_body(content((Vec<PostMessage> = "application/json"), (PostMessage = "application/x-ndjson"))),
    responses(
        (status = 200, description = "One answer per item", body = BatchAnswer),
        (status = 400, description = "Neither an array nor NDJSON", body = simo_common::api::problem::Problem),
        (status = 401, description = "The token does not let in", body = simo_common::api::problem::Problem),
        (status = 408, description = "The body came too slowly", body = simo_common::api::problem::Problem),
        (status = 413, description = "Over the limit", body = simo_common::api::problem::Problem),
        (status = 415, description = "The body is packed", body = simo_common::api::problem::Problem),
        (status = 422, description = "Too many items, or `strict` and any of them is refused", body = simo_common::api::problem::Problem),
        (status = 503, description = "None was stored in time. `unavailable`: nothing is stored; `outcome_unknown`: some \
            may be. Send it again", body = simo_common::api::problem::Problem),
    ),
)]
pub(in crate::api) async fn post_batch(State(app): State<Arc<App>>, request: Request) -> ApiResult<Response> {
    let lang = middleware::language(request.headers());
    let (mut parts, request_body) = request.into_parts();
    let from = Peer::of(&parts.extensions).ip();
    let mut due = Due::of(&parts.extensions);
    let poster = due.hold(poster(&mut parts, &app)).await??;
    let read = async {
        let Params(params) = Params::<BatchParams>::from_request_parts(&mut parts, &app).await?;
        let items = read_items(&app, Request::from_parts(parts, request_body), &mut due).await?;
        if params.strict {
            strict::refuse_too_much(&items)?;
        }
        Ok((params, items))
    };
    let (params, mut items) = match read.await {
        Ok(read) => read,
        Err(error) => {
            let error = due.hold(refuse_strangers(&app, poster, from, error)).await?;
            return Err(error.of_post(Head::default()));
        }
    };
    let sender = Sender::new(poster, from, params.dry_run);
    let turn = if items.len() > FEW {
        Some(due.hold(app.bodies.turn(poster)).await?.ok_or_else(ApiError::no_room)?)
    } else {
        None
    };
    let texts = items.texts();
    let answers = if params.strict {
        let mut drafts = Vec::with_capacity(items.len());
        let _memory = due.hold(items.room_for_all(&app)).await?;
        while let Some(part) = due.hold(items.next(&app)).await?? {
            drafts.extend(part.drafts);
        }
        Box::pin(strict::post(&app, drafts, &sender, due)).await?
    } else {
        post_each(&app, &mut items, &sender, due).await?
    };
    refuse_a_stranger(&app, poster, from, &answers, due).await?;
    let are_few = if answers.iter().all(is_taken) {
        answers.len() <= FEW_GOOD
    } else {
        answers.len() <= FEW && items.bytes() <= SMALL
    };
    let may_be_stored = answers.iter().any(|answer| match answer {
        Ok(Ok(_)) => true,
        Ok(Err(unposted)) => unposted.may_be_stored(),
        Err(_) => false,
    });
    let answering = app.clone();
    let answer = move || {
        let _turn = turn;
        let answers = explained(answers);
        let refused = if params.strict { strict::refused(&answers) } else { None };
        let answer = answered(&answering, poster, answers, &texts, lang)?;
        refused.map_or(Ok(answer), Err)
    };
    if are_few {
        return answer();
    }
    // The items' results are known, and worth more time than is left of the ten seconds.
    let until = due.at().max(Instant::now()) + TO_ANSWER;
    timeout_at(until, app.bodies.aside(answer))
        .await
        .unwrap_or_else(|_| Ok(Err(not_in_time(may_be_stored))))?
}

/// Posts items one after the other, so that they are accepted in order.
///
/// # Errors
/// When the database takes too long, or a part of the items panics.
async fn post_each(app: &App, items: &mut Items, sender: &Sender, due: Due) -> ApiResult<Vec<Answer>> {
    let mut entered = Vec::with_capacity(items.len());
    loop {
        let Ok(next) = due.hold(items.next(app)).await else {
            return Err(not_in_time(!entered.is_empty()));
        };
        let Some(Part { drafts, memory }) = next? else { break };
        entered.extend(post_many(app, sender, drafts, memory, due.at()).await);
    }
    let mut answers = Vec::with_capacity(entered.len());
    for item in entered {
        answers.push(match item {
            Ok(waiting) => Ok(waiting.await),
            Err(error) => Err(error),
        });
    }
    Ok(answers)
}

/// Up to how many items the answers are written without going aside; the second limit holds where no errors need
/// explaining.
const FEW: usize = 64;
const FEW_GOOD: usize = 1_000;

/// How long writing the answers to many items may take once the results are known.
const TO_ANSWER: Duration = Duration::from_millis(700);

/// The error for a batch that the database did not handle in time.
fn not_in_time(may_be_stored: bool) -> ApiError {
    let error = if may_be_stored { ApiError::outcome_unknown() } else { ApiError::unavailable() };
    error.for_poster()
}

/// If no item got through, the poster may not be allowed to post at all; then that is the answer to the whole batch.
async fn refuse_a_stranger(
    app: &Arc<App>,
    poster: Poster,
    from: Option<IpAddr>,
    answers: &[Answer],
    due: Due,
) -> ApiResult<()> {
    if answers.iter().any(is_taken) {
        return Ok(());
    }
    // When there is no time left to ask, the items' own answers count.
    let Ok(error) = due.hold(refuse_strangers(app, poster, from, ApiError::internal())).await else {
        return Ok(());
    };
    match error.status {
        StatusCode::UNAUTHORIZED => Err(auth::not_let_in()),
        StatusCode::FORBIDDEN => Err(error.of_post(Head::default())),
        _ => Ok(()),
    }
}

/// The answer to a batch, with one for each item.
fn answered(
    app: &App,
    poster: Poster,
    answers: Vec<ApiResult<PostedMessage>>,
    texts: &[Bytes],
    lang: Lang,
) -> ApiResult<Response> {
    let failed_with = |status| {
        move |answer: &ApiResult<_>| answer.as_ref().is_err_and(|error: &ApiError| error.status == status)
    };
    // A token is valid or not for the whole request, even if no item got as far as the check.
    if answers.iter().any(failed_with(StatusCode::UNAUTHORIZED)) {
        return Err(auth::not_let_in());
    }
    // The database is down for the whole batch, and the caller should resend it unchanged.
    if answers.iter().all(failed_with(StatusCode::SERVICE_UNAVAILABLE)) {
        let may_be_stored =
            answers.iter().filter_map(|answer| answer.as_ref().err()).any(ApiError::is_outcome_unknown);
        return Err(not_in_time(may_be_stored));
    }
    if let Poster::Token(hash) = poster {
        for (answer, text) in answers.iter().zip(texts) {
            if let Err(error) = answer {
                refused_posts::note(app, hash, error, || Some(refused_posts::of_item(text)));
            }
        }
    }
    Ok(axum::Json(answer(answers, lang)).into_response())
}

async fn read_items(app: &App, request: Request, due: &mut Due) -> ApiResult<Items> {
    // `Idempotency-Key` is for single messages; here each item's `external_id` serves instead.
    if request.headers().contains_key("idempotency-key") {
        return Err(ApiError::field(
            "Idempotency-Key",
            text!(
                "is not for batches; give each item an external_id",
                "не для пакетов; укажите external_id у каждого элемента"
            ),
        ));
    }
    let body = body::read(app, request, due).await?;
    due.hold(Items::of(app, body)).await?
}

/// The items' results with errors explained. The failure of a transaction is explained and logged once for all its items.
fn explained(answers: Vec<Answer>) -> Vec<ApiResult<PostedMessage>> {
    let mut last: Option<(Arc<store::Error>, ApiError)> = None;
    let mut explain = |unposted| match unposted {
        Unposted::Undone(cause) => match &last {
            Some((known, error)) if Arc::ptr_eq(known, &cause) => error.clone(),
            _ => last.insert((cause.clone(), Unposted::Undone(cause).into())).1.clone(),
        },
        unposted => unposted.into(),
    };
    answers.into_iter().map(|answer| answer?.map_err(&mut explain)).collect()
}

fn answer(answers: Vec<Result<PostedMessage, ApiError>>, lang: Lang) -> BatchAnswer {
    let items: Vec<BatchItem> = answers
        .into_iter()
        .enumerate()
        .map(|(index, answer)| match answer {
            Ok(message) => BatchItem { index, status: 202, message: Some(message), problem: None },
            Err(error) => BatchItem {
                index,
                status: error.status.as_u16(),
                message: None,
                problem: Some(error.problem(lang)),
            },
        })
        .collect();
    let accepted = items.iter().filter(|item| item.message.is_some()).count();
    BatchAnswer { accepted, refused: items.len() - accepted, items }
}
