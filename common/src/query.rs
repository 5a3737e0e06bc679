//! The history query language: `state:failed employee:иванов after:-2h "точная фраза" котл* давление -тест`.
//!
//! Terms are separated by spaces, and all must hold; `-` negates a term. `key:value,value` holds when one of its values does.
//! Anything other than `key:…` is searched for in title and body: a word in all its Russian and English forms, `"…"` exactly,
//! `котл*` as a prefix. Times are half-open: `after:X` is X or later, `before:X` is earlier than X, and a day means its first
//! moment, so that `after:2026-11-01 before:2026-11-02` is the first of November. The user manual is `docs/query-language.*.md`.

mod error;
mod foreign;
mod highlight;
mod key;
mod parse;
#[cfg(test)]
mod tests;
mod when;

use std::{fmt, ops::Range};

use uuid::Uuid;

pub use error::QueryError;
pub use highlight::highlight;
pub use key::Key;
pub use parse::parse;
pub use when::When;

use crate::{delivery::DeliveryState, message::Priority};

/// Maximum length of a query, in characters.
pub const LONGEST: usize = 2_000;
/// Maximum number of terms in a query.
pub const MOST_TERMS: usize = 64;

/// A query: all of its terms must hold. Its `Display` is the canonical form, which parses back to an equal query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The terms, in the order written.
    pub terms: Vec<Term>,
}

/// One condition. Equality ignores the span.
#[derive(Debug, Clone)]
pub struct Term {
    /// Whether the condition is negated.
    pub negated: bool,
    /// The condition itself.
    pub filter: Filter,
    /// Its byte range in the parsed text.
    pub span: Range<usize>,
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.negated == other.negated && self.filter == other.filter
    }
}

impl Eq for Term {}

/// A condition; it holds when one of its values does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The delivery's state.
    State(Vec<DeliveryState>),
    /// The employee's personnel number, or the beginning of a word of the name ([`crate::people::fold_name`]).
    Employee(Vec<String>),
    /// Slugs of groups that the employee belonged to when the message was accepted.
    Group(Vec<String>),
    /// Slugs of groups that the employee belongs to today.
    GroupNow(Vec<String>),
    /// Names of ACS.
    Acs(Vec<String>),
    /// Slugs of topics.
    Topic(Vec<String>),
    /// Ids of devices it was pushed to, or beginnings of words of their names.
    Device(Vec<String>),
    /// Priorities.
    Priority(Vec<Priority>),
    /// Accepted at the start of this time or later.
    After(Vec<When>),
    /// Accepted before the start of this time.
    Before(Vec<When>),
    /// Accepted on this day.
    Date(Vec<When>),
    /// Ids of messages.
    Message(Vec<Uuid>),
    /// The ACS's own ids of messages.
    External(Vec<String>),
    /// Reason codes.
    Reason(Vec<String>),
    /// Whether it must be acknowledged.
    Ack(Vec<bool>),
    /// Words of the title or the body.
    Text(Text),
}

/// Words to find side by side; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The words in normal form ([`crate::text::words`]).
    pub words: Vec<String>,
    /// How they match.
    pub how: Match,
}

/// How words match a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Any form of each word.
    Forms,
    /// Exactly these words.
    Phrase,
    /// Exactly these words, the last one as a prefix.
    Beginning,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, " ", &self.terms)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("-")?;
        }
        self.filter.fmt(f)
    }
}

impl Filter {
    /// The condition's key; `None` for words.
    pub fn key(&self) -> Option<Key> {
        Some(match self {
            Self::State(_) => Key::State,
            Self::Employee(_) => Key::Employee,
            Self::Group(_) => Key::Group,
            Self::GroupNow(_) => Key::GroupNow,
            Self::Acs(_) => Key::Acs,
            Self::Topic(_) => Key::Topic,
            Self::Device(_) => Key::Device,
            Self::Priority(_) => Key::Priority,
            Self::After(_) => Key::After,
            Self::Before(_) => Key::Before,
            Self::Date(_) => Key::Date,
            Self::Message(_) => Key::Message,
            Self::External(_) => Key::External,
            Self::Reason(_) => Key::Reason,
            Self::Ack(_) => Key::Ack,
            Self::Text(_) => return None,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key() {
            write!(f, "{}:", key.as_str())?;
        }
        match self {
            Self::State(states) => joined(f, ",", states.iter().map(|state| state.as_str())),
            Self::Employee(values)
            | Self::Group(values)
            | Self::GroupNow(values)
            | Self::Acs(values)
            | Self::Topic(values)
            | Self::Device(values)
            | Self::External(values)
            | Self::Reason(values) => joined(f, ",", values.iter().map(|value| Quoted(value))),
            Self::Priority(priorities) => print_priorities(f, priorities),
            Self::After(times) | Self::Before(times) | Self::Date(times) => joined(f, ",", times),
            Self::Message(ids) => joined(f, ",", ids),
            Self::Ack(answers) => joined(f, ",", answers.iter().map(|yes| if *yes { "yes" } else { "no" })),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            Match::Forms => f.write_str(&self.words.join("-")),
            Match::Beginning => write!(f, "{}*", self.words.join("-")),
            Match::Phrase => write!(f, "\"{}\"", self.words.join(" ")),
        }
    }
}

/// A value, quoted where needed.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stands = !self.0.contains(|c: char| c.is_whitespace() || c == ',')
            && !self.0.starts_with(['"', '«', '“', '„']);
        if stands {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

fn print_priorities(f: &mut fmt::Formatter<'_>, priorities: &[Priority]) -> fmt::Result {
    match priorities {
        [first, _, ..] if Priority::ALL.ends_with(priorities) => write!(f, ">={}", first.as_str()),
        [_, .., last] if Priority::ALL.starts_with(priorities) => write!(f, "<={}", last.as_str()),
        _ => joined(f, ",", priorities.iter().map(|p| p.as_str())),
    }
}

fn joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
