//! Times in a query: a day, a moment, or an offset from now.

use std::fmt;

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};

use crate::{
    people::fold_name,
    time::{self, Moment},
};

/// A time as written; its meaning depends on the caller's time zone and the present moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Today.
    Today,
    /// Yesterday.
    Yesterday,
    /// This many seconds ago.
    Ago(i64),
    /// A day.
    Day(civil::Date),
    /// A wall clock's time, without an offset.
    Wall(civil::DateTime),
    /// A moment with an offset.
    Exact(Timestamp),
}

const UNITS: [(i64, &[&str]); 5] = [
    (604_800, &["w", "н", "нед"]),
    (86_400, &["d", "д", "дн"]),
    (3_600, &["h", "ч"]),
    (60, &["m", "м", "мин"]),
    (1, &["s", "с", "сек"]),
];

impl When {
    /// Parses `today`, `вчера`, `-2h`, `2026-11-01`, `01.11.2026`, either date with `T10:00`, with or without an offset.
    pub fn parse(text: &str) -> Option<Self> {
        match fold_name(text).as_str() {
            "today" | "сегодня" => return Some(Self::Today),
            "yesterday" | "вчера" => return Some(Self::Yesterday),
            _ => {}
        }
        if let Some(ago) = text.strip_prefix('-').and_then(ago) {
            return Some(Self::Ago(ago));
        }
        if let Some(day) = day(text) {
            return Some(Self::Day(day));
        }
        let dated =
            text.split_once(['T', ' ']).and_then(|(date, clock)| Some(format!("{}T{clock}", day(date)?)));
        match Moment::parse(dated.as_deref().unwrap_or(text))? {
            Moment::Exact(at) => Some(Self::Exact(at)),
            Moment::Civil(at) => Some(Self::Wall(at)),
        }
    }

    /// Whether it is a whole day.
    pub fn is_day(self) -> bool {
        matches!(self, Self::Today | Self::Yesterday | Self::Day(_))
    }

    /// When it begins, in microseconds: for a day, its first moment in the zone.
    pub fn start(self, now: &Zoned) -> i64 {
        match self {
            Self::Ago(seconds) => {
                let before = seconds.saturating_mul(time::SECOND);
                now.timestamp().as_microsecond().saturating_sub(before)
            }
            Self::Exact(at) => at.as_microsecond(),
            Self::Wall(at) => in_zone(at, now.time_zone()),
            Self::Today | Self::Yesterday | Self::Day(_) => {
                in_zone(self.day(now).at(0, 0, 0, 0), now.time_zone())
            }
        }
    }

    /// When it ends, in microseconds: for a day, the first moment of the next; for a moment, itself.
    pub fn end(self, now: &Zoned) -> i64 {
        if self.is_day() {
            let next = self.day(now).tomorrow().unwrap_or(civil::Date::MAX);
            in_zone(next.at(0, 0, 0, 0), now.time_zone())
        } else {
            self.start(now)
        }
    }

    fn day(self, now: &Zoned) -> civil::Date {
        match self {
            Self::Yesterday => now.date().yesterday().unwrap_or(civil::Date::MIN),
            Self::Day(day) => day,
            _ => now.date(),
        }
    }
}

fn in_zone(at: civil::DateTime, zone: &TimeZone) -> i64 {
    Moment::Civil(at).in_zone(zone).unwrap_or(if at.year() < 0 { i64::MIN } else { i64::MAX })
}

fn ago(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text[..digits].parse().ok()?;
    let unit = fold_name(&text[digits..]);
    let (seconds, _) = UNITS.iter().find(|(_, names)| names.contains(&unit.as_str()))?;
    number.checked_mul(*seconds)
}

fn day(text: &str) -> Option<civil::Date> {
    let numbers = |separator: char, lengths: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        let fits = parts.iter().map(|part| part.len()).eq(lengths);
        let numbers: Vec<i16> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        (fits && numbers.len() == 3).then_some(numbers)
    };
    let date = |year: i16, month: i16, day: i16| {
        civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    };
    if let Some(n) = numbers('-', [4, 2, 2]) {
        return date(n[0], n[1], n[2]);
    }
    let n = numbers('.', [2, 2, 4])?;
    date(n[2], n[1], n[0])
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::Yesterday => f.write_str("yesterday"),
            Self::Ago(seconds) => {
                let whole = UNITS.iter().find(|(unit, _)| *seconds != 0 && seconds % unit == 0);
                let (unit, names) = whole.unwrap_or(&UNITS[4]);
                write!(f, "-{}{}", seconds / unit, names[0])
            }
            Self::Day(day) => day.fmt(f),
            Self::Wall(at) => at.fmt(f),
            Self::Exact(at) => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-03T10:00:00+07:00[Asia/Krasnoyarsk]".parse().unwrap()
    }

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_where_the_reader_is() {
        for text in ["2026-11-01", "01.11.2026"] {
            let day = When::parse(text).unwrap();
            assert_eq!(day.start(&now()), us("2026-11-01T00:00:00+07:00"));
            assert_eq!(day.end(&now()), us("2026-11-02T00:00:00+07:00"));
        }
        assert_eq!(When::Yesterday.end(&now()), When::Today.start(&now()));
    }

    #[test]
    fn a_moment_is_read_in_the_zone_unless_it_has_an_offset() {
        let start = |text| When::parse(text).unwrap().start(&now());
        assert_eq!(start("2026-11-01T10:00"), us("2026-11-01T10:00:00+07:00"));
        assert_eq!(start("2026-11-01 10:00"), us("2026-11-01T10:00:00+07:00"));
        assert_eq!(start("01.11.2026T10:00"), us("2026-11-01T10:00:00+07:00"));
        assert_eq!(start("01.11.2026 10:00"), us("2026-11-01T10:00:00+07:00"));
        assert_eq!(start("01.11.2026T10:00Z"), us("2026-11-01T10:00:00Z"));
        assert_eq!(start("2026-11-01T10:00:00Z"), us("2026-11-01T10:00:00Z"));
        assert_eq!(start("-2h"), us("2026-11-03T08:00:00+07:00"));
        assert_eq!(start("-30мин"), us("2026-11-03T09:30:00+07:00"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            "-h",
            "-2x",
            "2026-13-01",
            "32.01.2026",
            "01.11.2026T",
            "01.11.2026T25:00",
            "скоро",
            "-99999999999999999999s",
        ] {
            assert_eq!(When::parse(text), None, "{text}");
        }
    }
}
