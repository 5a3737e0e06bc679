//! How operators log in, and their sessions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Maximum validity of a login code, in days.
pub const MOST_CODE_DAYS: i64 = 30;

/// Asks for a code with which an operator logs in once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewLoginCode {
    /// Seconds that it works; 24 hours unless said otherwise, 30 days at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<i64>,
}

/// A code with which an operator logs in once; the one that they had before works no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginCode {
    /// Whose it is.
    pub operator: String,
    /// The code, shown this once.
    pub code: String,
    /// Where they log in with it: the server's `public_url`, else the address that it listens on.
    pub server: String,
    /// Until when it works.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Logs in: a one-time code for a token of the machine's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The code, as it was handed over; case, dashes and spaces do not matter.
    pub code: String,
    /// What the session is called in lists: the machine. 1–200 characters.
    pub name: String,
    /// Seconds that the session lasts; 90 days unless said otherwise, 366 days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<i64>,
}

/// An operator's session: a token of theirs, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The token's id.
    pub id: Uuid,
    /// Whose it is.
    pub operator: String,
    /// The machine, or what else the token is for.
    pub name: String,
    /// The token's beginning, to recognise it by.
    pub shown: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Since when it lasts.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends by itself; absent: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it last let its machine in, to a minute or so; absent: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Timestamp>,
    /// From which network address.
    pub used_from: Option<String>,
    /// Since when it is ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// What came of ending several sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedSessions {
    /// How many were ended.
    pub sessions: u64,
}
