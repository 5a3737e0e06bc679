//! The body of every error: RFC 9457, with a stable `code` and one entry per wrong field.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of an error's body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, why, and what to do. Texts are in the caller's language (`Accept-Language`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI reference that names the kind of problem: `about:blank#<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `conflict`, `rate_limited`, `unavailable`;
    /// of messages `no_recipients`, `key_reused`, `too_many_deliveries` (an item of a batch), `batch_refused` …
    pub code: String,
    /// What happened, for people.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// One entry per wrong field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The `x-request-id` of the answer, as its reader knows it: no part of the body.
    #[serde(skip)]
    pub request_id: Option<String>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Where: `title`, `recipients.groups[2]`, `query:14` (a column), `line 7`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}
