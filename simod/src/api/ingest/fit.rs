//! Cuts oversized messages of systems that cannot correct what they post.

use simo_common::{
    api::message::PostMessage,
    message::{Part, limits},
};
use unicode_segmentation::UnicodeSegmentation as _;

/// Marks the cut, so that a cut number is not taken for a whole one.
const ELLIPSIS: &str = "…";

/// Cuts title and body to their limits and drops `data` over its own; returns the parts that were changed.
pub(super) fn fit(message: &mut PostMessage) -> Vec<Part> {
    let mut fitted = Vec::new();
    if in_chars(&message.title) > limits::TITLE_CHARS {
        message.title = cut(message.title.trim_start(), limits::TITLE_CHARS, in_chars);
        fitted.push(Part::Title);
    }
    if message.body.len() > limits::BODY_BYTES {
        message.body = cut(&message.body, limits::BODY_BYTES, str::len);
        fitted.push(Part::Body);
    }
    if message.data.as_ref().is_some_and(|data| data.as_str().len() > limits::DATA_BYTES) {
        message.data = None;
        fitted.push(Part::Data);
    }
    fitted
}

fn in_chars(text: &str) -> usize {
    text.chars().count()
}

/// The longest beginning of a text that fits, cut between user-perceived characters.
fn cut(text: &str, most: usize, measure: fn(&str) -> usize) -> String {
    if measure(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(measure(ELLIPSIS));
    let kept = match beginning(text.graphemes(true), room, measure) {
        // One letter with more accents than a whole text may have.
        0 => beginning(text.split_inclusive(|_: char| true), room, measure),
        kept => kept,
    };
    format!("{}{ELLIPSIS}", &text[..kept])
}

/// The total bytes of the leading pieces that fit.
fn beginning<'a>(
    pieces: impl Iterator<Item = &'a str>,
    mut room: usize,
    measure: fn(&str) -> usize,
) -> usize {
    let mut bytes = 0;
    for piece in pieces {
        let Some(rest) = room.checked_sub(measure(piece)) else { break };
        room = rest;
        bytes += piece.len();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_as_people_see_them() {
        for (text, most, expected) in [
            ("котёл", 5, "котёл"),
            ("котёл 2", 5, "котё…"),
            // An accent of its own, a flag, a family.
            ("кот\u{65}\u{308}л", 5, "кот…"),
            ("да 🇷🇺🇰🇿", 6, "да 🇷🇺…"),
            ("да 🇷🇺🇰🇿", 5, "да …"),
            ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 8, "👨‍👩‍👧‍👦…"),
            ("e\u{308}\u{308}\u{308}\u{308}", 3, "e\u{308}…"),
        ] {
            assert_eq!(cut(text, most, in_chars), expected);
        }
        assert_eq!(cut("яяяяя", 9, str::len), "яяя…");
        assert_eq!(cut("яяяяя", 10, str::len), "яяяяя");
    }

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_is_named() {
        let long = |title: &str| PostMessage { title: title.to_owned(), ..PostMessage::default() };
        let mut message = long(&"я".repeat(limits::TITLE_CHARS));
        message.body = "a".repeat(limits::BODY_BYTES);
        let before = message.clone();
        assert_eq!((fit(&mut message), &message), (vec![], &before));
        message.title.push('я');
        message.body.push('a');
        message.data = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::DATA_BYTES)).parse().ok();
        assert_eq!(fit(&mut message), [Part::Title, Part::Body, Part::Data]);
        assert_eq!(in_chars(&message.title), limits::TITLE_CHARS);
        assert!(message.body.len() <= limits::BODY_BYTES && message.data.is_none());
        let mut blank = long(&format!("{}!", " ".repeat(limits::TITLE_CHARS)));
        fit(&mut blank);
        assert_eq!(blank.title, "!");
    }
}
