//! What the daemon says of itself and of the caller.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::people::Role;

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// `operator`, `acs`, `device` or `local` (the Unix socket).
    pub kind: String,
    /// The operator's or the ACS's name; the user's for `local`.
    pub name: String,
    /// An operator's role; `owner` for `local`.
    pub role: Option<Role>,
    /// The client's slug; absent for owners.
    pub client: Option<String>,
    /// The daemon's version.
    pub version: String,
    /// Where phones and operators find the daemon: its `public_url`, else the address that it listens on.
    #[serde(default)]
    pub server: String,
}

/// Whether this instance can serve, and how its channels are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether it can serve; the HTTP status says the same (200 or 503).
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The channels' health; never a reason for 503.
    pub channels: Vec<ChannelHealth>,
}

/// How a channel is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelHealth {
    /// `fcm`, `stream`.
    pub channel: String,
    /// `ok`, `off` (not configured), `paused` or `alarm`.
    pub state: String,
    /// What is wrong, for people.
    pub detail: Option<String>,
}
