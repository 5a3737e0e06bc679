//! The clock that the server takes times from, and its adjustments.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{lang::Text, text};

/// How the clock is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockState {
    /// What time it is.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// A jump ahead that is not believed yet.
    pub jump: Option<ClockJump>,
    /// How it was set, the newest step first: the last 100.
    pub steps: Vec<ClockStep>,
}

/// The clock was set ahead, and nothing expires or is forgotten by that yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockJump {
    /// By how many seconds.
    pub ahead_seconds: i64,
    /// Until when expiry rests, by the clock as it is.
    #[schema(value_type = String, format = DateTime)]
    pub rests_until: Timestamp,
    /// The same, for people.
    pub detail: String,
}

/// The clock was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockStep {
    /// When, by the clock after it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By how many seconds; negative: back.
    pub seconds: i64,
}

impl ClockJump {
    /// A jump by this many seconds.
    pub fn new(ahead_seconds: i64, rests_until: Timestamp) -> Self {
        let mut jump = Self { ahead_seconds, rests_until, detail: String::new() };
        jump.detail = jump.text().en;
        jump
    }

    /// The jump as text.
    pub fn text(&self) -> Text {
        let (ahead, until) = (self.ahead_seconds, self.rests_until);
        text!(
            "the clock was set {ahead} s ahead; expiry rests until {until:.0}, or until `simoctl clock accept`",
            "часы переведены на {ahead} с вперёд; до {until:.0} или до `simoctl clock accept` ничто не истекает"
        )
    }
}
