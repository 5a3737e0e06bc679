//! Whether a provider is open, and how wide. An exhausted quota closes it for a while; then it opens half as wide, and
//! widens with each successful push. A wrong configuration closes it until one push gets through. Pure: time and randomness
//! come in as values.

use std::time::Duration;

use crate::store::DeviceNo;

use super::retry::{Policy, QUOTA_PAUSE, after, asked_for};

/// This many failures without a success in between, or failing phones, mean that more than one phone is affected.
const IN_A_ROW: u32 = 5;

/// The state of one provider's gate.
#[derive(Debug)]
pub(super) struct Gate {
    permits: usize,
    policy: Policy,
    /// How many pushes may be in progress.
    width: usize,
    /// A single push tests whether the configuration is right again.
    probing: bool,
    /// When it was closed, and until when. An earlier current time means that the clock was set back: the gate has waited
    /// long enough.
    from: i64,
    until: i64,
    /// How many times in a row it has been closed.
    closed: u32,
    /// Pushes in a row that got no answer.
    failed: u32,
    /// Phones whose pushes failed, since the last success, with an answer that blames the configuration for this phone.
    /// Phones supply their own addresses: one alone, however often it fails, must not close the gate for the others.
    suspects: Vec<DeviceNo>,
    trouble: Option<Trouble>,
}

/// A provider's trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Whether a person must act.
    pub(super) alarm: bool,
    /// The provider's answer.
    pub(super) answer: String,
}

impl Gate {
    /// An open gate.
    pub(super) fn new(permits: usize, policy: Policy) -> Self {
        Self {
            permits,
            policy,
            width: permits,
            probing: false,
            from: i64::MAX,
            until: i64::MIN,
            closed: 0,
            failed: 0,
            suspects: Vec::new(),
            trouble: None,
        }
    }

    /// How many pushes may be in progress now.
    pub(super) fn width(&self, now: i64) -> usize {
        match (self.is_closed(now), self.probing) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => self.width,
        }
    }

    /// When it opens, if it is closed.
    pub(super) fn opens_at(&self, now: i64) -> Option<i64> {
        self.is_closed(now).then_some(self.until)
    }

    fn is_closed(&self, now: i64) -> bool {
        (self.from..self.until).contains(&now)
    }

    /// The current trouble.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether push after push fails, and no probe is due that would end this.
    pub(super) fn is_failing(&self) -> bool {
        self.failed >= IN_A_ROW && !self.probing
    }

    /// The provider accepted a push, or refused it for its own sake: the way is free.
    pub(super) fn passed(&mut self, now: i64) {
        // Pushes that were in progress when it closed do not open it.
        if self.is_closed(now) {
            return;
        }
        self.width = (self.width + 1).min(self.permits);
        self.probing = false;
        self.closed = 0;
        self.failed = 0;
        self.suspects.clear();
        self.trouble = None;
    }

    /// A quota is exhausted. Returns when the gate opens.
    pub(super) fn exhausted(&mut self, now: i64, asked: Option<Duration>, answer: &str, sample: f64) -> i64 {
        if !self.is_closed(now) {
            self.width = (self.width / 2).max(1);
        }
        // One minute, doubling each time.
        let wait = asked.unwrap_or(QUOTA_PAUSE * 2_u32.pow(self.closed.min(4)));
        self.close(now, asked_for(wait, sample), false, answer)
    }

    /// The provider cannot be reached at all. Returns when to try again: as soon as after any broken connection, because a
    /// short network failure must not hold up alarms for long.
    pub(super) fn unreachable(&mut self, now: i64, answer: &str, sample: f64) -> i64 {
        self.probing = true;
        self.close(now, self.policy.back_off(self.closed, sample), self.closed > 0, answer)
    }

    /// The configuration is wrong for everyone. Returns when to try again.
    pub(super) fn misconfigured(&mut self, now: i64, answer: &str, sample: f64) -> i64 {
        self.probing = true;
        self.close(now, self.policy.back_off(self.closed, sample), true, answer)
    }

    /// The configuration may be wrong for this phone alone; if phone after phone fails so, for everyone. In that case
    /// returns when to try this phone again: later than others, which may be right.
    pub(super) fn suspected(
        &mut self,
        now: i64,
        device_no: DeviceNo,
        answer: &str,
        sample: f64,
    ) -> Option<i64> {
        if !self.suspects.contains(&device_no) && self.suspects.len() < IN_A_ROW as usize {
            self.suspects.push(device_no);
        }
        if self.suspects.len() < IN_A_ROW as usize {
            self.complain(true, answer);
            return self.opens_at(now);
        }
        let opens_at = self.misconfigured(now, answer, sample);
        Some(opens_at + (opens_at - now))
    }

    /// There was no answer, or a useless one. Pushes keep trying, each on its own schedule.
    pub(super) fn broken(&mut self, answer: &str) {
        self.failed = self.failed.saturating_add(1);
        if self.failed >= IN_A_ROW && self.trouble.is_none() {
            self.complain(true, answer);
        }
    }

    fn close(&mut self, now: i64, wait: Duration, alarm: bool, answer: &str) -> i64 {
        // Many pushes in progress fail for the same reason: count that as one closing.
        if !self.is_closed(now) {
            self.closed = self.closed.saturating_add(1);
            (self.from, self.until) = (now, after(now, wait));
        }
        self.complain(alarm, answer);
        self.until
    }

    fn complain(&mut self, alarm: bool, answer: &str) {
        self.trouble = Some(Trouble { alarm, answer: answer.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use simo_common::time::SECOND;

    use super::*;
    use crate::config::Delivery;

    fn gate() -> Gate {
        Gate::new(360, Policy::new(&Delivery::default()))
    }

    #[test]
    fn after_a_quota_it_opens_half_as_wide_and_widens_with_each_that_passes() {
        let mut gate = gate();
        let opens = gate.exhausted(0, Some(Duration::from_secs(30)), "quota", 0.0);
        assert_eq!((opens, gate.width(opens - 1)), (30 * SECOND, 0));
        assert_eq!(gate.trouble().map(|trouble| trouble.alarm), Some(false));
        for _ in 0..100 {
            gate.exhausted(1, Some(Duration::from_secs(30)), "quota", 0.0);
        }
        let opens = opens + 1;
        assert_eq!(gate.width(opens), 180, "many that learn the same halve it once");
        for passed in 1..=1_000 {
            gate.passed(opens);
            assert_eq!(gate.width(opens), (180 + passed).min(360));
        }
        assert_eq!(gate.trouble(), None);
    }

    #[test]
    fn after_a_wrong_configuration_one_push_finds_out_and_opens_it() {
        let mut gate = gate();
        let opens = gate.misconfigured(0, "404", 0.0);
        assert_eq!((gate.width(opens - 1), gate.width(opens)), (0, 1));
        gate.passed(opens);
        assert_eq!((gate.width(opens), gate.trouble()), (360, None));
    }

    #[test]
    fn what_was_under_way_neither_opens_it_nor_closes_it_twice() {
        let mut gate = gate();
        for _ in 0..360 {
            gate.misconfigured(0, "404", 0.0);
        }
        gate.passed(SECOND);
        assert_eq!((gate.width(SECOND), gate.until), (0, 10 * SECOND));
        assert_eq!(gate.misconfigured(10 * SECOND, "404", 0.0), 30 * SECOND);
        assert_eq!(gate.misconfigured(30 * SECOND, "404", 0.0), 70 * SECOND);
        assert_eq!(gate.trouble().map(|trouble| trouble.alarm), Some(true));
    }

    #[test]
    fn one_phone_of_another_project_does_not_close_the_channel() {
        let mut gate = gate();
        for _ in 0..100 {
            assert_eq!(gate.suspected(0, DeviceNo(1), "mismatch", 0.0), None);
        }
        assert_eq!((gate.width(0), gate.is_failing()), (360, false));
        let others = |gate: &mut Gate| -> Vec<i64> {
            (2..=5).filter_map(|no| gate.suspected(0, DeviceNo(no), "mismatch", 0.0)).collect()
        };
        gate.passed(0);
        assert_eq!(others(&mut gate), Vec::<i64>::new());
        gate.passed(0);
        gate.suspected(0, DeviceNo(1), "mismatch", 0.0);
        assert_eq!((others(&mut gate), gate.opens_at(0)), (vec![20 * SECOND], Some(10 * SECOND)));
    }

    #[test]
    fn a_provider_that_does_not_answer_raises_an_alarm_and_closes_nothing() {
        let mut gate = gate();
        for _ in 0..IN_A_ROW {
            assert_eq!(gate.trouble(), None);
            gate.broken("timed out");
        }
        assert_eq!(gate.trouble().map(|trouble| trouble.answer.as_str()), Some("timed out"));
        assert_eq!(gate.width(0), 360);
        gate.passed(0);
        assert_eq!(gate.trouble(), None);
    }

    #[test]
    fn a_provider_that_cannot_be_reached_is_tried_soon_and_by_one_push() {
        let mut gate = gate();
        let first = gate.unreachable(0, "connection refused", 0.0);
        assert_eq!(gate.trouble().map(|trouble| trouble.alarm), Some(false));
        let second = gate.unreachable(first, "connection refused", 0.0);
        assert_eq!((first, second - first), (10 * SECOND, 20 * SECOND));
        assert_eq!(gate.trouble().map(|trouble| trouble.alarm), Some(true));
        assert_eq!((gate.width(first), gate.width(second)), (0, 1));
        gate.passed(second);
        assert_eq!((gate.width(second), gate.trouble()), (360, None));
    }

    #[test]
    fn it_is_open_when_the_clock_is_set_back() {
        let mut gate = gate();
        let opens = gate.exhausted(7_200 * SECOND, Some(Duration::from_secs(30)), "quota", 0.0);
        assert_eq!(gate.opens_at(opens - 1), Some(opens));
        assert_eq!((gate.opens_at(SECOND), gate.width(SECOND)), (None, 180));
    }

    #[test]
    fn a_quota_that_stays_used_up_is_left_alone_for_longer() {
        let mut gate = gate();
        let first = gate.exhausted(0, None, "quota", 0.0);
        let second = gate.exhausted(first, None, "quota", 0.0);
        assert_eq!((first, second - first), (60 * SECOND, 120 * SECOND));
    }
}
