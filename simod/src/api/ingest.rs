//! Posting messages: `POST /messages`, `/messages/batch`, and canceling them.

mod batch;
mod fingerprint;
mod fit;
mod refused;
mod refused_posts;
mod strict;
mod validate;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequestParts as _, Path, Request, State},
};
use http::{HeaderMap, StatusCode, request::Parts};
use serde::Deserialize;
use simo_common::{
    api::message::{Canceled, PostMessage, PostedMessage},
    message::limits,
    text,
    token::{self, Scope, TokenKind},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

pub(super) use self::{
    refused_posts::{is_post, note_refused},
    validate::validate,
};
use super::{
    ApiError, ApiResult, Peer,
    auth::{self, Admin, Caller},
    body,
    due::Due,
    parameters::{self, Params},
};
use crate::{
    app::App,
    intake::{self, Unposted},
    store::{Incoming, Poster, Refusal, TokenHolder, TokenLimits},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(post_message))
        .routes(routes!(batch::post_batch).layer(DefaultBodyLimit::max(limits::BATCH_REQUEST_BYTES)))
        .routes(routes!(cancel))
}

#[derive(Debug, Deserialize)]
struct PostParams {
    #[serde(default)]
    dry_run: bool,
    fit: Option<bool>,
}

/// The poster: an ACS, whose token is checked by the transaction that stores its message, or an admin.
async fn poster(parts: &mut Parts, app: &Arc<App>) -> Result<Poster, ApiError> {
    if let Some(token) = auth::bearer(&parts.headers)? {
        match token::kind_of(token) {
            Some(TokenKind::Acs) => {
                let hash = token::hash(token);
                // Only requests that name a client are looked up here; the storing transaction checks all others.
                if auth::named_client(parts).is_some() {
                    Box::pin(Caller::from_request_parts(parts, app)).await?;
                }
                return Ok(Poster::Token(hash));
            }
            Some(TokenKind::Device) => {
                return Err(ApiError::forbidden(text!(
                    "a phone cannot post messages",
                    "телефон не может отправлять сообщения"
                )));
            }
            _ => {}
        }
    }
    let admin = Box::pin(Admin::from_request_parts(parts, app)).await?;
    Ok(Poster::Operator { client_no: admin.client_no, operator_no: admin.operator.operator_no })
}

/// Reports a request's errors only to valid tokens; all other callers get the same answer.
async fn refuse_strangers(app: &Arc<App>, poster: Poster, from: Option<IpAddr>, error: ApiError) -> ApiError {
    match poster {
        Poster::Operator { .. } => error,
        // Boxed, like everything seldom needed here, or the future of every message would have room for it.
        Poster::Token(hash) => match Box::pin(app.store.token_holder(&hash)).await {
            Ok(Some(TokenHolder::Acs(acs))) => may_send(&acs.limits, from).err().unwrap_or(error),
            Ok(Some(_)) => error,
            Ok(None) => auth::not_let_in(),
            Err(error) => error.into(),
        },
    }
}

/// Whether the token may be used for sending from this address at all.
fn may_send(token: &TokenLimits, from: Option<IpAddr>) -> ApiResult<()> {
    super::limits::let_in_from(token, from)?;
    super::limits::let_in_for(token, Scope::Send)
}

/// Post one message
///
/// 202 leaves only after the message and its frozen audience are on disk.
#[utoipa::path(
    post, path = "/messages", tag = "messages", operation_id = "post_message",
    params(
        ("dry_run" = Option<bool>, Query, description = "Only say what would happen"),
        ("fit" = Option<bool>, Query,
            description = "Cut title and text to their limits and leave out `data` that is over its own, instead of 422; the answer \
                           names them. The body may have 1 MiB. Left out: as the token says"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200, description = "The same key never makes a second message; kept 72 hours"),
        ("client" = Option<String>, Query, description = "Operators: the client's slug, where they may see several"),
    ),
    request_body = PostMessage,
    responses(
        (status = 202, description = "Stored and synced", body = PostedMessage),
        (status = 400, description = "Not JSON", body = simo_common::api::problem::Problem),
        (status = 401, description = "The token does not let in", body = simo_common::api::problem::Problem),
        (status = 408, description = "The body came too slowly", body = simo_common::api::problem::Problem),
        (status = 413, description = "Over the limit", body = simo_common::api::problem::Problem),
        (status = 415, description = "The body is packed", body = simo_common::api::problem::Problem),
        (status = 422, description = "Fields are wrong, nobody would receive it, or the key had another meaning",
            body = simo_common::api::problem::Problem),
        (status = 503, description = "Not stored in time. `unavailable`: nothing is stored; `outcome_unknown`: it may be. \
            Send it again",
            body = simo_common::api::problem::Problem),
    ),
)]
pub(super) async fn post_message(
    State(app): State<Arc<App>>,
    request: Request,
) -> ApiResult<(StatusCode, Json<PostedMessage>)> {
    let (mut parts, request_body) = request.into_parts();
    let from = Peer::of(&parts.extensions).ip();
    let mut due = Due::of(&parts.extensions);
    let poster = due.hold(poster(&mut parts, &app)).await??;
    let incoming = match read_one(parts, request_body, poster, &app, &mut due).await {
        Ok(incoming) => incoming,
        Err(error) => {
            let head = error.post.as_deref().cloned().unwrap_or_default();
            return Err(due.hold(refuse_strangers(&app, poster, from, error)).await?.of_post(head));
        }
    };
    let head = refused_posts::of_draft(&incoming.draft);
    match intake::enter(&app, incoming, due.at()).await.await {
        Ok(posted) => Ok((StatusCode::ACCEPTED, Json(posted))),
        Err(Unposted::Refused(Refusal::UnknownTopic(slug))) => {
            Err(due.hold(Box::pin(refused::unknown_topic(&app, poster, &slug))).await?.of_post(head))
        }
        Err(unposted) => Err(ApiError::from(unposted).of_post(head)),
    }
}

async fn read_one(
    mut parts: Parts,
    request_body: axum::body::Body,
    poster: Poster,
    app: &Arc<App>,
    due: &mut Due,
) -> Result<Incoming, ApiError> {
    let Params(PostParams { dry_run, fit }) = Params::from_request_parts(&mut parts, app).await?;
    let from = Peer::of(&parts.extensions).ip();
    let idempotency_key = idempotency_key(&parts.headers)?;
    let mut request = Request::from_parts(parts, request_body);
    // Not as a layer: that would cost as much as reading the message.
    let fit = fit.unwrap_or_else(|| match poster {
        Poster::Token(hash) => app.guard.on_sight(&hash).fit,
        Poster::Operator { .. } => false,
    });
    let most = if fit { limits::FIT_REQUEST_BYTES } else { limits::MESSAGE_REQUEST_BYTES };
    DefaultBodyLimit::max(most).apply(&mut request);
    let of = |bytes: &[u8], error: ApiError| error.of_post(refused_posts::of_bytes(bytes));
    let (bytes, keyed) = (body::read(app, request, due).await?, idempotency_key.is_some());
    let draft = if let Some(message) = body::plain(&bytes) {
        validate(message, keyed, fit).map_err(|error| of(&bytes, error))
    } else {
        let read = move || validate::read(&bytes, keyed, fit).map_err(|error| of(&bytes, error));
        due.hold(Box::pin(app.bodies.aside(read))).await??
    };
    let draft = draft?;
    Ok(Incoming { poster, from, draft, idempotency_key, dry_run, budget: None, memory: None })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Whichever of them we used, the other one would let a second message in.
    if values.any(|other| other != value) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            text!(
                "the request has several Idempotency-Key headers",
                "в запросе несколько заголовков Idempotency-Key"
            ),
        )
        .hint(text!("send one", "пришлите один")));
    }
    // Decoded lossily, different keys could become the same.
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return Err(ApiError::field(
            "Idempotency-Key",
            text!("must be UTF-8", "должен быть в кодировке UTF-8"),
        ));
    };
    let text = text.trim().trim_matches('"').to_owned();
    if text.is_empty() || text.chars().count() > limits::KEY_CHARS {
        return Err(ApiError::field(
            "Idempotency-Key",
            text!("must have 1 to 200 characters", "должен содержать от 1 до 200 символов"),
        ));
    }
    Ok(Some(text))
}

/// Cancel a message
///
/// Deliveries that no provider took yet are stopped; canceling twice is no error.
#[utoipa::path(
    post, path = "/messages/{id}/cancel", tag = "messages", operation_id = "cancel_message",
    params(("id" = Uuid, Path, description = "The message")),
    responses(
        (status = 200, description = "Canceled", body = Canceled),
        (status = 404, description = "No such message", body = simo_common::api::problem::Problem),
    ),
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> ApiResult<Json<Canceled>> {
    let (mut parts, _) = request.into_parts();
    let id = parameters::id("message", &id)?;
    let (client_no, acs_no) = match Caller::from_request_parts(&mut parts, &app).await? {
        Caller::Acs(acs) => {
            super::limits::let_in_for(&acs.limits, Scope::Send)?;
            (acs.client_no, Some(acs.acs_no))
        }
        Caller::Operator(_) | Caller::Device(_) => {
            (Admin::from_request_parts(&mut parts, &app).await?.client_no, None)
        }
    };
    let canceled = app.store.cancel_message(client_no, acs_no, id).await?;
    app.wake.all();
    Ok(Json(canceled))
}
