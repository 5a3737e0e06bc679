//! What a phone says to SiMO. `docs/phone-protocol.md` is the contract.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    api::problem::FieldError,
    delivery::DeliveryState,
    message::{Data, Priority},
    receipt::ReceiptKind,
};

/// The way to a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelAddress {
    /// `fcm` or `stream`.
    pub kind: String,
    /// The FCM registration token or installation id; `stream` has none. At most 4096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the address is: `token` (default) or `installation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_kind: Option<String>,
    /// Whether the phone shows the app's notifications; left out: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<bool>,
}

/// A phone's first words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The code from the invitation; case, dashes and spaces do not matter.
    pub code: String,
    /// How to reach this phone.
    pub channel: ChannelAddress,
    /// What it calls itself; 1–100 characters.
    pub name: String,
    /// `android`, `ios`, `web`, `cli` …; 1–32 characters.
    pub platform: String,
}

/// The answer to a pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paired {
    /// The phone's bearer token, shown this once.
    pub token: String,
    /// The device's id.
    pub device_id: Uuid,
    /// Whose phone it is now.
    pub employee: PairedEmployee,
}

/// Whose phone it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairedEmployee {
    /// How the client knows him.
    pub personnel_no: String,
    /// His name.
    pub full_name: String,
    /// The client's name.
    pub client: String,
}

/// A message as its receiver's phone reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceMessage {
    /// The message's id; repeats carry the same one.
    pub id: Uuid,
    /// Its title.
    pub title: String,
    /// Its whole text.
    pub body: String,
    /// The topic's slug.
    pub topic: Option<String>,
    /// The topic's name for people.
    pub topic_name: Option<String>,
    /// The ACS that posted it.
    pub acs: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Its JSON object.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Data>,
    /// Whether the person must acknowledge it.
    pub require_ack: bool,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub accepted_at: Timestamp,
    /// After this, do not alert any more.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Where this person's delivery stands.
    pub state: DeliveryState,
}

/// One receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Of which message.
    pub message_id: Uuid,
    /// What happened.
    pub kind: ReceiptKind,
    /// When, by the phone's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The answer to receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptsAnswer {
    /// Receipts that are stored now (repeats included).
    pub stored: usize,
    /// Messages that are not this person's; drop these receipts.
    pub unknown: Vec<Uuid>,
    /// Receipts that cannot be read; drop them too. The others are stored all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedReceipt>,
}

/// A receipt that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedReceipt {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}
