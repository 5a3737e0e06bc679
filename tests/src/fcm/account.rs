//! The service account: its key, the assertions it signs, and the bearer tokens exchanged for them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rand::{RngExt, distr::Alphanumeric};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::PROJECT;

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EMAIL: &str = "firebase-adminsdk@simo-standin.iam.gserviceaccount.com";
const KEY_ID: &str = "5f0c9a1d2e3b4c5d6e7f8091a2b3c4d5e6f70819";
/// Google tolerates this much clock skew, in seconds.
const SKEW: i64 = 60;

/// An RSA key of 2,048 bits.
pub(super) struct Key {
    private_pem: String,
    public: DecodingKey,
}

impl Key {
    pub(super) fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("a key can be written");
        let mut private_pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
            private_pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            private_pem.push('\n');
        }
        private_pem.push_str("-----END PRIVATE KEY-----\n");
        Self { private_pem, public: DecodingKey::from_rsa_der(pair.public_key().as_ref()) }
    }
}

/// Lifetime of a bearer token.
const TOKEN_SECONDS: u64 = 3_599;

/// The account, and its valid bearer tokens.
pub(super) struct Account {
    key: Arc<Key>,
    token_uri: String,
    tokens: Mutex<HashMap<String, Instant>>,
    issued: AtomicUsize,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Account {
    pub(super) fn new(key: Arc<Key>, base: &str) -> Self {
        Self {
            key,
            token_uri: format!("{base}/token"),
            tokens: Mutex::default(),
            issued: AtomicUsize::new(0),
        }
    }

    pub(super) fn json(&self) -> String {
        json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": self.key.private_pem,
            "client_email": EMAIL,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        })
        .to_string()
    }

    /// Answers a token request: status and body, worded as in OAuth 2.0 (RFC 6749 §5) and by Google.
    pub(super) fn exchange(&self, content_type: &str, form: &[u8], now: i64) -> (u16, serde_json::Value) {
        match self.checked(content_type, form, now) {
            Ok(()) => {
                let secret: String =
                    rand::rng().sample_iter(Alphanumeric).take(120).map(char::from).collect();
                let token = format!("ya29.{secret}");
                self.lock().insert(token.clone(), Instant::now() + Duration::from_secs(TOKEN_SECONDS));
                self.issued.fetch_add(1, Ordering::Relaxed);
                (200, json!({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}))
            }
            Err((error, description)) => (400, json!({"error": error, "error_description": description})),
        }
    }

    /// Whether this `Authorization` header carries a valid token.
    pub(super) fn admits(&self, authorization: Option<&str>) -> bool {
        authorization
            .and_then(|header| header.strip_prefix("Bearer "))
            .and_then(|token| self.lock().get(token).copied())
            .is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn forget_tokens(&self) {
        self.lock().clear();
    }

    pub(super) fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }

    fn checked(&self, content_type: &str, form: &[u8], now: i64) -> Result<(), (&'static str, String)> {
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return Err(("invalid_request", format!("Bad content type: {content_type}")));
        }
        let form: HashMap<_, _> = form_urlencoded::parse(form).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some(GRANT) {
            return Err(("unsupported_grant_type", "Invalid grant_type".to_owned()));
        }
        let assertion =
            form.get("assertion").ok_or(("invalid_request", "Missing parameter: assertion".to_owned()))?;
        let grant = |text: &str| ("invalid_grant", text.to_owned());

        let header = jsonwebtoken::decode_header(assertion).map_err(|_| grant("Invalid JWT."))?;
        if header.kid.as_deref().is_some_and(|kid| kid != KEY_ID) {
            return Err(grant("Invalid JWT Signature."));
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(assertion, &self.key.public, &validation)
            .map_err(|error| grant(&format!("Invalid JWT Signature. ({error})")))?
            .claims;
        if claims.iss != EMAIL {
            return Err(grant("Invalid grant: account not found"));
        }
        if claims.aud != self.token_uri {
            return Err(grant("Invalid JWT: Failed audience check."));
        }
        let short = claims.exp > claims.iat && claims.exp - claims.iat <= 3_600;
        if !short || claims.iat > now + SKEW || claims.exp < now - SKEW {
            return Err(grant(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                 Check your iat and exp values in the JWT claim.",
            ));
        }
        if !claims.scope.split(' ').any(|scope| scope == SCOPE) {
            return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided.".to_owned()));
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
