//! The one place where the tests ask what time it is.

/// Microseconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "tests stand outside simod and its Clock; this is their one place"
)]
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Now plus so many seconds, as RFC 3339.
pub fn in_seconds(seconds: i64) -> String {
    simo_common::time::from_us(now_us() + seconds * simo_common::time::SECOND).to_string()
}
