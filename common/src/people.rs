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
        [Self::Viewer, Self::Admin, Self::Owner].into_iter().find(|r| r.as_str() == text).ok_or(())
    }
}

/// Whether `text` is a slug: 1–64 characters of `a–z 0–9 - _ .`, beginning with a letter or digit.
pub fn is_slug(text: &str) -> bool {
    text.len() <= limits::SLUG_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

/// Whether `text` is a personnel number: 1–64 characters, no control characters, no spaces at the ends.
pub fn is_personnel_no(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= limits::PERSONNEL_NO_CHARS
        && !text.chars().any(char::is_control)
}

/// The form of address in a full name: in Russian the second word (`Иванова Анна Петровна`), after a comma the first
/// (`Smith, John`), else the first word (`John Smith`).
pub fn first_name(full_name: &str) -> &str {
    let (family, given) = full_name.split_once(',').unwrap_or((full_name, ""));
    let is_russian = |c: char| matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё');
    let mut words = if given.trim().is_empty() { family } else { given }.split_whitespace();
    let first = words.next().unwrap_or(full_name);
    match words.next() {
        Some(second) if given.trim().is_empty() && first.contains(is_russian) => second,
        _ => first,
    }
}

/// A name folded for search and sorting: NFKC, lower case, `ё` as `е`, one space between words.
pub fn fold_name(name: &str) -> String {
    let folded: String =
        name.nfkc().flat_map(char::to_lowercase).map(|c| if c == 'ё' { 'е' } else { c }).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether two names may belong to one person: either given name and patronymic match (marriage changes the family name), or the
/// family name matches and so do the other names that both have. Initials match the names that they begin; if all words are the
/// same, their order does not matter.
pub fn may_be_one_person(one: &str, other: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        let folded = fold_name(name);
        let words = folded.split([' ', '.', ',']).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (one, other) = (words(one), words(other));
    let sorted = |words: &[String]| {
        let mut words = words.to_vec();
        words.sort();
        words
    };
    if sorted(&one) == sorted(&other) {
        return true;
    }
    let agree = |place: usize| {
        one.get(place).zip(other.get(place)).map(|(one, other)| {
            let is_initial = |word: &str| word.chars().count() == 1;
            one == other
                || (is_initial(one) && other.starts_with(&**one))
                || (is_initial(other) && one.starts_with(&**other))
        })
    };
    let (given, patronymic) = (agree(1), agree(2));
    (given == Some(true) && patronymic == Some(true))
        || (agree(0) == Some(true) && given != Some(false) && patronymic != Some(false))
}

/// The key that employees are sorted by, compared bytewise on every engine: the folded name, then the personnel number.
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
    fn people_are_called_by_their_first_names() {
        for (full, first) in [
            ("Иванова Анна Петровна", "Анна"),
            ("Пультовая", "Пультовая"),
            ("John Smith", "John"),
            ("Smith, John", "John"),
            ("Smith,", "Smith"),
        ] {
            assert_eq!(first_name(full), first);
        }
    }

    #[test]
    fn names_sort_without_regard_to_case_and_yo() {
        assert!(sort_key("Ёлкин Пётр", "1") < sort_key("Ермаков Иван", "1"));
        assert_eq!(sort_key("ёлкин", "1"), sort_key("ЕЛКИН", "1"));
        assert_eq!(fold_name("  Ёлкин   ПЁТР "), "елкин петр");
    }

    #[test]
    fn a_marriage_and_initials_leave_the_person_the_same_and_a_namesake_is_another() {
        let full = "Исаева Прасковья Егоровна";
        for same in [
            "ИСАЕВА Прасковья  Егоровна",
            "Петрова Прасковья Егоровна",
            "Исаева П.Е.",
            "Исаева П. Е.",
            "Исаева Прасковья",
            "Прасковья Егоровна Исаева",
            "Исаева",
        ] {
            assert!(may_be_one_person(full, same), "{same}");
            assert!(may_be_one_person(same, full), "{same}");
        }
        for other in [
            "Исаева Анна Егоровна",
            "Исаева Прасковья Ивановна",
            "Петрова Прасковья",
            "Исаев Егор Ильич",
            "Исаева А.Е.",
            "",
        ] {
            assert!(!may_be_one_person(full, other), "{other}");
            assert!(!may_be_one_person(other, full), "{other}");
        }
        assert!(may_be_one_person("Ёлкин Пётр", "Елкин Петр"));
    }

    #[test]
    fn slugs_are_narrow_and_personnel_numbers_wide() {
        assert!(is_slug("smena-a") && !is_slug("Смена") && !is_slug("-a") && !is_slug(""));
        assert!(is_personnel_no("0042-Ж") && !is_personnel_no(" 1") && !is_personnel_no("a\u{0}"));
    }
}
