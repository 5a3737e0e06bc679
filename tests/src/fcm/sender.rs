//! A minimal sender: the cost of a push when nothing is stored or retried. Tests of the stand-in use it, and the load
//! tool measures simod's drain against it.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Certificate, StatusCode};
use serde_json::{Value, json};

use super::PROJECT;
use crate::clock;

/// A client of the stand-in with a bearer token.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Sender {
    /// Gets a token for this service account.
    pub async fn new(base: &str, service_account: &str, ca_pem: &str) -> Self {
        let http = trusting(ca_pem).build().expect("a client");
        let (status, answer) = exchange(service_account, &http, |_| {}).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        Self {
            http,
            url: format!("{base}/v1/projects/{PROJECT}/messages:send"),
            token: answer["access_token"].as_str().expect("a token").to_owned(),
        }
    }

    /// The same token over a new connection.
    #[must_use]
    pub fn on_another_connection(&self, ca_pem: &str) -> Self {
        Self { http: trusting(ca_pem).build().expect("a client"), ..self.clone() }
    }

    /// The same sender with another token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Sends one message: status and body (text that is not JSON as a string).
    ///
    /// # Errors
    /// No answer arrived.
    pub async fn send(&self, message: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let answer = self
            .http
            .post(&self.url)
            .bearer_auth(&self.token)
            .json(&json!({ "message": message }))
            .send()
            .await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok((status, value))
    }
}

/// Builds an HTTP client that trusts only the stand-in.
pub fn trusting(ca_pem: &str) -> reqwest::ClientBuilder {
    let ca = Certificate::from_pem(ca_pem.as_bytes()).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([ca])
}

/// Requests a bearer token with an assertion whose claims `spoil` may change.
pub async fn exchange(
    service_account: &str,
    http: &reqwest::Client,
    spoil: impl FnOnce(&mut Value),
) -> (StatusCode, Value) {
    let account: Value = serde_json::from_str(service_account).expect("the account is JSON");
    let text = |key: &str| account[key].as_str().expect("the account is whole").to_owned();
    let now = clock::now_us() / 1_000_000;
    let mut claims = json!({
        "iss": text("client_email"),
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": text("token_uri"),
        "iat": now,
        "exp": now + 3600,
    });
    spoil(&mut claims);
    let key = EncodingKey::from_rsa_pem(text("private_key").as_bytes()).expect("the key is a key");
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("it signs");
    let answer = http
        .post(text("token_uri"))
        .form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ])
        .send()
        .await
        .expect("the stand-in answers");
    let status = answer.status();
    (status, answer.json().await.expect("the answer is JSON"))
}
