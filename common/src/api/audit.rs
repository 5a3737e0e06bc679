//! The audit: who changed what.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One change. Entries are chained: see `docs/audit.en.md` for how the hashes are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number in the chain, from 1 on.
    pub seq: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was done, such as `topic.grant`.
    pub action: String,
    /// To whom or what, by whom; absent when it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<AuditPayload>,
    /// SHA-256 of the payload, in hexadecimal.
    pub payload_hash: String,
    /// SHA-256 of the entry and of all before it, in hexadecimal.
    pub hash: String,
}

/// What an entry says of people; it can be erased, and the chain still verifies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditPayload {
    /// Who did it: an operator, a phone's owner, `local` (the local socket), `simod`.
    pub who: String,
    /// From which network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was changed: a slug, a personnel number, a name or an id.
    pub subject: String,
    /// How it was; absent for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// How it is now; absent for what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// Random, so that the hash of an erased payload does not tell what it was.
    pub salt: String,
}

/// The end of a chain. Kept elsewhere, it shows later whether the chain was cut or written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHead {
    /// The number of the last entry; 0: there is none.
    pub seq: u64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// Whose personal data is to go from the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseAudit {
    /// The employee's personnel number; a predecessor's is the number with the day on which it passed on.
    pub employee: String,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedAudit {
    /// The numbers of the entries that say nothing any more.
    pub entries: Vec<u64>,
}

/// Attempts that were refused, of one kind in one hour: those to get in by their network address, posts of an ACS by their
/// token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedAttempts {
    /// The client whose token it was; absent when nobody knows.
    pub client: Option<String>,
    /// The ACS whose posts were refused; absent for other attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acs: Option<String>,
    /// What may be shown of the token that the posts came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The network address they came from: of IPv6 its first half; empty: too many to tell, or posts.
    pub address: String,
    /// `no_token`, `malformed_token`, `unknown_token`, `expired`, `revoked`, `archived` (its holder or client is),
    /// `wrong_code`, `blocked` (the employee is), `forbidden` (the holder may not do it), `rate_limited`; of posts
    /// the `code` of the answer.
    pub reason: String,
    /// The field that was wrong in the posts, the first where there were several; `(other)`: one that no message has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How many.
    pub count: u64,
    /// The first.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// The last.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// The newest of the posts, 20 at most, newest first. Those that were refused before they were read are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest: Vec<RefusedPost>,
}

/// By what a refused post is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedPost {
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The beginning of its title.
    pub title: String,
    /// The ACS's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}
