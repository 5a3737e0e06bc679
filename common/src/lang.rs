//! SiMO's two languages.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// A language for texts that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English, also for unsupported languages.
    #[default]
    En,
    /// Russian.
    Ru,
}

impl Lang {
    /// The text in this language.
    pub fn pick<T>(self, en: T, ru: T) -> T {
        match self {
            Self::En => en,
            Self::Ru => ru,
        }
    }

    /// Its two-letter code, as in `Content-Language`.
    pub fn code(self) -> &'static str {
        self.pick("en", "ru")
    }

    /// From a locale or language tag such as `ru_RU.UTF-8` or `ru-RU`.
    pub fn from_tag(tag: &str) -> Self {
        if tag.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("ru")) { Self::Ru } else { Self::En }
    }

    /// From an `Accept-Language` header: whichever of the two has the higher weight; English when it names neither.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (Self::En, 0.0_f32);
        for part in header.split(',') {
            let (tag, params) = part.split_once(';').unwrap_or((part, ""));
            let quality = params.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(1.0);
            let lang = match tag.trim().get(..2) {
                Some(head) if head.eq_ignore_ascii_case("ru") => Self::Ru,
                Some(head) if head.eq_ignore_ascii_case("en") => Self::En,
                _ => continue,
            };
            if quality > best.1 {
                best = (lang, quality);
            }
        }
        best.0
    }

    /// The value of `--lang` in a command line that is not parsed yet: a refusal is in that language, too. The last one counts.
    pub fn said(words: &[OsString]) -> Option<Self> {
        let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
        let named = |(place, word): (usize, &&str)| match word.strip_prefix("--lang")? {
            "" => words.get(place + 1)?.parse().ok(),
            value => value.strip_prefix('=')?.parse().ok(),
        };
        words.iter().enumerate().rev().find_map(named)
    }

    /// The language of the person at this terminal: `--lang` if given, else the locale.
    pub fn of_terminal(flag: Option<Self>) -> Self {
        flag.unwrap_or_else(|| sys_locale::get_locale().map_or(Self::En, |tag| Self::from_tag(&tag)))
    }
}

/// A text in both languages, for errors whose reader's language is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// In English.
    pub en: String,
    /// In Russian.
    pub ru: String,
}

impl Text {
    /// A text from its two forms.
    pub fn new(en: impl Into<String>, ru: impl Into<String>) -> Self {
        Self { en: en.into(), ru: ru.into() }
    }

    /// The text in one language.
    pub fn get(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.ru)
    }
}

/// Why an input is refused, for APIs that need an error type; shown in English.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub struct Wrong(pub Text);

/// Formats a [`Text`]: `text!("no topic `{slug}`", "нет темы «{slug}»")`.
#[macro_export]
macro_rules! text {
    ($en:literal, $ru:literal $(,)?) => {
        $crate::lang::Text::new(format!($en), format!($ru))
    };
}

impl std::str::FromStr for Lang {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::En),
            "ru" => Ok(Self::Ru),
            _ => Err(Wrong(text!("expected `ru` or `en`", "нужно `ru` или `en`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_rated_language_wins() {
        assert_eq!(Lang::from_accept_language("ru-RU,ru;q=0.9,en-US;q=0.8"), Lang::Ru);
        assert_eq!(Lang::from_accept_language("de, en;q=0.9, ru;q=0.1"), Lang::En);
        assert_eq!(Lang::from_accept_language("ru;q=0"), Lang::En);
        assert_eq!(Lang::from_accept_language("*"), Lang::En);
    }

    #[test]
    fn the_language_is_known_before_anything_is_parsed_and_the_last_one_counts() {
        for (line, lang) in [
            ("simoctl --lang ru nonsense --x", Some(Lang::Ru)),
            ("simod serve --lang=ru", Some(Lang::Ru)),
            ("simoctl --lang ru topic list --lang en", Some(Lang::En)),
            ("simo-tui --language ru --lang", None),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(Lang::said(&words), lang, "{line}");
        }
    }
}
