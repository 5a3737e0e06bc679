//! Deliveries: one message for one employee. A delivery stores facts; its state is derived from them.

mod reason;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::reason::Reason;

/// Where a delivery stands. The order is that of sorting by state; the numbers are what the database stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[repr(i64)]
pub enum DeliveryState {
    /// Accepted; no provider has taken a push yet.
    Queued = 0,
    /// A provider accepted a push; no more is known.
    Sent = 1,
    /// A phone reported that it has the message.
    Delivered = 2,
    /// The person opened it.
    Read = 3,
    /// The person acknowledged it.
    Acknowledged = 4,
    /// Every push ended in an error.
    Failed = 5,
    /// Its time ran out before any push was accepted.
    Expired = 6,
    /// The message was canceled before any push was accepted.
    Canceled = 7,
    /// The employee may not receive it.
    Denied = 8,
}

impl DeliveryState {
    /// All states, in order.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Acknowledged,
        Self::Failed,
        Self::Expired,
        Self::Canceled,
        Self::Denied,
    ];

    /// Its name in API, CLI and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Acknowledged => "acknowledged",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Denied => "denied",
        }
    }

    /// Its Russian name, for texts.
    pub fn as_russian(self) -> &'static str {
        match self {
            Self::Queued => "в очереди",
            Self::Sent => "отправлено",
            Self::Delivered => "доставлено",
            Self::Read => "прочитано",
            Self::Acknowledged => "подтверждено",
            Self::Failed => "не доставлено",
            Self::Expired => "истекло",
            Self::Canceled => "отменено",
            Self::Denied => "нет доступа",
        }
    }

    /// The number that the database stores and sorts by.
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The state stored as `rank`.
    pub fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.rank() == rank)
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// How a delivery ended without a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every push ended in an error.
    Failed,
    /// Its time ran out.
    Expired,
    /// The message was canceled.
    Canceled,
    /// The employee may not receive it.
    Denied,
}

impl Outcome {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    /// The number that the database stores: that of the state it leads to.
    pub fn number(self) -> i64 {
        self.state().rank()
    }

    /// The outcome stored as `number`.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Failed, Self::Expired, Self::Canceled, Self::Denied].into_iter().find(|o| o.number() == number)
    }

    /// The state it leads to while there is no receipt.
    pub fn state(self) -> DeliveryState {
        match self {
            Self::Failed => DeliveryState::Failed,
            Self::Expired => DeliveryState::Expired,
            Self::Canceled => DeliveryState::Canceled,
            Self::Denied => DeliveryState::Denied,
        }
    }
}

/// The facts a state is derived from. The database's generated column `delivery.state` is the same expression.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations happen")]
pub struct Facts {
    /// A provider accepted a push.
    pub sent: bool,
    /// A receipt `delivered` came.
    pub delivered: bool,
    /// A receipt `read` came.
    pub read: bool,
    /// A receipt `acknowledged` came.
    pub acknowledged: bool,
    /// How it ended without a receipt.
    pub outcome: Option<Outcome>,
}

impl Facts {
    /// The state: a receipt beats every outcome and everything earlier. `failed` and `expired` beat `sent`; `canceled` and
    /// `denied` do not, because a push that a provider accepted cannot be recalled.
    pub fn state(self) -> DeliveryState {
        if self.acknowledged {
            DeliveryState::Acknowledged
        } else if self.read {
            DeliveryState::Read
        } else if self.delivered {
            DeliveryState::Delivered
        } else if let Some(outcome) = self
            .outcome
            .filter(|outcome| !self.sent || !matches!(outcome, Outcome::Canceled | Outcome::Denied))
        {
            outcome.state()
        } else if self.sent {
            DeliveryState::Sent
        } else {
            DeliveryState::Queued
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_beats_every_outcome() {
        let given_up = Facts { outcome: Some(Outcome::Failed), ..Facts::default() };
        assert_eq!(given_up.state(), DeliveryState::Failed);
        assert_eq!(Facts { acknowledged: true, ..given_up }.state(), DeliveryState::Acknowledged);
    }

    #[test]
    fn what_was_sent_stays_sent_until_more_is_known() {
        assert_eq!(Facts { sent: true, ..Facts::default() }.state(), DeliveryState::Sent);
        assert_eq!(Facts::default().state(), DeliveryState::Queued);
    }
}
