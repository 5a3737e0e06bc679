//! State of each push service, by origin: its token, and its HTTP version.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderValue, Version};
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

use super::vapid::{USED_FOR, VapidKey};
use crate::channel::Failure;

/// The most origins remembered. There are few, but a phone may name any host of a known service.
const REMEMBERED: usize = 1_024;

/// Connections to a service that speaks HTTP/1.1 only, each of which carries one push at a time.
const CONNECTIONS: usize = 4;

/// The push services.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<String, Arc<PushService>>>);

/// A push service.
#[derive(Debug)]
pub(super) struct PushService {
    name: String,
    token: Mutex<Option<Token>>,
    speaks: Mutex<Option<Speaks>>,
    /// Held by the push that detects the HTTP version; the others wait here, and if it failed they take its error.
    pub(super) asking: tokio::sync::Mutex<Option<(Instant, Failure)>>,
    /// Limits HTTP/1.1 connections.
    pub(super) connections: Semaphore,
}

/// A service's HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

#[derive(Debug)]
struct Token {
    authorization: HeaderValue,
    made_at: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origins {
    /// The origin of an endpoint.
    pub(super) fn of(&self, endpoint: &Url) -> Arc<PushService> {
        let name = endpoint.origin().ascii_serialization();
        let mut known = lock(&self.0);
        if known.len() >= REMEMBERED && !known.contains_key(&name) {
            known.clear();
        }
        let new = |name: &String| Arc::new(PushService::new(name.clone()));
        known.entry(name).or_insert_with_key(new).clone()
    }
}

impl PushService {
    fn new(name: String) -> Self {
        Self {
            name,
            token: Mutex::default(),
            speaks: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            connections: Semaphore::new(CONNECTIONS),
        }
    }

    /// The value of `Authorization`, renewed when it is old; `None` when that fails.
    pub(super) fn authorization(&self, key: &VapidKey, subject: &str, now: i64) -> Option<HeaderValue> {
        let mut token = lock(&self.token);
        // A token made in the future comes from before the clock was set back.
        let is_fresh = |token: &&Token| (token.made_at..token.made_at + USED_FOR).contains(&now);
        if let Some(token) = token.as_ref().filter(is_fresh) {
            return Some(token.authorization.clone());
        }
        let made = key.authorization(&self.name, subject, now).ok()?;
        let mut authorization = HeaderValue::try_from(made).ok()?;
        authorization.set_sensitive(true);
        *token = Some(Token { authorization: authorization.clone(), made_at: now });
        Some(authorization)
    }

    /// The HTTP version, if known.
    pub(super) fn speaks(&self) -> Option<Speaks> {
        *lock(&self.speaks)
    }

    /// Remembers the version of an answer.
    pub(super) fn answered(&self, version: Version) {
        let speaks = if version == Version::HTTP_2 { Speaks::Http2 } else { Speaks::Http1 };
        *lock(&self.speaks) = Some(speaks);
    }

    /// The service stopped answering: the next push detects the version again.
    pub(super) fn forget(&self) {
        *lock(&self.speaks) = None;
    }
}

#[cfg(test)]
mod tests {
    use simo_common::time::HOUR;

    use super::*;

    #[test]
    fn a_token_is_used_for_six_hours_and_is_that_of_its_origin() {
        let (origins, key) = (Origins::default(), VapidKey::generate().unwrap());
        let token = |endpoint: &str, now| {
            let origin = origins.of(&Url::parse(endpoint).unwrap());
            origin.authorization(&key, "mailto:it@plant.example", now).unwrap()
        };
        let first = token("https://a.example/1", 10 * HOUR);
        assert_eq!(first, token("https://a.example/2", 16 * HOUR - 1));
        let second = token("https://a.example/2", 16 * HOUR);
        assert_ne!(first, second);
        assert_ne!(second, token("https://a.example/2", 9 * HOUR), "the clock was set back");
        assert_ne!(second, token("https://a.example:8443/2", 16 * HOUR));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let origins = Origins::default();
        for number in 0..3 * REMEMBERED {
            origins.of(&Url::parse(&format!("https://{number}.push.apple.com/")).unwrap());
        }
        assert!(lock(&origins.0).len() <= REMEMBERED);
    }
}
