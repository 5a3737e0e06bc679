//! The program's only reading of the system clock.

use jiff::Timestamp;

/// The current time of this machine.
#[allow(clippy::disallowed_methods, reason = "the program's one reading of the system's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
