//! What is believed of a clock that somebody sets, and when. Pure: what has passed comes in as a value.
//!
//! Times go by one even count of what has passed, and a correction that makes it the clock's. A clock that is set is
//! followed at once, in either direction: it is right more often than what it said before. But what ends for good because of
//! the time goes by the correction *before* a jump ahead, until the jump has lasted for a while or was accepted: a clock that
//! was five days ahead for some seconds must not end the queue.

use std::time::Duration;

use simo_common::time::{DAY, SECOND};

/// Clocks that differ by less than this are let alone: time had better not jump.
pub(super) const TOLERATED: i64 = 50 * simo_common::time::MILLISECOND;

/// A step back that is kept as a row, and a difference that somebody should know of. Less is how clocks drift.
pub(crate) const REMARKABLE: i64 = 2 * SECOND;

/// A clock that is set further ahead than this is not believed at once by what ends for good.
pub(crate) const JUMP: i64 = 60 * SECOND;

/// A start so long after the newest time that is stored is a jump ahead, too.
const LONG_STOP: i64 = DAY;

/// How long what ends for good rests after a jump ahead.
const REST: i64 = 15 * 60 * SECOND;

/// A clock's course. All times in microseconds; `even` is the count of what has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Course {
    /// What makes the even count the time.
    by: i64,
    /// What makes it the time before the jump, and until when that counts, by the even count.
    rest: Option<(i64, i64)>,
    /// The latest time that was given out before a step back.
    latest: Option<i64>,
}

/// The clock was set ahead, and what ends for good rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// By how much the clock was set ahead, in microseconds.
    pub ahead: i64,
    /// How much longer it rests.
    pub left: Duration,
}

impl Course {
    /// A clock that says so now.
    pub(super) fn by(by: i64) -> Self {
        Self { by, ..Self::default() }
    }

    /// What makes the even count the time.
    pub(super) fn correction(&self) -> i64 {
        self.by
    }

    /// By how much the time would be set if this correction were believed; `None`: so little that it is let alone.
    pub(super) fn step_to(&self, by: i64, uncertainty: i64) -> Option<i64> {
        let step = by - self.by;
        (step.abs() > TOLERATED + uncertainty).then_some(step)
    }

    /// The clock was set.
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
            // Put right, or set back further: nothing is left to be believed.
            self.rest.filter(|_| by - before > JUMP)
        };
    }

    /// simod starts with this clock; `newest` is the newest time that is stored, `ahead` what a jump was that had not been
    /// believed yet when it ended. Returns by how much the clock was set back meanwhile.
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

    /// Before this moment, times that are stored may lie in the future.
    pub(super) fn recall(&mut self, latest: Option<i64>) {
        self.latest = self.latest.max(latest);
    }

    /// The jump is believed.
    pub(super) fn accept(&mut self) {
        self.rest = None;
    }

    /// The time by which things end for good: not later than now.
    pub(super) fn settled(&self, even: i64) -> i64 {
        even + self.before(even).unwrap_or(self.by)
    }

    /// The jump that is not believed yet.
    pub(super) fn rest(&self, even: i64) -> Option<Rest> {
        let (before, until) = self.rest.filter(|(_, until)| even < *until)?;
        Some(Rest { ahead: self.by - before, left: Duration::from_micros((until - even) as u64) })
    }

    /// Whether it is earlier than some time that was given out already.
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
        // Half way back is still ahead.
        course.follow(NOON + HOUR, REST);
        assert_eq!(course.rest(REST).unwrap().ahead, HOUR);
        // What was believed meanwhile counts.
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
        // Against the newest time: by how much it was set back, and how far ahead it is taken for.
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
        /// what has passed since it was last believed.
        #[test]
        fn nothing_ends_before_its_time_has_passed_or_the_clock_has_been_ahead_for_long(
            sets in proptest::collection::vec((0..REST * 2, -3 * DAY..3 * DAY), 1..20),
        ) {
            let mut course = right();
            let mut even = 0;
            for (pause, by) in sets {
                let before = course.settled(even);
                even += pause;
                // What had passed while nobody looked, or the clock that was believed meanwhile.
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
