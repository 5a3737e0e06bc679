//! Suggestions for mistyped words.

use crate::{lang::Text, text};

/// The name nearest to the typed one, if any is near.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(typed, name), name))
        .filter(|(alike, _)| *alike >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The error text, with the suggested word.
pub fn meant(wrong: Text, nearest: Option<&str>) -> Text {
    let Some(nearest) = nearest else { return wrong };
    let Text { en, ru } = wrong;
    text!("{en}; did you mean `{nearest}`?", "{ru}; может быть, «{nearest}»?")
}
