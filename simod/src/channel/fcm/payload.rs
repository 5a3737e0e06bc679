//! The body of one push to FCM: a data message that the app shows itself, within FCM's 4096 bytes.

use std::borrow::Cow;

use serde::Serialize;
use simo_common::{
    message::{Priority, limits},
    time,
};
use uuid::fmt::Hyphenated;

use super::address::{AddressKind, parts};
use crate::channel::{Outgoing, cut::shortened};

/// Bytes of keys and values in `data` and `notification` that FCM accepts.
const PAYLOAD_BYTES: usize = 4096;

/// A text shorter than this says too little: then `data` is left for the phone to fetch, to make room for the text.
const LEAST_BODY: usize = 512;

const TRUE: &str = "true";

#[derive(Serialize)]
struct Request<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fid: Option<&'a str>,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notification<'a>>,
    android: Android,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    /// Nothing readable: the phone fetches the text.
    Doorbell { message_id: Hyphenated },
    /// The whole message.
    Full(Full<'a>),
}

/// Every value is a string: FCM accepts no others.
#[derive(Serialize)]
struct Full<'a> {
    message_id: Hyphenated,
    title: &'a str,
    body: Cow<'a, str>,
    acs: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    priority: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    require_ack: &'static str,
    accepted_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<&'static str>,
}

/// The same text again, for the provider to show.
#[derive(Serialize)]
struct Notification<'a> {
    title: &'a str,
    body: Cow<'a, str>,
}

#[derive(Serialize)]
struct Android {
    priority: &'static str,
    ttl: String,
}

/// The body of `messages:send`.
pub(super) fn request(push: &Outgoing) -> Vec<u8> {
    let (data, notification) = if push.doorbell {
        let message_id = push.message_id.hyphenated();
        (Data::Doorbell { message_id }, None)
    } else {
        let full = fitted(push);
        let notification =
            push.notification.then(|| Notification { title: full.title, body: full.body.clone() });
        (Data::Full(full), notification)
    };
    let (kind, address) = parts(&push.address);
    let is_installation = kind == AddressKind::Installation;
    let request = Request {
        message: Message {
            token: (!is_installation).then_some(address),
            fid: is_installation.then_some(address),
            data,
            notification,
            android: Android { priority: urgency(push.priority), ttl: format!("{}s", ttl(push)) },
        },
    };
    // Structs of strings always serialise.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// Only low priority is sent as normal, which a sleeping phone gets at its next maintenance window. Everything else is
/// shown at once, as Google requires of high priority.
fn urgency(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "NORMAL",
        Priority::Normal | Priority::High | Priority::Critical => "HIGH",
    }
}

fn ttl(push: &Outgoing) -> i64 {
    ((push.expires_at - push.now) / time::SECOND).clamp(1, limits::TTL_SECONDS)
}

/// The push's text, cut where it is too long.
fn fitted(push: &Outgoing) -> Full<'_> {
    let mut full = Full {
        message_id: push.message_id.hyphenated(),
        title: &push.title,
        body: Cow::Borrowed(&push.body),
        acs: &push.acs,
        topic: push.topic.as_deref(),
        priority: push.priority.as_str(),
        data: push.data.as_deref(),
        require_ack: if push.require_ack { TRUE } else { "false" },
        accepted_at: time::from_us(push.accepted_at).to_string(),
        expires_at: time::from_us(push.expires_at).to_string(),
        truncated: None,
    };
    let copies = if push.notification { 2 } else { 1 };
    if full.size(copies) + copies * push.body.len() <= PAYLOAD_BYTES {
        return full;
    }
    full.truncated = Some(TRUE);
    let room = |full: &Full<'_>| Some(PAYLOAD_BYTES.checked_sub(full.size(copies))? / copies);
    // No room at all means that not even an empty text fits.
    if room(&full).is_none_or(|room| room < push.body.len().min(LEAST_BODY)) {
        full.data = None;
    }
    full.body = shortened(&push.body, room(&full).unwrap_or_default());
    full
}

impl Full<'_> {
    /// Bytes of all keys and values except the body's value, in `data` and, with two copies, in `notification`.
    fn size(&self, copies: usize) -> usize {
        const ID: usize = Hyphenated::LENGTH;
        let optional = |key: &str, value: Option<&str>| value.map_or(0, |value| key.len() + value.len());
        let data = [
            "message_id".len() + ID,
            "title".len() + self.title.len(),
            "body".len(),
            "acs".len() + self.acs.len(),
            optional("topic", self.topic),
            "priority".len() + self.priority.len(),
            optional("data", self.data),
            "require_ack".len() + self.require_ack.len(),
            "accepted_at".len() + self.accepted_at.len(),
            "expires_at".len() + self.expires_at.len(),
            optional("truncated", self.truncated),
        ];
        let notification = "title".len() + self.title.len() + "body".len();
        data.iter().sum::<usize>() + (copies - 1) * notification
    }
}

#[cfg(test)]
mod tests;
