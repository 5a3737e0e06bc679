//! Invitations made together, as a batch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks for a pairing code for each of many employees: members of groups, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewBatch {
    /// For the members of these groups, by slug.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// For everyone; not together with `groups`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
    /// Of those, only for people who have no device.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_device: bool,
    /// What to call the batch; the groups' slugs or `everyone` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds that the codes work; 7 days unless said otherwise, 30 days at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<i64>,
}

/// A batch with its codes, which are shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeBatch {
    /// For withdrawing it.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// When the codes stop working.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// The codes, by the names of the people.
    pub invites: Vec<BatchInvite>,
    /// Personnel numbers of blocked people, who get none.
    pub blocked: Vec<String>,
}

/// One person's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchInvite {
    /// Whom it is for.
    pub personnel_no: String,
    /// Their name.
    pub full_name: String,
    /// Slugs of their groups, sorted.
    pub groups: Vec<String>,
    /// The code, such as `K7QD-M2XA-9F`; single-use.
    pub code: String,
    /// What the QR code carries.
    pub uri: String,
}

/// A batch as it stands, without codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteBatch {
    /// For withdrawing it.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its codes stop working.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Codes that were used.
    pub used: u64,
    /// Codes that still work.
    pub open: u64,
    /// Codes that were withdrawn.
    pub withdrawn: u64,
    /// All codes.
    pub invites: u64,
}

/// What withdrawing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Withdrawn {
    /// Codes that worked until now.
    pub withdrawn: u64,
}
