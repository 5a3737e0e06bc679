//! What somebody who mistyped a word may have meant.

use crate::{lang::Text, text};

/// The name nearest to what was typed, if any is near.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(typed, name), name))
        .filter(|(alike, _)| *alike >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// What is wrong, with the word that was probably meant.
pub fn meant(wrong: Text, nearest: Option<&str>) -> Text {
    let Some(nearest) = nearest else { return wrong };
    let Text { en, ru } = wrong;
    text!("{en}; did you mean `{nearest}`?", "{ru}; может быть, «{nearest}»?")
}
