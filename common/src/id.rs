//! Identifiers: `UUIDv7`, made from the caller's clock so that tests decide what time it is.

use uuid::{Timestamp, Uuid};

/// A new identifier for something that came into being at `at_us` (microseconds since 1970, UTC).
///
/// Ids made by one process ascend with time; nothing may rely on their order across machines.
pub fn new(at_us: i64) -> Uuid {
    let at_us = at_us.max(0) as u64;
    let seconds = at_us / 1_000_000;
    let nanos = (at_us % 1_000_000) as u32 * 1_000;
    Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
