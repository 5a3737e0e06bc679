//! Mistakes in a query, and where they are.

use std::ops::Range;

use super::{Key, LONGEST, MOST_TERMS};
use crate::{delivery::DeliveryState, lang::Lang};

/// One mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Where it begins, in characters from 1.
    pub column: usize,
    /// How many characters it covers, at least 1.
    pub length: usize,
    mistake: Mistake,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mistake {
    UnknownKey {
        key: String,
        nearest: Option<&'static str>,
    },
    NoValue(Key),
    UnknownValue {
        key: Key,
        value: String,
        nearest: Option<&'static str>,
    },
    /// A key written in another syntax: `state=read`, `(state:read)`.
    NearlyKey {
        key: Key,
        /// As written.
        name: String,
    },
    /// `NOT`, `OR` … beside a key.
    Operator(String),
    OpenQuote,
    StarInside,
    NoWord,
    TooLong,
    TooManyTerms,
    Nul,
}

impl QueryError {
    /// A mistake at a byte range of the query.
    pub(super) fn new(query: &str, range: Range<usize>, mistake: Mistake) -> Self {
        Self {
            column: query[..range.start].chars().count() + 1,
            length: query[range].chars().count().max(1),
            mistake,
        }
    }

    /// The error message: what is wrong, and what would be right.
    pub fn message(&self, lang: Lang) -> String {
        match &self.mistake {
            Mistake::UnknownKey { key, nearest } => unknown_key(key, *nearest, lang),
            Mistake::NoValue(key) => lang.pick(
                format!("`{key}:` needs a value, such as {}", example(*key, lang), key = key.as_str()),
                format!(
                    "после `{key}:` нужно значение, например {}",
                    example(*key, lang),
                    key = key.as_russian()
                ),
            ),
            Mistake::UnknownValue { key, value, nearest } => unknown_value(*key, value, *nearest, lang),
            Mistake::NearlyKey { key, name } => nearly_key(*key, name, lang),
            Mistake::Operator(word) => operator(word, lang),
            Mistake::OpenQuote => {
                lang.pick("the quotation mark is not closed", "кавычка не закрыта").to_owned()
            }
            Mistake::StarInside => lang
                .pick(
                    "`*` may only stand at the end of a word: `котл*`",
                    "`*` ставится только в конце слова: `котл*`",
                )
                .to_owned(),
            Mistake::NoWord => lang
                .pick(
                    "there is no letter or digit to search for",
                    "здесь нет ни буквы, ни цифры, которые можно искать",
                )
                .to_owned(),
            Mistake::TooLong => lang.pick(
                format!("the query is longer than {LONGEST} characters"),
                format!("запрос длиннее {LONGEST} знаков"),
            ),
            Mistake::TooManyTerms => lang.pick(
                format!("the query has more than {MOST_TERMS} terms"),
                format!("в запросе больше {MOST_TERMS} условий"),
            ),
            Mistake::Nul => {
                lang.pick("the query contains a NUL character", "в запросе есть символ NUL").to_owned()
            }
        }
    }
}

/// The hint for text that was not meant as a query's syntax.
fn as_text(lang: Lang) -> &'static str {
    lang.pick(
        "to search for it as text, put it in quotation marks",
        "чтобы искать это как текст, возьмите его в кавычки",
    )
}

fn nearly_key(key: Key, name: &str, lang: Lang) -> String {
    let written = lang.pick(
        format!("a condition is written `{name}:…` or `-{name}:…`, with no other signs"),
        format!("условие пишется `{name}:…` или `-{name}:…`, без других знаков"),
    );
    let compared = if key == Key::Priority {
        lang.pick(format!(", such as `{name}:>=high`"), format!(", например `{name}:>=высокий`"))
    } else {
        String::new()
    };
    format!("{written}{compared} ({})", as_text(lang))
}

fn operator(word: &str, lang: Lang) -> String {
    let instead = lang.pick(
        format!(
            "`{word}` is not an operator: all terms must hold, `-` before one turns it round, several values stand with commas, \
             such as `state:failed,expired`"
        ),
        format!(
            "«{word}» не оператор: должны выполняться все условия, `-` перед условием обращает его, несколько значений пишутся \
             через запятую, например `состояние:не_доставлено,истекло`"
        ),
    );
    format!("{instead} ({})", as_text(lang))
}

fn unknown_key(key: &str, nearest: Option<&str>, lang: Lang) -> String {
    let what = lang.pick(format!("there is no key `{key}:`"), format!("нет ключа `{key}:`"));
    let instead = if let Some(name) = nearest {
        lang.pick(format!("did you mean `{name}:`?"), format!("может быть, «{name}:»?"))
    } else {
        let names = Key::ALL.map(|key| lang.pick(key.as_str(), key.as_russian()));
        lang.pick("the keys are ", "ключи: ").to_owned() + &names.join(", ")
    };
    format!("{what}; {instead} ({})", as_text(lang))
}

fn unknown_value(key: Key, value: &str, nearest: Option<&str>, lang: Lang) -> String {
    let what = lang.pick(
        format!("`{value}` is not a value of `{}:`", key.as_str()),
        format!("`{value}` не подходит для `{}:`", key.as_russian()),
    );
    let is_name = matches!(key, Key::State | Key::Priority | Key::Ack);
    let instead = match nearest.map(|name| name.replace(' ', "_")) {
        _ if is_name && value.starts_with('-') => lang.pick(
            format!("to leave it out, write `-{}:{}`", key.as_str(), &value[1..]),
            format!("чтобы исключить, пишите `-{}:{}`", key.as_russian(), &value[1..]),
        ),
        Some(name) => lang.pick(format!("did you mean `{name}`?"), format!("может быть, «{name}»?")),
        None => lang.pick(format!("try {}", example(key, lang)), format!("например, {}", example(key, lang))),
    };
    format!("{what}; {instead}")
}

/// Example values, in the reader's language where the values have names in it.
fn example(key: Key, lang: Lang) -> String {
    match key {
        Key::State => return all_states(lang),
        Key::Employee => "`00042`, `иванов`",
        Key::Group | Key::GroupNow => "`smena-a`",
        Key::Acs => "`scada-2`",
        Key::Topic => "`boiler`",
        Key::Device => "`pixel`",
        Key::Priority => lang.pick("`high`, `>=high`", "`высокий`, `>=высокий`"),
        Key::After | Key::Before => lang.pick(
            "`2026-11-01`, `2026-11-01T10:00`, `today`, `-2h`, `-7d`",
            "`01.11.2026`, `2026-11-01T10:00`, `сегодня`, `-2h`, `-7d`",
        ),
        Key::Date => lang.pick(
            "`2026-11-01`, `01.11.2026`, `today`, `yesterday`",
            "`01.11.2026`, `2026-11-01`, `сегодня`, `вчера`",
        ),
        Key::Message => "`0193a5f0-7c00-7000-8000-000000000000`",
        Key::External => "`ORDER-17`",
        Key::Reason => "`no_device`",
        Key::Ack => lang.pick("`yes`, `no`", "`да`, `нет`"),
    }
    .to_owned()
}

fn all_states(lang: Lang) -> String {
    DeliveryState::ALL
        .map(|state| lang.pick(state.as_str(), state.as_russian()).replace(' ', "_"))
        .map(|name| format!("`{name}`"))
        .join(", ")
}
