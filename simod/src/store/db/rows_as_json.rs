//! Lists that are one JSON text in a column, or of a statement that is SQLite's alone.

use serde::Serialize;

/// The text. Our lists are of strings and numbers, whose serialisation cannot fail.
pub(in crate::store) fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).unwrap_or_default()
}
