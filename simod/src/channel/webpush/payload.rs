//! The payload of one push to a browser: declarative Web Push, which browsers can show without a script (W3C Push API). One
//! form for all browsers: the app's worker reads the same.

use serde::Serialize;
use simo_common::{lang::Lang, message::Priority, time};
use uuid::fmt::Hyphenated;

use crate::channel::{Outgoing, cut::shortened_as};

/// Marks a text as a declarative push.
const DECLARATIVE: u16 = 8030;

/// Bytes of the text in the notification when it does not fit twice in full: systems show no more anyway.
const SHOWN: usize = 1_024;

/// A text shorter than this says too little: then names get less room.
const LEAST_BODY: usize = 256;

/// Bytes of a title and of a topic's name in that case.
const SHORT_TITLE: usize = 256;
const SHORT_NAME: usize = 96;

#[derive(Serialize)]
struct Envelope<'a> {
    web_push: u16,
    notification: Notification<'a>,
    mutable: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    title: &'a str,
    body: String,
    lang: &'static str,
    dir: &'static str,
    tag: Hyphenated,
    navigate: String,
    silent: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    require_interaction: bool,
    actions: Vec<Button>,
    mutable: bool,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Button {
    action: &'static str,
    title: &'static str,
    navigate: String,
}

#[derive(Serialize)]
struct Data<'a> {
    v: u8,
    id: Hyphenated,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    /// Nothing readable: the app fetches the text.
    Doorbell {
        doorbell: bool,
    },
    Text(Box<Text<'a>>),
}

#[derive(Serialize)]
struct Text<'a> {
    title: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_name: Option<&'a str>,
    acs: &'a str,
    priority: &'static str,
    require_ack: bool,
    accepted_at: String,
    expires_at: String,
    /// The rest has to be fetched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The texts of a push, as far as there is room for them.
struct Said<'a> {
    title: &'a str,
    topic_name: Option<&'a str>,
    body: &'a str,
    /// The body once more, for the notification.
    shown: &'a str,
}

/// The push as JSON of at most `most` bytes; links lead to the app at `base`.
pub(super) fn text(push: &Outgoing, base: &str, most: usize) -> Vec<u8> {
    if push.doorbell {
        return doorbell(push, base);
    }
    let json = |said: &Said<'_>| bytes(&readable(push, base, said));
    let body = &*push.body;
    let whole = Said { title: &push.title, topic_name: push.topic_name.as_deref(), body, shown: body };
    let text = json(&whole);
    if text.len() <= most {
        return text;
    }
    let text = json(&Said { shown: &shortened_as(body, SHOWN, in_json), ..whole });
    if text.len() <= most {
        return text;
    }
    let room = |said: &Said<'_>| most.checked_sub(json(&Said { body: "…", shown: "…", ..*said }).len());
    let title = shortened_as(&push.title, SHORT_TITLE, in_json);
    let topic_name = push.topic_name.as_ref().map(|name| shortened_as(name, SHORT_NAME, in_json));
    let (said, left) = match room(&whole) {
        Some(left) if left >= 2 * LEAST_BODY => (whole, left),
        _ => {
            let short = Said { title: &title, topic_name: topic_name.as_deref(), ..whole };
            let Some(left) = room(&short) else {
                return doorbell(push, base);
            };
            (short, left)
        }
    };
    let for_shown = (left / 2).min(SHOWN);
    let (shown, body) =
        (shortened_as(body, for_shown, in_json), shortened_as(body, left - for_shown, in_json));
    json(&Said { body: &body, shown: &shown, ..said })
}

fn readable<'a>(push: &'a Outgoing, base: &str, said: &Said<'a>) -> Envelope<'a> {
    let id = push.message_id.hyphenated();
    let mut actions = Vec::new();
    if push.require_ack {
        actions.push(Button {
            action: "ack",
            title: push.lang.pick("Acknowledge", "Подтвердить"),
            navigate: format!("{base}/app/#ack={id}"),
        });
    }
    actions.push(open(push, base));
    let head = [said.topic_name, urgency(push.priority, push.lang)];
    let head = head.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let lines = [&*head, said.shown];
    let body = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let text = Text {
        title: said.title,
        body: said.body,
        topic: push.topic.as_deref(),
        topic_name: said.topic_name,
        acs: &push.acs,
        priority: push.priority.as_str(),
        require_ack: push.require_ack,
        accepted_at: time::from_us(push.accepted_at).to_string(),
        expires_at: time::from_us(push.expires_at).to_string(),
        truncated: said.body != push.body || push.data.is_some(),
    };
    notification(push, base, said.title, body, actions, What::Text(Box::new(text)))
}

/// Says that there is a message and for which client, but nothing of its content.
fn doorbell(push: &Outgoing, base: &str) -> Vec<u8> {
    let title = push.lang.pick("New message", "Новое сообщение");
    let what = What::Doorbell { doorbell: true };
    let actions = vec![open(push, base)];
    bytes(&notification(push, base, title, push.client.clone(), actions, what))
}

fn notification<'a>(
    push: &Outgoing,
    base: &str,
    title: &'a str,
    body: String,
    actions: Vec<Button>,
    what: What<'a>,
) -> Envelope<'a> {
    let id = push.message_id.hyphenated();
    Envelope {
        web_push: DECLARATIVE,
        notification: Notification {
            title,
            body,
            lang: push.lang.code(),
            dir: "auto",
            tag: id,
            navigate: format!("{base}/app/#m={id}"),
            silent: false,
            require_interaction: push.priority == Priority::Critical,
            actions,
            mutable: true,
            data: Data { v: 1, id, what },
        },
        // The W3C's draft has it here; Firefox reads the one above.
        mutable: true,
    }
}

fn open(push: &Outgoing, base: &str) -> Button {
    let navigate = format!("{base}/app/#m={}", push.message_id.hyphenated());
    Button { action: "open", title: push.lang.pick("Open", "Открыть"), navigate }
}

/// The urgency in words, if it is not normal.
fn urgency(priority: Priority, lang: Lang) -> Option<&'static str> {
    match priority {
        Priority::Low => Some(lang.pick("not urgent", "не срочно")),
        Priority::Normal => None,
        Priority::High => Some(lang.pick("important", "важно")),
        Priority::Critical => Some(lang.pick("critical", "критично")),
    }
}

fn bytes(push: &Envelope<'_>) -> Vec<u8> {
    // Structs of strings always serialise.
    serde_json::to_vec(push).unwrap_or_default()
}

/// Bytes of a character in a JSON text, as serde writes it.
fn in_json(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => char.len_utf8(),
    }
}

#[cfg(test)]
mod tests;
