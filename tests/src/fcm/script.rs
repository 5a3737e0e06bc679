//! How the stand-in answers: with a delay, and by queue, by address or by chance.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Answer;

/// Random failures: `rate` of all calls, answered from `answers`. The same seed gives the same sequence.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// The share of calls that fail, 0 to 1.
    pub rate: f64,
    /// The failing answers, drawn evenly.
    pub answers: Vec<Answer>,
    /// The seed.
    pub seed: u64,
}

/// The orders in force. The first that applies decides: the queue of next answers, the address, chance, then `Accept`.
#[derive(Default)]
pub struct Script {
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    delay: Duration,
    next: VecDeque<Answer>,
    addresses: HashMap<String, Answer>,
    mixture: Option<Mixture>,
    drawn: u64,
}

impl Script {
    /// Delays every answer by this much.
    pub fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Answers the next `times` calls with `answer`.
    pub fn next(&self, times: usize, answer: Answer) {
        self.lock().next.extend(std::iter::repeat_n(answer, times));
    }

    /// Answers every call for this address with `answer`, until [`Script::forgive`].
    pub fn address(&self, address: &str, answer: Answer) {
        self.lock().addresses.insert(address.to_owned(), answer);
    }

    /// Treats this address like any other again.
    pub fn forgive(&self, address: &str) {
        self.lock().addresses.remove(address);
    }

    /// Fails at random from now on; `None` ends it.
    pub fn mixture(&self, mixture: Option<Mixture>) {
        self.lock().mixture = mixture;
    }

    /// Makes these addresses permanently dead.
    pub fn dead<'a>(&self, addresses: impl IntoIterator<Item = &'a String>) {
        for address in addresses {
            self.address(address, Answer::Unregistered);
        }
    }

    /// How many of the queued answers are left.
    pub fn left(&self) -> usize {
        self.lock().next.len()
    }

    pub(super) fn current_delay(&self) -> Duration {
        self.lock().delay
    }

    pub(super) fn decide(&self, address: &str) -> Answer {
        let mut orders = self.lock();
        if let Some(answer) = orders.next.pop_front() {
            return answer;
        }
        if let Some(&answer) = orders.addresses.get(address) {
            return answer;
        }
        orders.drawn += 1;
        let drawn = orders.drawn;
        orders.mixture.as_ref().map_or(Answer::Accept, |mixture| mixture.draw(drawn))
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mixture {
    fn draw(&self, number: u64) -> Answer {
        let chance = scatter(self.seed ^ scatter(number));
        if (chance >> 32) as f64 / f64::from(u32::MAX) >= self.rate || self.answers.is_empty() {
            return Answer::Accept;
        }
        self.answers[(chance & 0xffff_ffff) as usize % self.answers.len()]
    }
}

/// SplitMix64's finaliser: scatters consecutive numbers.
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_fails_its_share_and_repeats_itself() {
        let mixture = Mixture { rate: 0.1, answers: vec![Answer::Internal, Answer::Html], seed: 7 };
        let draws: Vec<Answer> = (0..10_000).map(|n| mixture.draw(n)).collect();
        let failed = draws.iter().filter(|answer| !answer.accepts()).count();
        assert!((900..1100).contains(&failed), "{failed}");
        assert!(draws.contains(&Answer::Internal) && draws.contains(&Answer::Html));
        assert_eq!(draws, (0..10_000).map(|n| mixture.draw(n)).collect::<Vec<_>>());
    }
}
