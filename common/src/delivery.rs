//! Deliveries: one message for one employee. A delivery stores facts; its state is derived from them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// All of them, in their order.
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

    /// Its Russian name, as the programs show it.
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
    /// Its name, also in the database.
    pub fn as_str(self) -> &'static str {
        self.state().as_str()
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
    /// The state: a receipt beats every outcome and everything earlier; an outcome beats `sent`.
    pub fn state(self) -> DeliveryState {
        if self.acknowledged {
            DeliveryState::Acknowledged
        } else if self.read {
            DeliveryState::Read
        } else if self.delivered {
            DeliveryState::Delivered
        } else if let Some(outcome) = self.outcome {
            outcome.state()
        } else if self.sent {
            DeliveryState::Sent
        } else {
            DeliveryState::Queued
        }
    }
}

/// Reason codes: why a delivery was denied or ended, why a push failed. Stable, shown in history and `explain`.
pub mod reason {
    /// The employee holds no grant for the topic.
    pub const NO_GRANT: &str = "no_grant";
    /// The employee's grant for the topic does not count at this time.
    pub const NOT_NOW: &str = "not_now";
    /// The employee is blocked.
    pub const BLOCKED: &str = "blocked";
    /// The employee was archived.
    pub const ARCHIVED: &str = "archived";
    /// He had no device until the message expired.
    pub const NO_DEVICE: &str = "no_device";
    /// The message expired before a provider took a push.
    pub const EXPIRED: &str = "expired";
    /// The message was canceled.
    pub const CANCELED: &str = "canceled";
    /// The topic was archived before the message came due (why the server canceled it).
    pub const TOPIC_ARCHIVED: &str = "topic_archived";
    /// The client was archived before the message came due (why the server canceled it).
    pub const CLIENT_ARCHIVED: &str = "client_archived";
    /// The provider says that the address is dead.
    pub const DEAD_ADDRESS: &str = "dead_address";
    /// The device is quarantined since its address was reported dead.
    pub const QUARANTINED: &str = "quarantined";
    /// The device was removed, or left.
    pub const DEVICE_GONE: &str = "device_gone";
    /// The phone left (why a device was retired).
    pub const LEFT: &str = "left";
    /// Another device has its address now (why a device was retired).
    pub const REPLACED: &str = "replaced";
    /// The provider refuses the payload.
    pub const REJECTED: &str = "rejected";
    /// The provider's configuration is wrong (project, sender, credential).
    pub const MISCONFIGURED: &str = "misconfigured";
    /// The channel is not configured on this server.
    pub const NO_CHANNEL: &str = "no_channel";

    /// A reason in words.
    pub fn in_words(code: &str, lang: crate::lang::Lang) -> &str {
        match code {
            NO_GRANT => lang.pick("holds no grant for the topic", "нет доступа к теме"),
            NOT_NOW => lang.pick(
                "the grant for the topic does not count at this time",
                "доступ к теме в это время не действует",
            ),
            BLOCKED => lang.pick("is blocked", "сотрудник заблокирован"),
            ARCHIVED => lang.pick("is archived", "сотрудник в архиве"),
            NO_DEVICE => lang.pick("had no device until it expired", "до истечения срока не было устройства"),
            EXPIRED => lang.pick("its time ran out", "истёк срок"),
            CANCELED => lang.pick("the message was canceled", "сообщение отменено"),
            TOPIC_ARCHIVED => lang.pick(
                "the topic was archived before it came due",
                "тема отправлена в архив раньше, чем подошёл срок",
            ),
            CLIENT_ARCHIVED => lang.pick(
                "the client was archived before it came due",
                "клиент отправлен в архив раньше, чем подошёл срок",
            ),
            DEAD_ADDRESS => {
                lang.pick("the provider says the address is dead", "провайдер: адрес больше не действует")
            }
            QUARANTINED => lang.pick(
                "the device is quarantined (dead address)",
                "устройство в карантине (адрес недействителен)",
            ),
            DEVICE_GONE => lang.pick("the device was removed", "устройство удалено"),
            LEFT => lang.pick("the phone left", "телефон отключился сам"),
            REPLACED => lang.pick("another device has its address now", "адрес перешёл к другому устройству"),
            REJECTED => lang.pick("the provider refused the payload", "провайдер отклонил содержимое"),
            MISCONFIGURED => lang.pick("the channel is misconfigured", "канал настроен неверно"),
            NO_CHANNEL => lang.pick("the channel is not configured", "канал не настроен"),
            other => other,
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
