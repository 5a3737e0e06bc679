//! Lists stored as one JSON text in a column, or passed so to a statement of SQLite's only.

use serde::Serialize;

/// The text. Our lists of strings and numbers always serialise.
pub(in crate::store) fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).unwrap_or_default()
}
