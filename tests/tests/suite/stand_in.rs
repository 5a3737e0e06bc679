//! The stand-in for FCM is as strict as Google; a test that passes against it says something.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Certificate, StatusCode, Version};
use serde_json::{Value, json};
use simo_tests::{FakeFcm, clock, fcm::Answer};

struct Sender {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Sender {
    async fn new(fcm: &FakeFcm) -> Self {
        let http = trusting(fcm).build().unwrap();
        let (status, answer) = exchange(fcm, &http, |_| {}).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        Self {
            http,
            base: fcm.url().to_owned(),
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, message: Value) -> reqwest::Result<(StatusCode, Value)> {
        let answer = self
            .http
            .post(format!("{}/v1/projects/simo-standin/messages:send", self.base))
            .bearer_auth(&self.token)
            .json(&json!({ "message": message }))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

fn trusting(fcm: &FakeFcm) -> reqwest::ClientBuilder {
    let ca = Certificate::from_pem(fcm.ca_pem().as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca])
}

/// Asks for a bearer token with an assertion that `spoil` may change.
async fn exchange(
    fcm: &FakeFcm,
    http: &reqwest::Client,
    spoil: impl FnOnce(&mut Value),
) -> (StatusCode, Value) {
    let account: Value = serde_json::from_str(&fcm.service_account()).unwrap();
    let now = clock::now_us() / 1_000_000;
    let mut claims = json!({
        "iss": account["client_email"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
    });
    spoil(&mut claims);
    let key = EncodingKey::from_rsa_pem(account["private_key"].as_str().unwrap().as_bytes()).unwrap();
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let answer = http
        .post(account["token_uri"].as_str().unwrap())
        .form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ])
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn it_takes_a_good_push_over_http_2() {
    let fcm = FakeFcm::start();
    let sender = Sender::new(&fcm).await;
    let (status, answer) = sender
        .send(json!({"token": "a", "data": {"message_id": "1"}}))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(
        answer["name"]
            .as_str()
            .unwrap()
            .starts_with("projects/simo-standin/messages/")
    );
    let calls = fcm.journal().calls();
    assert_eq!((calls.len(), calls[0].message_id.as_deref()), (1, Some("1")));
}

#[tokio::test]
async fn it_refuses_what_google_refuses() {
    let fcm = FakeFcm::start();
    fcm.journal().expect_malformed();
    let mut sender = Sender::new(&fcm).await;
    let (status, answer) = sender
        .send(json!({"token": "a", "data": {"n": 1}}))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer["error"]["details"][0]["fieldViolations"][0]["field"],
        "message.data[n]"
    );

    let http1 = trusting(&fcm).http1_only().build().unwrap();
    let url = format!("{}/v1/projects/simo-standin/messages:send", fcm.url());
    let refused = http1.post(url).bearer_auth(&sender.token).send().await.unwrap();
    assert_eq!(
        (refused.version(), refused.status().as_u16()),
        (Version::HTTP_11, 505)
    );

    fcm.forget_tokens();
    let (status, _) = sender.send(json!({"token": "a"})).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    sender.token = "ya29.guessed".to_owned();
    assert_eq!(
        sender.send(json!({"token": "a"})).await.unwrap().0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(fcm.journal().accepted(), 0);
}

#[tokio::test]
async fn it_gives_tokens_only_for_true_assertions() {
    let fcm = FakeFcm::start();
    let http = trusting(&fcm).build().unwrap();
    let wrong: [fn(&mut Value); 5] = [
        |claims| claims["iss"] = json!("someone@else"),
        |claims| claims["scope"] = json!("https://www.googleapis.com/auth/drive"),
        |claims| claims["aud"] = json!("https://oauth2.googleapis.com/token"),
        |claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 3601),
        |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 600),
    ];
    for spoil in wrong {
        let (status, answer) = exchange(&fcm, &http, spoil).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert_eq!(fcm.tokens_issued(), 0);
}

#[tokio::test]
async fn it_fails_as_it_is_told() {
    let fcm = FakeFcm::start();
    let sender = Sender::new(&fcm).await;
    let push = json!({"token": "a"});
    for (answer, status, code) in [
        (Answer::Unregistered, 404, Some("UNREGISTERED")),
        (Answer::InvalidToken, 400, Some("INVALID_ARGUMENT")),
        (Answer::SenderIdMismatch, 403, Some("SENDER_ID_MISMATCH")),
        (Answer::ThirdPartyAuth, 401, Some("THIRD_PARTY_AUTH_ERROR")),
        (Answer::QuotaProject(Some(5)), 429, Some("QUOTA_EXCEEDED")),
        (Answer::Unavailable(None), 503, Some("UNAVAILABLE")),
        (Answer::WrongProject, 404, None),
        (Answer::Internal, 500, None),
    ] {
        fcm.script().next(1, answer);
        let (got, body) = sender.send(push.clone()).await.unwrap();
        assert_eq!(got.as_u16(), status, "{answer:?}");
        assert_eq!(
            body["error"]["details"][0]["errorCode"].as_str(),
            code,
            "{answer:?}"
        );
    }
    fcm.script().next(1, Answer::Html);
    assert_eq!(
        sender.send(push.clone()).await.unwrap().0,
        StatusCode::BAD_GATEWAY
    );
    fcm.script().next(1, Answer::ResetStream);
    sender.send(push.clone()).await.unwrap_err();
    fcm.script().next(1, Answer::Hang);
    tokio::time::timeout(Duration::from_millis(100), sender.send(push.clone()))
        .await
        .unwrap_err();
    fcm.script().next(1, Answer::DropConnection);
    sender.send(push.clone()).await.unwrap_err();
    fcm.script().next(1, Answer::GoAway);
    assert_eq!(sender.send(push.clone()).await.unwrap().0, StatusCode::OK);
    assert_eq!(sender.send(push).await.unwrap().0, StatusCode::OK);
    assert_eq!(fcm.journal().accepted(), 2);
}
