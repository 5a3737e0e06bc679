//! The answers the stand-in can give: every line of FCM's error table, and the ways a network fails.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer to a well-formed, authorised send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 200: accepted.
    Accept,
    /// 404 `UNREGISTERED`: the address is dead.
    Unregistered,
    /// 400 `INVALID_ARGUMENT`, "not a valid FCM registration token": the address is dead.
    InvalidToken,
    /// 400 `INVALID_ARGUMENT` with a field violation: the payload is wrong.
    InvalidPayload,
    /// 404 without an FCM error code: the project or the URL is wrong.
    WrongProject,
    /// 403 `SENDER_ID_MISMATCH`.
    SenderIdMismatch,
    /// 401 `THIRD_PARTY_AUTH_ERROR`.
    ThirdPartyAuth,
    /// 401 `UNAUTHENTICATED`, although the token is valid.
    Unauthenticated,
    /// 429 `QUOTA_EXCEEDED` for the project, with or without `Retry-After` in seconds.
    QuotaProject(Option<u32>),
    /// 429 `QUOTA_EXCEEDED` for this device.
    QuotaDevice(Option<u32>),
    /// 503 `UNAVAILABLE`, with or without `Retry-After` in seconds.
    Unavailable(Option<u32>),
    /// 500 `INTERNAL`, without details.
    Internal,
    /// 502 with an HTML page, as from a load balancer in between.
    Html,
    /// No answer for as long as the caller waits.
    Hang,
    /// The stream is reset.
    ResetStream,
    /// The connection is closed at once, with everything in flight on it.
    DropConnection,
    /// Accepted, and the connection sends GOAWAY.
    GoAway,
}

/// The HTTP side of an answer.
pub(super) struct Http {
    pub(super) status: u16,
    pub(super) retry_after: Option<u32>,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Its name in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Unregistered => "unregistered",
            Self::InvalidToken => "invalid_token",
            Self::InvalidPayload => "invalid_payload",
            Self::WrongProject => "wrong_project",
            Self::SenderIdMismatch => "sender_id_mismatch",
            Self::ThirdPartyAuth => "third_party_auth",
            Self::Unauthenticated => "unauthenticated",
            Self::QuotaProject(_) => "quota_project",
            Self::QuotaDevice(_) => "quota_device",
            Self::Unavailable(_) => "unavailable",
            Self::Internal => "internal",
            Self::Html => "html",
            Self::Hang => "hang",
            Self::ResetStream => "reset_stream",
            Self::DropConnection => "drop_connection",
            Self::GoAway => "goaway",
        }
    }

    /// Whether the provider took the push.
    pub fn accepts(self) -> bool {
        matches!(self, Self::Accept | Self::GoAway)
    }

    /// The HTTP answer; `None` where none is sent.
    pub(super) fn http(self, address: &str, number: u64) -> Option<Http> {
        let body = match self {
            Self::Accept | Self::GoAway => {
                let name = format!("projects/{}/messages/0:{number:020}%standin", super::PROJECT);
                return Some(Http {
                    status: 200,
                    retry_after: None,
                    content_type: JSON,
                    body: format!("{{\n  \"name\": \"{name}\"\n}}\n").into_bytes(),
                });
            }
            Self::Hang | Self::ResetStream | Self::DropConnection => return None,
            Self::Html => {
                return Some(Http {
                    status: 502,
                    retry_after: None,
                    content_type: "text/html; charset=UTF-8",
                    body: b"<!DOCTYPE html><html lang=en><title>Error 502 (Server Error)!!1</title>".to_vec(),
                });
            }
            Self::Unregistered => {
                error(404, "Requested entity was not found.", "NOT_FOUND", &[fcm("UNREGISTERED")])
            }
            Self::InvalidToken => error(
                400,
                "The registration token is not a valid FCM registration token",
                "INVALID_ARGUMENT",
                &[fcm("INVALID_ARGUMENT")],
            ),
            Self::InvalidPayload => invalid("message.android", "Invalid value."),
            Self::WrongProject => error(404, "Requested entity was not found.", "NOT_FOUND", &[]),
            Self::SenderIdMismatch => {
                error(403, "SenderId mismatch", "PERMISSION_DENIED", &[fcm("SENDER_ID_MISMATCH")])
            }
            Self::ThirdPartyAuth => error(
                401,
                "Auth error from APNS or Web Push Service",
                "UNAUTHENTICATED",
                &[fcm("THIRD_PARTY_AUTH_ERROR")],
            ),
            Self::Unauthenticated => unauthenticated(),
            Self::QuotaProject(_) => quota(&format!("project:{}", super::PROJECT)),
            Self::QuotaDevice(_) => quota(&format!("device:{address}")),
            Self::Unavailable(_) => {
                error(503, "The service is currently unavailable.", "UNAVAILABLE", &[fcm("UNAVAILABLE")])
            }
            Self::Internal => error(500, "Internal error encountered.", "INTERNAL", &[]),
        };
        let retry_after = match self {
            Self::QuotaProject(after) | Self::QuotaDevice(after) | Self::Unavailable(after) => after,
            _ => None,
        };
        Some(Http { retry_after, ..body })
    }
}

const JSON: &str = "application/json; charset=UTF-8";

/// Google's error body.
fn error(code: u16, message: &str, status: &str, details: &[Value]) -> Http {
    let mut error = json!({"code": code, "message": message, "status": status});
    if !details.is_empty() {
        error["details"] = details.into();
    }
    Http {
        status: code,
        retry_after: None,
        content_type: JSON,
        body: json!({ "error": error }).to_string().into_bytes(),
    }
}

fn fcm(code: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
}

fn quota(subject: &str) -> Http {
    let failure = json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": subject, "description": "Message rate exceeded."}],
    });
    error(
        429,
        "Resource has been exhausted (e.g. check quota).",
        "RESOURCE_EXHAUSTED",
        &[fcm("QUOTA_EXCEEDED"), failure],
    )
}

/// 400 that names a field.
pub(super) fn invalid(field: &str, description: &str) -> Http {
    let violation = json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    });
    error(400, description, "INVALID_ARGUMENT", &[violation, fcm("INVALID_ARGUMENT")])
}

/// 401 for a missing, wrong or expired bearer token.
pub(super) fn unauthenticated() -> Http {
    error(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
         valid authentication credential.",
        "UNAUTHENTICATED",
        &[],
    )
}

/// 404 as Google's front end gives it for a path or project that does not exist.
pub(super) fn not_found() -> Http {
    error(404, "Requested entity was not found.", "NOT_FOUND", &[])
}

/// The answer to HTTP/1.1: the real FCM accepts it, but SiMO promises HTTP/2.
pub(super) fn http1_refused() -> Http {
    Http {
        status: 505,
        retry_after: None,
        content_type: "text/plain",
        body: b"messages:send is HTTP/2 only here".to_vec(),
    }
}
