//! Traces of refused posts, for the ACS's administrator ([`crate::refused_posts`]).

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use simo_common::{api::PREFIX, message::limits};

use super::strict;
use crate::{
    api::{ApiError, body},
    app::App,
    guard::TokenHash,
    refused_posts::Head,
    store::Draft,
};

/// Whether a request posts messages.
pub(in crate::api) fn is_post(method: &Method, path: &str) -> bool {
    let rest = path.strip_suffix("/batch").unwrap_or(path).strip_suffix("/messages");
    method == Method::POST && rest.is_some_and(|rest| rest.ends_with(PREFIX))
}

/// Records a request that was refused as a whole. Unverified tokens leave no trace: a caller can make up any number of
/// them.
pub(in crate::api) fn note_refused(app: &App, token: TokenHash, error: &ApiError) {
    let is_told_by_items = error.code == strict::REFUSED;
    if !is_told_by_items && (error.post.is_some() || app.guard.is_good(&token)) {
        note(app, token, error, || error.post.as_deref().cloned());
    }
}

/// Records a refusal. Attempts with a dead token and faults of ours are not refusals.
pub(super) fn note(app: &App, token: TokenHash, error: &ApiError, head: impl FnOnce() -> Option<Head>) {
    let is_refusal = error.status.is_client_error() && error.status != StatusCode::UNAUTHORIZED;
    // An ACS may get 503 when it is over its limit.
    if !is_refusal && error.code != "rate_limited" {
        return;
    }
    app.metrics.refused(error.code);
    let field = error.errors.first().map(|(field, _)| field.as_str());
    let head = head().filter(|head| *head != Head::default());
    if !app.refused_posts.note(token, error.code, field, head, app.clock().now()) {
        app.metrics.refused_untraced.increment(1);
    }
}

/// The head of a checked message.
pub(super) fn of_draft(draft: &Draft) -> Head {
    Head::new(&draft.title, draft.external_id.as_deref())
}

/// The head of a batch's item as sent; one that is too large is not read.
pub(super) fn of_item(text: &[u8]) -> Head {
    if text.len() > limits::BATCH_ITEM_BYTES { Head::default() } else { of_bytes(text) }
}

/// The head of a message as sent, as far as it can be read.
pub(super) fn of_bytes(bytes: &[u8]) -> Head {
    #[derive(Debug, Default, Deserialize)]
    struct Readable<'a> {
        #[serde(borrow)]
        title: Option<&'a RawValue>,
        #[serde(borrow)]
        external_id: Option<&'a RawValue>,
    }
    let readable: Readable<'_> = serde_json::from_slice(body::without_bom(bytes)).unwrap_or_default();
    let text = |value: Option<&RawValue>| serde_json::from_str::<String>(value?.get()).ok();
    Head::new(&text(readable.title).unwrap_or_default(), text(readable.external_id).as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_of_a_message_names_it() {
        let named = |json: &str| of_bytes(json.as_bytes());
        let both = Head::new("Давление", Some("7"));
        assert_eq!(named(r#"{"title":"Давление","external_id":"7","priority":9,"titel":[1]}"#), both);
        assert_eq!(named("\u{feff}{\"title\":\"Давление\",\"external_id\":\"7\"}"), both);
        assert_eq!(named(r#"{"title":5,"external_id":"7"}"#), Head::new("", Some("7")));
        for unreadable in ["", "[]", r#"{"title":"a""#, r#"{"title":"a","title":"b"}"#] {
            assert_eq!(named(unreadable), Head::default(), "{unreadable}");
        }
    }

    #[test]
    fn only_posts_of_messages_are_posts() {
        for (path, is) in [
            ("/api/v1/messages", true),
            ("/under/a/path/api/v1/messages/batch", true),
            ("/api/v1/device/messages", false),
            ("/api/v1/messages/019ab3c4-0000-7000-8000-000000000000/cancel", false),
        ] {
            assert_eq!(is_post(&Method::POST, path), is, "{path}");
            assert!(!is_post(&Method::GET, path));
        }
    }
}
