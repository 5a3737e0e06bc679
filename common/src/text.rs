//! Words: how a text is split into them, and which ones are forms of one word. The word index, the query language and the
//! highlighter all use this module, so that they agree on every text.

use std::{borrow::Cow, ops::Range};

use frostem::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Characters of a word that count; the rest of a longer one (a key, a hash) is ignored.
pub const WORD_CHARS: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its byte range in the text.
    pub range: Range<usize>,
    /// Its normal form: NFKC, lower case, `ё` as `е`, without combining marks.
    pub normal: String,
}

/// The words of a text, in order: runs of letters and digits.
pub fn words(text: &str) -> Vec<Word> {
    let mut cutter = Cutter::default();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let mut end = start + first.len_utf8();
        while let Some(&(_, mark)) = rest.peek().filter(|(_, c)| is_combining_mark(*c)) {
            end += mark.len_utf8();
            rest.next();
        }
        if is_plain(first) && end == start + first.len_utf8() {
            cutter.take(first, start, end);
        } else {
            text[start..end].nfkc().for_each(|c| cutter.take(c, start, end));
        }
    }
    cutter.finish()
}

/// The normal forms of a text's words, in order.
pub fn normal_words(text: &str) -> Vec<String> {
    words(text).into_iter().map(|word| word.normal).collect()
}

/// Whether NFKC leaves the character unchanged, as it does nearly all characters of our texts.
fn is_plain(c: char) -> bool {
    c.is_ascii() || matches!(c, 'а'..='я' | 'А'..='Я')
}

#[derive(Default)]
struct Cutter {
    done: Vec<Word>,
    open: Option<(Word, usize)>,
}

impl Cutter {
    fn take(&mut self, c: char, start: usize, end: usize) {
        match c {
            // Most of our texts; the Unicode tables take long to search.
            'а'..='я' | 'a'..='z' | '0'..='9' => self.letter(c, start, end),
            ' ' => self.close(),
            _ => {
                for c in c.to_lowercase() {
                    if c.is_alphanumeric() {
                        self.letter(c, start, end);
                    } else if !is_combining_mark(c) {
                        self.close();
                    }
                }
            }
        }
    }

    fn letter(&mut self, c: char, start: usize, end: usize) {
        let (word, chars) = self.open.get_or_insert_with(|| {
            let word = Word { range: start..end, normal: String::new() };
            (word, 0)
        });
        word.range.end = end;
        if *chars < WORD_CHARS {
            word.normal.push(if c == 'ё' { 'е' } else { c });
            *chars += 1;
        }
    }

    fn close(&mut self) {
        self.done.extend(self.open.take().map(|(word, _)| word));
    }

    fn finish(mut self) -> Vec<Word> {
        self.close();
        self.done
    }
}

/// The stem shared by all forms of a normalised word: Russian for Cyrillic words, English for Latin ones; a word with digits or
/// in another script is its own stem.
pub fn stem(word: &str) -> Cow<'_, str> {
    if word.chars().all(|c| matches!(c, 'а'..='я')) {
        Stemmer::new(Algorithm::Russian).stem(word)
    } else if word.bytes().all(|b| b.is_ascii_lowercase()) {
        Stemmer::new(Algorithm::English).stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_in_normal_form() {
        assert_eq!(
            normal_words("Котёл №3: ДАВЛЕНИЕ 1,5 МПа, за́мок"),
            ["котел", "no3", "давление", "1", "5", "мпа", "замок"]
        );
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        assert_eq!(normal_words("и\u{306}од е\u{308}лка"), normal_words("йод ёлка"));
        assert_eq!(normal_words("ﬁre ＡＢＣ"), ["fire", "abc"]);
    }

    #[test]
    fn ranges_point_into_the_text() {
        let text = "Ёлка, fire!";
        let found: Vec<_> = words(text).into_iter().map(|w| &text[w.range]).collect();
        assert_eq!(found, ["Ёлка", "fire"]);
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for forms in [
            ["давление", "давления", "давлением"],
            ["авария", "аварии", "аварий"],
            ["boiler", "boilers", "boiler"],
        ] {
            assert_eq!(stem(forms[0]), stem(forms[1]));
            assert_eq!(stem(forms[0]), stem(forms[2]));
        }
        assert_eq!(stem("к700"), "к700");
    }

    proptest! {
        #[test]
        fn normal_words_stay_as_they_are(text in "\\PC{0,40}") {
            for word in words(&text) {
                prop_assert!(text.get(word.range.clone()).is_some());
                prop_assert!(!stem(&word.normal).is_empty());
                prop_assert_eq!(normal_words(&word.normal), [word.normal.clone()]);
            }
        }
    }
}
