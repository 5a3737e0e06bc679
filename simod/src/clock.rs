//! The time. Everything in simod asks a [`Clock`] for it, so that tests can set it.

mod course;
pub(crate) mod watch;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;

pub use self::course::Rest;
pub(crate) use self::course::{Course, JUMP, REMARKABLE};

/// A source of time in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that runs evenly and is corrected to the system's, or to the database server's, which all its instances
    /// share.
    Corrected(Arc<Corrected>),
    /// A clock that stands still until it is set.
    Manual(Arc<Manual>),
}

/// The system time at the start, the time elapsed since, and a correction. Setting the system's clock between two
/// corrections does not change the elapsed time.
#[derive(Debug)]
pub struct Corrected {
    then: i64,
    since: Instant,
    /// The course's correction, so that asking for the time takes no lock.
    by: AtomicI64,
    course: Mutex<Course>,
}

/// A time, and the latest that it has been.
#[derive(Debug)]
pub struct Manual {
    now: AtomicI64,
    latest: AtomicI64,
}

impl Clock {
    /// A clock that stands at `us`.
    pub fn manual(us: i64) -> Self {
        Self::Manual(Arc::new(Manual { now: us.into(), latest: us.into() }))
    }

    /// The current time.
    pub fn now(&self) -> i64 {
        match self {
            Self::System | Self::Manual(_) => self.uncorrected(),
            Self::Corrected(clock) => self.uncorrected() + clock.by.load(Ordering::Relaxed),
        }
    }

    /// The current time without the correction.
    pub(crate) fn uncorrected(&self) -> i64 {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place where time comes from")]
            Self::System => Timestamp::now().as_microsecond(),
            Self::Corrected(clock) => clock.then + clock.since.elapsed().as_micros() as i64,
            Self::Manual(clock) => clock.now.load(Ordering::Relaxed),
        }
    }

    /// The time for expiry and deletion, which are final: now, but without a jump ahead that is not believed yet.
    pub fn settled(&self) -> i64 {
        match self {
            Self::System | Self::Manual(_) => self.now(),
            Self::Corrected(clock) => clock.course().settled(self.uncorrected()),
        }
    }

    /// The jump ahead that is not believed yet.
    pub fn rest(&self) -> Option<Rest> {
        match self {
            Self::System | Self::Manual(_) => None,
            Self::Corrected(clock) => clock.course().rest(self.uncorrected()),
        }
    }

    /// Whether it has been later before: times stored then may lie in the future.
    pub(crate) fn is_repeated(&self) -> bool {
        match self {
            Self::System => false,
            Self::Corrected(clock) => clock.course().is_repeated(self.uncorrected()),
            Self::Manual(clock) => self.now() < clock.latest.load(Ordering::Relaxed),
        }
    }

    /// The same clock made correctable; a manual one stays as it is.
    pub(crate) fn into_correctable(self) -> Self {
        match self {
            Self::System => Self::Corrected(Arc::new(Corrected {
                then: self.uncorrected(),
                since: Instant::now(),
                by: AtomicI64::default(),
                course: Mutex::default(),
            })),
            other => other,
        }
    }

    /// Sets the correction that applies from the start.
    pub(crate) fn begin(&self, by: i64) {
        if let Self::Corrected(clock) = self {
            clock.change(|course| *course = Course::by(by));
        }
    }

    /// The step that this correction, known up to `uncertainty`, would make; `None`: too small to bother.
    pub(crate) fn step_to(&self, by: i64, uncertainty: i64) -> Option<i64> {
        match self {
            Self::System | Self::Manual(_) => None,
            Self::Corrected(clock) => clock.course().step_to(by, uncertainty),
        }
    }

    /// Applies a correction from now on. Returns the state before it, for [`Clock::undo`].
    pub(crate) fn follow(&self, by: i64) -> Option<Course> {
        let Self::Corrected(clock) = self else { return None };
        let even = self.uncorrected();
        Some(clock.change(|course| {
            let before = *course;
            course.follow(by, even);
            before
        }))
    }

    /// Restores the state before a correction.
    pub(crate) fn undo(&self, before: Option<Course>) {
        if let (Self::Corrected(clock), Some(before)) = (self, before) {
            clock.change(|course| *course = before);
        }
    }

    /// Starts from what the database has stored: the newest time, a jump ahead not believed yet, and until when stored
    /// times may lie in the future. Returns by how much the clock was set back meanwhile.
    pub(crate) fn start(&self, newest: i64, ahead: Option<i64>, latest: Option<i64>) -> Option<i64> {
        let Self::Corrected(clock) = self else { return None };
        let even = self.uncorrected();
        clock.change(|course| {
            course.recall(latest);
            course.start(newest, ahead, even)
        })
    }

    /// Accepts a jump ahead.
    pub(crate) fn accept(&self) {
        if let Self::Corrected(clock) = self {
            clock.change(Course::accept);
        }
    }

    /// Sets a manual clock; other clocks ignore it.
    pub fn set(&self, us: i64) {
        if let Self::Manual(clock) = self {
            clock.now.store(us, Ordering::Relaxed);
            clock.latest.fetch_max(us, Ordering::Relaxed);
        }
    }
}

impl Corrected {
    fn course(&self) -> MutexGuard<'_, Course> {
        // Nothing panics between changes, so a poisoned course is still valid.
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Course) -> T) -> T {
        let mut course = self.course();
        let changed = change(&mut course);
        self.by.store(course.correction(), Ordering::Relaxed);
        changed
    }
}
