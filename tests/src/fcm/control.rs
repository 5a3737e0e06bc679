//! HTTP control of the stand-in under `/standin/`, for the load tool, which runs it in another process.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Call, server::State};

/// The journal in numbers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Stats {
    /// All calls.
    pub calls: u64,
    /// Accepted calls.
    pub accepted: u64,
    /// When the first accepted call from call N on arrived: microseconds since 1970.
    pub first_us: Option<i64>,
    /// When the last one arrived.
    pub last_us: Option<i64>,
}

/// `/standin/stats?from=N` and `/standin/calls?from=N` (NDJSON): the journal from call N on.
pub(super) fn answer(state: &State, path: &str, query: &str) -> Option<Bytes> {
    let from = query.strip_prefix("from=").and_then(|n| n.parse().ok()).unwrap_or(0_usize);
    let text = state.journal.with(|calls| {
        let calls = calls.get(from..).unwrap_or_default();
        match path {
            "/standin/stats" => Some(stats(calls)),
            "/standin/calls" => Some(lines(calls)),
            _ => None,
        }
    })?;
    Some(Bytes::from(text))
}

fn stats(calls: &[Call]) -> String {
    let mut stats = Stats { calls: calls.len() as u64, ..Stats::default() };
    for call in calls.iter().filter(|call| call.accepted) {
        stats.accepted += 1;
        stats.first_us.get_or_insert(call.at_us);
        stats.last_us = Some(call.at_us);
    }
    serde_json::to_string(&stats).expect("numbers can be written")
}

fn lines(calls: &[Call]) -> String {
    let mut text = String::new();
    for call in calls {
        text.push_str(&serde_json::to_string(call).expect("a call can be written"));
        text.push('\n');
    }
    text
}
