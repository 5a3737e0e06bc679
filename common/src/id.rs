//! Identifiers: `UUIDv7`, made from the caller's clock so that tests decide what time it is.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use rand::RngExt as _;
use uuid::{Builder, Uuid};

/// How many were made by this process, from a number that chance has chosen: what is made within one microsecond ascends
/// with it.
static MADE: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::rng().random()));

/// The bits of that number which an id has room for.
const COUNTED: u32 = (1 << 30) - 1;

/// A new identifier for something that came into being at `at_us` (microseconds since 1970, UTC).
///
/// Ids made by one process ascend with time, and in the order in which they are made; nothing may rely on their order
/// across machines. A batch has one time: in any other order its rows would be put in between each other in every index
/// that has them, instead of at its end.
pub fn new(at_us: i64) -> Uuid {
    let at_us = at_us.max(0) as u64;
    // What RFC 9562 leaves to us after the milliseconds: the microseconds, the count, and 32 bits of chance.
    let micros = (at_us % 1_000) as u16;
    let count = MADE.fetch_add(1, Ordering::Relaxed) & COUNTED;
    let mut rest = [0; 10];
    rest[..2].copy_from_slice(&micros.to_be_bytes());
    rest[2..6].copy_from_slice(&count.to_be_bytes());
    rest[6..].copy_from_slice(&rand::rng().random::<[u8; 4]>());
    Builder::from_unix_timestamp_millis(at_us / 1_000, &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_within_a_microsecond_and_with_time() {
        let at = 1_795_600_000_123_456;
        // But where the count begins anew, once in a thousand million.
        MADE.store(0, Ordering::Relaxed);
        let mut ids: Vec<Uuid> = (0..1_000).map(|_| new(at)).collect();
        ids.extend([new(at + 1), new(at + 999), new(at + 1_000)]);
        assert!(ids.is_sorted());
        let (seconds, nanos) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_795_600_000, 123_000_000));
        assert_eq!(ids[0].get_version_num(), 7);
        assert_eq!(ids[0].get_variant(), uuid::Variant::RFC4122);
    }
}
