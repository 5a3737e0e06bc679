//! Times: microseconds since 1970 in UTC internally and in the database, RFC 3339 on the wire.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{lang::Text, text};

/// Microseconds in a millisecond.
pub const MILLISECOND: i64 = 1_000;
/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day of 24 hours.
pub const DAY: i64 = 24 * HOUR;
/// Seconds in a day of 24 hours.
pub const DAY_SECONDS: i64 = DAY / SECOND;

/// Microseconds as a [`Timestamp`], clamped to its range.
pub fn from_us(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(if us < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A duration in whole seconds, rounded to the nearest.
pub fn whole_seconds(us: i64) -> i64 {
    (us as f64 / SECOND as f64).round() as i64
}

/// A moment as a person or an ACS wrote it: exact with an offset, otherwise it needs a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Written with an offset or `Z`.
    Exact(Timestamp),
    /// Written without an offset: a wall clock's time in a zone that is known later (the client's).
    Civil(civil::DateTime),
}

impl Moment {
    /// Parses `2026-11-22T03:00:00+03:00`, `2026-11-22T03:00:00`, `2026-11-22 03:00` or `2026-11-22`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // RFC 3339 has no zone names, and its offsets are below a day. Ignoring part of such a time would send messages late.
        if text.contains('[') || has_no_such_offset(text) {
            return None;
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(Self::Exact(at));
        }
        text.parse::<civil::DateTime>().ok().map(Self::Civil)
    }

    /// Parses a moment, in microseconds, in a known zone.
    ///
    /// # Errors
    /// The error message for text that is not a time.
    pub fn read(text: &str, zone: &TimeZone) -> Result<i64, Text> {
        let moment = Self::parse(text).and_then(|moment| moment.in_zone(zone));
        moment.ok_or_else(|| {
            text!(
                "`{text}` is not a time; write 2027-01-01T00:00:00+03:00 or 2027-01-01",
                "«{text}» не время; пишите 2027-01-01T00:00:00+03:00 или 2027-01-01"
            )
        })
    }

    /// The moment in microseconds; a wall clock's time is taken in `zone` (in a gap or fold: with the earlier offset).
    pub fn in_zone(self, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Exact(at) => Some(at.as_microsecond()),
            Self::Civil(at) => {
                Some(zone.to_ambiguous_zoned(at).compatible().ok()?.timestamp().as_microsecond())
            }
        }
    }
}

/// Whether a time ends with an offset of a day or more.
fn has_no_such_offset(text: &str) -> bool {
    let offset = text.get(10..).and_then(|time| time.rfind(['+', '-']).map(|at| &time[at + 1..]));
    offset.is_some_and(|offset| {
        offset.get(..2).and_then(|hours| hours.parse::<u8>().ok()).is_none_or(|hours| hours > 23)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_offset_is_read_in_the_given_zone() {
        let zone = TimeZone::get("Asia/Krasnoyarsk").unwrap();
        let with = Moment::parse("2026-11-22T03:00:00+07:00").unwrap();
        let without = Moment::parse("2026-11-22T03:00:00").unwrap();
        assert_eq!(with.in_zone(&TimeZone::UTC), without.in_zone(&zone));
        assert_eq!(Moment::read("2026-11-22", &zone), Ok(without.in_zone(&zone).unwrap() - 3 * HOUR));
        for wrong in ["вчера", "2026-12-01T10:00:00[Asia/Vladivostok]", "2026-12-01T10:00:00+25:00"] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
        assert!(Moment::read("вчера", &zone).unwrap_err().en.starts_with("`вчера` is not a time"));
    }
}
