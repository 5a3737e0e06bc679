//! Checks of every push; the strictest service decides.

use http::{HeaderMap, header};

use super::{Trouble, encryption::HEADER};

/// The largest body (RFC 8030 section 7.2).
pub(super) const LARGEST: usize = 4096;
/// Mozilla's longest TTL: thirty days.
const LONGEST_TTL: u64 = 2_592_000;

/// Why a push is refused.
pub(super) struct Violation {
    pub(super) trouble: Trouble,
    pub(super) what: String,
}

impl Violation {
    pub(super) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self { trouble, what: what.into() }
    }
}

/// The header as text, if it occurs once.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Checks headers and body; returns the requested TTL.
pub(super) fn form(headers: &HeaderMap, body: &[u8]) -> Result<u64, Violation> {
    let ttl = text(headers, "ttl").ok_or_else(|| Violation::new(Trouble::NoTtl, "no TTL"))?;
    let digits = ttl.bytes().all(|byte| byte.is_ascii_digit());
    let ttl = (ttl.parse().ok())
        .filter(|&seconds| digits && seconds <= LONGEST_TTL)
        .ok_or_else(|| Violation::new(Trouble::BadTtl, format!("TTL {ttl}")))?;
    if let Some(topic) = text(headers, "topic")
        && (topic.is_empty() || topic.len() > 32 || !topic.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        return Err(Violation::new(Trouble::BadHeader, format!("Topic {topic}")));
    }
    if let Some(urgency) = text(headers, "urgency")
        && !["very-low", "low", "normal", "high"].contains(&urgency)
    {
        return Err(Violation::new(Trouble::BadHeader, format!("Urgency {urgency}")));
    }
    if body.len() > LARGEST {
        return Err(Violation::new(Trouble::TooLarge, format!("{} bytes", body.len())));
    }
    let encoding = |what: &str| Err(Violation::new(Trouble::Encoding, what));
    if text(headers, header::CONTENT_ENCODING.as_str()) != Some("aes128gcm") {
        return encoding("Content-Encoding is not aes128gcm");
    }
    // An empty text still has one byte of padding and the tag.
    if body.len() < HEADER + 1 + 16 {
        return encoding("the body is too short");
    }
    if body[20] != 65 || body[21] != 4 {
        return encoding("the key of the body is no uncompressed point");
    }
    let record = u32::from_be_bytes([body[16], body[17], body[18], body[19]]) as usize;
    if record < 18 || body.len() - HEADER > record {
        return encoding("not one record");
    }
    Ok(ttl)
}
