//! History: deliveries, and the story of one of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    delivery::{DeliveryState, Reason},
    lang::Wrong,
    message::Priority,
    text,
};

/// One row of history: one message for one employee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The message.
    pub message_id: Uuid,
    /// The client's slug.
    pub client: String,
    /// When the message was accepted (a scheduled one: when it came due).
    #[schema(value_type = String, format = DateTime)]
    pub accepted_at: Timestamp,
    /// Whom it is for.
    pub personnel_no: String,
    /// Their name.
    pub employee: String,
    /// The ACS that posted it.
    pub acs: String,
    /// The topic's slug.
    pub topic: Option<String>,
    /// The message's title.
    pub title: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it ended so, for `failed`, `expired`, `canceled`, `denied`; while it is `queued`, why it waits (`no_device`).
    pub reason: Option<String>,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// When a provider first accepted a push.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// When the receipt `delivered` came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// When the receipt `read` came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
    /// When the receipt `acknowledged` came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
}

impl Delivery {
    /// Whether it waits because the employee has no device.
    pub fn waits_for_device(&self) -> bool {
        self.state == DeliveryState::Queued && self.reason.as_deref() == Some(Reason::NoDevice.as_str())
    }
}

/// What history may be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SortKey {
    /// When it was accepted.
    #[default]
    Date,
    /// The employee's name.
    Employee,
    /// The state, in the order of a delivery's life.
    State,
}

/// A sort: a key and a direction. On the wire `date`, `-date`, `employee`, `-employee`, `state`, `-state`;
/// a minus means descending. The default is `-date`: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The key.
    pub key: SortKey,
    /// Descending order.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { key: SortKey::Date, descending: true }
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.key {
            SortKey::Date => "date",
            SortKey::Employee => "employee",
            SortKey::State => "state",
        };
        write!(f, "{}{name}", if self.descending { "-" } else { "" })
    }
}

impl std::str::FromStr for Sort {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let key = match name {
            "date" => SortKey::Date,
            "employee" => SortKey::Employee,
            "state" => SortKey::State,
            _ => {
                return Err(Wrong(text!(
                    "must be one of: date, -date, employee, -employee, state, -state",
                    "возможны значения: date, -date, employee, -employee, state, -state"
                )));
            }
        };
        Ok(Self { key, descending })
    }
}

/// The way of one message to one person, or why there was none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The delivery, if there is one.
    pub delivery: Option<Delivery>,
    /// The message's title, also when there is no delivery.
    pub title: String,
    /// The person.
    pub personnel_no: String,
    /// Their name.
    pub employee: String,
    /// Which target named them: `employee`, `group:<slug>`, `everyone`, `grant`; absent when none did.
    pub target: Option<String>,
    /// Which grant gave them access: `everyone`, `group:<slug>`, `employee`; absent for personal messages and denials.
    pub grant: Option<String>,
    /// The times the phone claims for its receipts.
    pub phone_times: PhoneTimes,
    /// Their devices' pushes.
    pub pushes: Vec<Push>,
    /// The whole way, sentence by sentence, in the caller's language.
    pub story: Vec<StoryLine>,
}

/// When, as the phone claims, it sent its receipts' causes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhoneTimes {
    /// For `delivered`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// For `read`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
    /// For `acknowledged`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
}

/// One sentence of a delivery's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoryLine {
    /// When it happened, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// What happened.
    pub text: String,
}

/// One delivery on its way to one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Push {
    /// The device.
    pub device_id: Uuid,
    /// Its name.
    pub device: String,
    /// The channel.
    pub channel: String,
    /// `waiting`, `accepted`, `failed`, `expired`, `canceled` or `received` (a receipt came).
    pub state: String,
    /// Tries that a provider answered or that timed out.
    pub tries: u32,
    /// When it is tried next, while it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// When it was last tried.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_tried_at: Option<Timestamp>,
    /// What the provider answered last.
    pub last_answer: Option<String>,
    /// The reason code of a failure.
    pub reason: Option<String>,
    /// When a provider accepted it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// When nothing was left to do.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub done_at: Option<Timestamp>,
    /// What was tried, the first one first. Of tries that do not count (a quota, no connection) the last one in a row is
    /// kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// One try of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When it was tried.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The channel; the phone may be reached over another one by now.
    pub channel: String,
    /// What was answered.
    pub answer: String,
}
