//! The queue for looking up one-time codes: every code is looked up, but no faster than guessing may be.
//!
//! Every address has two places, so that a guesser with a hundred connections gets no more turns than a phone beside it.
//! The store counts the unknown codes a second, for all instances; the first in the queue waits for the next second, and
//! the others behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How many codes of one address may be looked up, or held afterwards, at once.
const PLACES: usize = 2;

/// The most requests of one address that wait for a place: a whole shift may pair at once.
const WAITING: usize = 1_000;

/// The same while the address's wrong answers are held: the last request waits sixteen seconds if all before it are wrong.
const WAITING_HELD: usize = 32;

/// The queue of codes to be looked up.
#[derive(Debug)]
pub(crate) struct CodeLine {
    turn: Semaphore,
    addresses: Mutex<HashMap<String, Address>>,
}

#[derive(Debug)]
struct Address {
    places: Arc<Semaphore>,
    /// Requests that have a place or wait for one.
    requests: usize,
}

/// A request's place in the queue.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    line: &'a CodeLine,
    address: String,
    held: Option<OwnedSemaphorePermit>,
}

impl Default for CodeLine {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), addresses: Mutex::default() }
    }
}

impl CodeLine {
    /// Waits for a place; `None` when too many requests of the address are waiting.
    pub(crate) async fn place(&self, address: &str, is_held: bool) -> Option<Place<'_>> {
        let waiting = if is_held { WAITING_HELD } else { WAITING };
        let places = {
            let mut addresses = self.addresses();
            let of_address = addresses
                .entry(address.to_owned())
                .or_insert_with(|| Address { places: Arc::new(Semaphore::new(PLACES)), requests: 0 });
            if of_address.requests >= PLACES + waiting {
                return None;
            }
            of_address.requests += 1;
            of_address.places.clone()
        };
        // Counted until dropped, even if the caller goes away while waiting.
        let mut place = Place { line: self, address: address.to_owned(), held: None };
        place.held = places.acquire_owned().await.ok();
        Some(place)
    }

    /// Waits until all earlier requests have had their turn.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<String, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut addresses = self.line.addresses();
        if let Some(of_address) = addresses.get_mut(&self.address) {
            of_address.requests -= 1;
            if of_address.requests == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_address_has_two_places_and_those_who_wait_have_an_end() {
        let line = CodeLine::default();
        let first = line.place("a", true).now_or_never().unwrap().unwrap();
        let second = line.place("a", true).now_or_never().unwrap().unwrap();
        let mut waiting: Vec<_> = (0..WAITING_HELD).map(|_| Box::pin(line.place("a", true))).collect();
        for place in &mut waiting {
            assert!(place.now_or_never().is_none(), "it has its turn after the first two");
        }
        assert!(line.place("a", true).now_or_never().unwrap().is_none(), "too many wait");
        assert!(line.place("b", true).now_or_never().unwrap().is_some(), "of another address nobody waits");
        drop(first);
        assert!(waiting[0].as_mut().now_or_never().is_some_and(|place| place.is_some()));
        drop(waiting);
        drop(second);
        assert!(line.addresses().is_empty(), "nothing is kept of who has gone");
    }
}
