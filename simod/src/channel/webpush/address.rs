//! A browser's subscription: the URL at its push service, and the public half of its keys.

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use simo_common::{api::device::ChannelAddress, lang::Text, text};
use url::Url;

use super::endpoint::{self, Listed};
use crate::channel::{Address, Found};

/// Bytes of an uncompressed point, and of the secret that goes with it (RFC 8291 §3.1, §3.2).
pub(super) const POINT: usize = 65;
const SECRET: usize = 16;

/// Base64 as browsers write it, with or without padding.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The parts of an address made by [`read`].
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) endpoint: Url,
    pub(super) p256dh: [u8; POINT],
    pub(super) auth: [u8; SECRET],
}

/// Reads the subscription that a phone has sent.
///
/// # Errors
/// The wrong fields.
pub(crate) fn read(said: &ChannelAddress, listed: &Listed) -> Result<Found, Vec<(&'static str, Text)>> {
    let mut errors = Vec::new();
    let endpoint = endpoint::read(said.endpoint.as_deref().unwrap_or_default(), listed);
    let endpoint = endpoint.map_err(|text| errors.push(("endpoint", text))).ok();
    let keys = said.keys.as_ref();
    let p256dh = bytes::<POINT>(keys.map(|keys| &*keys.p256dh)).filter(is_point);
    let auth = bytes::<SECRET>(keys.map(|keys| &*keys.auth));
    if p256dh.is_none() {
        let text = text!(
            "the subscription's public key: {POINT} bytes in base64url, an uncompressed point on the curve P-256",
            "открытый ключ подписки: {POINT} байт в base64url, несжатая точка кривой P-256"
        );
        errors.push(("keys.p256dh", text));
    }
    if auth.is_none() {
        let text = text!(
            "the subscription's secret: {SECRET} bytes in base64url",
            "секрет подписки: {SECRET} байт в base64url"
        );
        errors.push(("keys.auth", text));
    }
    match (endpoint, p256dh, auth) {
        (Some(endpoint), Some(p256dh), Some(auth)) => {
            // URLs contain no spaces.
            let text = format!("{endpoint} {} {}", BASE64.encode(p256dh), BASE64.encode(auth));
            Ok(Found { address: Some(Address::new(text)), endpoint: Some(endpoint.into()) })
        }
        _ => Err(errors),
    }
}

/// Splits an address made by [`read`]; `None` when it is malformed, or pushes may not go there any more.
pub(super) fn parts(address: &Address, listed: &Listed) -> Option<Subscription> {
    let mut words = address.as_str().split(' ');
    Some(Subscription {
        endpoint: endpoint::read(words.next()?, listed).ok()?,
        p256dh: bytes(words.next())?,
        auth: bytes(words.next())?,
    })
}

fn bytes<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    BASE64.decode(text?).ok()?.try_into().ok()
}

fn is_point(bytes: &[u8; POINT]) -> bool {
    bytes[0] == 4 && ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use simo_common::api::device::SubscriptionKeys;

    use super::*;

    /// RFC 8291, appendix A.
    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const ENDPOINT: &str = "https://fcm.googleapis.com/fcm/send/x";

    fn said(endpoint: &str, p256dh: &str, auth: &str) -> ChannelAddress {
        let keys = SubscriptionKeys { p256dh: p256dh.to_owned(), auth: auth.to_owned() };
        ChannelAddress {
            kind: "webpush".to_owned(),
            address: None,
            address_kind: None,
            endpoint: Some(endpoint.to_owned()),
            keys: Some(keys),
            notifications: None,
        }
    }

    #[test]
    fn a_subscription_becomes_one_text_and_its_parts_again() {
        for padding in ["", "="] {
            let said = said(ENDPOINT, &format!("{P256DH}{padding}"), &format!("{AUTH}{padding}{padding}"));
            let found = read(&said, &Listed::default()).unwrap();
            assert_eq!(found.endpoint.as_deref(), Some(ENDPOINT));
            let address = found.address.unwrap();
            assert_eq!(address.as_str(), format!("{ENDPOINT} {P256DH} {AUTH}"));
            let parts = parts(&address, &Listed::default()).unwrap();
            assert_eq!((parts.endpoint.as_str(), parts.p256dh[0]), (ENDPOINT, 4));
            assert_eq!(BASE64.encode(parts.auth), AUTH);
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let mut off_the_curve = BASE64.decode(P256DH).unwrap();
        off_the_curve[64] ^= 1;
        let mut compressed = BASE64.decode(P256DH).unwrap();
        compressed[0] = 2;
        for (said, fields) in [
            (said("http://x", "", "?"), ["endpoint", "keys.p256dh", "keys.auth"].as_slice()),
            (said(ENDPOINT, &BASE64.encode(&off_the_curve), AUTH), &["keys.p256dh"]),
            (said(ENDPOINT, &BASE64.encode(&compressed), AUTH), &["keys.p256dh"]),
            (said(ENDPOINT, &BASE64.encode(&compressed[..33]), AUTH), &["keys.p256dh"]),
            (said(ENDPOINT, P256DH, &AUTH[..20]), &["keys.auth"]),
            (said("https://ntfy.plant.example/up", P256DH, AUTH), &["endpoint"]),
            (ChannelAddress { keys: None, ..said(ENDPOINT, "", "") }, &["keys.p256dh", "keys.auth"]),
        ] {
            let errors = read(&said, &Listed::default()).unwrap_err();
            assert_eq!(errors.iter().map(|(field, _)| *field).collect::<Vec<_>>(), fields);
        }
    }

    #[test]
    fn a_host_that_is_listed_no_more_is_sent_nothing() {
        let listed = Listed::new(&["ntfy.plant.example".to_owned()]).unwrap();
        let found = read(&said("https://ntfy.plant.example/up", P256DH, AUTH), &listed).unwrap();
        let address = found.address.unwrap();
        assert!(parts(&address, &listed).is_some());
        assert!(parts(&address, &Listed::default()).is_none());
    }
}
