//! The values in columns and their two forms: exact for programs, readable for people.

use anstyle::AnsiColor;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use simo_common::{
    delivery::{DeliveryState, Reason},
    lang::Lang,
    message::Priority,
    people::Role,
    token::TokenKind,
};
use uuid::Uuid;

use crate::terminal::one_line;

/// A record: shown as a row of a table, as an object, or as a line of CSV.
pub(crate) trait Record: Serialize + Sized + 'static {
    /// Its columns, most important first.
    const COLUMNS: &'static [Column<Self>];
}

/// One column of a [`Record`].
pub(crate) struct Column<T: 'static> {
    /// Its name for programs: the API's field.
    pub(crate) field: &'static str,
    title: (&'static str, &'static str),
    pub(crate) shown: Shown,
    pub(crate) value: fn(&T) -> Value,
}

/// Where a column is shown. CSV and single records have all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In every list.
    Always,
    /// In lists on wide terminals and in pipes.
    Wide,
    /// Not in lists.
    Alone,
}

impl<T> Column<T> {
    /// A column shown in every list.
    pub(crate) const fn new(
        field: &'static str,
        english: &'static str,
        russian: &'static str,
        value: fn(&T) -> Value,
    ) -> Self {
        Self { field, title: (english, russian), shown: Shown::Always, value }
    }

    /// A column shown only in wide lists.
    pub(crate) const fn wide(
        field: &'static str,
        english: &'static str,
        russian: &'static str,
        value: fn(&T) -> Value,
    ) -> Self {
        Self { shown: Shown::Wide, ..Self::new(field, english, russian, value) }
    }

    /// A column not shown in lists.
    pub(crate) const fn alone(
        field: &'static str,
        english: &'static str,
        russian: &'static str,
        value: fn(&T) -> Value,
    ) -> Self {
        Self { shown: Shown::Alone, ..Self::new(field, english, russian, value) }
    }

    /// Its name for people.
    pub(crate) fn title(&self, lang: Lang) -> &'static str {
        lang.pick(self.title.0, self.title.1)
    }
}

/// A value in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// No value.
    Nothing,
    /// Free text.
    Text(String),
    /// An identifier, which is never broken over lines.
    Id(Uuid),
    Number(i64),
    Flag(bool),
    Time(Timestamp),
    /// Several short names.
    List(Vec<String>),
    /// One of SiMO's codes, its English and Russian names, and its colour.
    Code(String, (String, String), Option<AnsiColor>),
}

impl Value {
    /// The exact form, the same in every language and time zone.
    pub(crate) fn exact(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text.clone(),
            Self::Id(id) => id.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Time(at) => at.to_string(),
            Self::List(names) => names.join("|"),
            Self::Code(code, ..) => code.clone(),
        }
    }

    /// The readable form, on one line.
    pub(crate) fn readable(&self, lang: Lang, zone: &TimeZone) -> String {
        match self {
            Self::Flag(true) => lang.pick("yes", "да").to_owned(),
            Self::Flag(false) => lang.pick("no", "нет").to_owned(),
            Self::Time(at) => local(*at, zone),
            Self::List(names) => one_line(&names.join(", ")),
            Self::Code(_, (english, russian), _) => lang.pick(english, russian).clone(),
            exact => one_line(&exact.exact()),
        }
    }

    /// The colour to show it in.
    pub(crate) fn color(&self) -> Option<AnsiColor> {
        match self {
            Self::Code(_, _, color) => *color,
            _ => None,
        }
    }
}

/// A moment by the local clock, with its offset: the client's time zone may differ.
pub(crate) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:::z").to_string()
}

/// A code with its names in both languages.
pub(crate) fn named(code: &str, english: &str, russian: &str) -> Value {
    Value::Code(code.to_owned(), (english.to_owned(), russian.to_owned()), None)
}

/// A reason code of a delivery or a push.
pub(crate) fn reason(code: Option<&str>) -> Value {
    code.map_or(Value::Nothing, |code| {
        let words = |lang| Reason::code_in_words(code, lang).to_owned();
        Value::Code(code.to_owned(), (words(Lang::En), words(Lang::Ru)), None)
    })
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&Vec<String>> for Value {
    fn from(names: &Vec<String>) -> Self {
        Self::List(names.clone())
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number as i64)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl From<DeliveryState> for Value {
    fn from(state: DeliveryState) -> Self {
        let color = match state {
            DeliveryState::Queued => None,
            DeliveryState::Sent => Some(AnsiColor::Cyan),
            DeliveryState::Delivered | DeliveryState::Read | DeliveryState::Acknowledged => {
                Some(AnsiColor::Green)
            }
            DeliveryState::Failed | DeliveryState::Denied => Some(AnsiColor::Red),
            DeliveryState::Expired | DeliveryState::Canceled => Some(AnsiColor::Yellow),
        };
        let names = (state.as_str().to_owned(), state.as_russian().to_owned());
        Self::Code(state.as_str().to_owned(), names, color)
    }
}

impl From<Priority> for Value {
    fn from(priority: Priority) -> Self {
        let color = match priority {
            Priority::Low | Priority::Normal => None,
            Priority::High => Some(AnsiColor::Yellow),
            Priority::Critical => Some(AnsiColor::Red),
        };
        let names = (priority.as_str().to_owned(), priority.as_russian().to_owned());
        Self::Code(priority.as_str().to_owned(), names, color)
    }
}

impl From<Role> for Value {
    fn from(role: Role) -> Self {
        let russian = match role {
            Role::Viewer => "наблюдатель",
            Role::Admin => "администратор",
            Role::Owner => "владелец",
        };
        named(role.as_str(), role.as_str(), russian)
    }
}

impl From<TokenKind> for Value {
    fn from(kind: TokenKind) -> Self {
        let (english, russian) = match kind {
            TokenKind::Acs => ("ACS", "АСУ"),
            TokenKind::Operator => ("operator", "оператор"),
            TokenKind::Device => ("device", "устройство"),
        };
        named(kind.as_str(), english, russian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_form_knows_no_language_and_no_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(3));
        let at: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(Value::from(at).exact(), "2026-11-22T00:00:00Z");
        assert_eq!(Value::from(at).readable(Lang::Ru, &zone), "2026-11-22 03:00:00 +03");
        let failed = Value::from(DeliveryState::Failed);
        assert_eq!(failed.exact(), "failed");
        assert_eq!(failed.readable(Lang::Ru, &zone), "не доставлено");
        assert_eq!(Value::from(None::<bool>).exact(), "");
        assert_eq!(reason(Some("no_grant")).readable(Lang::Ru, &zone), "нет доступа к теме");
    }
}
