//! The journal: every send, in order, with its answer.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One send as the stand-in saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// Its place in the journal, from 0.
    pub number: u64,
    /// When it arrived: microseconds since 1970.
    pub at_us: i64,
    /// The connection it came on.
    pub connection: u64,
    /// The address of the push.
    pub address: String,
    /// SiMO's message id, from `data`.
    pub message_id: Option<String>,
    /// The answer's name: [`super::Answer::name`], or `malformed`, `unauthenticated` …
    pub answer: String,
    /// Whether it was accepted.
    pub accepted: bool,
    /// The request's body, where bodies are kept.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

/// All calls so far.
#[derive(Default)]
pub struct Journal {
    calls: Mutex<Vec<Call>>,
    bodiless: AtomicBool,
    malformed_expected: AtomicBool,
}

impl Journal {
    /// A copy of all calls.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// The calls for one address.
    pub fn calls_to(&self, address: &str) -> Vec<Call> {
        self.lock().iter().filter(|call| call.address == address).cloned().collect()
    }

    /// Number of calls.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there were no calls yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of accepted calls.
    pub fn accepted(&self) -> usize {
        self.lock().iter().filter(|call| call.accepted).count()
    }

    /// How often each message was accepted at each address: `(address, message) → times`.
    pub fn arrivals(&self) -> HashMap<(String, String), usize> {
        let mut arrivals = HashMap::new();
        for call in self.lock().iter().filter(|call| call.accepted) {
            let message = call.message_id.clone().unwrap_or_default();
            *arrivals.entry((call.address.clone(), message)).or_default() += 1;
        }
        arrivals
    }

    /// Stops keeping bodies (the load tool sends hundreds of thousands).
    pub fn without_bodies(&self) {
        self.bodiless.store(true, Ordering::Relaxed);
    }

    /// Malformed requests will not fail this test, which sends them on purpose.
    pub fn expect_malformed(&self) {
        self.malformed_expected.store(true, Ordering::Relaxed);
    }

    /// Requests that Google would refuse as malformed; empty if the test expects them.
    pub(super) fn malformed(&self) -> Vec<Call> {
        if self.malformed_expected.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.lock().iter().filter(|call| call.answer.starts_with("malformed")).cloned().collect()
    }

    /// Adds a call and returns its number.
    pub(super) fn enter(&self, mut call: Call) -> u64 {
        if self.bodiless.load(Ordering::Relaxed) {
            call.body = Value::Null;
        }
        let mut calls = self.lock();
        call.number = calls.len() as u64;
        let number = call.number;
        calls.push(call);
        number
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&[Call]) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
