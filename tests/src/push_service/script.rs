//! How the stand-in answers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Answer, id};

/// The orders in force. The first that applies decides: the endpoint's queue, the common queue, the endpoint's lasting answer.
#[derive(Default)]
pub struct Script(Mutex<Orders>);

#[derive(Default)]
struct Orders {
    delay: Duration,
    next: VecDeque<Answer>,
    next_of: HashMap<String, VecDeque<Answer>>,
    always: HashMap<String, Answer>,
}

impl Script {
    /// Delays every answer by this much.
    pub fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Answers the next `times` pushes with `answer`.
    pub fn next(&self, times: usize, answer: &Answer) {
        self.lock().next.extend(std::iter::repeat_n(answer.clone(), times));
    }

    /// Answers the next `times` pushes to this endpoint with `answer`.
    pub fn next_to(&self, endpoint: &str, times: usize, answer: &Answer) {
        let answers = std::iter::repeat_n(answer.clone(), times);
        self.lock().next_of.entry(id(endpoint).to_owned()).or_default().extend(answers);
    }

    /// Answers every push to this endpoint with `answer`; `None` ends it.
    pub fn always(&self, endpoint: &str, answer: Option<Answer>) {
        let mut orders = self.lock();
        match answer {
            Some(answer) => orders.always.insert(id(endpoint).to_owned(), answer),
            None => orders.always.remove(id(endpoint)),
        };
    }

    /// How many of the queued answers are left.
    pub fn left(&self) -> usize {
        let orders = self.lock();
        orders.next.len() + orders.next_of.values().map(VecDeque::len).sum::<usize>()
    }

    pub(super) fn current_delay(&self) -> Duration {
        self.lock().delay
    }

    pub(super) fn decide(&self, id: &str) -> Option<Answer> {
        let mut orders = self.lock();
        orders
            .next_of
            .get_mut(id)
            .and_then(VecDeque::pop_front)
            .or_else(|| orders.next.pop_front())
            .or_else(|| orders.always.get(id).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
