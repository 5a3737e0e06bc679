//! Shortens a text that does not fit.

use std::borrow::Cow;

use unicode_segmentation::GraphemeCursor;

/// The most bytes given up to keep the last character whole; no human language has longer "characters".
const LONGEST_GRAPHEME: usize = 64;

/// Marks where a text was cut.
pub(super) const ELLIPSIS: &str = "…";

/// The text in at most `room` bytes, cut between characters and marked with an ellipsis.
pub(super) fn shortened(text: &str, room: usize) -> Cow<'_, str> {
    shortened_as(text, room, char::len_utf8)
}

/// The same, with `size` giving the bytes that a character takes.
pub(super) fn shortened_as(text: &str, room: usize, size: impl Fn(char) -> usize) -> Cow<'_, str> {
    if text.chars().map(&size).sum::<usize>() <= room {
        return Cow::Borrowed(text);
    }
    let Some(mut room) = room.checked_sub(ELLIPSIS.len()) else {
        return Cow::Borrowed("");
    };
    let too_much = text.char_indices().find(|(_, char)| match room.checked_sub(size(*char)) {
        Some(left) => {
            room = left;
            false
        }
        None => true,
    });
    let end = too_much.map_or(text.len(), |(at, _)| at);
    let mut cursor = GraphemeCursor::new(end, text.len(), true);
    let whole = match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten(),
        _ => None,
    };
    let end = whole.filter(|whole| end - whole <= LONGEST_GRAPHEME).unwrap_or(end);
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation as _;

    use super::*;

    #[test]
    fn a_flag_is_not_cut_in_two() {
        let flag = "🇷🇺";
        let text = flag.repeat(10);
        for room in 0..text.len() {
            let cut = shortened(&text, room);
            let kept = cut.strip_suffix(ELLIPSIS).unwrap_or(&cut);
            assert_eq!(kept.len() % flag.len(), 0, "{room}");
        }
        let monster = format!("a{}", "\u{301}".repeat(500));
        assert!(shortened(&monster, 400).len() > 390);
    }

    proptest! {
        #[test]
        fn a_cut_keeps_characters_whole(text in "\\PC{0,200}", room in 0_usize..400) {
            let cut = shortened(&text, room);
            prop_assert!(cut.len() <= room);
            if let Some(kept) = cut.strip_suffix(ELLIPSIS).filter(|_| cut != text) {
                let whole: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
                prop_assert!(text.starts_with(kept));
                prop_assert!(whole.contains(&kept.len()), "{:?} of {:?}", kept, text);
            }
        }
    }
}
