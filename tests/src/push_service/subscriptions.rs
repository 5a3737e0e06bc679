//! All subscriptions: browsers that the stand-in plays itself, whose keys it has, and Firefox, for which pushes are queued.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::encryption::Receiver;

/// Frames to send to a browser; `None` closes the connection.
pub(super) type Out = UnboundedSender<Option<Value>>;

/// The owner of a subscription, who gets its pushes.
#[derive(Clone)]
pub(super) enum Owner {
    /// A browser that the stand-in plays.
    Played(Arc<Receiver>),
    /// Firefox: its user and its channel.
    Firefox { user: String, channel: String },
}

#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) owner: Owner,
    /// If set, only the sender with this key may post.
    pub(super) key: Option<Vec<u8>>,
    pub(super) gone: bool,
}

/// All subscriptions, by the last part of their endpoints, and the browsers that ever said hello, by uaid.
#[derive(Default)]
pub(super) struct Subscriptions(Mutex<Known>);

#[derive(Default)]
struct Known {
    subscriptions: HashMap<String, Subscription>,
    browsers: HashMap<String, Browser>,
}

#[derive(Default)]
struct Browser {
    out: Option<Out>,
    /// Sent or not: kept until the browser acknowledges it.
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: String,
    topic: Option<String>,
    version: String,
    frame: Value,
    until: i64,
}

impl Subscriptions {
    /// Adds a subscription; returns the last part of its endpoint.
    pub(super) fn add(&self, owner: Owner, key: Option<Vec<u8>>) -> String {
        let id = Uuid::new_v4().simple().to_string();
        self.lock().subscriptions.insert(id.clone(), Subscription { owner, key, gone: false });
        id
    }

    pub(super) fn get(&self, id: &str) -> Option<Subscription> {
        self.lock().subscriptions.get(id).cloned()
    }

    pub(super) fn end(&self, id: &str) {
        self.lock().subscriptions.get_mut(id).expect("there is such a subscription").gone = true;
    }

    /// Ends the subscription of this browser's channel.
    pub(super) fn unregister(&self, of: &str, named: &str) {
        for subscription in self.lock().subscriptions.values_mut() {
            if matches!(&subscription.owner, Owner::Firefox { user, channel } if user == of && channel == named)
            {
                subscription.gone = true;
            }
        }
    }

    /// Handles a browser's hello; returns its uaid. Queued pushes are sent by [`Self::send_waiting`].
    pub(super) fn hello(&self, said: Option<&str>, out: &Out) -> String {
        let mut known = self.lock();
        let uaid = said.filter(|uaid| known.browsers.contains_key(*uaid));
        let uaid = uaid.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
        known.browsers.entry(uaid.clone()).or_default().out = Some(out.clone());
        uaid
    }

    /// Sends all unacknowledged pushes; Firefox ignores those it already had.
    pub(super) fn send_waiting(&self, uaid: &str, now: i64) {
        let mut known = self.lock();
        let Some(browser) = known.browsers.get_mut(uaid) else { return };
        browser.waiting.retain(|waiting| waiting.until > now);
        if let Some(out) = &browser.out {
            for waiting in &browser.waiting {
                let _hung_up = out.send(Some(waiting.frame.clone()));
            }
        }
    }

    /// Sends a push to Firefox, and keeps it until it is acknowledged or expires.
    pub(super) fn deliver(&self, id: &str, topic: Option<String>, body: &[u8], ttl: u64, now: i64) {
        let mut known = self.lock();
        let Some(Owner::Firefox { user, channel }) =
            known.subscriptions.get(id).map(|found| found.owner.clone())
        else {
            return;
        };
        let version = Uuid::new_v4().simple().to_string();
        let frame = json!({
            "messageType": "notification",
            "channelID": channel,
            "version": version,
            "data": BASE64.encode(body),
            "headers": {"encoding": "aes128gcm"},
        });
        let Some(browser) = known.browsers.get_mut(&user) else { return };
        if topic.is_some() {
            browser.waiting.retain(|waiting| waiting.id != id || waiting.topic != topic);
        }
        if let Some(out) = &browser.out {
            let _hung_up = out.send(Some(frame.clone()));
        }
        let until = now + ttl as i64;
        browser.waiting.push(Waiting { id: id.to_owned(), topic, version, frame, until });
    }

    pub(super) fn acknowledged(&self, uaid: &str, version: &str) {
        if let Some(browser) = self.lock().browsers.get_mut(uaid) {
            browser.waiting.retain(|waiting| waiting.version != version);
        }
    }

    /// Notes that the browser's connection ended, unless it has a newer one.
    pub(super) fn left(&self, uaid: &str, out: &Out) {
        if let Some(browser) = self.lock().browsers.get_mut(uaid) {
            browser.out.take_if(|current| current.same_channel(out));
        }
    }

    /// Number of pushes queued for Firefox, sent or not.
    pub(super) fn waiting(&self, id: &str) -> usize {
        let known = self.lock();
        known
            .browsers
            .values()
            .flat_map(|browser| &browser.waiting)
            .filter(|waiting| waiting.id == id)
            .count()
    }

    /// Number of connected browsers.
    pub(super) fn connected(&self) -> usize {
        self.lock().browsers.values().filter(|browser| browser.out.is_some()).count()
    }

    pub(super) fn hang_up(&self) {
        for browser in self.lock().browsers.values() {
            browser.out.iter().for_each(|out| drop(out.send(None)));
        }
    }

    /// Forgets all browsers, so that each gets a new uaid and loses its subscriptions.
    pub(super) fn forget_browsers(&self) {
        self.hang_up();
        let mut known = self.lock();
        known.browsers.clear();
        known.subscriptions.values_mut().for_each(|subscription| {
            subscription.gone |= matches!(subscription.owner, Owner::Firefox { .. });
        });
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
