//! Tokens: `simo_acs_` + 43 alphanumerics (256 random bits) + 6 of checksum. The prefix tells readers (and secret scanners) what
//! it is; the checksum detects a mistyped token without the database, which stores only the SHA-256.

use rand::RngExt;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 43;
const CHECK: usize = 6;

/// Who a token lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// An automated control system.
    Acs,
    /// A person who administers.
    Operator,
    /// A phone.
    Device,
}

impl TokenKind {
    /// Its name, also in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acs => "acs",
            Self::Operator => "operator",
            Self::Device => "device",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Acs => "simo_acs_",
            Self::Operator => "simo_op_",
            Self::Device => "simo_dev_",
        }
    }
}

/// What an ACS's token may be used for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Posting and canceling messages.
    Send,
    /// Reading what became of them.
    Read,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 2] = [Self::Send, Self::Read];

    /// Its name, also in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| "expected `send` or `read`".to_owned())
    }
}

/// Generates a token of 256 random bits.
pub fn generate(kind: TokenKind) -> String {
    let mut token = String::from(kind.prefix());
    token.push_str(&base62(rand::rng().random::<[u8; 32]>(), BODY));
    token.push_str(&checksum(&token));
    token
}

/// The kind of a well-formed token; `None` if it is mistyped, truncated or not a SiMO token.
pub fn kind_of(token: &str) -> Option<TokenKind> {
    let kind = [TokenKind::Acs, TokenKind::Operator, TokenKind::Device]
        .into_iter()
        .find(|kind| token.starts_with(kind.prefix()))?;
    if !token.is_ascii() || token.len() != kind.prefix().len() + BODY + CHECK {
        return None;
    }
    let (head, check) = token.split_at(token.len() - CHECK);
    (checksum(head) == check).then_some(kind)
}

/// The hash of a token, which the database stores.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The part of a token that may be shown after it was issued: the prefix and four characters.
pub fn shown(token: &str) -> String {
    let prefix = kind_of(token).map_or(0, |kind| kind.prefix().len());
    format!("{}…", &token[..(prefix + 4).min(token.len())])
}

fn checksum(text: &str) -> String {
    let mut wide = [0; 32];
    wide[28..].copy_from_slice(&Sha256::digest(text.as_bytes())[..4]);
    base62(wide, CHECK)
}

/// A big-endian number in base 62, `width` digits, most significant first.
fn base62(mut number: [u8; 32], width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    String::from_utf8_lossy(&digits).into_owned()
}

/// Alphabet of codes that people copy by hand: no `0 O 1 I L`, so slightly less than 5 bits each.
const CODE_ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const CODE_CHARS: usize = 10;

/// Generates a code for pairing or logging in, such as `K7QD-M2XA-9F`: 10 characters of 31, 49 random bits.
pub fn generate_code() -> String {
    let mut rng = rand::rng();
    let mut code = String::with_capacity(12);
    for position in 0..CODE_CHARS {
        if position > 0 && position % 4 == 0 {
            code.push('-');
        }
        code.push(CODE_ALPHABET[rng.random_range(0..CODE_ALPHABET.len())] as char);
    }
    code
}

/// Whether a text has the form of a code: only then does it count as a guess.
pub fn is_code(text: &str) -> bool {
    let code = normalize_code(text);
    code.len() == CODE_CHARS && code.bytes().all(|byte| CODE_ALPHABET.contains(&byte))
}

/// A code normalised for hashing: upper case, without the dashes and spaces that people add or leave out.
pub fn normalize_code(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_mistyped_character_is_recognised() {
        let token = generate(TokenKind::Acs);
        assert_eq!(kind_of(&token), Some(TokenKind::Acs));
        for position in "simo_acs_".len()..token.len() {
            let mut typed = token.clone().into_bytes();
            typed[position] = if typed[position] == b'x' { b'y' } else { b'x' };
            assert_eq!(kind_of(&String::from_utf8(typed).unwrap()), None, "position {position}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_none() {
        for text in ["", "simo_acs_", "Bearer", "simo_acs_жжж", &generate(TokenKind::Device)[..20]] {
            assert_eq!(kind_of(text), None);
        }
    }

    #[test]
    fn codes_survive_how_people_type_them() {
        let code = generate_code();
        assert_eq!(normalize_code(&code.to_lowercase().replace('-', " ")), normalize_code(&code));
        assert!(is_code(&code.to_lowercase().replace('-', " ")));
        for text in ["", "K7QD-M2XA", "K7QD-M2XA-9FF", "K7QD-M2XA-0F"] {
            assert!(!is_code(text), "{text}");
        }
    }
}
