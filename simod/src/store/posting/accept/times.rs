//! When a message is sent, and when it is given up.

use jiff::tz::TimeZone;
use simo_common::{lang::Text, message::limits, text, time::SECOND};

use super::{Draft, Expiry};

/// A message's times, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "named as their columns")]
pub(super) struct Times {
    pub(super) accepted_at: i64,
    pub(super) send_at: Option<i64>,
    pub(super) expires_at: i64,
}

impl Times {
    /// Times of a message with only this moment.
    pub(super) fn at_once(now: i64) -> Self {
        Self { accepted_at: now, send_at: None, expires_at: now }
    }
}

/// When a message is sent and given up; moments without offset are in the client's time zone.
pub(super) fn times(
    draft: &Draft,
    zone: &TimeZone,
    default_ttl: i64,
    now: i64,
) -> Result<Times, Vec<(String, Text)>> {
    let one = |field: &str, text| Err(vec![(field.to_owned(), text)]);
    let send_at = match draft.send_at.map(|moment| moment.in_zone(zone)) {
        None => None,
        Some(None) => {
            return one("send_at", text!("is not a valid moment", "нет такого момента времени"));
        }
        Some(Some(at)) if at > now + limits::SEND_AHEAD_SECONDS * SECOND => {
            return one("send_at", text!("lies more than a year ahead", "более чем через год"));
        }
        // A time in the past means now.
        Some(Some(at)) => (at > now).then_some(at),
    };
    let from = send_at.unwrap_or(now);
    let expires_at = match draft.expiry {
        Expiry::Default => from + default_ttl * SECOND,
        Expiry::Ttl(seconds) => from + seconds * SECOND,
        Expiry::At(moment) => match moment.in_zone(zone) {
            Some(at) if at <= from => {
                return one(
                    "expires_at",
                    text!("has passed already, or lies before send_at", "уже прошло или раньше send_at"),
                );
            }
            Some(at) if at > from + limits::TTL_SECONDS * SECOND => {
                return one("expires_at", text!("lies more than 28 days ahead", "более чем через 28 дней"));
            }
            Some(at) => at,
            None => {
                return one("expires_at", text!("is not a valid moment", "нет такого момента времени"));
            }
        },
    };
    Ok(Times { accepted_at: now, send_at, expires_at })
}
