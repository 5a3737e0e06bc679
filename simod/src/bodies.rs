//! Large request bodies: the memory they take together, each client's share of it, and the threads that parse them. Small
//! bodies, which nearly all requests have, neither wait nor are counted.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use simo_common::message::limits;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};

use crate::store::{ClientNo, Poster};

/// Up to so many bytes a body is small. No more than this is parsed on a thread that serves other requests.
pub(crate) const SMALL: usize = 64 * 1024;

/// Bytes of memory for all large bodies. One client takes at most half, so that none locks the others out.
const ROOM: usize = 128 * 1024 * 1024;
const ROOM_OF_ONE: usize = ROOM / 2;

/// A body's room as a multiple of its length: the parsed data and the answer are in memory as well.
const TAKES: usize = 4;

/// Bytes of large batches' items that are parsed but not stored yet: parsed, they may take ten times as much. No item and
/// no strict batch may be larger, or there would never be room for it.
const PARSED: usize = limits::BATCH_ITEM_BYTES;
const _: () = assert!(limits::STRICT_BYTES <= PARSED, "a strict batch would wait for ever");

/// How many batches of one poster are worked on at once.
const BATCHES_OF_ONE: usize = 4;

/// How long a large body waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Callers that share room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// A client's systems, operators and phones.
    Client(ClientNo),
    /// Owners, who belong to no client.
    Owners,
    /// All callers without a token: together, so that many addresses take no more than one.
    Strangers,
}

/// Limits on receiving and parsing large bodies.
#[derive(Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    rooms: Mutex<HashMap<Whose, Arc<Semaphore>>>,
    turns: Mutex<HashMap<Poster, Arc<Semaphore>>>,
    parsed: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    patience: Duration,
}

/// Room for one body; freed when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

impl Held {
    /// The size that the body may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what the body did not need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let spare = self.own.num_permits().saturating_sub(room_for(bytes));
        drop((self.own.split(spare), self.all.split(spare)));
    }
}

impl Default for Bodies {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            room: Arc::new(Semaphore::new(ROOM)),
            rooms: Mutex::default(),
            turns: Mutex::default(),
            parsed: Arc::new(Semaphore::new(PARSED)),
            // The other threads are for small requests.
            threads: Arc::new(Semaphore::new((processors / 2).max(1))),
            patience: PATIENCE,
        }
    }
}

impl Bodies {
    /// Waits for room for a body of at most so many bytes, before any of it is read: an admitted body never needs more, so
    /// no two wait for each other. `None`: no room in time.
    pub(crate) async fn admit(&self, whose: Whose, bytes: usize) -> Option<Held> {
        let bytes = bytes.min(ROOM_OF_ONE);
        let (own, all) = self.room_in_time(self.room_of(whose), room_for(bytes)).await?;
        Some(Held { bytes, own, all })
    }

    /// Waits for more room for a body that already has some; `false`: no room in time. Two growing bodies may wait for each
    /// other; then they are refused.
    pub(crate) async fn grow(&self, held: &mut Held, bytes: usize) -> bool {
        let bytes = bytes.min(ROOM_OF_ONE);
        let more = room_for(bytes).saturating_sub(held.own.num_permits());
        let Some((own, all)) = self.room_in_time(held.own.semaphore().clone(), more).await else {
            return false;
        };
        held.own.merge(own);
        held.all.merge(all);
        held.bytes = bytes;
        true
    }

    /// Takes so many bytes of the caller's own room and of everybody's.
    async fn room_in_time(
        &self,
        own: Arc<Semaphore>,
        bytes: usize,
    ) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let room = async {
            let own = own.acquire_many_owned(permits(bytes)).await.ok()?;
            Some((own, self.room.clone().acquire_many_owned(permits(bytes)).await.ok()?))
        };
        tokio::time::timeout(self.patience, room).await.ok().flatten()
    }

    /// Limits how many batches of one poster are processed at once: parsed, they take memory, and they get turns on the
    /// parsing threads before other posters. `None`: no turn in time.
    pub(crate) async fn turn(&self, poster: Poster) -> Option<OwnedSemaphorePermit> {
        let turn = semaphore_of(&self.turns, poster, BATCHES_OF_ONE).acquire_owned();
        tokio::time::timeout(self.patience, turn).await.ok()?.ok()
    }

    fn room_of(&self, whose: Whose) -> Arc<Semaphore> {
        semaphore_of(&self.rooms, whose, ROOM_OF_ONE)
    }

    /// Waits until so many bytes of a large batch may be parsed; they count until the permit is dropped. That is when the
    /// database has taken in the items, whether or not the answers are read.
    pub(crate) async fn room_to_parse(&self, bytes: usize) -> Option<Arc<OwnedSemaphorePermit>> {
        self.parsed.clone().acquire_many_owned(permits(bytes.min(PARSED))).await.ok().map(Arc::new)
    }

    /// Runs slow work on a thread that serves no requests; only a few such threads work at once.
    ///
    /// # Errors
    /// When the work panics.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = self.threads.clone().acquire_owned().await;
        let request = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            // Held even if the caller is gone by now.
            let _turn = turn;
            request.in_scope(work)
        })
        .await
    }
}

/// The semaphore for a key; unused ones are dropped.
fn semaphore_of<Key: Eq + Hash>(
    all: &Mutex<HashMap<Key, Arc<Semaphore>>>,
    key: Key,
    permits: usize,
) -> Arc<Semaphore> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|_, one| Arc::strong_count(one) > 1);
    all.entry(key).or_insert_with(|| Arc::new(Semaphore::new(permits))).clone()
}

fn room_for(bytes: usize) -> usize {
    bytes.saturating_mul(TAKES).min(ROOM_OF_ONE)
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: i64) -> Whose {
        Whose::Client(ClientNo(number))
    }

    fn impatient() -> Bodies {
        Bodies { patience: Duration::ZERO, ..Bodies::default() }
    }

    #[tokio::test]
    async fn one_client_holds_half_and_what_goes_beyond_is_refused_at_last() {
        let bodies = impatient();
        let whole = bodies.admit(client(1), ROOM_OF_ONE).await.unwrap();
        assert!(bodies.admit(client(1), SMALL + 1).await.is_none(), "the client has no more");
        let other = bodies.admit(client(2), ROOM_OF_ONE).await.unwrap();
        assert!(bodies.admit(client(3), SMALL + 1).await.is_none(), "there is no more");
        drop(whole);
        let again = bodies.admit(client(1), SMALL + 1).await;
        assert!(again.is_some() && bodies.admit(Whose::Owners, SMALL + 1).await.is_some());
        drop((other, again));
        assert_eq!(bodies.room.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn what_a_body_did_not_need_is_free_at_its_end() {
        let bodies = impatient();
        let mut unannounced = bodies.admit(client(1), ROOM_OF_ONE).await.unwrap();
        unannounced.shrink(100_000);
        let next = bodies.admit(client(1), ROOM_OF_ONE / TAKES - 100_000).await;
        assert!(next.is_some());
        drop((unannounced, next));
        assert_eq!(bodies.room.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn bodies_that_announce_no_length_take_no_more_room_than_they_fill() {
        let bodies = impatient();
        let mut dripping = [
            bodies.admit(client(1), 1024 * 1024).await.unwrap(),
            bodies.admit(client(2), 1024 * 1024).await.unwrap(),
        ];
        assert!(bodies.admit(client(3), 1024 * 1024).await.is_some());
        assert!(bodies.grow(&mut dripping[0], ROOM_OF_ONE).await);
        assert_eq!(dripping[0].bytes(), ROOM_OF_ONE);
        let other = bodies.admit(client(3), ROOM_OF_ONE / TAKES - 2 * 1024 * 1024).await;
        assert!(other.is_some() && !bodies.grow(&mut dripping[1], ROOM_OF_ONE).await);
        drop((dripping, other));
        assert_eq!(bodies.room.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn a_poster_has_a_few_batches_at_once_and_others_do_not_wait_for_them() {
        let bodies = impatient();
        let poster = |number| Poster::Token([number; 32]);
        let mut held = Vec::new();
        for _ in 0..BATCHES_OF_ONE {
            held.push(bodies.turn(poster(1)).await);
        }
        assert!(bodies.turn(poster(1)).await.is_none() && bodies.turn(poster(2)).await.is_some());
        held.pop();
        assert!(bodies.turn(poster(1)).await.is_some());
    }

    #[tokio::test]
    async fn a_body_that_waits_is_let_in_when_there_is_room() {
        let bodies = Arc::new(Bodies { patience: Duration::from_mins(1), ..Bodies::default() });
        let first = bodies.admit(client(1), ROOM_OF_ONE).await.unwrap();
        let second = {
            let bodies = bodies.clone();
            tokio::spawn(async move { bodies.admit(client(1), ROOM_OF_ONE).await.is_some() })
        };
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap());
    }
}
