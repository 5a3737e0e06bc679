//! What to do with a push that a channel did not deliver. Pure: time and randomness come in as values.

use std::time::Duration;

use simo_common::{delivery::Reason, time};

use crate::{
    channel::Failure,
    config,
    store::{DeviceEffect, PushResult},
};

/// The pause after an exhausted quota when the provider names none.
pub(super) const QUOTA_PAUSE: Duration = Duration::from_mins(1);

/// The shortest pause that a provider can ask for: some answer `Retry-After: 0`.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// How much later than planned a try may come, as a share of the wait: pushes that failed together are not retried
/// together.
const JITTER: f64 = 0.5;

/// Jitter on a pause that the provider asked for is a share of at most this: a long pause needs no long spread.
const LONGEST_SPREAD: Duration = Duration::from_secs(10);

/// How long to wait between tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    first: Duration,
    most: Duration,
}

/// The facts about a failed try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    /// Counted tries before this one.
    pub(super) tries: u32,
    /// When the message was accepted.
    pub(super) accepted_at: i64,
    /// When the try ended.
    pub(super) now: i64,
    /// It was the probe of a quarantined address.
    pub(super) probe: bool,
    /// Too many addresses have died lately to believe this one.
    pub(super) braked: bool,
    /// When the provider opens again, if this failure has closed it.
    pub(super) reopens_at: Option<i64>,
    /// A random number from 0 to 1.
    pub(super) sample: f64,
}

impl Policy {
    pub(super) fn new(config: &config::Delivery) -> Self {
        let first = Duration::from_secs_f64(config.retry_first_seconds);
        Self { first, most: Duration::from_secs_f64(config.retry_max_seconds).max(first) }
    }

    /// The wait after `failures` earlier failures in a row: doubling from the first to the most, plus up to half as much at
    /// random.
    pub(super) fn back_off(self, failures: u32, sample: f64) -> Duration {
        let doubled = self.first.as_secs_f64() * 2_f64.powi(failures.min(64) as i32);
        jittered(doubled.min(self.most.as_secs_f64()), sample)
    }

    /// The wait of a push that fails through no fault of its own; its tries are not counted. As long again as it has waited
    /// already.
    pub(super) fn hold(self, waited_us: i64, sample: f64) -> Duration {
        let waited = Duration::from_micros(waited_us.max(0) as u64);
        jittered(waited.clamp(self.first, self.most).as_secs_f64(), sample)
    }
}

/// The result of a failed try.
pub(super) fn verdict(failure: Failure, attempt: Try, policy: Policy) -> PushResult {
    let Try { now, sample, .. } = attempt;
    let hold = || after(now, policy.hold(now - attempt.accepted_at, sample));
    match failure {
        Failure::Retry { answer, after: asked } => PushResult::Retry {
            due_at: after(
                now,
                match asked {
                    Some(asked) => asked_for(asked, sample),
                    None => policy.back_off(attempt.tries, sample),
                },
            ),
            answer,
            counts: true,
        },
        Failure::Permanent { reason, answer } => {
            PushResult::Failed { reason, answer, device: DeviceEffect::None }
        }
        Failure::DeadAddress { answer } if attempt.braked => {
            PushResult::Retry { due_at: hold(), answer, counts: false }
        }
        Failure::DeadAddress { answer } => PushResult::Failed {
            reason: Reason::DeadAddress,
            answer,
            device: if attempt.probe { DeviceEffect::Retire } else { DeviceEffect::Quarantine },
        },
        Failure::Paused { after: asked, answer, .. } => PushResult::Retry {
            due_at: attempt
                .reopens_at
                .unwrap_or_else(|| after(now, asked_for(asked.unwrap_or(QUOTA_PAUSE), sample))),
            answer,
            counts: false,
        },
        Failure::Unreachable { answer } | Failure::Misconfigured { answer, .. } => {
            PushResult::Retry { due_at: attempt.reopens_at.unwrap_or_else(hold), answer, counts: false }
        }
    }
}

/// The pause that the provider asked for, plus jitter.
pub(super) fn asked_for(asked: Duration, sample: f64) -> Duration {
    let asked = asked.max(SHORTEST_PAUSE);
    asked + asked.min(LONGEST_SPREAD).mul_f64(JITTER * sample)
}

pub(super) fn jittered(seconds: f64, sample: f64) -> Duration {
    Duration::from_secs_f64(seconds * (1.0 + JITTER * sample))
}

pub(super) fn after(now: i64, wait: Duration) -> i64 {
    now.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(time::DAY))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simo_common::time::SECOND;

    use super::*;
    use crate::channel::FailureScope;

    const NOW: i64 = 1_795_600_000 * SECOND;

    fn policy() -> Policy {
        Policy::new(&config::Delivery::default())
    }

    fn attempt() -> Try {
        Try {
            tries: 0,
            accepted_at: NOW - SECOND,
            now: NOW,
            probe: false,
            braked: false,
            reopens_at: None,
            sample: 0.0,
        }
    }

    fn answer() -> String {
        "said".to_owned()
    }

    /// Seconds until the next try, and whether this one counted.
    fn retried(failure: Failure, attempt: Try) -> (i64, bool) {
        match verdict(failure, attempt, policy()) {
            PushResult::Retry { due_at, counts, .. } => ((due_at - NOW) / SECOND, counts),
            other => panic!("{other:?}"),
        }
    }

    fn retry(after: Option<u64>) -> Failure {
        Failure::Retry { answer: answer(), after: after.map(Duration::from_secs) }
    }

    fn dead() -> Failure {
        Failure::DeadAddress { answer: answer() }
    }

    fn paused(scope: FailureScope, after: Option<u64>) -> Failure {
        Failure::Paused { scope, after: after.map(Duration::from_secs), answer: answer() }
    }

    #[test]
    fn what_broke_is_tried_again_from_ten_seconds_doubling() {
        let waits: Vec<_> = (0..9).map(|tries| retried(retry(None), Try { tries, ..attempt() }).0).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert!(retried(retry(None), attempt()).1);
    }

    #[test]
    fn the_provider_is_asked_again_when_it_wants() {
        let late = Try { tries: 9, ..attempt() };
        assert_eq!(retried(retry(Some(7)), late), (7, true));
        assert_eq!(retried(retry(Some(0)), late), (1, true));
    }

    #[test]
    fn a_quota_costs_no_try() {
        assert_eq!(retried(paused(FailureScope::Device, Some(5)), attempt()), (5, false));
        assert_eq!(retried(paused(FailureScope::Device, None), attempt()), (60, false));
        let closed = Try { reopens_at: Some(NOW + 77 * SECOND), ..attempt() };
        assert_eq!(retried(paused(FailureScope::Provider, Some(5)), closed), (77, false));
    }

    #[test]
    fn a_wrong_configuration_touches_no_phone_and_costs_no_try() {
        let failure = |scope| Failure::Misconfigured { scope, answer: answer() };
        assert_eq!(retried(failure(FailureScope::Device), attempt()), (10, false));
        let old = Try { accepted_at: NOW - 120 * SECOND, ..attempt() };
        assert_eq!(retried(failure(FailureScope::Device), old), (120, false));
    }

    #[test]
    fn a_dead_address_is_quarantined_and_a_dead_probe_retired() {
        for (probe, expected) in [(false, DeviceEffect::Quarantine), (true, DeviceEffect::Retire)] {
            let result = verdict(dead(), Try { probe, ..attempt() }, policy());
            let PushResult::Failed { reason, device, .. } = result else { panic!("{result:?}") };
            assert_eq!((reason, device), (Reason::DeadAddress, expected));
        }
    }

    #[test]
    fn under_the_brake_a_dead_address_is_not_believed() {
        for probe in [false, true] {
            let braked = Try { braked: true, probe, ..attempt() };
            assert_eq!(retried(dead(), braked), (10, false));
        }
    }

    #[test]
    fn a_refused_payload_fails_and_says_nothing_of_the_phone() {
        let failure = Failure::Permanent { reason: Reason::Rejected, answer: answer() };
        assert!(matches!(
            verdict(failure, attempt(), policy()),
            PushResult::Failed { reason: Reason::Rejected, device: DeviceEffect::None, .. }
        ));
    }

    proptest! {
        #[test]
        fn the_back_off_grows_within_its_bounds(
            tries in 0_u32..10_000, low in 0.0..1.0_f64, high in 0.0..1.0_f64,
        ) {
            let policy = policy();
            let wait = policy.back_off(tries, low);
            prop_assert!(wait >= policy.first && wait <= policy.most.mul_f64(1.0 + JITTER));
            prop_assert!(policy.back_off(tries + 1, low) >= wait);
            prop_assert!(low > high || policy.back_off(tries, high) >= wait);
        }

        #[test]
        fn no_verdict_is_due_in_the_past(
            tries in 0_u32..200, age in 0_i64..2_000_000_000_000, sample in 0.0..1.0_f64,
            asked in proptest::option::of(0_u64..100_000),
        ) {
            let attempt = Try { tries, accepted_at: NOW - age, sample, ..attempt() };
            for failure in [retry(asked), paused(FailureScope::Device, asked)] {
                let result = verdict(failure, attempt, policy());
                let PushResult::Retry { due_at, .. } = result else { panic!("{result:?}") };
                prop_assert!(due_at >= NOW + SECOND);
                prop_assert!(asked.is_none_or(|asked| due_at >= NOW + asked as i64 * SECOND));
            }
        }
    }
}
