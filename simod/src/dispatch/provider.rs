//! One provider of a channel: what its answers have taught us, and how many of its pushes are in progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use simo_common::time;

use super::{
    brake::Brake,
    gate::Gate,
    learned::Learned,
    retry::{Policy, after, jittered},
};
use crate::{config, metrics::ChannelMetrics, store::PushResult};

/// A provider with only failing pushes may hold one in this many of the channel's permits.
const FAILING: usize = 8;

/// A provider. Its trouble does not affect the phones of others.
#[derive(Debug)]
pub(super) struct Provider {
    /// `None` where the channel has only one.
    pub(super) name: Option<String>,
    pub(super) metrics: ChannelMetrics,
    learned: Mutex<Learned>,
    policy: Policy,
    /// How many pushes may be in progress while none gets through: other providers need the permits.
    most_failing: usize,
    /// Each push in progress holds a clone.
    under_way: Arc<()>,
}

impl Provider {
    /// A provider without history.
    pub(super) fn new(
        name: Option<String>,
        permits: usize,
        config: &config::Delivery,
        metrics: ChannelMetrics,
    ) -> Self {
        let policy = Policy::new(config);
        let most_failing = if name.is_some() { (permits / FAILING).max(1) } else { permits };
        let learned = Mutex::new(Learned::new(Gate::new(permits, policy), Brake::new(config, [])));
        Self { name, metrics, learned, policy, most_failing, under_way: Arc::default() }
    }

    /// The state learned so far.
    pub(super) fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a push through; it holds the returned value while it is in progress.
    ///
    /// # Errors
    /// The provider is closed or full: the push waits, and no try is counted.
    pub(super) fn admit(&self, now: i64, accepted_at: i64) -> Result<Arc<()>, PushResult> {
        let Learned { gate, .. } = &*self.learned();
        let most = if gate.is_failing() { self.most_failing } else { usize::MAX };
        if Arc::strong_count(&self.under_way) <= gate.width(now).min(most) {
            return Ok(self.under_way.clone());
        }
        let sample = rand::random();
        let wait = match gate.opens_at(now) {
            // The pushes that closed the gate try it when it opens. If the whole queue came due in that moment, other
            // providers' pushes would wait behind it.
            Some(opens_at) => jittered((opens_at - now) as f64 / time::SECOND as f64, sample),
            None if gate.is_failing() => self.policy.hold(now - accepted_at, sample),
            None => self.policy.back_off(0, sample),
        };
        let trouble = gate.trouble().map(|trouble| format!(": {}", trouble.answer)).unwrap_or_default();
        let answer = format!("waits for its provider{trouble}");
        Err(PushResult::Retry { due_at: after(now, wait), answer, counts: false })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use simo_common::time::SECOND;

    use super::*;
    use crate::metrics::Metrics;

    fn provider(name: Option<&str>) -> Provider {
        let metrics = Metrics::default().channel("fcm", None);
        Provider::new(name.map(str::to_owned), 16, &config::Delivery::default(), metrics)
    }

    /// How many pushes are admitted, and when the others are due.
    fn admitted(provider: &Provider, now: i64) -> (usize, Vec<i64>) {
        let mut under_way = Vec::new();
        let mut due = Vec::new();
        for _ in 0..20 {
            match provider.admit(now, now - 60 * SECOND) {
                Ok(push) => under_way.push(push),
                Err(PushResult::Retry { due_at, counts: false, .. }) => due.push(due_at),
                Err(result) => panic!("{result:?}"),
            }
        }
        (under_way.len(), due)
    }

    #[test]
    fn what_a_closed_gate_holds_back_is_due_when_it_opens_or_soon_after() {
        let provider = provider(Some("a"));
        assert_eq!(admitted(&provider, 0).0, 16);
        let opens_at = provider.learned().gate.exhausted(0, Some(Duration::from_secs(30)), "quota", 0.0);
        let (under_way, due) = admitted(&provider, SECOND);
        assert_eq!((under_way, due.len()), (0, 20));
        assert!(due.iter().all(|due_at| (opens_at..opens_at + 15 * SECOND).contains(due_at)), "{due:?}");
        assert_eq!(admitted(&provider, opens_at).0, 8);
    }

    #[test]
    fn one_push_finds_out_whether_it_is_right_again() {
        let provider = provider(Some("a"));
        let opens_at = provider.learned().gate.misconfigured(0, "404", 0.0);
        let (under_way, due) = admitted(&provider, opens_at);
        assert_eq!(under_way, 1);
        assert!(due.iter().all(|due_at| (opens_at + 10 * SECOND..=opens_at + 15 * SECOND).contains(due_at)));
    }

    #[test]
    fn one_of_several_that_fails_leaves_most_permits_to_the_others() {
        for (name, most) in [(Some("a"), 2), (None, 16)] {
            let provider = provider(name);
            for _ in 0..5 {
                provider.learned().gate.broken("timed out");
            }
            let (under_way, due) = admitted(&provider, 0);
            assert_eq!(under_way, most);
            assert!(due.iter().all(|due_at| *due_at >= 10 * SECOND));
            provider.learned().gate.passed(0);
            assert_eq!(admitted(&provider, 0).0, 16);
        }
    }
}
