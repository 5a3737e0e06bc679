//! Messages: posting them, and reading one back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    delivery::DeliveryState,
    message::{Data, Part, Priority},
};

/// A message as an ACS posts it. Either `topic` or `recipients` is needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostMessage {
    /// What the phone shows first; 1–250 characters.
    #[schema(min_length = 1, max_length = 250)]
    pub title: String,
    /// The text; at most 16 KiB of UTF-8, which may be fewer characters than the bound says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 16384)]
    pub body: String,
    /// The topic's slug. Without it this is a personal message, which needs `recipients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    pub topic: Option<String>,
    /// How urgent it is. Left out: as the topic says, or else `normal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Whom it is for. Left out: whom the topic says, or else everyone who holds a grant for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Recipients>,
    /// Any JSON object, at most 4 KiB, handed to the app as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Data>,
    /// When to send it, RFC 3339; without an offset it is in the client's time zone. Left out: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_at: Option<String>,
    /// When to give up, RFC 3339, at most 28 days after `send_at`. Not together with `ttl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Seconds from `send_at` until we give up, 1 to 2,419,200 (28 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_419_200)]
    pub ttl: Option<i64>,
    /// Whether the person must acknowledge it.
    #[serde(default)]
    pub require_ack: bool,
    /// The ACS's own id of this message; the same one never makes a second message. 1–200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub external_id: Option<String>,
    /// Accept it even when nobody may receive it (otherwise 422).
    #[serde(default)]
    pub allow_empty: bool,
}

/// Whom a message is for. The kinds add up; a person named twice receives it once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipients {
    /// Personnel numbers, each 1–64 characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10000)]
    pub employees: Vec<String>,
    /// Slugs of groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10000)]
    pub groups: Vec<String>,
    /// Everyone of the client.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
}

impl Recipients {
    /// Whether it names no recipient.
    pub fn is_empty(&self) -> bool {
        self.employees.is_empty() && self.groups.is_empty() && !self.everyone
    }
}

/// The answer to an accepted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PostedMessage {
    /// The message's id.
    pub id: Uuid,
    /// Whether it had been accepted before, under the same key.
    pub duplicate: bool,
    /// Who will receive it.
    pub recipients: RecipientCounts,
    /// What of it was cut to fit its limit, or left out, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitted: Vec<Part>,
}

/// Who will receive a message, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecipientCounts {
    /// Employees who will receive it.
    pub accepted: u64,
    /// The part of `accepted` that waits for a first device.
    pub without_device: u64,
    /// Employees who were targeted but may not receive it.
    pub denied: u64,
    /// Personnel numbers and slugs that do not exist; of an item of a batch the first 10.
    pub unknown: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_unknown: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RecipientCounts {
    /// Keeps at most this many unknown names, and counts the rest.
    pub fn name_at_most(&mut self, most: usize) {
        self.more_unknown += self.unknown.len().saturating_sub(most) as u64;
        self.unknown.truncate(most);
        self.unknown.shrink_to_fit();
    }
}

/// One item's answer in a batch, in the order of the items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchItem {
    /// The item's place, from 0.
    pub index: usize,
    /// 202, or the status that this item would have got alone.
    pub status: u16,
    /// The answer, when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<PostedMessage>,
    /// The error, when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<super::problem::Problem>,
}

/// The answer to a batch; its status is 200 whatever its items' are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// How many items were accepted (duplicates included).
    pub accepted: usize,
    /// How many were refused.
    pub refused: usize,
    /// One answer per item.
    pub items: Vec<BatchItem>,
}

/// A message as it is read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The message's id.
    pub id: Uuid,
    /// The client's slug.
    pub client: String,
    /// The ACS that posted it; `operator` when an operator did.
    pub acs: String,
    /// The topic's slug; absent for a personal message.
    pub topic: Option<String>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whom it was addressed to, as posted.
    pub recipients: Option<Recipients>,
    /// Its JSON object.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Data>,
    /// What of it was cut to fit its limit, or left out, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitted: Vec<Part>,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// The ACS's own id.
    pub external_id: Option<String>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub accepted_at: Timestamp,
    /// When it is or was to be sent, if not at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub send_at: Option<Timestamp>,
    /// When it is given up.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was canceled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub canceled_at: Option<Timestamp>,
    /// Why the server canceled it by itself: `topic_archived` or `client_archived` (before the message came due).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// Whether it waits for `send_at`; its audience is decided then.
    pub scheduled: bool,
    /// Who receives it (zeros while `scheduled`).
    pub counts: RecipientCounts,
    /// How many of its deliveries stand where; states without any are left out.
    pub states: Vec<StateCount>,
    /// The newest time of one of its deliveries; absent while none has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
    /// When it was accepted, as long as it must be acknowledged and some recipient has not done so, failed and expired
    /// deliveries included, canceled and denied ones not; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub unacknowledged_since: Option<Timestamp>,
}

/// How many deliveries stand in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCount {
    /// The state.
    pub state: DeliveryState,
    /// How many.
    pub count: u64,
}

/// The answer to a cancelation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Canceled {
    /// Deliveries that were stopped before any provider took them.
    pub canceled: u64,
    /// Deliveries that had been sent, received or ended already.
    pub too_late: u64,
    /// Whether its recipients had not been decided yet: both numbers are 0.
    #[serde(default)]
    pub scheduled: bool,
}
