//! Messages, which an ACS posts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod data;

pub use self::data::Data;

/// Limits of a message's parts. Lengths are in characters where people write, in bytes where phones or the database store.
pub mod limits {
    /// Characters in a title.
    pub const TITLE_CHARS: usize = 250;
    /// Bytes in a body.
    pub const BODY_BYTES: usize = 16 * 1024;
    /// Bytes of `data` as compact JSON.
    pub const DATA_BYTES: usize = 4 * 1024;
    /// Nesting depth of `data`: with the message around it, the limit of common JSON parsers.
    pub const DATA_DEPTH: usize = 126;
    /// Characters in `external_id` and in an `Idempotency-Key`.
    pub const KEY_CHARS: usize = 200;
    /// Characters in a slug (topics, groups, clients) and in the name of an ACS.
    pub const SLUG_CHARS: usize = 64;
    /// Characters in a personnel number.
    pub const PERSONNEL_NO_CHARS: usize = 64;
    /// Entries in `recipients.employees` or `recipients.groups`.
    pub const RECIPIENTS_NAMED: usize = 10_000;
    /// Seconds from `send_at` to expiry, at most: 28 days, the limit of FCM.
    pub const TTL_SECONDS: i64 = 28 * 24 * 3_600;
    /// Default seconds to expiry: 72 hours.
    pub const DEFAULT_TTL_SECONDS: i64 = 72 * 3_600;
    /// How far ahead `send_at` may be: 366 days.
    pub const SEND_AHEAD_SECONDS: i64 = 366 * 24 * 3_600;
    /// Items in one `POST /messages/batch`.
    pub const BATCH_ITEMS: usize = 10_000;
    /// Bytes of one such item.
    pub const BATCH_ITEM_BYTES: usize = 4 * 1024 * 1024;
    /// Items in one batch with `strict=true`.
    pub const STRICT_ITEMS: usize = 1_000;
    /// Bytes in the body of such a batch.
    pub const STRICT_BYTES: usize = 4 * 1024 * 1024;
    /// Deliveries that one batch may create.
    pub const BATCH_DELIVERIES: u64 = 1_000_000;
    /// Bytes in the body of `POST /messages`.
    pub const MESSAGE_REQUEST_BYTES: usize = 256 * 1024;
    /// Bytes in the body of a message to be cut to fit.
    pub const FIT_REQUEST_BYTES: usize = 1024 * 1024;
    /// Bytes in the body of `POST /messages/batch`.
    pub const BATCH_REQUEST_BYTES: usize = 64 * 1024 * 1024;
}

/// The sender's name in place of an ACS, for messages posted by an operator; no ACS can have it.
pub const OPERATOR: &str = "operator";

/// A part of a message that may be cut to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its title.
    Title,
    /// Its text.
    Body,
    /// Its JSON object, which is left out whole.
    Data,
}

impl Part {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Body => "body",
            Self::Data => "data",
        }
    }
}

/// How urgent a message is; more urgent ones overtake in the queue.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// May wait.
    Low,
    /// The usual one.
    #[default]
    Normal,
    /// Wakes the phone.
    High,
    /// Wakes the person.
    Critical,
}

impl Priority {
    /// All priorities, least urgent first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// Its name in API, CLI and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Its Russian name, to go with «приоритет».
    pub fn as_russian(self) -> &'static str {
        match self {
            Self::Low => "низкий",
            Self::Normal => "обычный",
            Self::High => "высокий",
            Self::Critical => "критический",
        }
    }

    /// The number that the database stores: 0 for `low` to 3 for `critical`.
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The priority stored as `rank`; a number out of range is clamped.
    pub fn from_rank(rank: i64) -> Self {
        Self::ALL[rank.clamp(0, 3) as usize]
    }
}

impl std::str::FromStr for Priority {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or(())
    }
}
