//! Accepting messages: one transaction for a batch, which joins the live tokens, decides every audience, and stores
//! messages with their deliveries and pushes (small audiences) or their frozen audience (large ones).
//!
//! Every statement takes the whole batch: one trip to SQLite's thread per row would be ten times slower.

mod budget;
mod decide;
mod incoming;
mod insert;
mod keys;
mod load;
mod no_recipients;
mod release;
mod times;

use std::sync::Arc;

use simo_common::{
    api::message::{PostedMessage, Recipients},
    id,
    lang::Text,
    message::Priority,
};
use uuid::Uuid;

pub use self::incoming::{Accepted, Draft, Expiry, Incoming, KeyKind, Nobody, Poster, Refusal};
use self::{
    budget::Charges,
    keys::Keys,
    load::Sender,
    no_recipients::reaches_nobody,
    times::{Times, times},
};
pub(in crate::store) use self::{
    decide::audiences,
    insert::{MessageSource, insert_deliveries, insert_pushes, part_rows},
    load::{Question, TopicName},
};
use super::audience::Audience;
use crate::store::{Error, MessageNo, Races, Result, Store, TopicNo, message_spans::next_numbers};

/// A message on its way through the transaction.
struct Item<'a> {
    incoming: &'a Incoming,
    sender: Arc<Sender>,
    no: MessageNo,
    id: Uuid,
    times: Times,
    /// Mistakes in its times: it is refused, unless it repeats one that was accepted when they were right.
    untimely: Vec<(String, Text)>,
    topic_no: Option<TopicNo>,
    priority: Priority,
    /// The topic's default recipients, if the message names none.
    usual: Option<Recipients>,
    audience: Audience,
    unknown: Vec<String>,
}

/// What happens to the other items when one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnRefusal {
    StoreTheRest,
    StoreNothing,
}

/// State of an item between two steps.
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
        Self::Done(Accepted { answer: Err(refusal), stored: false })
    }
}

impl Store {
    /// [`Store::accept`], but a fault of one item does not affect the others: the batch is halved until the bad item is
    /// alone.
    pub async fn accept_each(
        &self,
        mut batch: Vec<Incoming>,
    ) -> Vec<std::result::Result<Accepted, Arc<Error>>> {
        // When the batch is retried, a key taken by another instance is visible.
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

    /// Accepts a batch in one transaction. It is on disk when [`Store::on_disk`] has returned; no caller may be
    /// answered before that.
    ///
    /// # Errors
    /// A database error; then nothing of the batch was stored.
    pub async fn accept(&self, batch: &[Incoming]) -> Result<Vec<Accepted>> {
        self.take_in(batch, OnRefusal::StoreTheRest).await
    }

    /// [`Store::accept`], but if anything in the batch is refused, nothing of it is stored.
    ///
    /// # Errors
    /// A database error; then nothing of the batch was stored.
    pub async fn accept_together(&self, batch: &[Incoming]) -> Result<Vec<Accepted>> {
        let mut races = Races::default();
        loop {
            let taken = self.take_in(batch, OnRefusal::StoreNothing).await;
            if !races.lost(&taken) {
                return taken;
            }
        }
    }

    async fn take_in(&self, batch: &[Incoming], on_refusal: OnRefusal) -> Result<Vec<Accepted>> {
        let mut tx = self.write_promptly().await?;
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
        let numbers = next_numbers(&mut tx, batch.len()).await?;
        let mut slots: Vec<Slot<'_>> = batch
            .iter()
            .zip(numbers)
            .map(|(incoming, no)| match senders.get(&incoming.poster) {
                Some(sender) => open(incoming, sender, no, now),
                None => Slot::refused(Refusal::Unauthenticated),
            })
            .collect();
        let mut keys = keys::settle(&mut tx, &mut slots).await?;
        refuse_untimely(&mut slots);
        decide_audiences(&mut tx, &mut slots, now).await?;
        let charges = refuse_and_charge(&mut slots, &mut keys);
        let mut answers = answers(&slots, &keys);
        for (accepted, _) in answers.iter_mut().zip(batch).filter(|(_, item)| item.budget.is_some()) {
            accepted.shorten();
        }
        if on_refusal == OnRefusal::StoreNothing && answers.iter().any(|accepted| accepted.answer.is_err()) {
            tx.rollback().await?;
            for accepted in &mut answers {
                accepted.stored = false;
            }
            return Ok(answers);
        }
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
        let has_repeats =
            answers.iter().any(|accepted| accepted.answer.as_ref().is_ok_and(|posted| posted.duplicate));
        if stored.is_empty() && !keys.has_bound() {
            // A repeat of an unanswered post is told that the message is stored, so it has to be.
            if has_repeats {
                tx.confirm_what_was_read().await?;
            }
            tx.commit_unsynced().await?;
        } else {
            keys.store_bound(&mut tx, now).await?;
            tx.commit_messages_unsynced().await?;
        }
        charges.keep();
        Ok(answers)
    }
}

/// Makes the checks that depend on the sender's settings.
fn open<'a>(incoming: &'a Incoming, sender: &Arc<Sender>, no: MessageNo, now: i64) -> Slot<'a> {
    let draft = &incoming.draft;
    if let Some(refusal) = sender.limits.refuse(draft.topic.as_deref(), incoming.from) {
        return Slot::refused(refusal);
    }
    if draft.topic.is_none() && !sender.personal {
        return Slot::refused(Refusal::TopicNeeded);
    }
    let (times, untimely) = match times(draft, &sender.timezone, sender.default_ttl, now) {
        Ok(times) => (times, Vec::new()),
        Err(errors) => (Times::at_once(now), errors),
    };
    Slot::Open(Box::new(Item {
        incoming,
        sender: sender.clone(),
        no: if times.send_at.is_some() { no.waiting() } else { no },
        id: id::new(now),
        times,
        untimely,
        topic_no: None,
        priority: Priority::default(),
        usual: None,
        audience: Audience::default(),
        unknown: Vec::new(),
    }))
}

/// Refuses new messages whose times are wrong.
fn refuse_untimely(slots: &mut [Slot<'_>]) {
    for slot in slots {
        if let Slot::Open(item) = slot
            && !item.untimely.is_empty()
        {
            *slot = Slot::refused(Refusal::Invalid(std::mem::take(&mut item.untimely)));
        }
    }
}

async fn decide_audiences(tx: &mut crate::store::Write, slots: &mut [Slot<'_>], now: i64) -> Result<()> {
    let questions: Vec<Question<'_>> = slots
        .iter()
        .filter_map(|slot| match slot {
            Slot::Open(item) => Some(Question {
                client_no: item.sender.client_no,
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
                item.topic_no = decided.topic_no;
                item.priority = draft.priority.or(decided.priority).unwrap_or_default();
                // For a scheduled message, the topic's defaults when it comes due count.
                item.usual = decided.usual.filter(|_| item.times.send_at.is_none());
                item.audience = decided.audience;
                item.unknown = decided.unknown;
            }
            Err(slug) => *slot = Slot::refused(Refusal::UnknownTopic(slug)),
        }
    }
    Ok(())
}

/// Refuses messages that reach no one or exceed their request's budget, and lets the first with a key win.
fn refuse_and_charge(slots: &mut [Slot<'_>], keys: &mut Keys) -> Charges {
    let mut charges = Charges::default();
    for (place, slot) in slots.iter_mut().enumerate() {
        let winner = keys.winner(place);
        if let Some(message_no) = keys.repeated(place) {
            match winner {
                Some(winner) => *slot = Slot::SameAs(winner.place, winner.kind),
                None => keys.bind(place, message_no),
            }
        }
        let Slot::Open(item) = slot else { continue };
        if let Some(winner) = winner {
            let is_repeat = winner.kind == KeyKind::ExternalId && keys.means_the_same(winner.place, place);
            if is_repeat && !item.incoming.dry_run {
                keys.bind(place, winner.message_no);
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
            keys.take(place, item.no);
        }
    }
    charges
}

/// The answers, in the batch's order; an item that lost to an earlier one with the same key gets the winner's.
fn answers(slots: &[Slot<'_>], keys: &Keys) -> Vec<Accepted> {
    let mut results: Vec<Accepted> = Vec::with_capacity(slots.len());
    for (place, slot) in slots.iter().enumerate() {
        let accepted = match slot {
            Slot::Open(item) => Accepted {
                stored: !item.incoming.dry_run,
                answer: Ok(PostedMessage {
                    id: item.id,
                    duplicate: false,
                    recipients: item.audience.counts(item.unknown.clone()),
                    fitted: item.incoming.draft.fitted.clone(),
                }),
            },
            Slot::Done(accepted) => accepted.clone(),
            &Slot::SameAs(winner, kind) => {
                let mut answer = results[winner].answer.clone();
                if let Ok(posted) = &mut answer {
                    if keys.means_the_same(winner, place) {
                        posted.duplicate = true;
                    } else {
                        answer = Err(Refusal::KeyReused(kind));
                    }
                }
                Accepted { answer, stored: false }
            }
        };
        results.push(accepted);
    }
    results
}
