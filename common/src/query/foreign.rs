//! Conditions written in the syntax of other query languages. Treated as words to search for, they would silently find nothing.

use super::Key;

/// A condition in another syntax: `state=read`, `(state:read)`, `priority >= high`. The name is kept as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    pub(super) key: Key,
    pub(super) name: &'a str,
    /// Where the value begins, in bytes from the beginning of the text.
    pub(super) value_at: usize,
}

impl<'a> Condition<'a> {
    /// The condition at the start of `text`. The caller decides whether its value makes sense.
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

/// Characters that other languages open or negate conditions with.
const OPENING: [char; 5] = ['(', '[', '!', '+', '-'];

const COMPARING: [char; 7] = [':', '=', '<', '>', '≠', '≤', '≥'];

/// Words that other languages join terms with.
const JOINING: [&str; 4] = ["AND", "OR", "И", "ИЛИ"];

/// Words that other languages negate terms with; texts in capitals may begin with them, too.
const NEGATING: [&str; 2] = ["NOT", "НЕ"];

/// Whether a word between conditions joins them or negates the next one. In lower case, or away from keys, it is a word of a
/// text.
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

/// A possible key name, and the rest. A name with a hyphen counts only if such a key exists.
pub(super) fn name(text: &str) -> (&str, &str) {
    let split_at =
        |is_within: fn(char) -> bool| text.split_at(text.find(|c| !is_within(c)).unwrap_or(text.len()));
    let hyphened = split_at(|c| c.is_alphabetic() || c == '_' || c == '-');
    if Key::find(hyphened.0).is_some() { hyphened } else { split_at(|c| c.is_alphabetic() || c == '_') }
}
