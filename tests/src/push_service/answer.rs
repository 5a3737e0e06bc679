//! Answers of push services, each worded as the real one's.

use std::time::Duration;

use serde_json::{Value, json};

/// The service whose wording is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// Firefox's autopush: JSON with an `errno`.
    Mozilla,
    /// Chrome's FCM: plain text.
    Google,
    /// Safari's: JSON with a `reason`.
    Apple,
    /// A plant's own ntfy server: accepts everything, and says so in JSON.
    Ntfy,
}

/// Why a push is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The subscription ended.
    Gone,
    /// No such subscription ever existed.
    Unknown,
    /// `Authorization` is missing or wrong.
    Vapid,
    /// A valid token, but of another key than the subscription's.
    OtherKey,
    /// No `TTL`.
    NoTtl,
    /// `TTL` is not a number of seconds up to thirty days.
    BadTtl,
    /// `Urgency` or `Topic` violates RFC 8030.
    BadHeader,
    /// Not `aes128gcm`, or malformed.
    Encoding,
    /// More than 4,096 bytes.
    TooLarge,
    /// Too many requests.
    TooMany,
    /// Internal error of the service.
    Internal,
    /// Overloaded or down.
    Unavailable,
    /// ntfy knows of no phone that listens.
    NobodyListens,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; 0 resets the stream.
    pub status: u16,
    /// Headers beside the body's type.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The delay before it is sent.
    pub delay: Duration,
}

impl Answer {
    /// An answer with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    /// Resets the stream.
    pub fn reset() -> Self {
        Self::new(0, "")
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(0, "").after(Duration::MAX)
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, value: impl Into<String>) -> Self {
        self.header("Retry-After", value)
    }

    /// Adds this header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Delays it by this much.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Whether it means that the push was accepted.
    pub fn accepts(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Personality {
    /// The answer to an accepted push with this number.
    pub(super) fn accepted(self, number: usize, base: &str, ttl: u64) -> Answer {
        match self {
            Self::Ntfy => {
                let taken = json!({"id": format!("{number:012}"), "event": "message", "encoding": "base64"});
                Answer::new(200, taken.to_string())
            }
            _ => Answer::new(201, "")
                .header("Location", format!("{base}/m/{number}"))
                .header("TTL", ttl.to_string()),
        }
    }

    /// The answer to this trouble; `None` where the service does not check for it and accepts the push.
    pub fn answer(self, trouble: Trouble) -> Option<Answer> {
        let answer = match self {
            Self::Mozilla => mozilla(trouble),
            Self::Google => google(trouble),
            Self::Apple => apple(trouble),
            Self::Ntfy => return ntfy(trouble),
        };
        Some(answer)
    }
}

/// autopush-rs, docs/src/errors.md.
fn mozilla(trouble: Trouble) -> Answer {
    let (status, errno) = match trouble {
        Trouble::Gone => (410, 106),
        Trouble::Unknown => (404, 102),
        Trouble::Vapid | Trouble::OtherKey => (401, 109),
        Trouble::NoTtl => (400, 111),
        Trouble::BadTtl => (400, 112),
        Trouble::BadHeader => (400, 113),
        Trouble::Encoding => (400, 110),
        Trouble::TooLarge => (413, 104),
        Trouble::TooMany => (429, 201),
        Trouble::Internal => (500, 999),
        Trouble::Unavailable | Trouble::NobodyListens => (503, 201),
    };
    let body = json!({"code": status, "errno": errno, "message": format!("{trouble:?}")});
    let answer = Answer::new(status, body.to_string());
    if status == 429 { answer.retry_after("120") } else { answer }
}

fn google(trouble: Trouble) -> Answer {
    let (status, text) = match trouble {
        Trouble::Gone => (410, "push subscription has unsubscribed or expired.\n"),
        Trouble::Unknown => (404, "A valid push subscription endpoint should be specified in the URL.\n"),
        Trouble::Vapid => (403, "invalid JWT provided\n"),
        Trouble::OtherKey => (
            403,
            "the VAPID credentials in the authorization header do not correspond to the credentials used to \
             create the subscriptions.\n",
        ),
        Trouble::NoTtl | Trouble::BadTtl | Trouble::BadHeader | Trouble::Encoding => {
            (400, "a header is missing or invalid\n")
        }
        Trouble::TooLarge => (413, "payload too large\n"),
        Trouble::TooMany => (429, "quota exceeded\n"),
        Trouble::Internal => (500, "<html><title>Error 500 (Server Error)!!1</title>"),
        Trouble::Unavailable | Trouble::NobodyListens => (503, "<html><title>Error 503</title>"),
    };
    Answer::new(status, text)
}

fn apple(trouble: Trouble) -> Answer {
    let (status, reason) = match trouble {
        Trouble::Gone => (410, "Unregistered"),
        Trouble::Unknown => (404, "BadPath"),
        Trouble::Vapid => (403, "BadJwtToken"),
        Trouble::OtherKey => (400, "VapidPkHashMismatch"),
        Trouble::NoTtl | Trouble::BadTtl => (400, "BadTtl"),
        Trouble::BadHeader => (400, "BadWebPushTopic"),
        Trouble::Encoding => (400, "BadWebPushRequest"),
        Trouble::TooLarge => (413, "PayloadTooLarge"),
        Trouble::TooMany => (429, "TooManyRequests"),
        Trouble::Internal => (500, "InternalServerError"),
        Trouble::Unavailable | Trouble::NobodyListens => (503, "ServiceUnavailable"),
    };
    Answer::new(status, json!({ "reason": reason }).to_string())
}

/// ntfy 2.13 as observed: it checks neither VAPID nor TTL nor size, and no subscription is ever gone.
fn ntfy(trouble: Trouble) -> Option<Answer> {
    let (code, error) = match trouble {
        Trouble::TooMany => (42901, "limit reached: too many requests"),
        Trouble::Internal => (50001, "internal server error"),
        Trouble::NobodyListens => {
            (50701, "cannot publish to UnifiedPush topic without previously active subscriber")
        }
        Trouble::Unavailable => return Some(Answer::new(502, "<html><title>502 Bad Gateway</title>")),
        _ => return None,
    };
    let body: Value = json!({"code": code, "http": code / 100, "error": error});
    Some(Answer::new((code / 100) as u16, body.to_string()))
}
