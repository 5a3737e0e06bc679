//! What a message is before it is taken in, and what becomes of it.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
};

use crate::store::{ClientNo, OperatorNo};
use simo_common::{
    api::message::{PostedMessage, RecipientCounts, Recipients},
    lang::Text,
    message::{Part, Priority},
    time::Moment,
    token::Scope,
};
use tokio::sync::OwnedSemaphorePermit;

/// A message as the API has validated it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The topic's slug.
    pub topic: Option<String>,
    /// How urgent it is; `None`: as the topic says.
    pub priority: Option<Priority>,
    /// Whom it is for; `None`: whom the topic says, or else the holders of its grants.
    pub recipients: Option<Recipients>,
    /// A JSON object.
    pub data: Option<String>,
    /// When to send it; `None`: now.
    pub send_at: Option<Moment>,
    /// When to give up.
    pub expiry: Expiry,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// The ACS's own id.
    pub external_id: Option<String>,
    /// Whether it may reach nobody.
    pub allow_empty: bool,
    /// What of it was cut to its limit.
    pub fitted: Vec<Part>,
    /// Of its meaning as it was posted; needed where a key may bring it again.
    pub fingerprint: Option<i64>,
}

/// When a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// After the client's default.
    Default,
    /// So many seconds after it is sent.
    Ttl(i64),
    /// At a moment.
    At(Moment),
}

/// Who posts a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Poster {
    /// Whoever holds the token with this hash; the transaction looks.
    Token([u8; 32]),
    /// An operator who was let in already; `operator_no` is absent for the local socket.
    Operator {
        /// The client that he posts for.
        client_no: ClientNo,
        /// Who he is.
        operator_no: Option<OperatorNo>,
    },
}

/// A message that wants to be taken in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Who posts it.
    pub poster: Poster,
    /// From which network address.
    pub from: Option<IpAddr>,
    /// What it is.
    pub draft: Draft,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// Only say what would happen.
    pub dry_run: bool,
    /// How many deliveries the request that it is part of may still make.
    pub budget: Option<Arc<AtomicU64>>,
    /// Held while it is in memory, with others that were parsed together.
    pub memory: Option<Arc<OwnedSemaphorePermit>>,
}

impl Incoming {
    /// What it costs a transaction, in messages to one person: names are looked up one by one.
    pub fn weight(&self) -> usize {
        const NAMES: usize = 32;
        let named = self.draft.recipients.as_ref().map_or(0, |to| to.employees.len() + to.groups.len());
        1 + named / NAMES
    }
}

/// What became of a message.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The answer.
    pub answer: Result<PostedMessage, Refusal>,
    /// Whether there is something new in the database.
    pub stored: bool,
}

impl Accepted {
    /// Leaves so few names that the answers to a large batch take little memory.
    pub(super) fn shorten(&mut self) {
        const NAMED: usize = 10;
        match &mut self.answer {
            Ok(posted) => posted.recipients.name_at_most(NAMED),
            Err(Refusal::Nobody(nobody)) => {
                nobody.counts.name_at_most(NAMED);
                nobody.unknown.truncate(NAMED);
                nobody.unknown.shrink_to_fit();
            }
            Err(_) => {}
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token does not let in.
    Unauthenticated,
    /// The token may not be used from this address.
    WrongNetwork(Option<IpAddr>),
    /// The token may not be used for this.
    WrongScope(Scope),
    /// The token may not post to this topic.
    WrongTopic {
        /// The topic that the message names.
        topic: String,
        /// Those that it may post to.
        allowed: Vec<String>,
    },
    /// The token may not send without a topic.
    TopicNeeded,
    /// There is no such topic.
    UnknownTopic(String),
    /// Nobody would receive it.
    Nobody(Box<Nobody>),
    /// The key was used for a message with another meaning.
    KeyReused(KeyKind),
    /// Fields are wrong in a way that only the client's settings tell.
    Invalid(Vec<(String, Text)>),
    /// The request would make more deliveries than one may.
    TooManyDeliveries,
}

/// Why a message would reach nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nobody {
    /// Its numbers.
    pub counts: RecipientCounts,
    /// How many of the denied are blocked.
    pub blocked: u64,
    /// Whether it has no topic: then no grant matters.
    pub is_personal: bool,
    /// The fields that name somebody who does not exist, and whom.
    pub unknown: Vec<(String, String)>,
}

/// Which key was used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The `Idempotency-Key` header.
    IdempotencyKey,
    /// `external_id`.
    ExternalId,
}
