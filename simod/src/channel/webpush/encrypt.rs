//! Encryption to a subscription: RFC 8291 over RFC 8188, one record.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand,
};

use super::address::{POINT, Subscription};

/// The record's size, which every sender announces; push services accept bodies of at least this size (RFC 8030 §7.2).
const RECORD: usize = 4096;

const SALT: usize = 16;

/// Salt, record size, length of the key, key (RFC 8188 §2.1).
const HEADER: usize = SALT + 4 + 1 + POINT;

/// The longest text that fits: the last byte before the tag marks the last record.
pub(super) const TEXT_BYTES: usize = RECORD - HEADER - MAX_TAG_LEN - 1;

/// Texts are padded to multiples of this, so that their length does not give away their content.
const PADDED_TO: usize = 128;

/// Encrypts a text of at most `most` bytes with a fresh key pair and salt.
///
/// # Errors
/// The text is longer, or the subscription's key is not a point on the curve.
pub(super) fn encrypt(to: &Subscription, text: &[u8], most: usize) -> Result<Vec<u8>, Unspecified> {
    if text.len() > most.min(TEXT_BYTES) {
        return Err(Unspecified);
    }
    let mut salt = [0; SALT];
    rand::fill(&mut salt)?;
    let padded = text.len().next_multiple_of(PADDED_TO).min(most);
    with(to, text, padded, &PrivateKey::generate(&ECDH_P256)?, salt)
}

/// The same with the randomness given, padded to so many bytes.
fn with(
    to: &Subscription,
    text: &[u8],
    padded: usize,
    key: &PrivateKey,
    salt: [u8; SALT],
) -> Result<Vec<u8>, Unspecified> {
    let public = key.compute_public_key()?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, &to.p256dh);
    let ikm: [u8; 32] = agree(key, peer, Unspecified, |shared| {
        let secret = Salt::new(HKDF_SHA256, &to.auth).extract(shared);
        expand(&secret, &[b"WebPush: info\0", &to.p256dh, public.as_ref()])
    })?;
    let prk = Salt::new(HKDF_SHA256, &salt).extract(&ikm);
    let content_key: [u8; 16] = expand(&prk, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; NONCE_LEN] = expand(&prk, &[b"Content-Encoding: nonce\0"])?;

    let mut record = text.to_vec();
    record.push(2);
    record.resize(padded + 1, 0);
    let content_key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key)?);
    content_key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)?;

    let mut body = Vec::with_capacity(HEADER + record.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&(RECORD as u32).to_be_bytes());
    body.push(POINT as u8);
    body.extend_from_slice(public.as_ref());
    body.append(&mut record);
    Ok(body)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    prk.expand(info, Length(N))?.fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use url::Url;

    use super::{super::address::BASE64, *};

    /// RFC 8291, appendix A.
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const RECEIVER: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
    const SENDER: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const SALT_THERE: &str = "DGv6ra1nlYgDCS1FRnbzlw";
    const TEXT: &str = "When I grow up, I want to be a watermelon";
    const BODY: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

    fn private(text: &str) -> PrivateKey {
        PrivateKey::from_private_key(&ECDH_P256, &BASE64.decode(text).unwrap()).unwrap()
    }

    /// A phone, with its private key.
    pub(in super::super) fn phone(endpoint: &str) -> (Subscription, PrivateKey) {
        let key = private(RECEIVER);
        let subscription = Subscription {
            endpoint: Url::parse(endpoint).unwrap(),
            p256dh: key.compute_public_key().unwrap().as_ref().try_into().unwrap(),
            auth: BASE64.decode(AUTH).unwrap().try_into().unwrap(),
        };
        (subscription, key)
    }

    /// The text that the phone reads, and the length of the padded one.
    pub(in super::super) fn decrypted(to: &Subscription, key: &PrivateKey, body: &[u8]) -> (Vec<u8>, usize) {
        let (header, record) = body.split_at(HEADER);
        let sender = &header[SALT + 5..];
        let ikm: [u8; 32] = agree(key, UnparsedPublicKey::new(&ECDH_P256, sender), Unspecified, |shared| {
            let secret = Salt::new(HKDF_SHA256, &to.auth).extract(shared);
            expand(&secret, &[b"WebPush: info\0", &to.p256dh, sender])
        })
        .unwrap();
        let prk = Salt::new(HKDF_SHA256, &header[..SALT]).extract(&ikm);
        let content_key: [u8; 16] = expand(&prk, &[b"Content-Encoding: aes128gcm\0"]).unwrap();
        let nonce: [u8; NONCE_LEN] = expand(&prk, &[b"Content-Encoding: nonce\0"]).unwrap();
        let content_key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key).unwrap());
        let mut record = record.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let text = content_key.open_in_place(nonce, Aad::empty(), &mut record).unwrap();
        let end = text.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(text[end], 2, "the last record says so");
        (text[..end].to_vec(), text.len() - 1)
    }

    #[test]
    fn it_is_what_the_rfc_says() {
        let (to, _) = phone("https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV");
        let salt = BASE64.decode(SALT_THERE).unwrap().try_into().unwrap();
        let body = with(&to, TEXT.as_bytes(), TEXT.len(), &private(SENDER), salt).unwrap();
        assert_eq!(BASE64.encode(body), BODY);
    }

    #[test]
    fn texts_are_padded_up_to_what_fits() {
        let (to, key) = phone("https://web.push.apple.com/x");
        for (length, padded) in [(0, 0), (1, 128), (128, 128), (129, 256), (3_969, 3_993), (3_993, 3_993)] {
            let text = vec![b'x'; length];
            let body = encrypt(&to, &text, TEXT_BYTES).unwrap();
            assert_eq!(body.len(), padded + 103);
            assert_eq!(decrypted(&to, &key, &body), (text, padded));
        }
        assert_eq!(TEXT_BYTES, 3_993);
        assert_eq!(encrypt(&to, &[b'x'; 2_570], 2_600).unwrap().len(), 2_703, "padded within the budget");
        assert!(encrypt(&to, &[b'x'; 3_994], 4_096).is_err());
    }

    #[test]
    fn no_two_bodies_are_alike() {
        let (to, _) = phone("https://web.push.apple.com/x");
        let (one, two) = (encrypt(&to, b"x", TEXT_BYTES).unwrap(), encrypt(&to, b"x", TEXT_BYTES).unwrap());
        assert_ne!(one[..SALT], two[..SALT]);
        assert_ne!(one[SALT + 5..HEADER], two[SALT + 5..HEADER]);
    }

    #[test]
    fn another_implementation_reads_it() {
        let (to, _) = phone("https://push.example.org/a");
        let key = web_push_native::p256::SecretKey::from_slice(&BASE64.decode(RECEIVER).unwrap()).unwrap();
        for text in ["", "Котёл 2: давление", &"ё".repeat(TEXT_BYTES / 2)] {
            let body = encrypt(&to, text.as_bytes(), TEXT_BYTES).unwrap();
            let read = web_push_native::decrypt(body, &key, &to.auth.into()).unwrap();
            // The reader keeps the padding.
            assert_eq!(String::from_utf8(read).unwrap().trim_end_matches('\0'), text);
        }
    }
}
