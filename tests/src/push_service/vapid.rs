//! RFC 8292 as the strictest of the services checks it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::Deserialize;
use url::Url;

const LONGEST: i64 = 24 * 3600;

/// The `Authorization` header and the origin it was for.
type At = (String, String);
/// The sender's key, and the second when the token expires.
type Good = (Vec<u8>, i64);

/// Tokens that were verified: each is verified only once.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<At, Good>>);

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    sub: String,
}

impl Tokens {
    /// The sender's key from this `Authorization` header, checked for this origin.
    pub(super) fn key(&self, authorization: &str, origin: &str, now: i64) -> Result<Vec<u8>, String> {
        let at = (authorization.to_owned(), origin.to_owned());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&at).cloned();
        let (key, exp) = match known {
            Some(known) => known,
            None => verified(authorization, origin, now)?,
        };
        if exp <= now {
            return Err("the token has ended".to_owned());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(at, (key.clone(), exp));
        Ok(key)
    }
}

fn verified(authorization: &str, origin: &str, now: i64) -> Result<Good, String> {
    let fields = authorization.strip_prefix("vapid ").ok_or("not the scheme vapid")?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name));
        found.ok_or_else(|| format!("{name} is missing"))
    };
    let (token, key) = (field("t=")?, decoded(field("k=")?)?);
    if key.len() != 65 {
        return Err("the key is no uncompressed point".to_owned());
    }
    let (signed, signature) = token.rsplit_once('.').ok_or("no token")?;
    let (header, claims) = signed.split_once('.').ok_or("no token")?;
    let header: Header = parsed(header)?;
    if header.alg != "ES256" {
        return Err(format!("signed with {}", header.alg));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| "the signature is wrong")?;
    let claims: Claims = parsed(claims)?;
    if claims.aud != origin {
        return Err(format!("aud is {}, not {origin}", claims.aud));
    }
    if claims.exp > now + LONGEST {
        return Err("exp is more than a day ahead".to_owned());
    }
    if !reachable(&claims.sub) {
        return Err(format!("sub is {}", claims.sub));
    }
    Ok((key, claims.exp))
}

/// Whether Apple accepts it: a `mailto:` or `https:` address on a host that could exist.
fn reachable(subject: &str) -> bool {
    let host = match subject.strip_prefix("mailto:") {
        Some(address) => address.split_once('@').map(|(_, host)| host.to_owned()),
        None => Url::parse(subject)
            .ok()
            .filter(|url| url.scheme() == "https")
            .and_then(|url| url.host_str().map(str::to_owned)),
    };
    let nowhere = [".localhost", ".local", ".invalid"];
    !subject.contains(['<', '>', ' '])
        && host.is_some_and(|host| host.contains('.') && !nowhere.iter().any(|end| host.ends_with(end)))
}

fn parsed<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, String> {
    serde_json::from_slice(&decoded(part)?).map_err(|error| error.to_string())
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(text).map_err(|error| error.to_string())
}
