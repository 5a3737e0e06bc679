//! How pushes end.

use simo_common::delivery::Outcome;

/// How a push ended. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i64)]
pub(in crate::store) enum PushOutcome {
    /// A provider accepted it.
    Accepted = 1,
    /// Its phone reported the message.
    Received = 2,
    /// No provider will accept it.
    Failed = 5,
    /// The message expired.
    Expired = 6,
    /// It must not be sent any more.
    Canceled = 7,
}

impl PushOutcome {
    const ALL: [Self; 5] = [Self::Accepted, Self::Received, Self::Failed, Self::Expired, Self::Canceled];

    /// Its name in `explain`.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Received => "received",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
        }
    }

    /// The stored number.
    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }

    /// The outcome stored as `number`.
    pub(in crate::store) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.number() == number)
    }

    /// The outcome of a delivery's open pushes when it ends.
    pub(super) fn with(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Failed => Self::Failed,
            Outcome::Expired => Self::Expired,
            Outcome::Canceled | Outcome::Denied => Self::Canceled,
        }
    }
}
