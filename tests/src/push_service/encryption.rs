//! RFC 8291 written out, HMAC by HMAC: independent of simod's code, so that both do not share a mistake.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    hmac,
};
use rand::random;

/// Bytes before the ciphertext: salt, record size, key length, the sender's key.
pub const HEADER: usize = 16 + 4 + 1 + 65;

/// The secrets that a browser keeps for a subscription.
pub struct Receiver {
    private: PrivateKey,
    auth: [u8; 16],
}

impl Default for Receiver {
    fn default() -> Self {
        Self { private: PrivateKey::generate(&ECDH_P256).expect("a key"), auth: random() }
    }
}

impl Receiver {
    /// The public key that the sender encrypts for: 65 bytes.
    pub fn p256dh(&self) -> Vec<u8> {
        point(&self.private)
    }

    /// The secret shared with the sender.
    pub fn auth(&self) -> &[u8] {
        &self.auth
    }

    /// Decrypts `body` and removes the padding.
    ///
    /// # Errors
    /// Why it cannot be decrypted.
    pub fn open(&self, body: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (header, ciphertext) = body.split_at_checked(HEADER).ok_or("shorter than its header")?;
        let (salt, sender) = (&header[..16], &header[21..]);
        let (key, nonce) = keys(&self.private, sender, &self.auth, &self.p256dh(), sender, salt)
            .ok_or("the sender's key is no point")?;
        let mut text = ciphertext.to_vec();
        let length = key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| "not for this key")?.len();
        text.truncate(length);
        let end = text.iter().rposition(|&byte| byte != 0).ok_or("padding only")?;
        if text[end] != 2 {
            return Err("not the last record");
        }
        text.truncate(end);
        Ok(text)
    }
}

/// Encrypts `text` for a subscription, in one record without padding.
///
/// # Panics
/// When `p256dh` is not a point on the curve.
pub fn encrypt(p256dh: &[u8], auth: &[u8], text: &[u8]) -> Vec<u8> {
    encrypt_with(&PrivateKey::generate(&ECDH_P256).expect("a key"), random(), p256dh, auth, text)
}

fn encrypt_with(sender: &PrivateKey, salt: [u8; 16], p256dh: &[u8], auth: &[u8], text: &[u8]) -> Vec<u8> {
    let public = point(sender);
    let (key, nonce) =
        keys(sender, p256dh, auth, p256dh, &public, &salt).expect("the subscription's key is a point");
    let mut record = [text, &[2]].concat();
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record).expect("it can be encrypted");
    [&salt[..], &4096_u32.to_be_bytes(), &[65], &public, &record].concat()
}

/// RFC 8291 section 3.4.
fn keys(
    own: &PrivateKey,
    peer: &[u8],
    auth: &[u8],
    receiver: &[u8],
    sender: &[u8],
    salt: &[u8],
) -> Option<(LessSafeKey, Nonce)> {
    let secret =
        agree(own, UnparsedPublicKey::new(&ECDH_P256, peer), (), |secret| Ok(secret.to_vec())).ok()?;
    let key_info = [b"WebPush: info\0", receiver, sender, &[1]].concat();
    let ikm = mac(&mac(auth, &secret), &key_info);
    let prk = mac(salt, &ikm);
    let key = mac(&prk, b"Content-Encoding: aes128gcm\0\x01");
    let nonce = mac(&prk, b"Content-Encoding: nonce\0\x01");
    let key = UnboundKey::new(&AES_128_GCM, &key[..16]).expect("16 bytes");
    Some((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(&nonce[..12]).expect("12 bytes")))
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn point(key: &PrivateKey) -> Vec<u8> {
    key.compute_public_key().expect("a key has a public half").as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};

    use super::*;

    fn decode(text: &str) -> Vec<u8> {
        BASE64.decode(text).unwrap()
    }

    fn private(text: &str) -> PrivateKey {
        PrivateKey::from_private_key(&ECDH_P256, &decode(text)).unwrap()
    }

    const BODY: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz\
                        AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4\
                        a-fN";
    const TEXT: &str = "When I grow up, I want to be a watermelon";

    #[test]
    fn the_example_of_rfc_8291_appendix_a_is_encrypted_and_decrypted_as_there() {
        let receiver = Receiver {
            private: private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"),
            auth: decode("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap(),
        };
        assert_eq!(receiver.open(&decode(BODY)).as_deref(), Ok(TEXT.as_bytes()));

        let sender = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let salt = decode("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let body = encrypt_with(&sender, salt, &receiver.p256dh(), receiver.auth(), TEXT.as_bytes());
        assert_eq!(body, decode(BODY));
    }

    #[test]
    fn what_was_touched_or_is_for_another_does_not_open() {
        let (receiver, other) = (Receiver::default(), Receiver::default());
        let mut body = encrypt(&receiver.p256dh(), receiver.auth(), b"x");
        assert_eq!(receiver.open(&body).as_deref(), Ok(&b"x"[..]));
        assert_eq!(other.open(&body), Err("not for this key"));
        *body.last_mut().unwrap() ^= 1;
        assert_eq!(receiver.open(&body), Err("not for this key"));
    }
}
