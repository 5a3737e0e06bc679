//! How many pushes a claim may take, and of which clients.

use std::collections::HashMap;

use crate::store::ClientNo;

/// The part (one in this many) of all permits that is kept for clients with little under way.
const KEPT: usize = 8;

/// The free permits of a channel.
///
/// A client that holds an eighth of all permits or more leaves the last free eighth to others. Otherwise one client's
/// crowd would hold all of them until its results are committed, or until a hanging provider has been given up, and all
/// other clients would wait behind it.
#[derive(Debug, Clone, Default)]
pub struct Room {
    free: usize,
    /// Permits that are kept for clients who hold fewer.
    kept: usize,
    held: HashMap<ClientNo, usize>,
}

impl Room {
    /// `free` permits of a channel that has `all`, of which clients hold these.
    pub fn new(all: usize, free: usize, held: HashMap<ClientNo, usize>) -> Self {
        Self { free, kept: all / KEPT, held }
    }

    /// The number of free permits.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Whether none is free.
    pub fn is_full(&self) -> bool {
        self.free == 0
    }

    /// There is only one client: no permits are kept for others.
    pub(super) fn keep_none(&mut self) {
        self.kept = 0;
    }

    pub(super) fn held_by(&self, client_no: ClientNo) -> usize {
        self.held.get(&client_no).copied().unwrap_or_default()
    }

    pub(super) fn free_for(&self, client_no: ClientNo) -> usize {
        let for_all = self.free.saturating_sub(self.kept);
        let for_few = self.kept.saturating_sub(self.held_by(client_no));
        for_all.max(for_few.min(self.free))
    }

    pub(super) fn take(&mut self, client_no: ClientNo, permits: usize) {
        self.free = self.free.saturating_sub(permits);
        *self.held.entry(client_no).or_default() += permits;
    }
}

impl From<usize> for Room {
    /// `free` permits, not tied to a client.
    fn from(free: usize) -> Self {
        Self { free, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: ClientNo = ClientNo(1);
    const OTHER: ClientNo = ClientNo(2);

    #[test]
    fn the_last_eighth_is_for_those_who_have_less() {
        let mut room = Room::new(360, 360, HashMap::new());
        assert_eq!((room.free_for(CROWD), room.free_for(OTHER)), (315, 315));
        room.take(CROWD, 315);
        assert_eq!((room.free_for(CROWD), room.free_for(OTHER)), (0, 45));
        room.take(OTHER, 40);
        assert_eq!((room.free_for(OTHER), room.free()), (5, 5));
        room.take(OTHER, 5);
        assert!(room.is_full());
    }

    #[test]
    fn a_client_that_is_alone_may_have_all() {
        let mut room = Room::new(360, 360, HashMap::new());
        room.keep_none();
        assert_eq!(room.free_for(CROWD), 360);
    }

    #[test]
    fn few_permits_are_for_all() {
        for all in 0..KEPT {
            let room = Room::new(all, all, HashMap::from([(CROWD, 100)]));
            assert_eq!(room.free_for(CROWD), all);
        }
    }
}
