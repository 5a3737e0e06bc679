//! What was probably meant as a condition, but is written as in other languages. Taken for words of a text, it would find
//! nothing, and nobody would know why.

use super::Key;

/// Where the value of a condition begins that is written with other signs: `state=read`, `(state:read)`,
/// `priority >= high`. The name is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    pub(super) key: Key,
    pub(super) name: &'a str,
    /// In bytes from the beginning of the text.
    pub(super) value_at: usize,
}

impl<'a> Condition<'a> {
    /// The one that `text` begins with. Whether its value can be meant is for the caller to say.
    pub(super) fn at_start(text: &'a str) -> Option<Self> {
        let (name, rest) = name(text.trim_start_matches(OPENING));
        let signs = rest.trim_start();
        let value = signs.trim_start_matches(|c| c == '!' || COMPARING.contains(&c));
        let compares = signs[..signs.len() - value.len()].contains(COMPARING);
        let value_at = text.len() - value.trim_start().len();
        let key = compares.then(|| Key::find(name))??;
        Some(Self { key, name, value_at })
    }
}

/// What conditions are opened or turned round with.
const OPENING: [char; 5] = ['(', '[', '!', '+', '-'];

const COMPARING: [char; 7] = [':', '=', '<', '>', '≠', '≤', '≥'];

/// What terms are joined with.
const JOINING: [&str; 4] = ["AND", "OR", "И", "ИЛИ"];

/// What turns terms round; texts in capitals begin with it, too.
const NEGATING: [&str; 2] = ["NOT", "НЕ"];

/// Whether a word between conditions joins them or turns the next one round. Small letters are words of a text, and so is what
/// stands far from keys.
pub(super) fn is_operator(word: &str, is_after_key: bool, rest: &str) -> bool {
    let joins = JOINING.contains(&word);
    let negates = NEGATING.contains(&word);
    (joins || negates) && (begins_with_key(rest) || is_after_key && (joins || !begins_in_capitals(rest)))
}

fn begins_with_key(text: &str) -> bool {
    let (name, rest) = name(text.trim_start().trim_start_matches(OPENING));
    rest.starts_with(':') && Key::find(name).is_some()
}

fn begins_in_capitals(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    let letters = || word.chars().filter(|c| c.is_alphabetic());
    letters().count() > 1 && letters().all(char::is_uppercase)
}

/// What may be the name of a key, and what follows it. With a hyphen it is one only where there is such a key.
pub(super) fn name(text: &str) -> (&str, &str) {
    let split_at =
        |is_within: fn(char) -> bool| text.split_at(text.find(|c| !is_within(c)).unwrap_or(text.len()));
    let hyphened = split_at(|c| c.is_alphabetic() || c == '_' || c == '-');
    if Key::find(hyphened.0).is_some() { hyphened } else { split_at(|c| c.is_alphabetic() || c == '_') }
}
