//! Parses text into a [`Query`]: one pass that continues after a mistake, so that all mistakes are reported together.

use std::ops::Range;

use uuid::Uuid;

use super::{
    Filter, Key, LONGEST, MOST_TERMS, Match, Query, QueryError, Term, Text, When,
    error::Mistake,
    foreign::{self, Condition},
    key,
};
use crate::{message::Priority, text::normal_words};

/// Parses a query.
///
/// # Errors
/// Every mistake in it, with its column.
pub fn parse(text: &str) -> Result<Query, Vec<QueryError>> {
    let mut parser = Parser { text, at: 0, mistakes: Vec::new() };
    let terms = parser.query();
    if parser.mistakes.is_empty() { Ok(Query { terms }) } else { Err(parser.mistakes) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    mistakes: Vec<QueryError>,
}

/// The closing counterpart of a quotation mark; `None` for other characters.
fn closing(open: char) -> Option<char> {
    match open {
        '"' => Some('"'),
        '«' => Some('»'),
        '“' => Some('”'),
        '„' => Some('“'),
        _ => None,
    }
}

/// A value as written.
struct Value {
    text: String,
    range: Range<usize>,
}

impl Parser<'_> {
    fn query(&mut self) -> Vec<Term> {
        if let Some((at, _)) = self.text.char_indices().nth(LONGEST) {
            self.mistake(at..self.text.len(), Mistake::TooLong);
            return Vec::new();
        }
        if let Some(at) = self.text.find('\0') {
            self.mistake(at..at + 1, Mistake::Nul);
            return Vec::new();
        }
        let mut terms = Vec::new();
        loop {
            self.skip(char::is_whitespace);
            if self.rest().is_empty() {
                return terms;
            }
            let start = self.at;
            if terms.len() == MOST_TERMS {
                self.mistake(start..self.text.len(), Mistake::TooManyTerms);
                return terms;
            }
            let negated = self.negation();
            let is_after_key =
                (terms.last()).is_some_and(|term: &Term| !matches!(term.filter, Filter::Text(_)));
            if let Some(filter) = self.filter(is_after_key) {
                terms.push(Term { negated, filter, span: start..self.at });
            }
        }
    }

    fn negation(&mut self) -> bool {
        let rest = self.rest();
        let negates = rest.starts_with('-') && rest[1..].starts_with(|c: char| !c.is_whitespace());
        self.at += usize::from(negates);
        negates
    }

    fn filter(&mut self, is_after_key: bool) -> Option<Filter> {
        let start = self.at;
        if self.peek().and_then(closing).is_some() {
            let phrase = self.quoted()?;
            let how = if self.eat('*') { Match::Beginning } else { Match::Phrase };
            return self.words(&phrase.text, start..self.at, how);
        }
        let name = foreign::name(self.rest()).0.to_owned();
        self.at += name.len();
        if !name.is_empty() && self.eat(':') {
            let Some(key) = Key::find(&name) else {
                self.values();
                let nearest = Key::nearest(&name);
                self.mistake(start..start + name.len(), Mistake::UnknownKey { key: name, nearest });
                return None;
            };
            let values = self.values()?;
            if values.iter().any(|value| value.text.is_empty()) {
                self.mistake(start..self.at, Mistake::NoValue(key));
                return None;
            }
            return self.keyed(key, values);
        }
        self.at = start;
        if self.is_foreign() {
            return None;
        }
        self.skip(|c| !c.is_whitespace() && closing(c).is_none());
        let word = &self.text[start..self.at];
        if foreign::is_operator(word, is_after_key, self.rest()) {
            self.mistake(start..self.at, Mistake::Operator(word.to_owned()));
            return None;
        }
        match word.strip_suffix('*') {
            Some(beginning) => self.words(beginning, start..self.at, Match::Beginning),
            None => self.words(word, start..self.at, Match::Forms),
        }
    }

    /// Whether a condition in another syntax follows: that is a mistake. If its value makes no sense for the key, it is text:
    /// `status=firing`, `id=17`.
    fn is_foreign(&mut self) -> bool {
        let (start, mistakes) = (self.at, self.mistakes.len());
        let Some(Condition { key, name, value_at }) = Condition::at_start(&self.text[start..]) else {
            return false;
        };
        self.at += value_at;
        let values = self.values();
        let is_meant = |value: &Value| can_be_meant(key, value.text.trim_end_matches([')', ']']));
        let are_meant = values.is_some_and(|values| values.iter().all(is_meant));
        self.mistakes.truncate(mistakes);
        if are_meant {
            self.skip(|c| !c.is_whitespace());
            self.mistake(start..self.at, Mistake::NearlyKey { key, name: name.to_owned() });
        } else {
            self.at = start;
        }
        are_meant
    }

    fn words(&mut self, text: &str, range: Range<usize>, how: Match) -> Option<Filter> {
        if how != Match::Phrase && text.contains('*') {
            self.mistake(range, Mistake::StarInside);
            return None;
        }
        let words = normal_words(text);
        if words.is_empty() {
            self.mistake(range, Mistake::NoWord);
            return None;
        }
        Some(Filter::Text(Text { words, how }))
    }

    /// Values separated by commas; spaces may follow a comma. Returns at least one, possibly empty; `None` when a quotation mark
    /// stays open.
    fn values(&mut self) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            let start = self.at;
            let value = if self.peek().and_then(closing).is_some() {
                self.quoted()?
            } else {
                let text = self.skip(|c| !c.is_whitespace() && c != ',').to_owned();
                Value { text, range: start..self.at }
            };
            values.push(value);
            if !self.eat(',') {
                return Some(values);
            }
            self.skip(char::is_whitespace);
        }
    }

    fn keyed(&mut self, key: Key, values: Vec<Value>) -> Option<Filter> {
        let filter =
            match key {
                Key::State => Filter::State(sorted(self.each(key, &values, key::state)?)),
                Key::Priority => Filter::Priority(sorted(self.each(key, &values, priorities)?.concat())),
                Key::Ack => Filter::Ack(sorted(self.each(key, &values, key::yes_or_no)?)),
                Key::After => Filter::After(distinct(self.each(key, &values, time)?)),
                Key::Before => Filter::Before(distinct(self.each(key, &values, time)?)),
                Key::Date => Filter::Date(distinct(self.each(key, &values, |text| {
                    time(text).and_then(|t| t.is_day().then_some(t).ok_or(None))
                })?)),
                Key::Message => Filter::Message(distinct(
                    self.each(key, &values, |text| text.parse::<Uuid>().map_err(|_| None))?,
                )),
                Key::Employee => Filter::Employee(texts(values)),
                Key::Group => Filter::Group(texts(values)),
                Key::GroupNow => Filter::GroupNow(texts(values)),
                Key::Acs => Filter::Acs(texts(values)),
                Key::Topic => Filter::Topic(texts(values)),
                Key::Device => Filter::Device(texts(values)),
                Key::External => Filter::External(texts(values)),
                Key::Reason => Filter::Reason(texts(values)),
            };
        Some(filter)
    }

    /// Reads every value, and reports each one that is invalid.
    fn each<T>(
        &mut self,
        key: Key,
        values: &[Value],
        read: impl Fn(&str) -> Result<T, Option<&'static str>>,
    ) -> Option<Vec<T>> {
        let before = self.mistakes.len();
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            match read(&value.text) {
                Ok(item) => items.push(item),
                Err(nearest) => {
                    let mistake = Mistake::UnknownValue { key, value: value.text.clone(), nearest };
                    self.mistake(value.range.clone(), mistake);
                }
            }
        }
        (self.mistakes.len() == before).then_some(items)
    }

    /// A quoted value; in `"…"` a backslash escapes the next character.
    fn quoted(&mut self) -> Option<Value> {
        let start = self.at;
        let open = self.peek()?;
        let close = closing(open)?;
        self.at += open.len_utf8();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            if c == close {
                return Some(Value { text: text.trim().to_owned(), range: start..self.at });
            }
            if open == '"' && c == '\\' {
                let Some(literal) = self.peek() else { break };
                self.at += literal.len_utf8();
                text.push(literal);
            } else {
                text.push(c);
            }
        }
        self.mistake(start..self.at, Mistake::OpenQuote);
        None
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    fn mistake(&mut self, range: Range<usize>, mistake: Mistake) {
        self.mistakes.push(QueryError::new(self.text, range, mistake));
    }
}

/// Whether the value is one of the key's, or a misspelling of one.
fn can_be_meant(key: Key, value: &str) -> bool {
    fn is_near<T>(read: &Result<T, Option<&'static str>>) -> bool {
        !matches!(read, Err(None))
    }
    match key {
        Key::State => is_near(&key::state(value)),
        Key::Priority => is_near(&priorities(value)),
        Key::Ack => is_near(&key::yes_or_no(value)),
        Key::After | Key::Before | Key::Date => is_near(&time(value)),
        Key::Message => value.parse::<Uuid>().is_ok(),
        Key::Employee
        | Key::Group
        | Key::GroupNow
        | Key::Acs
        | Key::Topic
        | Key::Device
        | Key::External
        | Key::Reason => !value.is_empty(),
    }
}

fn priorities(value: &str) -> Result<Vec<Priority>, Option<&'static str>> {
    let (sign, name) = [">=", "<=", ">", "<"]
        .into_iter()
        .find_map(|sign| Some((sign, value.strip_prefix(sign)?)))
        .unwrap_or(("", value));
    let limit = key::priority(name)?;
    let those: Vec<_> = Priority::ALL
        .into_iter()
        .filter(|p| match sign {
            ">=" => *p >= limit,
            "<=" => *p <= limit,
            ">" => *p > limit,
            "<" => *p < limit,
            _ => *p == limit,
        })
        .collect();
    match (those.is_empty(), sign) {
        (false, _) => Ok(those),
        // No priority is beyond the last one.
        (true, ">") => Err(Some(">=critical")),
        (true, _) => Err(Some("<=low")),
    }
}

fn time(value: &str) -> Result<When, Option<&'static str>> {
    When::parse(value).ok_or(None)
}

fn texts(values: Vec<Value>) -> Vec<String> {
    distinct(values.into_iter().map(|value| value.text).collect())
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}
