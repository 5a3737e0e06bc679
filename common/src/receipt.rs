//! Receipts: reports from a phone.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened on the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    /// The phone has the message.
    Delivered,
    /// The person opened it.
    Read,
    /// The person acknowledged it.
    Acknowledged,
}

impl ReceiptKind {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Acknowledged => "acknowledged",
        }
    }
}
