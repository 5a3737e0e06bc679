//! Clients, ACS, operators, tokens, topics and grants: who may send, receive and look.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{change::Change, login::LoginCode, message::Recipients};
use crate::{
    message::Priority,
    people::Role,
    token::{Scope, TokenKind},
};

/// What FCM is given of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Title, body and data travel through the provider.
    #[default]
    Full,
    /// Only the id does; the phone fetches the text from SiMO.
    Doorbell,
}

impl Payload {
    /// The payload with this name; unknown names yield the default.
    pub fn from_name(name: &str) -> Self {
        if name == Self::Doorbell.as_str() { Self::Doorbell } else { Self::default() }
    }

    /// Its name, also in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Doorbell => "doorbell",
        }
    }
}

/// What travels by Web Push, where it is encrypted for the phone alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebPush {
    /// The message's text.
    #[default]
    Text,
    /// Its id and the client's name; the app fetches the text from SiMO.
    Doorbell,
}

impl WebPush {
    /// The payload with this name; unknown names yield the default.
    pub fn from_name(name: &str) -> Self {
        if name == Self::Doorbell.as_str() { Self::Doorbell } else { Self::default() }
    }

    /// Its name, also in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Doorbell => "doorbell",
        }
    }
}

/// A legal entity that uses SiMO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// Its short name.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// IANA time zone of times that its ACS write without an offset.
    pub timezone: String,
    /// What FCM is given of its messages.
    pub payload: Payload,
    /// Whether pushes by FCM carry a provider-side notification, for apps without code of their own.
    pub notification: bool,
    /// What travels by Web Push.
    #[serde(default)]
    pub webpush: WebPush,
    /// Seconds to expiry when a message says nothing.
    pub default_ttl: i64,
    /// Days that history is kept; absent: for ever.
    pub retention_days: Option<i64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Since when it is archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
}

/// A new client, or what to change of one (absent fields stay; `slug` is needed only for a new one).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSpec {
    /// Its short name; cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// A new client's first admin, who is made with it: a slug, unique over all clients. The answer has their login code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// For a new client: one that is archived comes back, as it was but for the settings given here, with its history, people
    /// and topics, and without operators, tokens and phones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restore: bool,
    /// Its name for people; the slug unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// IANA time zone; `Europe/Moscow` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What FCM is given of its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Whether pushes by FCM carry a provider-side notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<bool>,
    /// What travels by Web Push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webpush: Option<WebPush>,
    /// Seconds to expiry when a message says nothing: 1 to 2,419,200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<i64>,
    /// Days that history is kept; 0: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i64>,
}

/// A client that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeClient {
    /// The client.
    #[serde(flatten)]
    pub client: Client,
    /// With which its first admin logs in, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginCode>,
}

/// An automated control system of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acs {
    /// Its short name: a slug.
    pub name: String,
    /// Tokens that work now.
    pub tokens: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Since when it is archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
}

/// What to change of an ACS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditAcs {
    /// The new short name: 1–64 of `a–z 0–9 - _ .`.
    pub name: String,
}

/// A new ACS or group: a short name, and one for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The short name: 1–64 of `a–z 0–9 - _ .`.
    pub slug: String,
    /// The name for people; the slug unless said otherwise. An ACS has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A new topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// The short name: 1–64 of `a–z 0–9 - _ .`.
    pub slug: String,
    /// The name for people; the slug unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How urgent a message is that does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_priority: Option<Priority>,
    /// Whom a message is for that does not say it; they need a grant as always. Left out: all who hold one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_recipients: Option<Recipients>,
}

/// What to change of a topic; absent fields stay, `null` clears a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditTopic {
    /// 1–200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How urgent a message is that does not say it.
    #[serde(skip_serializing_if = "Change::stays")]
    #[schema(value_type = Option<Priority>)]
    pub default_priority: Change<Priority>,
    /// Whom a message is for that does not say it.
    #[serde(skip_serializing_if = "Change::stays")]
    #[schema(value_type = Option<Recipients>)]
    pub default_recipients: Change<Recipients>,
}

/// A new name for people; a device's has 100 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// 1–200 characters.
    pub name: String,
}

/// A person who administers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    /// Unique over all clients, a slug.
    pub name: String,
    /// The client's slug; absent for an owner.
    pub client: Option<String>,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Since when they are archived; their tokens do not work.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
}

/// A new operator; an `owner` belongs to no client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// A slug, unique over all clients.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// A token, without its secret.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id, for revoking and rotating.
    pub id: Uuid,
    /// Whom it lets in.
    pub kind: TokenKind,
    /// The name of the ACS, the operator or the device.
    pub holder: String,
    /// What it is for.
    pub name: String,
    /// Its beginning, to recognise it by.
    pub shown: String,
    /// ACS tokens: whether it may send without a topic.
    pub personal: bool,
    /// ACS tokens: what it may be used for; empty: everything.
    pub scopes: Vec<Scope>,
    /// ACS tokens: the topics that it may post to, by slug; empty: all.
    pub topics: Vec<String>,
    /// ACS tokens: the networks that it may be used from; empty: all.
    pub networks: Vec<String>,
    /// ACS tokens: requests a minute; absent: as many as the server's configuration says.
    pub rate_limit: Option<u32>,
    /// ACS tokens: whether it is answered 503 where others are answered 429.
    pub rate_limit_as_503: bool,
    /// ACS tokens: whether messages with it are cut to their limits instead of being refused.
    pub fit: bool,
    /// The token that takes over from it, while it goes on working until it expires.
    pub successor: Option<Uuid>,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it stops working.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether it works now and stops within two weeks.
    pub expires_soon: bool,
    /// When it last let somebody in, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Timestamp>,
    /// From which address that was.
    pub used_from: Option<String>,
    /// Since when it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// Asks for a token: for an `acs` (made if it is new) or for an `operator`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewToken {
    /// The ACS's name. Either this or `operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acs: Option<String>,
    /// The operator's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What it is for; shown in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it stops working, RFC 3339; without an offset in the client's time zone. Left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether an ACS may send without a topic with it (default: yes, unless `topics` are given).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<bool>,
    /// What an ACS may use it for: `send`, `read`; everything unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The topics that an ACS may post to with it, by slug; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// The networks that an ACS may use it from, such as `10.0.0.0/8` or `192.0.2.7`; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// Requests a minute that an ACS may make with it; as many as the server's configuration says unless given. It counts at
    /// once at the instance that issues the token, at others within a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub rate_limit: Option<u32>,
    /// Whether an ACS is answered 503 where others are answered 429, for one that repeats only what failed with 5xx; no
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_as_503: Option<bool>,
    /// Whether messages of an ACS are cut to their limits instead of being refused, as with `?fit=true`; no unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<bool>,
}

/// A token with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// Its id.
    pub id: Uuid,
    /// The secret.
    pub token: String,
    /// Whom it lets in.
    pub kind: TokenKind,
    /// The name of the ACS or operator.
    pub holder: String,
    /// When it stops working.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// A named kind of information.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Topic {
    /// Its short name.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// How many grants it has.
    pub grants: u64,
    /// How urgent a message is that does not say it; absent: `normal`.
    pub default_priority: Option<Priority>,
    /// Whom a message is for that does not say it; absent: all who hold a grant.
    pub default_recipients: Option<Recipients>,
    /// Since when it is archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
    /// Where it was just added: it came back from the archive, without grants.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
}

/// Who may receive a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grantee {
    /// Everyone of the client.
    Everyone,
    /// The members of a group, by slug.
    Group(String),
    /// One employee, by personnel number.
    Employee(String),
}

/// A grant to give; one that is there is given these times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Who may receive the topic.
    pub grantee: Grantee,
    /// Since when it counts, RFC 3339; without an offset in the client's time zone. Left out: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when it counts, likewise. Left out: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// At which hours of the week, in the client's time zone: `mon-fri 08:00-20:00; sat,sun 10:00-14:00`. Left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
}

impl From<Grantee> for NewGrant {
    /// A grant that counts at all times.
    fn from(grantee: Grantee) -> Self {
        Self { grantee, from: None, until: None, hours: None }
    }
}

/// When a grant counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantTimes {
    /// Since when it counts; absent: since it was given.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Until when; absent: for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// At which hours of the week, in the client's time zone; absent: at all.
    pub hours: Option<String>,
    /// Whether it counts now.
    pub active: bool,
}

/// A grant of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// The topic's slug.
    pub topic: String,
    /// Who may receive it.
    pub grantee: Grantee,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it counts.
    #[serde(flatten)]
    pub times: GrantTimes,
}

/// A grant that lets an employee receive a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldGrant {
    /// The topic's slug.
    pub topic: String,
    /// Its name for people.
    pub topic_name: String,
    /// Which grant: `everyone`, `group:<slug>` or `employee`.
    pub grant: String,
    /// For a group's: how they belong to it, from their own group on.
    pub path: Vec<String>,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it counts.
    #[serde(flatten)]
    pub times: GrantTimes,
    /// Whether the employee is blocked: then no grant counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

/// An employee who would receive a topic now, and by which grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receiver {
    /// Who.
    pub personnel_no: String,
    /// Their name.
    pub full_name: String,
    /// By which grant: `everyone`, `group:<slug>` or `employee`.
    pub grant: String,
    /// Devices that are not retired.
    pub devices: u32,
}
