//! How a batch reaches its statement: as one JSON text for `jsonb_each`, with ids and hashes in hexadecimal digits.

use serde::Serialize;
pub(in crate::store) use simo_common::hex::hex as hex_bytes;
use uuid::Uuid;

/// Rows for `jsonb_each`. Our rows are strings and numbers, whose serialisation cannot fail.
pub(in crate::store) fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).unwrap_or_default()
}

/// An id for `unhex`, which makes a blob of it again.
pub(in crate::store) fn hex(id: Uuid) -> uuid::fmt::Simple {
    id.simple()
}

/// A hash for `unhex`.
pub(in crate::store) fn hex_hash(hash: &[u8; 32]) -> String {
    hex_bytes(hash)
}
