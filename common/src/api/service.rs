//! The daemon's reports about itself and the caller.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clock::ClockJump;
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
    /// The clock was set ahead, and expiry rests; never a reason for 503.
    #[serde(default)]
    pub clock: Option<ClockJump>,
}

/// How a channel is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelHealth {
    /// `fcm`, `webpush`, `stream`.
    pub channel: String,
    /// `ok`, `off` (not configured), `paused` or `alarm`.
    pub state: String,
    /// What is wrong, for people.
    pub detail: Option<String>,
}

/// What `simoctl doctor` judges beyond readiness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The server's time.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// People who are to receive: neither archived nor blocked. Of one client, or of all for an owner who names none.
    pub people: u64,
    /// Those of them who have no phone.
    pub without_phone: u64,
    /// Phones by channel.
    pub phones: Vec<ChannelPhones>,
    /// Until when the certificate is valid that simod serves; absent when it serves plain HTTP.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub certificate_expires_at: Option<Timestamp>,
    /// The disk that holds the database file; absent for PostgreSQL, and for those who are not owners.
    pub disk: Option<Disk>,
    /// What keeps PostgreSQL from holding what a 202 promises; for owners only.
    pub unprotected: Vec<Unprotected>,
    /// Browsers that were paired at another address than today's `public_url`, and have to be paired anew; for owners only.
    #[serde(default)]
    pub left_behind: u64,
}

/// How many phones a channel has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelPhones {
    /// The channel.
    pub channel: String,
    /// Paired phones.
    pub phones: u64,
}

/// A disk, and how long it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// Bytes that simod can still write.
    pub free: u64,
    /// In how many days it is full if free space goes on shrinking as in the last week; absent while it does not shrink,
    /// or has been watched for less than a day.
    pub full_in_days: Option<f64>,
}

/// A setting of PostgreSQL that breaks the promise of a 202: that the message outlives a crash or a fail-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unprotected {
    /// `fsync = off`: a power failure can lose everything.
    FsyncOff,
    /// `synchronous_commit = off`: a crash loses the newest commits.
    CommitNotSynced,
    /// Standbys are connected, and a commit waits for none of them: a fail-over loses the newest commits.
    NoStandbyAwaited,
}
