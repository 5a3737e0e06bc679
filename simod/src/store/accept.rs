//! Taking messages in: one transaction for a batch, which joins the live tokens, decides every audience, and stores
//! messages with their deliveries and pushes (small audiences) or their frozen audience (large ones).
//!
//! Every statement takes the whole batch: crossing to SQLite's thread once per row would be ten times slower.

mod charges;
mod decide;
mod insert;
mod keys;
mod load;
mod release;
mod times;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
};

use simo_common::{
    api::message::{PostedMessage, RecipientCounts, Recipients},
    delivery::reason,
    id,
    lang::Text,
    message::Priority,
    time::Moment,
    token::Scope,
};
use uuid::Uuid;

use self::{
    charges::Charges,
    keys::Keys,
    load::Sender,
    times::{Times, times},
};
pub(super) use self::{
    decide::audiences,
    insert::{Origin, insert_deliveries, insert_pushes, part_rows},
    load::{Question, TopicName},
};
use super::{
    Error, Races, Result, Store,
    audience::{Audience, Part},
};

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
    /// Of its meaning; needed where a key may bring it again.
    pub fingerprint: Option<[u8; 32]>,
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
    /// An operator who was let in already; `operator_id` is absent for the local socket.
    Operator {
        /// The client that he posts for.
        client_id: Uuid,
        /// Who he is.
        operator_id: Option<Uuid>,
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
}

/// What became of a message.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The answer.
    pub answer: std::result::Result<PostedMessage, Refusal>,
    /// Whether there is something new in the database.
    pub stored: bool,
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

/// A message on its way through the transaction.
struct Item<'a> {
    incoming: &'a Incoming,
    sender: Arc<Sender>,
    id: Uuid,
    times: Times,
    topic_id: Option<Uuid>,
    priority: Priority,
    /// Whom the topic says that it is for, where it says nothing itself.
    usual: Option<Recipients>,
    audience: Audience,
    unknown: Vec<String>,
}

/// Where an item stands between two steps.
enum Slot<'a> {
    /// Still on its way.
    Open(Box<Item<'a>>),
    /// Answered.
    Done(Accepted),
    /// Gets the answer of an earlier item of this batch with the same key.
    SameAs(usize, KeyKind),
}

impl Slot<'_> {
    fn refused(refusal: Refusal) -> Self {
        Self::Done(Accepted {
            answer: Err(refusal),
            stored: false,
        })
    }
}

impl Store {
    /// [`Store::accept`], but a fault that one item causes does not touch the others: the batch is halved until the bad item
    /// stands alone.
    pub async fn accept_each(
        &self,
        mut batch: Vec<Incoming>,
    ) -> Vec<std::result::Result<Accepted, Arc<Error>>> {
        // A key that another instance has taken is known when the batch is tried again.
        let mut races = Races::default();
        let taken = loop {
            let taken = self.accept(&batch).await;
            if !races.lost(&taken) {
                break taken;
            }
        };
        match taken {
            Ok(accepted) => accepted.into_iter().map(Ok).collect(),
            Err(error) if batch.len() > 1 && (error.is_race() || matches!(error, Error::Internal(_))) => {
                tracing::warn!(%error, items = batch.len(), "a batch failed; halving it");
                let second = batch.split_off(batch.len() / 2);
                let mut results = Box::pin(self.accept_each(batch)).await;
                results.extend(Box::pin(self.accept_each(second)).await);
                results
            }
            Err(error) => {
                let error = Arc::new(error);
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Takes in a batch in one transaction. It is on disk when [`Store::on_disk`] has returned; nobody may be answered
    /// before that.
    ///
    /// # Errors
    /// What the database says; then nothing of the batch was stored.
    pub async fn accept(&self, batch: &[Incoming]) -> Result<Vec<Accepted>> {
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let senders = load::senders(&mut tx, batch, now).await?;
        self.uses.note(
            batch.iter().filter_map(|incoming| match incoming.poster {
                Poster::Token(hash) => {
                    let sender = senders.get(&incoming.poster)?;
                    let is_in = sender.limits.allow_from(incoming.from);
                    is_in.then_some((hash, incoming.from))
                }
                Poster::Operator { .. } => None,
            }),
            now,
        );
        let mut slots: Vec<Slot<'_>> = batch
            .iter()
            .map(|incoming| match senders.get(&incoming.poster) {
                Some(sender) => open(incoming, sender, now),
                None => Slot::refused(Refusal::Unauthenticated),
            })
            .collect();
        let mut keys = keys::settle(&mut tx, &mut slots).await?;
        decide_audiences(&mut tx, &mut slots, now).await?;
        let charges = refuse_and_charge(&mut slots, &mut keys);
        let stored: Vec<&Item<'_>> = slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Open(item) if !item.incoming.dry_run => Some(&**item),
                _ => None,
            })
            .collect();
        if !stored.is_empty() {
            insert::store(&mut tx, &stored, now).await?;
        }
        if stored.is_empty() && !keys.has_bound() {
            tx.rollback().await?;
        } else {
            keys.store_bound(&mut tx, now).await?;
            tx.commit_messages_unsynced().await?;
        }
        charges.keep();
        Ok(answers(slots, &keys))
    }
}

/// Checks what the sender's settings decide.
fn open<'a>(incoming: &'a Incoming, sender: &Arc<Sender>, now: i64) -> Slot<'a> {
    let draft = &incoming.draft;
    if let Some(refusal) = sender.limits.refuse(draft.topic.as_deref(), incoming.from) {
        return Slot::refused(refusal);
    }
    if draft.topic.is_none() && !sender.personal {
        return Slot::refused(Refusal::TopicNeeded);
    }
    match times(draft, &sender.timezone, sender.default_ttl, now) {
        Ok(times) => Slot::Open(Box::new(Item {
            incoming,
            sender: sender.clone(),
            id: id::new(now),
            times,
            topic_id: None,
            priority: Priority::default(),
            usual: None,
            audience: Audience::default(),
            unknown: Vec::new(),
        })),
        Err(errors) => Slot::refused(Refusal::Invalid(errors)),
    }
}

async fn decide_audiences(tx: &mut super::Write, slots: &mut [Slot<'_>], now: i64) -> Result<()> {
    let questions: Vec<Question<'_>> = slots
        .iter()
        .filter_map(|slot| match slot {
            Slot::Open(item) => Some(Question {
                client_id: item.sender.client_id,
                topic: item.incoming.draft.topic.as_deref().map(TopicName::Slug),
                recipients: item.incoming.draft.recipients.as_ref(),
            }),
            _ => None,
        })
        .collect();
    let mut answers = audiences(tx, &questions, now).await?.into_iter();
    for slot in slots {
        let Slot::Open(item) = slot else { continue };
        let Some(answer) = answers.next() else { break };
        match answer {
            Ok(decided) => {
                let draft = &item.incoming.draft;
                item.topic_id = decided.topic_id;
                item.priority = draft.priority.or(decided.priority).unwrap_or_default();
                // What the topic says when it comes due counts for a scheduled one.
                item.usual = decided.usual.filter(|_| item.times.send_at.is_none());
                item.audience = decided.audience;
                item.unknown = decided.unknown;
            }
            Err(slug) => *slot = Slot::refused(Refusal::UnknownTopic(slug)),
        }
    }
    Ok(())
}

/// Refuses what reaches nobody and what goes beyond its request's budget, and lets the first with a key win.
fn refuse_and_charge(slots: &mut [Slot<'_>], keys: &mut Keys) -> Charges {
    let mut charges = Charges::default();
    for (place, slot) in slots.iter_mut().enumerate() {
        let winner = keys.winner(place);
        if let Some(message_id) = keys.repeated(place) {
            match winner {
                Some(winner) => *slot = Slot::SameAs(winner.place, winner.kind),
                None => keys.bind(place, message_id),
            }
        }
        let Slot::Open(item) = slot else { continue };
        if let Some(winner) = winner {
            let is_repeat = winner.kind == KeyKind::ExternalId && keys.means_the_same(winner.place, place);
            if is_repeat && !item.incoming.dry_run {
                keys.bind(place, winner.message_id);
            }
            *slot = Slot::SameAs(winner.place, winner.kind);
            continue;
        }
        if item.audience.accepted == 0 && !item.incoming.draft.allow_empty {
            let nobody = reaches_nobody(item);
            *slot = Slot::refused(Refusal::Nobody(Box::new(nobody)));
            continue;
        }
        let rows = item.audience.rows();
        let budget = item.incoming.budget.as_ref();
        let charged = budget.is_none_or(|budget| charges.take(budget, rows));
        if !charged {
            *slot = Slot::refused(Refusal::TooManyDeliveries);
        } else if !item.incoming.dry_run {
            keys.take(place, item.id);
        }
    }
    charges
}

fn reaches_nobody(item: &Item<'_>) -> Nobody {
    let draft = &item.incoming.draft;
    let blocked = |part: &&Part| part.closed.is_some_and(|(_, why)| why == reason::BLOCKED);
    let recipients = draft.recipients.as_ref().or(item.usual.as_ref());
    let unknown: HashSet<&String> = item.unknown.iter().collect();
    let is_unknown = |name: &String| unknown.contains(name);
    let fields = recipients.into_iter().flat_map(|recipients| {
        let fields = [
            ("employees", &recipients.employees),
            ("groups", &recipients.groups),
        ];
        fields.into_iter().flat_map(|(field, names)| {
            names
                .iter()
                .enumerate()
                .filter(|(_, name)| is_unknown(name))
                .map(move |(place, name)| (format!("recipients.{field}[{place}]"), name.clone()))
        })
    });
    Nobody {
        counts: item.audience.counts(item.unknown.clone()),
        blocked: item
            .audience
            .parts
            .iter()
            .filter(blocked)
            .map(|part| part.members.len())
            .sum(),
        is_personal: draft.topic.is_none(),
        unknown: fields.take(NAMED_UNKNOWN).collect(),
    }
}

/// Unknown names that one answer tells.
const NAMED_UNKNOWN: usize = 100;

/// The answers, in the batch's order; whoever lost to an earlier item with the same key gets the winner's.
fn answers(slots: Vec<Slot<'_>>, keys: &Keys) -> Vec<Accepted> {
    let mut results: Vec<Accepted> = Vec::with_capacity(slots.len());
    for (place, slot) in slots.into_iter().enumerate() {
        let accepted = match slot {
            Slot::Open(item) => Accepted {
                stored: !item.incoming.dry_run,
                answer: Ok(PostedMessage {
                    id: item.id,
                    duplicate: false,
                    recipients: item.audience.counts(item.unknown),
                }),
            },
            Slot::Done(accepted) => accepted,
            Slot::SameAs(winner, kind) => {
                let mut answer = results[winner].answer.clone();
                if let Ok(posted) = &mut answer {
                    if keys.means_the_same(winner, place) {
                        posted.duplicate = true;
                    } else {
                        answer = Err(Refusal::KeyReused(kind));
                    }
                }
                Accepted {
                    answer,
                    stored: false,
                }
            }
        };
        results.push(accepted);
    }
    results
}

/// A decided audience and what was found on the way.
pub(super) struct Decided {
    pub topic_id: Option<Uuid>,
    /// What the topic says of messages that say nothing.
    pub priority: Option<Priority>,
    /// Whom it says that they are for.
    pub usual: Option<Recipients>,
    pub audience: Audience,
    pub unknown: Vec<String>,
}
