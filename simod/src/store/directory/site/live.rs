//! The stored state that a site concerns, in one snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use simo_common::{
    api::{
        access::{Grantee, Payload, WebPush},
        message::Recipients,
    },
    hex::hex,
    message::Priority,
    people::Role,
};

use crate::store::{
    AcsNo, ClientNo, EmployeeNo, GrantNo, GrantTerms, GroupNo, OperatorNo, TokenNo, TokenTerms, TopicNo,
};

/// A row, archived or not.
#[derive(Debug, Clone)]
pub(super) struct Kept<N, T> {
    pub(super) no: N,
    pub(super) archived: bool,
    pub(super) is: T,
}

/// The stored state that concerns a site.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    pub(super) owners: BTreeMap<String, Kept<OperatorNo, ()>>,
    /// Clients that the site names, by slug; all of them if all are asked for.
    pub(super) clients: BTreeMap<String, LiveClient>,
    /// The names of all operators, which are unique over all clients.
    pub(super) operators: BTreeSet<String>,
    /// When it was read.
    pub(super) now: i64,
    /// The revision read: chains with their number of changes.
    pub(super) revisions: BTreeMap<String, Option<i64>>,
}

#[derive(Debug, Clone)]
pub(super) struct LiveClient {
    pub(super) client_no: ClientNo,
    pub(super) archived: bool,
    pub(super) settings: Settings,
    pub(super) acs: BTreeMap<String, Kept<AcsNo, ()>>,
    /// Valid ACS tokens.
    pub(super) tokens: Vec<LiveToken>,
    /// Tokens that expired, and have no heir.
    pub(super) ended: Vec<LiveToken>,
    pub(super) operators: BTreeMap<String, Kept<OperatorNo, Role>>,
    pub(super) groups: BTreeMap<String, Kept<GroupNo, Group>>,
    pub(super) employees: BTreeMap<String, Kept<EmployeeNo, Employee>>,
    pub(super) topics: BTreeMap<String, Kept<TopicNo, Topic>>,
}

/// A token that was not revoked.
#[derive(Debug, Clone)]
pub(super) struct LiveToken {
    pub(super) token_no: TokenNo,
    pub(super) acs: String,
    pub(super) terms: TokenTerms,
    /// The last valid successor: the site's terms of the token apply to it, while the token itself stays valid for a
    /// while.
    pub(super) heir: Option<TokenNo>,
}

impl LiveToken {
    /// Its purpose, which is its name.
    pub(super) fn name(&self) -> &str {
        self.terms.name.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) timezone: String,
    pub(super) payload: Payload,
    pub(super) notification: bool,
    pub(super) webpush: WebPush,
    pub(super) default_ttl: i64,
    pub(super) retention_days: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) includes: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Employee {
    pub(super) full_name: String,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) locale: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) blocked: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) priority: Option<Priority>,
    pub(super) recipients: Option<Recipients>,
    #[serde(skip)]
    pub(super) grants: BTreeMap<Grantee, (GrantNo, GrantTerms)>,
}

impl Live {
    /// The revision as one word.
    pub(super) fn revision(&self) -> String {
        let mut hash = Sha256::new();
        for (name, revision) in &self.revisions {
            let revision = revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string());
            hash.update(format!("{name} {revision}\n"));
        }
        hex(&hash.finalize())[..32].to_owned()
    }

    /// Whether anything was changed since. An object that was missing may have been made by ourselves; a concurrent
    /// creation fails on its key.
    pub(super) fn has_moved(&self, now: &BTreeMap<String, Option<i64>>) -> bool {
        let mut known = self.revisions.iter().filter(|(_, revision)| revision.is_some());
        known.any(|(name, revision)| now.get(name) != Some(revision))
    }
}

/// Rows by number, while a client is read.
pub(super) type Names<N> = HashMap<N, String>;
