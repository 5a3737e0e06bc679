//! Identifiers: `UUIDv7`, made from the caller's clock so that tests control the time.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use rand::RngExt as _;
use uuid::{Builder, Uuid};

/// How many ids this process has made, counted from a random number: ids made within one microsecond ascend by it.
static MADE: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::rng().random()));

/// The bits of that counter that fit into an id.
const COUNTED: u32 = (1 << 30) - 1;

/// A new identifier for an object created at `at_us` (microseconds since 1970, UTC).
///
/// Ids made by one process ascend with time, and in the order in which they are made; do not rely on their order across machines.
/// The rows of a batch share one time: with ids in random order, every index would get them inserted between each other instead
/// of appended at its end.
pub fn new(at_us: i64) -> Uuid {
    let at_us = at_us.max(0) as u64;
    // After the milliseconds, RFC 9562 leaves the bits to us: the microseconds, the counter, and 32 random bits.
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
        // Unless the counter wraps, once in a thousand million.
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
