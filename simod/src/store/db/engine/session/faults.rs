//! When the way to the server last failed.

use std::time::Instant;

use sqlx::postgres::PgDatabaseError;
use tokio::sync::watch;

/// When a connection last failed in a way that condemns all others as old: after a fail-over behind one address they
/// lead to a server that is gone, silent or read only, and each would have to find that out by itself.
#[derive(Debug, Default)]
pub(crate) struct Faults(watch::Sender<Option<Instant>>);

impl Faults {
    /// Notes an error if it makes the connection unusable. Returns whether it does.
    pub(crate) fn note(&self, error: &sqlx::Error) -> bool {
        let is_fault = condemns(error);
        if is_fault {
            self.0.send_replace(Some(Instant::now()));
        }
        is_fault
    }

    /// Whether there was a fault since `made`: connections of that time are not used any more.
    pub(crate) fn condemn(&self, made: Instant) -> bool {
        self.0.borrow().is_some_and(|fault| fault >= made)
    }

    /// Waits for a fault that condemns connections made at that time.
    pub(crate) async fn condemned(&self, made: Instant) {
        let mut faults = self.0.subscribe();
        // We own the sender, which lives as long as we wait.
        let _fault = faults.wait_for(|fault| fault.is_some_and(|fault| fault >= made)).await;
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>: a lost connection, a server that is read only,
/// shuts down, has crashed or is still starting.
fn condemns(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code).is_some_and(|code| {
                code.starts_with("08") || ["25006", "57P01", "57P02", "57P03"].contains(&code)
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn a_fault_condemns_what_is_older_and_nothing_newer() {
        let faults = Faults::default();
        let old = Instant::now();
        assert!(!faults.note(&sqlx::Error::RowNotFound) && !faults.note(&sqlx::Error::PoolTimedOut));
        assert!(!faults.condemn(old));
        assert!(faults.note(&sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        assert!(faults.condemn(old));
        faults.condemned(old).await;
        assert!(!faults.condemn(Instant::now()));
    }
}
