//! Messages before they are accepted, and their results.

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

/// A message as validated by the API.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The topic's slug.
    pub topic: Option<String>,
    /// Its priority; `None`: the topic's default.
    pub priority: Option<Priority>,
    /// Its recipients; `None`: the topic's default, or else the holders of its grants.
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
    /// Whether it may reach no one.
    pub allow_empty: bool,
    /// The parts that were cut to their limits.
    pub fitted: Vec<Part>,
    /// Fingerprint of its meaning as posted; needed where a key may bring it again.
    pub fingerprint: Option<i64>,
}

/// When a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// After the client's default.
    Default,
    /// This many seconds after it is sent.
    Ttl(i64),
    /// At a moment.
    At(Moment),
}

/// The poster of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Poster {
    /// The holder of the token with this hash; looked up in the transaction.
    Token([u8; 32]),
    /// An authenticated operator; `operator_no` is absent for the local socket.
    Operator {
        /// The client that they post for.
        client_no: ClientNo,
        /// The operator.
        operator_no: Option<OperatorNo>,
    },
}

/// A message to be accepted.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its poster.
    pub poster: Poster,
    /// The network address it came from.
    pub from: Option<IpAddr>,
    /// The message.
    pub draft: Draft,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// Only report what would happen.
    pub dry_run: bool,
    /// How many deliveries its request may still make.
    pub budget: Option<Arc<AtomicU64>>,
    /// Memory permit, shared with others that were parsed together.
    pub memory: Option<Arc<OwnedSemaphorePermit>>,
}

impl Incoming {
    /// Its cost to a transaction, in messages to one person: names are looked up one by one.
    pub fn weight(&self) -> usize {
        const NAMES: usize = 32;
        let named = self.draft.recipients.as_ref().map_or(0, |to| to.employees.len() + to.groups.len());
        1 + named / NAMES
    }
}

/// The result of accepting a message.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The answer.
    pub answer: Result<PostedMessage, Refusal>,
    /// Whether something new was stored.
    pub stored: bool,
}

impl Accepted {
    /// Limits the names, so that the answers to a large batch take little memory.
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

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is not valid.
    Unauthenticated,
    /// The token may not be used from this address.
    WrongNetwork(Option<IpAddr>),
    /// The token may not be used for this.
    WrongScope(Scope),
    /// The token may not post to this topic.
    WrongTopic {
        /// The topic that the message names.
        topic: String,
        /// The topics that it may post to.
        allowed: Vec<String>,
    },
    /// The token may not send without a topic.
    TopicNeeded,
    /// There is no such topic.
    UnknownTopic(String),
    /// No one would receive it.
    Nobody(Box<Nobody>),
    /// The key was used for a message with another meaning.
    KeyReused(KeyKind),
    /// Mistakes that only show with the client's settings.
    Invalid(Vec<(String, Text)>),
    /// The request would make more deliveries than allowed.
    TooManyDeliveries,
}

/// Why a message would reach no one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nobody {
    /// Its recipient counts.
    pub counts: RecipientCounts,
    /// How many of the denied are blocked.
    pub blocked: u64,
    /// Whether it has no topic: then grants do not matter.
    pub is_personal: bool,
    /// The fields that name missing recipients, and the names.
    pub unknown: Vec<(String, String)>,
}

/// The key that was reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The `Idempotency-Key` header.
    IdempotencyKey,
    /// `external_id`.
    ExternalId,
}
