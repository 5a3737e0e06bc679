//! `?strict=true`: a batch is stored whole or not at all, for systems that look at the status only.

use std::sync::Arc;

use http::StatusCode;
use simo_common::{api::message::PostedMessage, message::limits, text};
use tokio::time::timeout_at;

use super::batch::{Answer, Items};
use crate::{
    api::{ApiError, ApiResult, body, due::Due},
    app::App,
    intake::{Sender, Unposted},
    store::{Draft, Incoming, Poster, Refusal},
};

/// Limits the batch: it is all in memory, and its one transaction keeps others waiting for the writer.
pub(super) fn refuse_too_much(items: &Items) -> ApiResult<()> {
    let (count, bytes) = (items.len(), items.bytes());
    let text = if count > limits::STRICT_ITEMS {
        text!(
            "{count} items; a strict batch may have 1000",
            "элементов: {count}; в пакете с strict их может быть 1000"
        )
    } else if bytes > limits::STRICT_BYTES {
        text!(
            "{bytes} bytes; a strict batch may have 4 MiB",
            "байт: {bytes}; в пакете с strict их может быть 4 МиБ"
        )
    } else {
        return Ok(());
    };
    Err(ApiError::field(body::WHOLE, text))
}

/// Posts a batch whole, or not at all. After an error the other items are not stored but still checked, so that all errors
/// are reported at once.
///
/// # Errors
/// When the database cannot do it right now; then nothing was stored, or the outcome is unknown.
pub(super) async fn post(
    app: &Arc<App>,
    drafts: Vec<ApiResult<Draft>>,
    sender: &Sender,
    due: Due,
) -> ApiResult<Vec<Answer>> {
    let is_whole = drafts.iter().all(Result::is_ok);
    let mut batch = Vec::with_capacity(drafts.len());
    let checked: Vec<ApiResult<()>> = drafts
        .into_iter()
        .map(|draft| {
            let mut incoming = sender.incoming(draft?, None);
            incoming.dry_run |= !is_whole;
            batch.push(incoming);
            Ok(())
        })
        .collect();
    let poster = batch.first().map(|incoming| incoming.poster);
    let posted = if batch.is_empty() { Vec::new() } else { submit(app, batch, due).await? };
    if let Some(Poster::Token(hash)) = poster
        && posted.iter().any(Result::is_ok)
    {
        app.guard.welcome(&hash);
    }
    let mut posted = posted.into_iter().map(|answer| answer.map_err(Unposted::Refused));
    let answers = checked.into_iter().map(|checked| {
        checked?;
        posted.next().ok_or_else(ApiError::internal)
    });
    Ok(answers.collect())
}

/// In a task of its own, so that stored messages are processed even if the caller hangs up.
async fn submit(
    app: &Arc<App>,
    batch: Vec<Incoming>,
    due: Due,
) -> ApiResult<Vec<Result<PostedMessage, Refusal>>> {
    let turn = due.hold(app.strict.clone().lock_owned()).await?;
    let app = app.clone();
    let posted = tokio::spawn(async move {
        let _turn = turn;
        app.post_together(&batch).await
    });
    match timeout_at(due.at(), posted).await {
        Err(_) => Err(ApiError::outcome_unknown().for_poster()),
        Ok(Ok(posted)) => posted.map_err(|error| ApiError::from(error).for_poster()),
        Ok(Err(fault)) => {
            tracing::error!(%fault, "a strict batch is lost");
            Err(ApiError::internal())
        }
    }
}

/// The error code of a batch of which nothing was stored. Its items leave traces, it does not.
pub(super) const REFUSED: &str = "batch_refused";

/// Why nothing of a batch was stored: each item's errors, by its position.
pub(super) fn refused(answers: &[ApiResult<PostedMessage>]) -> Option<ApiError> {
    let refused =
        || answers.iter().enumerate().filter_map(|(place, answer)| Some((place, answer.as_ref().err()?)));
    let (count, all) = (refused().count(), answers.len());
    if count == 0 {
        return None;
    }
    let mut error = ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        REFUSED,
        text!(
            "{count} of {all} items are refused, so nothing of the batch was stored",
            "отклонено элементов: {count} из {all}; из пакета ничего не сохранено"
        ),
    )
    .hint(text!(
        "correct them and send the batch again, or send it without strict=true to have the others stored",
        "исправьте их и повторите пакет или отправьте его без strict=true, чтобы сохранить остальные"
    ));
    for (place, item) in refused() {
        if item.errors.is_empty() {
            error.errors.push((format!("[{place}]"), item.detail.clone()));
        }
        error.errors.extend(item.errors.iter().map(|(field, text)| {
            let at = if field == body::WHOLE { format!("[{place}]") } else { format!("[{place}].{field}") };
            (at, text.clone())
        }));
    }
    Some(error)
}
