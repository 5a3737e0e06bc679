//! Every check refuses in the service's own words, and valid pushes are accepted.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use super::{Answer, Personality, PushService, Sender, Subscription, Trouble};

type Headers = BTreeMap<&'static str, String>;

/// A service, a sender, and a browser that accepts only this sender.
fn three(personality: Personality) -> (PushService, Sender, Subscription) {
    let service = PushService::of(personality);
    let sender = Sender::to(&service);
    let browser = service.subscribe(Some(&sender.public()));
    (service, sender, browser)
}

fn body(browser: &Subscription, length: usize) -> Vec<u8> {
    let decoded = |text: &str| BASE64.decode(text).unwrap();
    super::encryption::encrypt(&decoded(&browser.p256dh), &decoded(&browser.auth), &vec![b'x'; length])
}

#[tokio::test]
async fn a_push_is_taken_decrypted_and_journaled() {
    let (service, sender, browser) = three(Personality::Mozilla);
    let answer = sender.push(&browser, r#"{"a": 1}"#).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.headers()["ttl"], "60");
    let push = service.journal().pushes_to(&browser.endpoint).remove(0);
    assert_eq!(push.json(), json!({"a": 1}));
    assert_eq!((push.ttl, push.urgency.as_deref(), push.accepted), (Some(60), Some("high"), true));
    // The largest text that fits.
    let answer = sender.post(&browser.endpoint, &sender.headers(), body(&browser, 3993)).await;
    assert_eq!(answer.status(), 201);
}

/// Posts a spoiled push, and checks that it is answered and journaled as such.
async fn refuses(status: u16, what: &str, spoil: impl FnOnce(&Sender, &mut Headers, &mut Vec<u8>)) {
    let (service, sender, browser) = three(Personality::Mozilla);
    service.journal().expect_violations();
    let (mut headers, mut body) = (sender.headers(), body(&browser, 10));
    spoil(&sender, &mut headers, &mut body);
    let answer = sender.post(&browser.endpoint, &headers, body).await;
    assert_eq!(answer.status(), status, "{what}");
    let push = service.journal().pushes().remove(0);
    let violation = push.violation.expect("it is a violation");
    assert!(violation.contains(what), "{violation} is not {what}");
    assert!(!push.accepted);
}

#[tokio::test]
async fn each_fault_of_the_token_is_refused() {
    let claim = |name: &'static str, value: Value| {
        move |sender: &Sender, headers: &mut Headers, _: &mut Vec<u8>| {
            let mut claims = sender.claims();
            claims[name] = value;
            headers.insert("authorization", sender.authorization(&claims));
        }
    };
    let now = crate::clock::now_us() / 1_000_000;
    refuses(401, "aud is https://localhost,", claim("aud", json!("https://localhost"))).await;
    refuses(401, "exp is more than a day ahead", claim("exp", json!(now + 24 * 3600 + 60))).await;
    refuses(401, "has ended", claim("exp", json!(now - 1))).await;
    refuses(401, "null", claim("sub", Value::Null)).await;
    for sub in ["mailto:root@localhost", "mailto:<a@example.org>", "duty@example.org", "http://example.org"] {
        refuses(401, "sub is", claim("sub", json!(sub))).await;
    }
    refuses(401, "no Authorization", |_, headers, _| drop(headers.remove("authorization"))).await;
    refuses(401, "not the scheme vapid", |_, headers, _| {
        headers.insert("authorization", "Bearer x".to_owned());
    })
    .await;
    refuses(401, "the signature is wrong", |sender, headers, _| {
        let other = sender.authorization(&json!({}));
        let (claims, signature) =
            (headers["authorization"].clone(), other.rsplit_once('.').unwrap().1.to_owned());
        let signed = claims.rsplit_once('.').unwrap().0;
        headers.insert("authorization", format!("{signed}.{signature}"));
    })
    .await;
}

#[tokio::test]
async fn each_fault_of_headers_and_body_is_refused() {
    let header = |name: &'static str, value: &str| {
        let value = value.to_owned();
        move |_: &Sender, headers: &mut Headers, _: &mut Vec<u8>| drop(headers.insert(name, value))
    };
    refuses(400, "no TTL", |_, headers, _| drop(headers.remove("ttl"))).await;
    for ttl in ["-1", "+1", "NaN", "2592001"] {
        refuses(400, "TTL", header("ttl", ttl)).await;
    }
    refuses(400, "Urgency", header("urgency", "critical")).await;
    refuses(400, "Topic", header("topic", "with space")).await;
    refuses(400, "Topic", header("topic", &"x".repeat(33))).await;
    refuses(400, "not aes128gcm", header("content-encoding", "aesgcm")).await;
    refuses(400, "too short", |_, _, body| body.clear()).await;
    refuses(400, "no uncompressed point", |_, _, body| body[21] = 2).await;
    refuses(400, "not one record", |_, _, body| body[16..20].copy_from_slice(&20_u32.to_be_bytes())).await;
    refuses(413, "4097 bytes", |_, _, body| body.resize(4097, 0)).await;
}

#[tokio::test]
async fn what_nobody_can_decrypt_is_taken_and_told_to_the_test() {
    let (service, sender, browser) = three(Personality::Google);
    service.journal().expect_violations();
    let mut damaged = body(&browser, 10);
    rand::fill(&mut damaged[90..]).unwrap();
    assert_eq!(sender.post(&browser.endpoint, &sender.headers(), damaged).await.status(), 201);
    let push = service.journal().pushes().remove(0);
    assert_eq!(push.violation.as_deref(), Some("cannot be decrypted: not for this key"));
}

#[tokio::test]
async fn subscriptions_end_and_are_of_one_sender() {
    for (personality, gone, other) in [
        (Personality::Mozilla, r#""errno":106"#, 401),
        (Personality::Google, "unsubscribed or expired", 403),
        (Personality::Apple, r#"{"reason":"Unregistered"}"#, 400),
    ] {
        let (service, sender, browser) = three(personality);
        service.end(&browser.endpoint);
        let answer = sender.push(&browser, "x").await;
        assert_eq!(answer.status(), 410);
        assert!(answer.text().await.unwrap().contains(gone));
        let never = Subscription { endpoint: format!("{}/p/x", service.origin()), ..browser };
        assert_eq!(sender.push(&never, "x").await.status(), 404);

        // The others are not the sender's fault; this one is.
        service.journal().expect_violations();
        let browser = service.subscribe(Some(&sender.public()));
        assert_eq!(Sender::to(&service).push(&browser, "x").await.status(), other);
    }
}

#[tokio::test]
async fn ntfy_takes_everything() {
    let (service, sender, browser) = three(Personality::Ntfy);
    service.journal().expect_violations();
    service.end(&browser.endpoint);
    let answer = sender.post(&browser.endpoint, &Headers::new(), vec![0; 5000]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["event"], "message");
    assert!(service.journal().pushes()[0].violation.is_some());
}

#[tokio::test]
async fn answers_are_scripted() {
    let (service, sender, browser) = three(Personality::Mozilla);
    let busy = Personality::Mozilla.answer(Trouble::TooMany).unwrap();
    service.script().next(1, &busy);
    service.script().next_to(&browser.endpoint, 1, &Answer::new(502, "<html>").retry_after("7"));
    let answer = sender.push(&browser, "x").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (502, &"7".parse().unwrap()));
    let answer = sender.push(&browser, "x").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"120".parse().unwrap()));
    assert_eq!(sender.push(&browser, "x").await.status(), 201);
    assert_eq!(service.journal().accepted(), 1);
}
