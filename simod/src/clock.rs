//! What time it is. Everything in simod that asks, asks a [`Clock`], so that tests can set it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;

/// A source of time in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still until it is set.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `us`.
    pub fn manual(us: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(us)))
    }

    /// Now.
    pub fn now(&self) -> i64 {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
            Self::System => Timestamp::now().as_microsecond(),
            Self::Manual(us) => us.load(Ordering::Relaxed),
        }
    }

    /// Sets a manual clock; the system's stays as it is.
    pub fn set(&self, us: i64) {
        if let Self::Manual(now) = self {
            now.store(us, Ordering::Relaxed);
        }
    }
}
