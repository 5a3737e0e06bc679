//! The sender's identity: the installation's key pair, and the tokens that it signs for push services (RFC 8292).

use std::fmt;

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    encoding::{AsBigEndian as _, EcPrivateKeyBin},
    error::Unspecified,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use simo_common::time::{HOUR, SECOND};

use super::address::BASE64;

/// How long a token is valid; push services accept a day at most.
const VALID_FOR: i64 = 12 * HOUR;

/// The age at which a token is renewed.
pub(super) const USED_FOR: i64 = 6 * HOUR;

/// The installation's key. Subscriptions are tied to its public half: with another key none of them works any more.
pub struct VapidKey {
    pair: EcdsaKeyPair,
    public: String,
    private: SecretString,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    sub: &'a str,
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl VapidKey {
    /// A new key.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn generate() -> Result<Self, Unspecified> {
        Self::of(&PrivateKey::generate(&ECDH_P256)?)
    }

    /// Reads a private key: 32 bytes in base64url, as it is stored and as other programs write it, or PEM (PKCS#8 or SEC 1).
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let key = if text.starts_with("-----BEGIN") {
            // `openssl ecparam -genkey` writes the curve's name before the key.
            let begin = text.rmatch_indices("-----BEGIN").map(|(at, _)| &text[at..]);
            let pem = begin.into_iter().find(|part| part.contains("PRIVATE KEY-----"))?;
            let lines = pem.lines().skip(1).take_while(|line| !line.starts_with("-----"));
            let der =
                base64::prelude::BASE64_STANDARD.decode(lines.map(str::trim).collect::<String>()).ok()?;
            PrivateKey::from_private_key_der(&ECDH_P256, &der).ok()?
        } else {
            PrivateKey::from_private_key(&ECDH_P256, &BASE64.decode(text).ok()?).ok()?
        };
        Self::of(&key).ok()
    }

    fn of(key: &PrivateKey) -> Result<Self, Unspecified> {
        let private: EcPrivateKeyBin<'static> = key.as_be_bytes()?;
        let public = key.compute_public_key()?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private.as_ref(),
            public.as_ref(),
        )?;
        Ok(Self { pair, public: BASE64.encode(public), private: BASE64.encode(private.as_ref()).into() })
    }

    /// The public half, with which apps subscribe, in base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The secret half.
    pub fn private(&self) -> &str {
        self.private.expose_secret()
    }

    /// The value of `Authorization` that identifies us to the push service of `origin`.
    pub(super) fn authorization(&self, origin: &str, subject: &str, now: i64) -> Result<String, Unspecified> {
        let claims = Claims { aud: origin, exp: (now + VALID_FOR) / SECOND, sub: subject };
        // Strings and a number always serialise.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed =
            format!("{}.{}", BASE64.encode(br#"{"typ":"JWT","alg":"ES256"}"#), BASE64.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("vapid t={signed}.{}, k={}", BASE64.encode(signature), self.public))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer as _, EcPrivateKeyRfc5915Der},
        signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
    };
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_token_names_the_origin_with_its_port_and_is_signed() {
        let key = VapidKey::generate().unwrap();
        let now = 1_795_251_600 * SECOND;
        let said =
            key.authorization("https://ntfy.plant.example:8443", "mailto:it@plant.example", now).unwrap();
        let (token, public) = said.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(public, key.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, BASE64.decode(public).unwrap())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
        assert_eq!(read(header), json!({"typ": "JWT", "alg": "ES256"}));
        let exp = 1_795_251_600 + 12 * 3_600;
        let claimed =
            json!({"aud": "https://ntfy.plant.example:8443", "exp": exp, "sub": "mailto:it@plant.example"});
        assert_eq!(read(claims), claimed);
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_shown_by_chance() {
        let key = VapidKey::generate().unwrap();
        assert_eq!((key.public().len(), key.private().len()), (87, 43));
        assert_eq!(VapidKey::read(&format!(" {}\n", key.private())).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(key.private()));
        for wrong in ["", "AAAA", key.public(), &"A".repeat(43), "-----BEGIN PRIVATE KEY-----\nAAAA\n"] {
            assert!(VapidKey::read(wrong).is_none(), "{wrong}");
        }
    }

    /// As `openssl ecparam -genkey -name prime256v1` and `openssl pkcs8 -topk8 -nocrypt` write it.
    #[test]
    fn a_key_is_read_from_what_openssl_writes() {
        let key = VapidKey::generate().unwrap();
        let private =
            PrivateKey::from_private_key(&ECDH_P256, &BASE64.decode(key.private()).unwrap()).unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = private.as_der().unwrap();
        let pem = |kind: &str, der: &[u8]| {
            let text = base64::prelude::BASE64_STANDARD.encode(der);
            let (first, rest) = text.split_at(64);
            format!("-----BEGIN {kind}-----\n{first}\n{rest}\n-----END {kind}-----\n")
        };
        let curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let sec1 = format!("{curve}{}", pem("EC PRIVATE KEY", sec1.as_ref()));
        let pkcs8 = pem("PRIVATE KEY", key.pair.to_pkcs8v1().unwrap().as_ref());
        for pem in [sec1, pkcs8] {
            assert_eq!(VapidKey::read(&pem).unwrap().public(), key.public());
        }
    }
}
