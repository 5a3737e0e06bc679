//! Large request bodies: how much memory they take together, how much of it one client may take, and where they are parsed.
//! Small ones, as nearly all requests have, neither wait nor are counted.

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

/// Bytes of a body that is small. As much is parsed at most where other requests wait for the thread.
pub(crate) const SMALL: usize = 64 * 1024;

/// Bytes that all large bodies take in memory. One client takes at most half, so that no one keeps the others out.
const ROOM: usize = 128 * 1024 * 1024;
const ROOM_OF_ONE: usize = ROOM / 2;

/// How much room a body takes, as often as it is long: what is read from it, and answered, is in memory as well.
const TAKES: usize = 4;

/// Bytes of large batches' items that are parsed and not stored yet: parsed, they may take ten times as much. No item and no
/// strict batch may have more, or there would never be room for it.
const PARSED: usize = limits::BATCH_ITEM_BYTES;
const _: () = assert!(limits::STRICT_BYTES <= PARSED, "a strict batch would wait for ever");

/// How many batches of one poster are worked on at once.
const BATCHES_OF_ONE: usize = 4;

/// How long a large body waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who shares room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// A client's systems, operators and phones.
    Client(ClientNo),
    /// Owners, who belong to no client.
    Owners,
    /// All callers without a token: together, so that many addresses take no more than one.
    Strangers,
}

/// Who reads and parses large bodies now.
#[derive(Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    rooms: Mutex<HashMap<Whose, Arc<Semaphore>>>,
    turns: Mutex<HashMap<Poster, Arc<Semaphore>>>,
    parsed: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    patience: Duration,
}

/// Room for one body; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

impl Held {
    /// How many bytes the body may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what the body turned out not to need.
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
            // The others are for those who answer small requests.
            threads: Arc::new(Semaphore::new((processors / 2).max(1))),
            patience: PATIENCE,
        }
    }
}

impl Bodies {
    /// Waits for room for a body of at most so many bytes, before any of it is read: a body that was let in is never short
    /// of room, so no two wait for each other. `None`: there was none in time.
    pub(crate) async fn admit(&self, whose: Whose, bytes: usize) -> Option<Held> {
        let bytes = bytes.min(ROOM_OF_ONE);
        let (own, all) = self.room_in_time(self.room_of(whose), room_for(bytes)).await?;
        Some(Held { bytes, own, all })
    }

    /// Waits for more room for a body that has some already; `false`: there was none in time. Two that grow may wait for each
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

    /// So many bytes of one's own room and of everybody's.
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

    /// Waits for one of the few batches of this poster that are worked on at once: what is read from them takes memory, and
    /// their turns aside come before those of others. `None`: it had none in time.
    pub(crate) async fn turn(&self, poster: Poster) -> Option<OwnedSemaphorePermit> {
        let turn = semaphore_of(&self.turns, poster, BATCHES_OF_ONE).acquire_owned();
        tokio::time::timeout(self.patience, turn).await.ok()?.ok()
    }

    fn room_of(&self, whose: Whose) -> Arc<Semaphore> {
        semaphore_of(&self.rooms, whose, ROOM_OF_ONE)
    }

    /// Waits until so many bytes of a large batch may be parsed; they count until what is returned is dropped. It is free
    /// as soon as the database has taken in the items, whether or not anybody looks at the answers.
    pub(crate) async fn room_to_parse(&self, bytes: usize) -> Option<Arc<OwnedSemaphorePermit>> {
        self.parsed.clone().acquire_many_owned(permits(bytes.min(PARSED))).await.ok().map(Arc::new)
    }

    /// Does what takes long on a thread where no request waits, and beside few others that do so too.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = self.threads.clone().acquire_owned().await;
        let request = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            // Also if the caller is gone by now.
            let _turn = turn;
            request.in_scope(work)
        })
        .await
    }
}

/// The permits of one of many; those that nobody holds are forgotten.
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
