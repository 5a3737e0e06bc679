//! The journal: every push, in order, with its answer.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use serde_json::Value;

use super::id;

/// One push as the stand-in saw it.
#[derive(Debug, Clone)]
pub struct Push {
    /// When it arrived: microseconds since 1970.
    pub at_us: i64,
    /// The connection it came on.
    pub connection: u64,
    /// Whether that connection speaks HTTP/2.
    pub http_2: bool,
    /// The last part of the endpoint.
    pub id: String,
    /// `TTL`, if valid.
    pub ttl: Option<u64>,
    /// `Urgency`.
    pub urgency: Option<String>,
    /// `Topic`.
    pub topic: Option<String>,
    /// The sender's public key, if its token is valid.
    pub key: Option<Vec<u8>>,
    /// Why a real service would refuse it.
    pub violation: Option<String>,
    /// The status answered; 0: none.
    pub status: u16,
    /// Whether it was accepted.
    pub accepted: bool,
    /// The body, where bodies are kept.
    pub body: Bytes,
    /// The decrypted text, where the stand-in has the keys and decrypted it.
    pub text: Option<Vec<u8>>,
}

impl Push {
    /// The decrypted text as JSON.
    ///
    /// # Panics
    /// When it was not decrypted, or is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.text.as_ref().expect("it was decrypted")).expect("the text is JSON")
    }
}

/// All pushes so far.
#[derive(Default)]
pub struct Journal {
    pushes: Mutex<Vec<Push>>,
    bodiless: AtomicBool,
    violations_expected: AtomicBool,
}

impl Journal {
    /// A copy of all pushes.
    pub fn pushes(&self) -> Vec<Push> {
        self.lock().clone()
    }

    /// The pushes to one endpoint.
    pub fn pushes_to(&self, endpoint: &str) -> Vec<Push> {
        self.lock().iter().filter(|push| push.id == id(endpoint)).cloned().collect()
    }

    /// Takes all pushes out; numbering starts again.
    pub fn take(&self) -> Vec<Push> {
        std::mem::take(&mut self.lock())
    }

    /// Number of pushes.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there were no pushes yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of accepted pushes.
    pub fn accepted(&self) -> usize {
        self.lock().iter().filter(|push| push.accepted).count()
    }

    /// Stops keeping bodies.
    pub fn without_bodies(&self) {
        self.bodiless.store(true, Ordering::Relaxed);
    }

    /// Violations will not fail this test, which sends them on purpose.
    pub fn expect_violations(&self) {
        self.violations_expected.store(true, Ordering::Relaxed);
    }

    /// Pushes that a real service would refuse; empty if the test expects them.
    pub(super) fn violations(&self) -> Vec<Push> {
        if self.violations_expected.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.lock().iter().filter(|push| push.violation.is_some()).cloned().collect()
    }

    pub(super) fn enter(&self, mut push: Push) {
        if self.bodiless.load(Ordering::Relaxed) {
            push.body = Bytes::new();
        }
        self.lock().push(push);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Push>> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
