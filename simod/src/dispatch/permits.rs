//! The permits of a channel: each push in progress holds one, until its result is committed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::store::ClientNo;

/// The permits held, by client.
#[derive(Debug, Default)]
pub(super) struct Permits {
    held: Mutex<HashMap<ClientNo, usize>>,
}

impl Permits {
    /// The number of held permits, in total and by client.
    pub(super) fn held(&self) -> (usize, HashMap<ClientNo, usize>) {
        let held = self.lock().clone();
        (held.values().sum(), held)
    }

    /// Takes a permit for a client's push. Only one task takes permits, and checks [`Permits::held`] first.
    pub(super) fn take(self: &Arc<Self>, client_no: ClientNo) -> Permit {
        *self.lock().entry(client_no).or_default() += 1;
        Permit { permits: self.clone(), client_no }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientNo, usize>> {
        // Nothing panics between changes, so a poisoned map is still valid.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit; freed when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    client_no: ClientNo,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.permits.lock();
        if let Some(count) = held.get_mut(&self.client_no) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.client_no);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_counted_by_client_and_come_back() {
        let (crowd, other) = (ClientNo(1), ClientNo(2));
        let permits = Arc::new(Permits::default());
        let mut taken = vec![permits.take(crowd), permits.take(crowd), permits.take(other)];
        assert_eq!(permits.held(), (3, HashMap::from([(crowd, 2), (other, 1)])));
        taken.pop();
        assert_eq!(permits.held(), (2, HashMap::from([(crowd, 2)])));
        taken.clear();
        assert_eq!(permits.held(), (0, HashMap::new()));
    }
}
