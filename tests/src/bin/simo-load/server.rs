//! PostgreSQL: ingest compared with SQLite on the same machine and with a bare insert of the same rows; and a backlog
//! drained by two instances compared with one.

use std::{path::Path, time::Duration};

use crate::{
    blast::{Until, median},
    drain::{self, PUSHES},
    ingest::Door,
    site::{self, Provider},
    table::Row,
    unnest::Unnest,
};

/// Alternates between them, so that a slow minute of the machine affects all.
pub(crate) async fn measure(directory: &Path, rounds: usize, seconds: u64) -> Vec<Row> {
    let mut rows = ingest(directory, rounds, Duration::from_secs(seconds)).await;
    let provider = Provider::start(directory);
    let (mut one, mut two, mut repeats) = (Vec::new(), Vec::new(), 0);
    for round in 1..=rounds.min(3) {
        let alone = drain::drain(&directory.join(format!("alone-{round}")), &provider, 1).await;
        let together = drain::drain(&directory.join(format!("together-{round}")), &provider, 2).await;
        eprintln!(
            "server, drain {round}: one instance {:.0}/s, two {:.0}/s with {} repeats",
            alone.rate, together.rate, together.repeats
        );
        one.push(alone.rate);
        two.push(together.rate);
        repeats += together.repeats;
    }
    rows.push(Row::rate(
        "two instances drain 100,000 pushes (bare: one)",
        median(two),
        median(one),
        1.0,
        f64::INFINITY,
    ));
    let share = repeats as f64 / PUSHES as f64;
    rows.push(Row::at_most("  repeats", share * 100.0, 0.0, "%"));
    rows
}

async fn ingest(directory: &Path, rounds: usize, length: Duration) -> Vec<Row> {
    let server = Door::of_simod(site::setup(directory, "server"), "stream").await;
    let embedded = Door::of_simod(site::setup(directory, "embedded").embedded(), "stream").await;
    let unnest = Unnest::prepare(site::setup(directory, "unnest")).await;
    for door in [&server, &embedded] {
        door.singles(Until::Elapsed(Duration::from_secs(1))).await;
    }
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 1..=rounds {
        let now = [
            server.singles(Until::Elapsed(length)).await,
            embedded.singles(Until::Elapsed(length)).await,
            server.batches(Until::Elapsed(length)).await,
            unnest.rate(length).await,
        ];
        eprintln!(
            "server, ingest {round}/{rounds}: single {:.0}/s, SQLite {:.0}/s; batch {:.0}/s, unnest {:.0}/s",
            now[0], now[1], now[2], now[3]
        );
        for (figures, figure) in figures.iter_mut().zip(now) {
            figures.push(figure);
        }
    }
    let [single, on_sqlite, batched, bare] = figures.map(median);
    vec![
        Row::rate("PostgreSQL, single, 64 connections (bare: SQLite)", single, on_sqlite, 0.5, f64::INFINITY),
        Row::rate("PostgreSQL, batches of 1,000 (bare: unnest insert)", batched, bare, 0.4, f64::INFINITY),
    ]
}
