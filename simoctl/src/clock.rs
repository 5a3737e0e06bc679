//! What time it is, asked in this one place.

use jiff::Timestamp;

/// Now, by this machine's clock.
#[allow(clippy::disallowed_methods, reason = "the program's one reading of the system's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
