//! The times that a query allows: half-open ranges of microseconds.

use std::ops::Range;

use jiff::Zoned;
use simo_common::query::{Filter, Query, When};

/// The times that all of a query's terms allow.
pub(super) fn times(query: &Query, now: &Zoned) -> Vec<Range<i64>> {
    let mut left: Vec<Range<i64>> = std::iter::once(i64::MIN..i64::MAX).collect();
    for term in &query.terms {
        let ranges: Vec<Range<i64>> = match &term.filter {
            Filter::After(times) => times.iter().map(|time| time.start(now)..i64::MAX).collect(),
            Filter::Before(times) => times.iter().map(|time| i64::MIN..time.start(now)).collect(),
            Filter::Date(days) => days.iter().map(|day: &When| day.start(now)..day.end(now)).collect(),
            _ => continue,
        };
        let ranges = apart(ranges);
        if term.negated {
            narrow(&mut left, &others(&ranges));
        } else {
            narrow(&mut left, &ranges);
        }
    }
    left
}

/// The same as ranges that neither touch nor overlap, ascending.
pub(in crate::store) fn apart(mut ranges: Vec<Range<i64>>) -> Vec<Range<i64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<i64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// All times but these.
fn others(ranges: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut from = i64::MIN;
    let mut gaps = Vec::with_capacity(ranges.len() + 1);
    for range in ranges {
        gaps.push(from..range.start);
        from = range.end;
    }
    gaps.push(from..i64::MAX);
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

/// Narrows `times` to what is also in `ranges`.
pub(super) fn narrow(times: &mut Vec<Range<i64>>, ranges: &[Range<i64>]) {
    let mut common = Vec::new();
    for time in times.iter() {
        for range in ranges {
            common.push(time.start.max(range.start)..time.end.min(range.end));
        }
    }
    *times = apart(common);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_by(text: &str) -> Vec<Range<i64>> {
        let now: Zoned = "2026-11-03T10:00:00+00:00[UTC]".parse().unwrap();
        times(&simo_common::query::parse(text).unwrap(), &now)
    }

    #[test]
    fn times_are_half_open_and_add_up() {
        let one_day = left_by("after:2026-11-01 before:2026-11-02");
        assert_eq!(one_day, left_by("date:2026-11-01"));
        assert_eq!(one_day, left_by("date:2026-11-01,2026-11-03 -date:today"));
        assert_eq!(left_by("-after:yesterday"), left_by("before:yesterday"));
        assert!(left_by("after:today before:today").is_empty());
        assert_eq!(left_by("date:today,yesterday"), left_by("date:yesterday,today"));
        assert_eq!(left_by("date:today,yesterday").len(), 1);
        assert_eq!(left_by("-date:yesterday").len(), 2);
    }
}
