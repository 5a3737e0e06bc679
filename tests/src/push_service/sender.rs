//! A minimal sender, for tests of the stand-in and of browsers without simod.

use std::collections::BTreeMap;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};

use super::{PushService, Subscription, encryption};
use crate::clock;

/// A sender with its own VAPID key.
pub struct Sender {
    key: EcdsaKeyPair,
    http: Client,
    origin: String,
}

impl Sender {
    /// Makes a sender with a new key that trusts this service.
    pub fn to(service: &PushService) -> Self {
        Self::at(service.origin(), service.ca_pem())
    }

    /// Makes a sender with a new key for the service at this origin.
    pub fn at(origin: &str, ca_pem: &str) -> Self {
        let ca = Certificate::from_pem(ca_pem.as_bytes()).expect("the CA is a certificate");
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            http: Client::builder().tls_certs_only([ca]).no_proxy().build().expect("a client"),
            origin: origin.to_owned(),
        }
    }

    /// The public half of its key, base64url.
    pub fn public(&self) -> String {
        BASE64.encode(self.key.public_key())
    }

    /// The claims of a valid token.
    pub fn claims(&self) -> Value {
        json!({"aud": self.origin, "exp": clock::now_us() / 1_000_000 + 3600, "sub": "mailto:duty@example.org"})
    }

    /// `Authorization` with these claims.
    pub fn authorization(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "ES256"});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("it can sign");
        format!("vapid t={signed}.{}, k={}", BASE64.encode(signature), self.public())
    }

    /// The headers of a valid push.
    pub fn headers(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("authorization", self.authorization(&self.claims())),
            ("ttl", "60".to_owned()),
            ("urgency", "high".to_owned()),
            ("content-encoding", "aes128gcm".to_owned()),
        ])
    }

    /// Posts this body with these headers.
    pub async fn post(
        &self,
        endpoint: &str,
        headers: &BTreeMap<&'static str, String>,
        body: Vec<u8>,
    ) -> Response {
        let mut request = self.http.post(endpoint).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.expect("the stand-in answers")
    }

    /// Encrypts `text` for this subscription and posts it correctly.
    pub async fn push(&self, to: &Subscription, text: &str) -> Response {
        let decoded = |text: &str| BASE64.decode(text).expect("a browser's keys are base64url");
        let body = encryption::encrypt(&decoded(&to.p256dh), &decoded(&to.auth), text.as_bytes());
        self.post(&to.endpoint, &self.headers(), body).await
    }
}
