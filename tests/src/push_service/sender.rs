//! A sender of its own, for tests of the stand-in and of browsers without simod.

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

/// Whoever posts, with a VAPID key of its own.
pub struct Sender {
    key: EcdsaKeyPair,
    http: Client,
    origin: String,
}

impl Sender {
    /// With a new key, trusting this service.
    pub fn to(service: &PushService) -> Self {
        Self::at(service.origin(), service.ca_pem())
    }

    /// With a new key, to the service at this origin.
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

    /// What its token says where all is well.
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

    /// The headers of a good push.
    pub fn headers(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("authorization", self.authorization(&self.claims())),
            ("ttl", "60".to_owned()),
            ("urgency", "high".to_owned()),
            ("content-encoding", "aes128gcm".to_owned()),
        ])
    }

    /// Posts these headers and this body.
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

    /// Encrypts `text` for this subscription and posts it as one should.
    pub async fn push(&self, to: &Subscription, text: &str) -> Response {
        let decoded = |text: &str| BASE64.decode(text).expect("a browser's keys are base64url");
        let body = encryption::encrypt(&decoded(&to.p256dh), &decoded(&to.auth), text.as_bytes());
        self.post(&to.endpoint, &self.headers(), body).await
    }
}
