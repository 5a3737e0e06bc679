//! When to believe a clock that was set. Pure: the elapsed time comes in as a value.
//!
//! The time is an even count of elapsed time plus a correction that makes it the clock's. A clock that is set is followed
//! at once, in either direction: the new time is right more often than the old one. But expiry and deletion, which are
//! final, go by the correction from *before* a jump ahead, until the jump has lasted for a while or was accepted: a clock
//! that was five days ahead for some seconds must not expire the queue.

use std::time::Duration;

use simo_common::time::{DAY, SECOND};

/// Smaller differences are ignored, because time should not jump.
pub(super) const TOLERATED: i64 = 50 * simo_common::time::MILLISECOND;

/// A step back of this size is stored as a row, and such a difference reported. Less is normal drift.
pub(crate) const REMARKABLE: i64 = 2 * SECOND;

/// Expiry and deletion do not follow a larger jump ahead at once.
pub(crate) const JUMP: i64 = 60 * SECOND;

/// A start this long after the newest stored time counts as a jump ahead, too.
const LONG_STOP: i64 = DAY;

/// How long expiry and deletion stay behind after a jump ahead.
const REST: i64 = 15 * 60 * SECOND;

/// A clock's state. All times in microseconds; `even` is the even count of elapsed time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Course {
    /// The time minus the even count.
    by: i64,
    /// The time before the jump minus the even count, and the even count until which that holds.
    rest: Option<(i64, i64)>,
    /// The latest time that was given out before a step back.
    latest: Option<i64>,
}

/// A jump ahead that expiry and deletion do not follow yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// By how much the clock was set ahead, in microseconds.
    pub ahead: i64,
    /// How much longer that lasts.
    pub left: Duration,
}

impl Course {
    /// A clock with this correction.
    pub(super) fn by(by: i64) -> Self {
        Self { by, ..Self::default() }
    }

    /// The correction, from the even count to the time.
    pub(super) fn correction(&self) -> i64 {
        self.by
    }

    /// The step that this correction would make; `None`: too small to bother.
    pub(super) fn step_to(&self, by: i64, uncertainty: i64) -> Option<i64> {
        let step = by - self.by;
        (step.abs() > TOLERATED + uncertainty).then_some(step)
    }

    /// The clock was set: applies the new correction.
    pub(super) fn follow(&mut self, by: i64, even: i64) {
        let step = by - self.by;
        let before = self.before(even).unwrap_or(self.by);
        if step <= -REMARKABLE {
            self.latest = self.latest.max(Some(even + self.by));
        }
        self.by = by;
        self.rest = if step > JUMP {
            Some((before, even + REST))
        } else {
            // Corrected, or set back further: no jump is left to be believed.
            self.rest.filter(|_| by - before > JUMP)
        };
    }

    /// Starts simod: `newest` is the newest stored time, `ahead` a jump not yet believed when the last run ended. Returns
    /// by how much the clock was set back meanwhile.
    pub(super) fn start(&mut self, newest: i64, ahead: Option<i64>, even: i64) -> Option<i64> {
        let now = even + self.by;
        if now < newest - JUMP {
            self.recall(Some(newest));
            return Some(newest - now);
        }
        let stopped = Some(now - newest).filter(|stopped| *stopped > LONG_STOP);
        let ahead = stopped.map_or(ahead, |stopped| Some(stopped + ahead.unwrap_or(0)));
        self.rest = ahead.map(|ahead| (self.by - ahead, even + REST));
        None
    }

    /// Until this moment, stored times may lie in the future.
    pub(super) fn recall(&mut self, latest: Option<i64>) {
        self.latest = self.latest.max(latest);
    }

    /// Accepts the jump.
    pub(super) fn accept(&mut self) {
        self.rest = None;
    }

    /// The time for expiry and deletion: not later than now.
    pub(super) fn settled(&self, even: i64) -> i64 {
        even + self.before(even).unwrap_or(self.by)
    }

    /// The jump ahead that is not believed yet.
    pub(super) fn rest(&self, even: i64) -> Option<Rest> {
        let (before, until) = self.rest.filter(|(_, until)| even < *until)?;
        Some(Rest { ahead: self.by - before, left: Duration::from_micros((until - even) as u64) })
    }

    /// Whether a later time was given out before.
    pub(super) fn is_repeated(&self, even: i64) -> bool {
        self.latest.is_some_and(|latest| even + self.by < latest)
    }

    fn before(&self, even: i64) -> Option<i64> {
        self.rest.filter(|(_, until)| even < *until).map(|(before, _)| before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simo_common::time::HOUR;

    use super::*;

    const NOON: i64 = 1_795_600_000 * SECOND;

    /// A right clock; the even count begins with 0.
    fn right() -> Course {
        Course::by(NOON)
    }

    #[test]
    fn a_jump_ahead_is_followed_but_ends_nothing_for_fifteen_minutes() {
        let mut course = right();
        course.follow(NOON + 5 * DAY, SECOND);
        assert_eq!(course.correction(), NOON + 5 * DAY);
        assert_eq!(course.settled(SECOND), NOON + SECOND);
        assert_eq!(course.rest(SECOND), Some(Rest { ahead: 5 * DAY, left: Duration::from_mins(15) }));
        let last = SECOND + REST - 1;
        assert_eq!(course.settled(last), NOON + last);
        assert_eq!(course.settled(last + 1), NOON + 5 * DAY + last + 1);
        assert_eq!(course.rest(last + 1), None);
    }

    #[test]
    fn a_jump_that_is_accepted_or_undone_rests_no_longer() {
        for end in [
            Course::accept as fn(&mut Course),
            |course| course.follow(NOON, 2 * SECOND),
            |course| course.follow(NOON - HOUR, 2 * SECOND),
            |course| course.follow(NOON + JUMP, 2 * SECOND),
        ] {
            let mut course = right();
            course.follow(NOON + HOUR, SECOND);
            end(&mut course);
            assert_eq!(course.rest(3 * SECOND), None, "{course:?}");
            assert_eq!(course.settled(3 * SECOND), course.correction() + 3 * SECOND, "{course:?}");
        }
    }

    #[test]
    fn a_second_jump_rests_anew_by_the_time_before_the_first() {
        let mut course = right();
        course.follow(NOON + HOUR, 0);
        course.follow(NOON + DAY, REST / 2);
        assert_eq!(course.settled(REST), NOON + REST);
        assert_eq!(course.rest(REST).unwrap().ahead, DAY);
        // Halfway back is still ahead.
        course.follow(NOON + HOUR, REST);
        assert_eq!(course.rest(REST).unwrap().ahead, HOUR);
        // A jump believed meanwhile counts.
        let mut course = right();
        course.follow(NOON + HOUR, 0);
        course.follow(NOON + DAY, 2 * REST);
        assert_eq!(course.rest(2 * REST).unwrap().ahead, DAY - HOUR);
    }

    #[test]
    fn what_clocks_do_by_themselves_is_no_jump() {
        let mut course = right();
        for (by, step) in [(NOON + TOLERATED, None), (NOON + 59 * SECOND, Some(59 * SECOND))] {
            assert_eq!(course.step_to(by, 0), step);
        }
        assert_eq!(course.step_to(NOON - SECOND, SECOND), None, "not known so exactly");
        course.follow(NOON + JUMP, 0);
        assert_eq!(course.rest(0), None);
        course.follow(NOON + JUMP - SECOND, 0);
        assert!(!course.is_repeated(0), "a second is no time that is worth a second look");
    }

    #[test]
    fn after_a_step_back_times_repeat_until_they_are_caught_up_with() {
        let mut course = right();
        course.follow(NOON - 2 * HOUR, SECOND);
        assert!(course.is_repeated(SECOND));
        assert!(course.is_repeated(2 * HOUR));
        assert!(!course.is_repeated(2 * HOUR + SECOND));
        course.follow(NOON + SECOND, 2 * SECOND);
        assert!(!course.is_repeated(2 * SECOND), "the clock was right before");
    }

    #[test]
    fn a_start_is_judged_by_the_newest_time_that_is_stored() {
        // Against the newest stored time: by how much the clock was set back, and how far ahead it seems to be.
        for (newest, back, ahead) in [
            (NOON, None, None),
            (NOON + JUMP, None, None),
            (NOON + JUMP + 1, Some(JUMP + 1), None),
            (NOON - DAY, None, None),
            (NOON - DAY - 1, None, Some(DAY + 1)),
        ] {
            let mut course = right();
            assert_eq!(course.start(newest, None, 0), back, "{newest}");
            assert_eq!(course.rest(0).map(|rest| rest.ahead), ahead, "{newest}");
            assert_eq!(course.is_repeated(0), back.is_some(), "{newest}");
            assert_eq!(course.settled(0), NOON - ahead.unwrap_or(0), "{newest}");
        }
        // A restart does not make a jump believed.
        let mut course = right();
        assert_eq!(course.start(NOON - SECOND, Some(5 * DAY), 0), None);
        assert_eq!(course.settled(0), NOON - 5 * DAY);
        assert_eq!(course.start(NOON - 2 * DAY, Some(5 * DAY), 0), None);
        assert_eq!(course.settled(0), NOON - 7 * DAY);
    }

    proptest! {
        /// However the clock is set, nothing ends later than by the clock, and by no more than the clock has gone ahead of
        /// the elapsed time since it was last believed.
        #[test]
        fn nothing_ends_before_its_time_has_passed_or_the_clock_has_been_ahead_for_long(
            sets in proptest::collection::vec((0..REST * 2, -3 * DAY..3 * DAY), 1..20),
        ) {
            let mut course = right();
            let mut even = 0;
            for (pause, by) in sets {
                let before = course.settled(even);
                even += pause;
                // The time elapsed while nobody looked, or the clock that was believed meanwhile.
                let passed = course.settled(even);
                prop_assert!(passed >= before + pause);
                course.follow(NOON + by, even);
                let settled = course.settled(even);
                prop_assert!(settled <= even + course.correction());
                prop_assert!(settled <= passed + JUMP);
                if course.rest(even).is_none() {
                    prop_assert_eq!(settled, even + course.correction());
                }
            }
        }
    }
}
