//! People and their names: slugs, personnel numbers, roles, and the key that sorts names.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use crate::message::limits;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the history of one client.
    Viewer,
    /// Administers one client.
    Admin,
    /// Administers all clients.
    Owner,
}

impl Role {
    /// Its name in API, CLI and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Viewer, Self::Admin, Self::Owner]
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or(())
    }
}

/// Whether `text` is a slug: 1–64 of `a–z 0–9 - _ .`, beginning with a letter or digit.
pub fn is_slug(text: &str) -> bool {
    text.len() <= limits::SLUG_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

/// Whether `text` is a personnel number: 1–64 characters, none of them a control character, no space at the ends.
pub fn is_personnel_no(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= limits::PERSONNEL_NO_CHARS
        && !text.chars().any(char::is_control)
}

/// A name folded for search and sorting: NFKC, lower case, `ё` as `е`, one space between words.
pub fn fold_name(name: &str) -> String {
    let folded: String = name
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ё' { 'е' } else { c })
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key that employees sort by, compared bytewise on every engine: the folded name, then the personnel number.
pub fn sort_key(full_name: &str, personnel_no: &str) -> Vec<u8> {
    let mut key = fold_name(full_name).into_bytes();
    key.push(0);
    key.extend_from_slice(personnel_no.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_without_regard_to_case_and_yo() {
        assert!(sort_key("Ёлкин Пётр", "1") < sort_key("Ермаков Иван", "1"));
        assert_eq!(sort_key("ёлкин", "1"), sort_key("ЕЛКИН", "1"));
        assert_eq!(fold_name("  Ёлкин   ПЁТР "), "елкин петр");
    }

    #[test]
    fn slugs_are_narrow_and_personnel_numbers_wide() {
        assert!(is_slug("smena-a") && !is_slug("Смена") && !is_slug("-a") && !is_slug(""));
        assert!(is_personnel_no("0042-Ж") && !is_personnel_no(" 1") && !is_personnel_no("a\u{0}"));
    }
}
