//! Two builds of simod: the processor time that each takes for a message. It changes less than a rate does with what
//! else the machine does; and the build before against itself shows how much it still changes.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use simo_common::client::ListQuery;
use simo_tests::{Simod, programs, wait::within};
use tempfile::TempDir;

use crate::{
    blast::{Until, median, quantile},
    cpu,
    ingest::{self, Door},
    site::{self, Provider, Silence},
    table,
};

/// Requests over each of the connections: seconds of processor time, so that a tick of 10 ms is below 1 %.
const SINGLES: usize = 300;
const BATCHES: usize = 10;

const WAYS: [&str; 3] = ["single, 64 connections", "batches of 1,000", "drain of FCM pushes"];

/// Microseconds a message, for each of the [`WAYS`].
type Costs = [f64; 3];

/// The simod in a folder of binaries.
///
/// # Errors
/// When there is none.
pub(crate) fn simod_in(folder: &str) -> Result<PathBuf, String> {
    let simod = Path::new(folder).join("simod");
    if simod.is_file() {
        Ok(simod)
    } else {
        Err(format!(
            "{} is missing; `cargo build --release --workspace --bins` makes target/release/simod of the commit to compare with",
            simod.display()
        ))
    }
}

/// So many pairs of the build before and this one, and as many of the build before and itself.
pub(crate) async fn measure(directory: &Path, before: &Path, pairs: usize) -> Comparisons {
    let after = programs::program("simod");
    let mut rows: [[Vec<Pair>; 2]; 3] = Default::default();
    for number in 1..=pairs {
        let mut costs = [Costs::default(); 3];
        for (costs, simod) in costs.iter_mut().zip([before, &after, before]) {
            *costs = costs_of(directory, simod).await;
        }
        // Every second pair is the other way round: a machine that becomes slower favours neither build.
        if number % 2 == 0 {
            costs.reverse();
        }
        let [before, after, again] = costs;
        for (way, rows) in rows.iter_mut().enumerate() {
            let pair = |other: Costs| Pair { before: before[way], after: other[way] };
            rows[0].push(pair(again));
            rows[1].push(pair(after));
            eprintln!(
                "pair {number}/{pairs}, {}: {:.1} µs, itself {:.3}, after {:.3}",
                WAYS[way],
                before[way],
                pair(again).ratio(),
                pair(after).ratio()
            );
        }
    }
    let named = WAYS.into_iter().zip(rows).flat_map(|(way, [itself, after])| {
        [(format!("{way}: before against itself"), itself), ("  before against after".to_owned(), after)]
    });
    Comparisons(named.collect())
}

/// One simod on a database of its own: takes messages while the provider says nothing, then drains them.
async fn costs_of(directory: &Path, simod: &Path) -> Costs {
    let directory = TempDir::with_prefix_in("compare-", directory).expect("a directory");
    let directory = directory.path();
    let provider = Provider::start(directory);
    let silence = Silence::begin();
    let setup = site::setup(directory, "queue").program(simod).fcm_at(&silence.url, &provider.files);
    let (mut queue, token) = site::with_phones(setup, ingest::EMPLOYEES, "fcm").await;
    let door = Door::at(site::address(&queue), token);
    let started = used_us(&queue).await;
    door.singles(Until::Posted(SINGLES)).await;
    let singles = used_us(&queue).await;
    door.batches(Until::Posted(BATCHES)).await;
    let batches = used_us(&queue).await;
    queue.kill9();
    drop(silence);

    let setup = site::setup(directory, "drain").program(simod).on_database_of(&queue);
    let drain = setup.fcm_at(&provider.url, &provider.files).start().await;
    let single_messages = SINGLES * ingest::CONNECTIONS;
    let batched_messages = BATCHES * ingest::BATCH_CONNECTIONS * ingest::BATCH;
    let messages = single_messages + batched_messages;
    within(Duration::from_mins(5), "all pushes arrive", async || {
        tokio::time::sleep(Duration::from_millis(250)).await;
        (provider.stats(0).await.accepted >= messages as u64).then_some(())
    })
    .await;
    // With its start, since it drains from then on.
    let drained = used_us(&drain).await;
    [
        (singles - started) as f64 / single_messages as f64,
        (batches - singles) as f64 / batched_messages as f64,
        drained as f64 / messages as f64,
    ]
}

/// The processor time of simod in microseconds when everything is done that messages begin: what goes on behind the answers
/// is part of what they cost.
async fn used_us(simod: &Simod) -> u64 {
    // A search waits until the words of all messages are indexed, which simod otherwise puts off while it is busy.
    let list = ListQuery { query: Some("нигде".to_owned()), limit: Some(1), ..ListQuery::default() };
    let client = simod.owner().for_client(Some(site::CLIENT.to_owned()));
    // On a busy machine that may be longer than a caller waits for an answer.
    within(Duration::from_mins(5), "all words are indexed", async || client.messages(&list).await.ok()).await;
    cpu::used_us_when_idle(simod.pid()).await
}

/// Microseconds a message of two runs, one soon after the other.
struct Pair {
    before: f64,
    after: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// What was compared, with all its pairs.
pub(crate) struct Comparisons(Vec<(String, Vec<Pair>)>);

impl fmt::Display for Comparisons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["CPU time a message", "before", "after", "ratio", "quartiles", "all"].map(str::to_owned);
        let rows = self.0.iter().map(|(name, pairs)| cells(name, pairs));
        table::lay_out(f, &std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }
}

/// The ratio is the median of the pairs' ratios: the two runs of a pair met the same machine, all others did not.
fn cells(name: &str, pairs: &[Pair]) -> [String; 6] {
    let mut ratios: Vec<f64> = pairs.iter().map(Pair::ratio).collect();
    let [least, lower, ratio, upper, most] =
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&mut ratios, share));
    let micros = |of: fn(&Pair) -> f64| format!("{:.1} µs", median(pairs.iter().map(of).collect()));
    [
        name.to_owned(),
        micros(|pair| pair.before),
        micros(|pair| pair.after),
        format!("{ratio:.3}"),
        format!("{lower:.3}–{upper:.3}"),
        format!("{least:.3}–{most:.3}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_pairs_ratios() {
        let pairs = [(1.0, 2.0), (2.0, 2.0), (4.0, 4.4), (8.0, 8.0), (16.0, 19.2)];
        let pairs = pairs.map(|(before, after)| Pair { before, after });
        assert_eq!(
            cells("drain", &pairs),
            ["drain", "4.0 µs", "4.4 µs", "1.100", "1.000–1.200", "1.000–2.000"]
        );
    }

    #[test]
    fn a_folder_without_simod_is_refused_with_what_is_missing() {
        let folder = TempDir::new().expect("a directory");
        let path = folder.path().to_str().expect("it is UTF-8");
        let refusal = simod_in(path).expect_err("it is empty");
        assert!(refusal.starts_with(&format!("{path}/simod is missing")), "{refusal}");
        std::fs::write(folder.path().join("simod"), "").expect("a file can be written");
        assert_eq!(simod_in(path), Ok(folder.path().join("simod")));
    }
}
