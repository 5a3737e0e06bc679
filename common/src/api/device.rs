//! The API that phones call. `docs/phone-protocol.md` is the contract.

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct ChannelAddress {
    /// `fcm`, `webpush` or `stream`.
    pub kind: String,
    /// Of `fcm`: the registration token or installation id. At most 4096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of `fcm`: what the address is, `token` (default) or `installation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_kind: Option<String>,
    /// Of `webpush`: the subscription's endpoint, an https URL of at most 1000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Of `webpush`: the subscription's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SubscriptionKeys>,
    /// Whether the phone shows the app's notifications; left out: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<bool>,
}

/// The keys of a browser's subscription, as `PushSubscription.toJSON()` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionKeys {
    /// The public key: 65 bytes in base64url.
    pub p256dh: String,
    /// The secret: 16 bytes in base64url.
    pub auth: String,
}

/// A phone's first words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The code from the invitation; case, dashes and spaces do not matter.
    pub code: String,
    /// Random, of the phone's making: with it the same code may be sent again for ten minutes after it was used, by a phone that
    /// did not get the answer. 22–64 characters of base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How to reach this phone.
    pub channel: ChannelAddress,
    /// What it calls itself; 1–100 characters.
    pub name: String,
    /// `android`, `ios`, `web`, `cli` …; 1–32 characters.
    pub platform: String,
}

/// A code of which a phone wants to know whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The code from the invitation.
    pub code: String,
}

/// Who is invited, as far as somebody may know who only has the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Previewed {
    /// The client's name.
    pub client: String,
    /// The person's first name.
    pub first_name: String,
}

/// What a phone is to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnDevice {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub platform: String,
    /// When it was paired.
    #[schema(value_type = String, format = DateTime)]
    pub paired_at: Timestamp,
    /// Whose it is.
    pub employee: PairedEmployee,
    /// The way to it.
    pub channel: OwnChannel,
    /// What a browser needs to subscribe; `null` when the channel `webpush` is off.
    pub webpush: Option<WebPushKey>,
}

/// The way to a phone, as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnChannel {
    /// The channel.
    pub kind: String,
    /// The push service's address of it; `webpush` alone has one.
    pub endpoint: Option<String>,
    /// A provider called the address dead: nothing is sent there until a new one or a receipt comes.
    pub quarantined: bool,
    /// Whether it shows notifications, if it has said so.
    pub notifications: Option<bool>,
}

/// The server's own key, with which browsers subscribe (RFC 8292).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebPushKey {
    /// Its public half, base64url.
    pub key: String,
}

/// One of a person's phones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonsDevice {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub platform: String,
    /// Its channel.
    pub channel: String,
    /// When it was paired.
    #[schema(value_type = String, format = DateTime)]
    pub paired_at: Timestamp,
    /// When it was last in contact.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen_at: Option<Timestamp>,
    /// Whether it is the one that asks.
    pub this: bool,
}

/// A person's phones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonsDevices {
    /// The newest first.
    pub items: Vec<PersonsDevice>,
}

/// A trial message to oneself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// The message.
    pub message_id: Uuid,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Timestamp,
}

/// A delivery of one's own that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnState {
    /// The message.
    pub id: Uuid,
    /// Where its delivery stands now.
    pub state: DeliveryState,
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
    /// How the client knows them.
    pub personnel_no: String,
    /// Their name.
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
    /// Who acknowledged, at a screen that several people share; 1–100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
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
