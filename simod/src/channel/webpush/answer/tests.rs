use std::time::Duration;

use super::*;

const GOOGLE: Whose = Whose::Known("google");
const MOZILLA: Whose = Whose::Known("mozilla");
const APPLE: Whose = Whose::Known("apple");

fn came(status: u16, body: &[u8]) -> Came {
    let after = Some(Duration::from_secs(7));
    Came { status: StatusCode::from_u16(status).unwrap(), retry_after: after, body: body.to_vec() }
}

/// The verdict, for tables.
fn kind(result: &Result<Accepted, Failure>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(Failure::Retry { .. }) => "retry",
        Err(Failure::Permanent { .. }) => "permanent",
        Err(Failure::DeadAddress { .. }) => "dead",
        Err(Failure::Paused { scope: FailureScope::Device, .. }) => "device paused",
        Err(Failure::Paused { .. }) => "provider paused",
        Err(Failure::Unreachable { .. }) => "unreachable",
        Err(Failure::Misconfigured { scope: FailureScope::Device, .. }) => "device misconfigured",
        Err(Failure::Misconfigured { .. }) => "provider misconfigured",
    }
}

#[test]
fn every_answer_says_what_to_do() {
    let gone = r#"{"code":410,"errno":103,"error":"Gone","message":"Expired URL endpoint"}"#;
    let not_ours = "the VAPID credentials in the authorization header do not correspond to the credentials used to \
                    create the subscriptions.";
    for (whose, status, body, expected) in [
        (MOZILLA, 201, "", "accepted"),
        (GOOGLE, 201, "", "accepted"),
        (Whose::Listed, 200, r#"{"id":"x","topic":"upAB","message":"AAAA"}"#, "accepted"),
        (Whose::Listed, 202, "", "accepted"),
        (Whose::Listed, 204, "", "accepted"),
        (Whose::Listed, 200, "<html><title>Log in</title>", "retry"),
        (APPLE, 206, "", "device misconfigured"),
        (MOZILLA, 301, "", "device misconfigured"),
        (Whose::Listed, 307, "", "device misconfigured"),
        (MOZILLA, 400, r#"{"errno":111,"message":"bad"}"#, "permanent"),
        (APPLE, 400, r#"{"reason":"VapidPkHashMismatch"}"#, "device misconfigured"),
        (MOZILLA, 401, r#"{"errno":109,"message":"Invalid Authorization"}"#, "provider misconfigured"),
        (MOZILLA, 401, r#"{"errno":109,"message":"VAPID public key mismatch"}"#, "device misconfigured"),
        (APPLE, 403, r#"{"reason":"BadJwtToken"}"#, "provider misconfigured"),
        (APPLE, 403, r#"{"reason":"Forbidden"}"#, "device misconfigured"),
        (GOOGLE, 403, not_ours, "device misconfigured"),
        (GOOGLE, 403, "", "device misconfigured"),
        (Whose::Listed, 403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, "device misconfigured"),
        (Whose::Listed, 403, "", "device misconfigured"),
        (MOZILLA, 404, r#"{"errno":102}"#, "dead"),
        (GOOGLE, 404, "", "dead"),
        (MOZILLA, 410, gone, "dead"),
        (Whose::Listed, 404, r#"{"code":40401}"#, "device misconfigured"),
        (Whose::Listed, 410, "", "dead"),
        (MOZILLA, 413, r#"{"errno":104}"#, "permanent"),
        (MOZILLA, 429, "", "provider paused"),
        (Whose::Listed, 429, r#"{"code":42901}"#, "device paused"),
        (Whose::Listed, 507, r#"{"code":50701}"#, "retry"),
        (Whose::Listed, 500, r#"{"code":50001}"#, "retry"),
        (APPLE, 503, "", "retry"),
        (GOOGLE, 408, "", "retry"),
        (GOOGLE, 418, "", "device misconfigured"),
    ] {
        assert_eq!(kind(&read(whose, &came(status, body.as_bytes()))), expected, "{whose:?} {status} {body}");
    }
}

#[test]
fn the_pause_that_is_asked_for_is_handed_on() {
    let seven = Some(Duration::from_secs(7));
    for status in [429, 503] {
        let failure = read(MOZILLA, &came(status, b"")).unwrap_err();
        let (Failure::Retry { after, .. } | Failure::Paused { after, .. }) = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(after, seven);
    }
}

#[test]
fn what_was_said_is_one_line_for_people() {
    let said = |status, body: &[u8]| match read(MOZILLA, &came(status, body)) {
        Ok(Accepted { answer })
        | Err(
            Failure::Retry { answer, .. }
            | Failure::Permanent { answer, .. }
            | Failure::DeadAddress { answer }
            | Failure::Paused { answer, .. }
            | Failure::Unreachable { answer }
            | Failure::Misconfigured { answer, .. },
        ) => answer,
    };
    assert_eq!(said(201, b""), "201 Created");
    let stored = br#"{"id":"a","message":"AAAA"}"#;
    assert_eq!(said(200, stored), "200 OK");
    let gone = br#"{"code":410,"errno":103,"error":"Gone","message":"Expired\nURL endpoint"}"#;
    assert_eq!(said(410, gone), "410 103 Gone Expired URL endpoint");
    assert_eq!(said(502, b"<!DOCTYPE html>\n<title>Bad\n gateway</title>"), "502 Bad gateway");
    assert_eq!(said(502, b"<h1>no"), "502 (a page)");
    assert_eq!(said(500, &[0xff; 20]), "500 (20 bytes that are no text)");
    assert_eq!(said(500, b"a\0\x1b[31m\r\nb"), "500 a [31m b");
    assert!(said(500, &b"x".repeat(16_384)).chars().count() < 310);
}
