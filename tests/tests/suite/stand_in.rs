//! The stand-in for FCM is as strict as Google, so that tests that pass against it mean something.

use std::time::Duration;

use reqwest::{StatusCode, Version};
use serde_json::{Value, json};
use simo_tests::{
    FakeFcm,
    fcm::{
        Answer,
        sender::{Sender, exchange, trusting},
    },
};

async fn sender(fcm: &FakeFcm) -> Sender {
    Sender::new(fcm.url(), &fcm.service_account(), fcm.ca_pem()).await
}

#[tokio::test]
async fn it_takes_a_good_push_over_http_2() {
    let fcm = FakeFcm::start();
    let sender = sender(&fcm).await;
    let (status, answer) = sender.send(&json!({"token": "a", "data": {"message_id": "1"}})).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["name"].as_str().unwrap().starts_with("projects/simo-standin/messages/"));
    let calls = fcm.journal().calls();
    assert_eq!((calls.len(), calls[0].message_id.as_deref()), (1, Some("1")));
}

#[tokio::test]
async fn it_refuses_what_google_refuses() {
    let fcm = FakeFcm::start();
    fcm.journal().expect_malformed();
    let sender = sender(&fcm).await;
    let (status, answer) = sender.send(&json!({"token": "a", "data": {"n": 1}})).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"]["details"][0]["fieldViolations"][0]["field"], "message.data[n]");

    let http1 = trusting(fcm.ca_pem()).http1_only().build().unwrap();
    let url = format!("{}/v1/projects/simo-standin/messages:send", fcm.url());
    let refused = http1.post(url).send().await.unwrap();
    assert_eq!((refused.version(), refused.status().as_u16()), (Version::HTTP_11, 505));

    fcm.forget_tokens();
    let (status, _) = sender.send(&json!({"token": "a"})).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let guessing = sender.with_token("ya29.guessed");
    let (status, _) = guessing.send(&json!({"token": "a"})).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(fcm.journal().accepted(), 0);
}

#[tokio::test]
async fn it_gives_tokens_only_for_true_assertions() {
    let fcm = FakeFcm::start();
    let http = trusting(fcm.ca_pem()).build().unwrap();
    let wrong: [fn(&mut Value); 5] = [
        |claims| claims["iss"] = json!("someone@else"),
        |claims| claims["scope"] = json!("https://www.googleapis.com/auth/drive"),
        |claims| claims["aud"] = json!("https://oauth2.googleapis.com/token"),
        |claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 3601),
        |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 600),
    ];
    for spoil in wrong {
        let (status, answer) = exchange(&fcm.service_account(), &http, spoil).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert_eq!(fcm.tokens_issued(), 0);
}

#[tokio::test]
async fn it_fails_as_it_is_told() {
    let fcm = FakeFcm::start();
    let sender = sender(&fcm).await;
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
        let (got, body) = sender.send(&push).await.unwrap();
        assert_eq!(got.as_u16(), status, "{answer:?}");
        assert_eq!(body["error"]["details"][0]["errorCode"].as_str(), code, "{answer:?}");
    }
    fcm.script().next(1, Answer::Html);
    assert_eq!(sender.send(&push).await.unwrap().0, StatusCode::BAD_GATEWAY);
    fcm.script().next(1, Answer::ResetStream);
    sender.send(&push).await.unwrap_err();
    fcm.script().next(1, Answer::Hang);
    tokio::time::timeout(Duration::from_millis(100), sender.send(&push)).await.unwrap_err();
    fcm.script().next(1, Answer::DropConnection);
    sender.send(&push).await.unwrap_err();
    // The pool may not have noticed yet that the connection was closed.
    let sender = self::sender(&fcm).await;
    fcm.script().next(1, Answer::GoAway);
    assert_eq!(sender.send(&push).await.unwrap().0, StatusCode::OK);
    assert_eq!(sender.send(&push).await.unwrap().0, StatusCode::OK);
    assert_eq!(fcm.journal().accepted(), 2);
}
