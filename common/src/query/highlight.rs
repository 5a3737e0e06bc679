//! Where a query's words occur in a text.

use std::ops::Range;

use super::{Filter, Match, Query, Text};
use crate::text::{Word, stem, words};

/// The byte ranges of `text` that the query's words match: in order, not overlapping.
pub fn highlight(text: &str, query: &Query) -> Vec<Range<usize>> {
    let wanted: Vec<&Text> = query
        .terms
        .iter()
        .filter(|term| !term.negated)
        .filter_map(|term| match &term.filter {
            Filter::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let words = words(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..words.len() {
        let longest =
            wanted.iter().filter(|text| stands_at(text, &words[start..])).map(|text| text.words.len()).max();
        if let Some(length) = longest {
            let range = words[start].range.start..words[start + length - 1].range.end;
            match found.last_mut() {
                Some(last) if last.end > range.start => last.end = last.end.max(range.end),
                _ => found.push(range),
            }
        }
    }
    found
}

fn stands_at(text: &Text, words: &[Word]) -> bool {
    let last = text.words.len() - 1;
    words.len() > last
        && text.words.iter().zip(words).enumerate().all(|(i, (want, word))| match text.how {
            Match::Forms => stem(want) == stem(&word.normal),
            Match::Beginning if i == last => word.normal.starts_with(want.as_str()),
            Match::Beginning | Match::Phrase => *want == word.normal,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, query: &str) -> Vec<String> {
        let query = super::super::parse(query).unwrap();
        highlight(text, &query).into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn forms_phrases_and_beginnings_are_found_where_they_stand() {
        let text = "Давление в котле №2 упало: проверьте Котлы и насос, Ёлкин!";
        assert_eq!(marked(text, "котлы"), ["котле", "Котлы"]);
        assert_eq!(marked(text, "котл* елкин -насос"), ["котле", "Котлы", "Ёлкин"]);
        assert_eq!(marked(text, "\"давление в котле\" котле"), ["Давление в котле", "Котлы"]);
        assert!(marked(text, "\"давление котле\" state:read").is_empty());
    }
}
