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
    /// Which connection it came on.
    pub connection: u64,
    /// Whether that speaks HTTP/2.
    pub http_2: bool,
    /// The last part of the endpoint.
    pub id: String,
    /// `TTL`, where it is one.
    pub ttl: Option<u64>,
    /// `Urgency`.
    pub urgency: Option<String>,
    /// `Topic`.
    pub topic: Option<String>,
    /// The sender's public key, where its token is good.
    pub key: Option<Vec<u8>>,
    /// What is wrong with it.
    pub violation: Option<String>,
    /// The status it was answered; 0: none.
    pub status: u16,
    /// Whether the service keeps it.
    pub accepted: bool,
    /// The body, where bodies are kept.
    pub body: Bytes,
    /// The text in it, where the stand-in has the keys and decrypted it.
    pub text: Option<Vec<u8>>,
}

impl Push {
    /// The text in it as JSON.
    ///
    /// # Panics
    /// Where it was not decrypted, or is none.
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
    /// A copy of all.
    pub fn pushes(&self) -> Vec<Push> {
        self.lock().clone()
    }

    /// Those to one endpoint.
    pub fn pushes_to(&self, endpoint: &str) -> Vec<Push> {
        self.lock().iter().filter(|push| push.id == id(endpoint)).cloned().collect()
    }

    /// Takes all out; the next push is the first again.
    pub fn take(&self) -> Vec<Push> {
        std::mem::take(&mut self.lock())
    }

    /// How many there were.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were accepted.
    pub fn accepted(&self) -> usize {
        self.lock().iter().filter(|push| push.accepted).count()
    }

    /// Keeps no bodies from now on.
    pub fn without_bodies(&self) {
        self.bodiless.store(true, Ordering::Relaxed);
    }

    /// Violations do not fail this test: it sends them on purpose.
    pub fn expect_violations(&self) {
        self.violations_expected.store(true, Ordering::Relaxed);
    }

    /// What came in that a real service would refuse, unless that is expected.
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
