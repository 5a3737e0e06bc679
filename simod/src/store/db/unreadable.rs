//! Pages of an embedded database that cannot be read.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a disk fault counts after it was last seen. A corrupt page does not recover by itself.
const COUNTS_FOR: Duration = Duration::from_secs(10);

/// The last read fault.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(Mutex<Option<Fault>>);

#[derive(Debug)]
struct Fault {
    said: String,
    /// When it was last seen, if it may pass.
    seen: Option<Instant>,
}

impl Unreadable {
    /// Notes an error if it is a read fault.
    pub(crate) fn note(&self, error: &sqlx::Error) {
        let sqlx::Error::Database(said) = error else { return };
        let code = said.code().and_then(|code| code.parse::<u32>().ok());
        let seen = match code {
            // CORRUPT, NOTADB: <https://www.sqlite.org/rescode.html>.
            Some(code) if matches!(code & 0xff, 11 | 26) => None,
            // IOERR_READ, IOERR_SHORT_READ, IOERR_CORRUPTFS.
            Some(266 | 522 | 8458) => Some(Instant::now()),
            _ => return,
        };
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.as_ref().is_none_or(|fault| fault.seen.is_some()) {
            *fault = Some(Fault { said: said.message().to_owned(), seen });
        }
    }

    /// SQLite's error, if something cannot be read.
    pub(crate) fn said(&self) -> Option<String> {
        let fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = fault.as_ref()?;
        let counts = fault.seen.is_none_or(|seen| seen.elapsed() < COUNTS_FOR);
        counts.then(|| fault.said.clone())
    }
}
