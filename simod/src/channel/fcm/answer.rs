//! FCM's answers, and what to do about them (firebase.google.com/docs/cloud-messaging/error-codes).

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use simo_common::delivery::Reason;

use crate::channel::{Accepted, Failure, FailureScope, over_http::shorten};

/// A classified answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Our token is refused; a new one may be accepted.
    Unauthenticated(String),
    /// Anything else.
    Known(Result<Accepted, Failure>),
}

#[derive(Deserialize)]
struct Success {
    name: String,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Error,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    message: String,
    status: String,
    details: Vec<Detail>,
}

/// `google.firebase.fcm.v1.FcmError`, `google.rpc.BadRequest` or `google.rpc.QuotaFailure`: each fills its own field.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    error_code: String,
    field_violations: Vec<FieldViolation>,
    violations: Vec<QuotaViolation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FieldViolation {
    field: String,
    description: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuotaViolation {
    subject: String,
}

impl Answer {
    /// The error when there was no answer.
    pub(super) fn broken(what: impl AsRef<str>) -> Self {
        Self::Known(Err(Failure::Retry { answer: shorten(what.as_ref()), after: None }))
    }

    /// Reads an answer. Its body may be anything: load balancers speak HTML.
    pub(super) fn read(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Self {
        if status.is_success() {
            return Self::Known(match serde_json::from_slice::<Success>(body) {
                Ok(success) => Ok(Accepted { answer: shorten(&success.name) }),
                // A proxy's page, not FCM's: the push was not accepted.
                Err(_) => {
                    Err(Failure::Retry { answer: format!("{status} without the message's name"), after })
                }
            });
        }
        let error = serde_json::from_slice::<Body>(body).unwrap_or_default().error;
        let code = error.code();
        let answer = error.words(status);
        Self::Known(Err(match (code, status.as_u16()) {
            ("UNREGISTERED", _) => Failure::DeadAddress { answer },
            ("SENDER_ID_MISMATCH" | "THIRD_PARTY_AUTH_ERROR", _) => {
                Failure::Misconfigured { scope: FailureScope::Device, answer }
            }
            ("QUOTA_EXCEEDED", _) | (_, 429) => Failure::Paused { scope: error.quota_scope(), after, answer },
            (_, 401) => return Self::Unauthenticated(answer),
            (_, 400) if error.names_the_address() => Failure::DeadAddress { answer },
            (_, 400 | 413) => Failure::Permanent { reason: Reason::Rejected, answer },
            (_, 408 | 500..=599) => Failure::Retry { answer, after },
            // A 404 without UNREGISTERED is a wrong project or URL, a 403 an account without rights; a redirect or
            // anything else does not come from FCM.
            _ => Failure::Misconfigured { scope: FailureScope::Provider, answer },
        }))
    }
}

impl Error {
    fn code(&self) -> &str {
        self.details
            .iter()
            .map(|detail| detail.error_code.as_str())
            .find(|code| !code.is_empty())
            .unwrap_or_default()
    }

    /// For people: `404 UNREGISTERED: Requested entity was not found.`
    fn words(&self, status: StatusCode) -> String {
        let code = match self.code() {
            "" => self.status.as_str(),
            code => code,
        };
        let violations = self.details.iter().flat_map(|detail| &detail.field_violations);
        let fields: Vec<_> =
            violations.map(|violation| format!("{}: {}", violation.field, violation.description)).collect();
        let said = match fields.as_slice() {
            [] => self.message.clone(),
            fields => fields.join(", "),
        };
        let known: Vec<_> = [code, &said].into_iter().filter(|part| !part.is_empty()).collect();
        match known.as_slice() {
            [] => status.to_string(),
            parts => shorten(&format!("{} {}", status.as_u16(), parts.join(": "))),
        }
    }

    /// FCM returns `INVALID_ARGUMENT` for bad payloads and for malformed addresses; only the latter name the field.
    fn names_the_address(&self) -> bool {
        let is_dead = |text: &str| text.to_ascii_lowercase().contains("registration token");
        let mut fields = self.details.iter().flat_map(|detail| &detail.field_violations).peekable();
        if fields.peek().is_none() {
            return is_dead(&self.message);
        }
        fields.all(|violation| {
            matches!(violation.field.as_str(), "message.token" | "message.fid")
                || is_dead(&violation.description)
        })
    }

    /// The scope of an exhausted quota. Without a word on it we assume the project's: pausing too much is the safe side.
    fn quota_scope(&self) -> FailureScope {
        let mut subjects = self
            .details
            .iter()
            .flat_map(|detail| &detail.violations)
            .map(|violation| violation.subject.as_str())
            .peekable();
        if subjects.peek().is_some() && subjects.all(|subject| subject.starts_with("device")) {
            FailureScope::Device
        } else {
            FailureScope::Provider
        }
    }
}

#[cfg(test)]
mod tests;
