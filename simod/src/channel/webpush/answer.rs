//! Push services' answers, and what to do about them: RFC 8030, and each service's own reading of it.

use http::StatusCode;
use serde_json::Value;
use simo_common::delivery::Reason;

use crate::channel::{
    Accepted, Failure, FailureScope,
    over_http::{Came, shorten},
};

/// The sender of an answer: one of the browsers' services, or a host that an administrator has listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Its name.
    Known(&'static str),
    Listed,
}

/// Reads an answer. Its body may be anything.
pub(super) fn read(whose: Whose, came: &Came) -> Result<Accepted, Failure> {
    let status = came.status;
    let words = words(status.as_u16(), &came.body);
    let answer = match &words {
        Words::None => status.to_string(),
        Words::Page(said) | Words::Said(said) => shorten(&format!("{} {said}", status.as_u16())),
    };
    let after = came.retry_after;
    let is_listed = whose == Whose::Listed;
    Err(match status.as_u16() {
        // A proxy's page: the push was not accepted.
        200 if matches!(words, Words::Page(_)) => Failure::Retry { answer, after },
        200..=202 | 204 => return Ok(Accepted { answer }),
        400 | 401 | 403 if is_of_another_key(&answer) => {
            Failure::Misconfigured { scope: FailureScope::Device, answer }
        }
        400 | 413 => Failure::Permanent { reason: Reason::Rejected, answer },
        401 => Failure::Misconfigured { scope: FailureScope::Provider, answer },
        // Concerns this topic alone, if an app made up one without the `up` prefix.
        403 if is_listed && answer.contains("40301") => Failure::Misconfigured {
            scope: FailureScope::Device,
            answer: format!(
                "{answer}; ntfy must let anyone write to `up*`: ntfy access everyone 'up*' write-only"
            ),
        },
        403 if whose == Whose::Known("apple") && answer.contains("BadJwtToken") => {
            Failure::Misconfigured { scope: FailureScope::Provider, answer }
        }
        // A relay knows no dead addresses: there, 404 means a wrong path.
        404 | 410 if !is_listed || status == StatusCode::GONE => Failure::DeadAddress { answer },
        429 => {
            let scope = if is_listed { FailureScope::Device } else { FailureScope::Provider };
            Failure::Paused { scope, after, answer }
        }
        // With 507, ntfy waits for the phone to connect, also after each restart: the phone is not gone.
        408 | 500..=599 => Failure::Retry { answer, after },
        // Includes Google's 403: the key is not the subscription's.
        _ => Failure::Misconfigured { scope: FailureScope::Device, answer },
    })
}

/// Whether the subscription was made with another VAPID key than ours, in the words of Google, Mozilla or Apple.
fn is_of_another_key(answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    ["do not correspond", "mismatch"].iter().any(|words| answer.contains(words))
}

/// The message in a body, in one line.
enum Words {
    None,
    /// A page for people.
    Page(String),
    Said(String),
}

fn words(status: u16, body: &[u8]) -> Words {
    if body.is_empty() {
        return Words::None;
    }
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        // Apple: reason. Mozilla: errno, message. ntfy: code, error; on success, the stored message.
        let said =
            ["code", "errno", "reason", "error", "message"].into_iter().filter_map(|name| {
                match fields.get(name)? {
                    Value::String(text) => Some(one_line(text)),
                    Value::Number(number) if number.as_u64() != Some(status.into()) => {
                        Some(number.to_string())
                    }
                    _ => None,
                }
            });
        let is_stored = fields.contains_key("id");
        let said: Vec<_> = said.filter(|_| !is_stored).collect();
        return if said.is_empty() { Words::None } else { Words::Said(said.join(" ")) };
    }
    let Ok(text) = std::str::from_utf8(body) else {
        let length = body.len();
        return Words::Said(format!("({length} bytes that are no text)"));
    };
    if text.trim_start().starts_with('<') {
        let title = text.split_once("<title>").and_then(|(_, rest)| Some(rest.split_once("</title>")?.0));
        return Words::Page(title.map_or_else(|| "(a page)".to_owned(), one_line));
    }
    Words::Said(one_line(text))
}

/// Without line breaks and other invisible characters.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The error when there was no answer.
pub(super) fn broken(what: &str) -> Failure {
    Failure::Retry { answer: shorten(&one_line(what)), after: None }
}

#[cfg(test)]
mod tests;
