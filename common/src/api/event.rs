//! The live feed: what happened to messages and deliveries, as server-sent events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::delivery::DeliveryState;

/// One event. Its SSE `id` is the cursor for `Last-Event-ID`, its SSE `event` is `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The client's slug.
    pub client: String,
    /// The message.
    pub message_id: Uuid,
    /// The ACS that posted it.
    pub acs: String,
    /// The ACS's own id of it.
    pub external_id: Option<String>,
    /// For `delivery`: whose.
    pub personnel_no: Option<String>,
    /// For `delivery`: where it stands when the event is read.
    pub state: Option<DeliveryState>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A message was accepted; its deliveries may follow a moment later.
    Accepted,
    /// A delivery changed its state.
    Delivery,
    /// A message was canceled.
    Canceled,
    /// The cursor is too old: read the history anew, then follow from here. Carries no other field of use.
    Reset,
}

impl EventKind {
    /// Its name: the SSE `event` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivery => "delivery",
            Self::Canceled => "canceled",
            Self::Reset => "reset",
        }
    }
}
