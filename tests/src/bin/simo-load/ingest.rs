//! Ingest: one message per request over 64 connections, and batches, compared with the bare handler. The phones' provider
//! accepts connections and never answers, so that almost only accepting is measured; and once with offline phones that take
//! streams.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use simo_tests::{Simod, simod::Setup};

use crate::{
    bare::Bare,
    blast::{self, Bodies, Target, Until, median},
    machine::Machine,
    site::{self, Provider, Silence},
    table::Row,
};

pub(crate) const CONNECTIONS: usize = 64;
pub(crate) const EMPLOYEES: usize = 5_000;
pub(crate) const BATCH: usize = 1_000;
pub(crate) const BATCH_CONNECTIONS: usize = 4;

/// Alternates between simod and the bare handler, so that a slow minute of the machine affects both.
pub(crate) async fn measure(directory: &Path, rounds: usize, seconds: u64, machine: &Machine) -> Vec<Row> {
    let provider = Provider::start(directory);
    let silence = Silence::begin();
    let setup = site::setup(directory, "ingest").fcm_at(&silence.url, &provider.files);
    let ours = Door::of_simod(setup, "fcm").await;
    let bare = Bare::start();
    let theirs = Door::at(bare.address.clone(), ours.token.clone());
    let length = Until::Elapsed(Duration::from_secs(seconds));
    for door in [&ours, &theirs] {
        door.singles(Until::Elapsed(Duration::from_secs(1))).await;
    }
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 1..=rounds {
        figures[0].push(ours.singles(length).await);
        figures[1].push(theirs.singles(length).await);
        figures[2].push(ours.batches(length).await);
        figures[3].push(theirs.batches(length).await);
        let last = figures.each_ref().map(|figures| figures.last().copied().unwrap_or_default());
        eprintln!(
            "ingest {round}/{rounds}: single {:.0}/s, bare {:.0}/s; batch {:.0}/s, bare {:.0}/s",
            last[0], last[1], last[2], last[3]
        );
    }
    let [single, bare_single, batched, bare_batched] = figures.map(median);
    drop(ours);
    let streams = Door::of_simod(site::setup(directory, "ingest-streams"), "stream").await;
    let (streams_single, streams_batched) = (streams.singles(length).await, streams.batches(length).await);
    // 64 posts can share one sync, but each is answered only after its own sync.
    let disk = 0.7 * CONNECTIONS as f64 / machine.sync.as_secs_f64();
    vec![
        Row::rate("ingest, single, 64 connections", single, bare_single, 0.30, disk),
        Row::rate("ingest, batches of 1,000 (messages)", batched, bare_single, 0.45, f64::INFINITY),
        Row::only("  the bare handler with the same batches", format!("{bare_batched:.0}/s")),
        Row::only("  single with stream phones that are offline", format!("{streams_single:.0}/s")),
        Row::only("  batches for them", format!("{streams_batched:.0}/s")),
    ]
}

/// A server to post messages to.
pub(crate) struct Door {
    address: String,
    token: String,
    _simod: Option<Simod>,
}

impl Door {
    /// A simod with employees who each have a phone on this channel.
    pub(crate) async fn of_simod(setup: Setup, channel: &str) -> Self {
        let (simod, token) = site::with_phones(setup, EMPLOYEES, channel).await;
        Self { address: site::address(&simod), token, _simod: Some(simod) }
    }

    /// A server that the caller keeps running.
    pub(crate) fn at(address: String, token: String) -> Self {
        Self { address, token, _simod: None }
    }

    /// Messages per second, one per request.
    pub(crate) async fn singles(&self, until: Until) -> f64 {
        let bodies: Bodies = Arc::new(|connection, number| Bytes::from(message(connection * 131 + number)));
        blast::rate(&self.target("/api/v1/messages"), CONNECTIONS, until, &bodies).await
    }

    /// Messages per second, in batches.
    pub(crate) async fn batches(&self, until: Until) -> f64 {
        let bodies: Bodies = Arc::new(|connection, number| batch(connection * 131 + number * BATCH));
        let target = self.target("/api/v1/messages/batch");
        blast::rate(&target, BATCH_CONNECTIONS, until, &bodies).await * BATCH as f64
    }

    fn target(&self, path: &'static str) -> Target {
        Target { address: self.address.clone(), path, token: self.token.clone() }
    }
}

/// A message as a 1C would post it, for one of the employees.
pub(crate) fn message(number: usize) -> String {
    format!(
        r#"{{"title":"Наряд № {number}","body":"Насос ПН-2, котельная: давление на выходе 7,4 бар при норме 6,0. Проверить клапан и доложить мастеру смены.","priority":"high","recipients":{{"employees":["{}"]}},"data":{{"order":{number}}}}}"#,
        site::personnel_no(number % EMPLOYEES)
    )
}

fn batch(first: usize) -> Bytes {
    let messages: Vec<String> = (first..first + BATCH).map(message).collect();
    Bytes::from(format!("[{}]", messages.join(",")))
}
