//! Hands messages to the group commit, for the API and any other source. Nothing here depends on HTTP.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
};

use simo_common::{api::message::PostedMessage, message::limits};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    app::App,
    batch::Unanswered,
    store::{self, Draft, Incoming, Poster, Refusal},
};

/// A single message up to this weight does not queue with those of batches.
const ALONE: usize = 32;

/// Why a message was not posted.
pub(crate) enum Unposted {
    /// The transaction refused it.
    Refused(Refusal),
    /// The whole transaction failed.
    Undone(Arc<store::Error>),
    /// It was not handled in time, or simod failed.
    Unanswered(Unanswered),
}

impl Unposted {
    /// Whether it may have been stored all the same.
    pub(crate) fn may_be_stored(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Undone(error) => matches!(**error, store::Error::OutcomeUnknown(_)),
            Self::Unanswered(unanswered) => *unanswered == Unanswered::OutcomeUnknown,
        }
    }
}

/// The poster of many messages. Permissions are checked by the transaction that stores them.
pub(crate) struct Sender {
    poster: Poster,
    from: Option<IpAddr>,
    dry_run: bool,
    /// How many deliveries they may create together.
    budget: Arc<AtomicU64>,
}

impl Sender {
    pub(crate) fn new(poster: Poster, from: Option<IpAddr>, dry_run: bool) -> Self {
        Self { poster, from, dry_run, budget: Arc::new(AtomicU64::new(limits::BATCH_DELIVERIES)) }
    }

    /// A message from this sender.
    pub(crate) fn incoming(&self, draft: Draft, memory: Option<Arc<OwnedSemaphorePermit>>) -> Incoming {
        Incoming {
            poster: self.poster,
            from: self.from,
            draft,
            idempotency_key: None,
            dry_run: self.dry_run,
            budget: Some(self.budget.clone()),
            memory,
        }
    }
}

/// Hands in messages one after the other, so that they are accepted in order; errors keep their positions. Each returned
/// future waits until its message is on disk. `memory` is held until then.
pub(crate) async fn post_many<E>(
    app: &App,
    sender: &Sender,
    drafts: Vec<Result<Draft, E>>,
    memory: Option<Arc<OwnedSemaphorePermit>>,
    until: Instant,
) -> Vec<Result<impl Future<Output = Result<PostedMessage, Unposted>>, E>> {
    let mut entered = Vec::with_capacity(drafts.len());
    for draft in drafts {
        entered.push(match draft {
            Ok(draft) => Ok(enter(app, sender.incoming(draft, memory.clone()), until).await),
            Err(error) => Err(error),
        });
    }
    entered
}

/// Hands a message to the group commit; the returned future waits until it is on disk.
pub(crate) async fn enter(
    app: &App,
    incoming: Incoming,
    until: Instant,
) -> impl Future<Output = Result<PostedMessage, Unposted>> {
    let poster = incoming.poster;
    let weight = incoming.weight();
    let is_bulk = incoming.budget.is_some() || weight > ALONE;
    let entered = if is_bulk {
        app.ingest.enter_bulk_by(incoming, weight, until).await
    } else {
        app.ingest.enter_by(incoming, until).await
    };
    async move {
        let result = entered.map_err(Unposted::Unanswered)?.result_by(until).await;
        let result = result.map_err(Unposted::Unanswered)?;
        let posted = result.map_err(Unposted::Undone)?.map_err(Unposted::Refused)?;
        if let Poster::Token(hash) = poster {
            app.guard.welcome(&hash);
        }
        Ok(posted)
    }
}
