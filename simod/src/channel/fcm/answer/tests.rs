use serde_json::{Value, json};

use super::*;

fn read(status: u16, body: &Value) -> Answer {
    read_bytes(status, None, body.to_string().as_bytes())
}

fn read_bytes(status: u16, after: Option<Duration>, body: &[u8]) -> Answer {
    Answer::read(StatusCode::from_u16(status).unwrap(), after, body)
}

fn error(status: u16, name: &str, message: &str, details: &[Value]) -> Value {
    json!({"error": {"code": status, "message": message, "status": name, "details": details}})
}

fn fcm(code: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
}

fn field(name: &str, description: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.BadRequest",
           "fieldViolations": [{"field": name, "description": description}]})
}

fn quota(subject: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": subject}]})
}

/// A failure's kind, for tables.
fn kind(answer: &Answer) -> &'static str {
    match answer {
        Answer::Unauthenticated(_) => "unauthenticated",
        Answer::Known(Ok(_)) => "accepted",
        Answer::Known(Err(failure)) => match failure {
            Failure::Retry { .. } => "retry",
            Failure::Permanent { .. } => "permanent",
            Failure::DeadAddress { .. } => "dead",
            Failure::Paused { scope: FailureScope::Device, .. } => "device paused",
            Failure::Unreachable { .. } => "unreachable",
            Failure::Paused { .. } => "channel paused",
            Failure::Misconfigured { scope: FailureScope::Device, .. } => "device misconfigured",
            Failure::Misconfigured { .. } => "channel misconfigured",
        },
    }
}

#[test]
fn every_answer_says_what_to_do() {
    let not_a_token = "The registration token is not a valid FCM registration token";
    let table = [
        (200, json!({"name": "projects/p/messages/1"}), "accepted"),
        (200, json!({"page": "of a proxy"}), "retry"),
        (400, error(400, "INVALID_ARGUMENT", "Invalid value", &[fcm("INVALID_ARGUMENT")]), "permanent"),
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "Request contains an invalid argument.",
                &[field("message.android.ttl", "Illegal ttl"), fcm("INVALID_ARGUMENT")],
            ),
            "permanent",
        ),
        (400, error(400, "INVALID_ARGUMENT", not_a_token, &[fcm("INVALID_ARGUMENT")]), "dead"),
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                not_a_token,
                &[field("message.token", "Invalid registration token")],
            ),
            "dead",
        ),
        (400, error(400, "INVALID_ARGUMENT", not_a_token, &[field("message.data", "too big")]), "permanent"),
        (404, error(404, "NOT_FOUND", "Requested entity was not found.", &[fcm("UNREGISTERED")]), "dead"),
        (404, error(404, "NOT_FOUND", "Requested entity was not found.", &[]), "channel misconfigured"),
        (
            403,
            error(403, "PERMISSION_DENIED", "SenderId mismatch", &[fcm("SENDER_ID_MISMATCH")]),
            "device misconfigured",
        ),
        (403, error(403, "PERMISSION_DENIED", "The API is not enabled", &[]), "channel misconfigured"),
        (
            401,
            error(401, "UNAUTHENTICATED", "Auth error", &[fcm("THIRD_PARTY_AUTH_ERROR")]),
            "device misconfigured",
        ),
        (401, error(401, "UNAUTHENTICATED", "Invalid credentials", &[]), "unauthenticated"),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "Quota", &[fcm("QUOTA_EXCEEDED"), quota("project:p")]),
            "channel paused",
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "Quota", &[fcm("QUOTA_EXCEEDED"), quota("device:d")]),
            "device paused",
        ),
        (429, error(429, "RESOURCE_EXHAUSTED", "Quota", &[]), "channel paused"),
        (500, error(500, "INTERNAL", "Internal error encountered.", &[]), "retry"),
        (503, error(503, "UNAVAILABLE", "Unavailable", &[fcm("UNAVAILABLE")]), "retry"),
        (302, json!({}), "channel misconfigured"),
        (407, json!({}), "channel misconfigured"),
    ];
    for (status, body, expected) in table {
        assert_eq!(kind(&read(status, &body)), expected, "{status} {body}");
    }
}

#[test]
fn a_page_of_html_is_an_answer_too() {
    let page = b"<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>";
    let Answer::Known(Err(Failure::Retry { answer, after })) = read_bytes(502, None, page) else {
        panic!("not a retry")
    };
    assert_eq!((answer.as_str(), after), ("502 Bad Gateway", None));
    assert_eq!(kind(&read_bytes(200, None, page)), "retry");
}

#[test]
fn what_the_provider_said_is_kept_in_words() {
    let gone = error(404, "NOT_FOUND", "Requested entity was not found.", &[fcm("UNREGISTERED")]);
    let Answer::Known(Err(Failure::DeadAddress { answer })) = read(404, &gone) else { panic!("not dead") };
    assert_eq!(answer, "404 UNREGISTERED: Requested entity was not found.");
}

#[test]
fn what_is_kept_of_an_answer_has_no_nul() {
    let mut body = error(400, "INVALID_ARGUMENT", "", &[]);
    body["error"]["message"] = "a\0b".into();
    let Answer::Known(Err(failure)) = read_bytes(400, None, body.to_string().as_bytes()) else {
        panic!("not a failure")
    };
    assert!(format!("{failure:?}").contains("a\u{fffd}b"), "{failure:?}");
    let taken = read_bytes(200, None, br#"{"name":"projects/p/messages/1\u0000"}"#);
    let Answer::Known(Ok(accepted)) = taken else { panic!("not accepted") };
    assert_eq!(accepted.answer, "projects/p/messages/1\u{fffd}");
}

#[test]
fn the_pause_that_the_provider_asks_for_is_handed_on() {
    let after = Some(Duration::from_secs(7));
    let body = error(503, "UNAVAILABLE", "", &[]).to_string();
    let Answer::Known(Err(Failure::Retry { after: handed_on, .. })) = read_bytes(503, after, body.as_bytes())
    else {
        panic!("not a retry")
    };
    assert_eq!(handed_on, after);
}
