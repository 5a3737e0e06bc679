//! What time it is. Everything in simod that asks, asks a [`Clock`], so that tests can set it.

pub(crate) mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;
use simo_common::time::{MILLISECOND, SECOND};

/// A source of time in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// That of a server, by which all instances go that share it.
    Corrected(Arc<Corrected>),
    /// A clock that stands still until it is set.
    Manual(Arc<AtomicI64>),
}

/// What the system's clock said once, what has passed since, and by how much that is to be corrected. The system's clock may
/// be set between two corrections; what has passed is not changed by that.
#[derive(Debug)]
pub struct Corrected {
    then: i64,
    since: Instant,
    by: AtomicI64,
}

/// Clocks that differ by less than this are let alone: time had better not jump.
const TOLERATED: i64 = 50 * MILLISECOND;

/// A difference that somebody should know of.
const REMARKABLE: i64 = 2 * SECOND;

impl Clock {
    /// A clock that stands at `us`.
    pub fn manual(us: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(us)))
    }

    /// Now.
    pub fn now(&self) -> i64 {
        match self {
            Self::System | Self::Manual(_) => self.uncorrected(),
            Self::Corrected(clock) => self.uncorrected() + clock.by.load(Ordering::Relaxed),
        }
    }

    /// Now, by the clock itself.
    pub(crate) fn uncorrected(&self) -> i64 {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
            Self::System => Timestamp::now().as_microsecond(),
            Self::Corrected(clock) => clock.then + clock.since.elapsed().as_micros() as i64,
            Self::Manual(us) => us.load(Ordering::Relaxed),
        }
    }

    /// The same clock, which [`Clock::correct`] can correct; a manual one stays as it is.
    pub(crate) fn into_correctable(self) -> Self {
        match self {
            Self::System => Self::Corrected(Arc::new(Corrected {
                then: self.uncorrected(),
                since: Instant::now(),
                by: AtomicI64::default(),
            })),
            other => other,
        }
    }

    /// Corrects the clock by so much, which is known but for `uncertainty`.
    pub(crate) fn correct(&self, by: i64, uncertainty: i64) {
        let Self::Corrected(clock) = self else { return };
        let old = clock.by.load(Ordering::Relaxed);
        if (by - old).abs() <= TOLERATED + uncertainty {
            return;
        }
        clock.by.store(by, Ordering::Relaxed);
        if (by - old).abs() >= REMARKABLE {
            let seconds = by as f64 / SECOND as f64;
            tracing::warn!("the database server's clock is {seconds:+.1} s off ours; we go by the server's");
        }
    }

    /// Sets a manual clock; the system's stays as it is.
    pub fn set(&self, us: i64) {
        if let Self::Manual(now) = self {
            now.store(us, Ordering::Relaxed);
        }
    }
}
