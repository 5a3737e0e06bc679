//! Web Push: 100,000 queued pushes to the stand-in, each encrypted with a fresh key pair; compared with a bare loop that
//! encrypts and posts as many, and with the libraries in common use: npm web-push and pywebpush.

pub(crate) mod bare;
mod others;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use simo_common::api::device::{ChannelAddress, SubscriptionKeys};
use simo_tests::{PushService, Simod, programs, push_service::Subscription, simod::Setup, wait::within};
use tempfile::TempDir;

use crate::{
    compare, cpu,
    drain::{self, EMPLOYEES, PUSHES},
    footprint, site,
    table::Row,
};

/// The service decrypts one body in this many.
const OPENED: usize = 100;

/// The task for the other programs: the pushes and their subscriptions.
#[derive(Serialize, Deserialize)]
struct Work {
    /// The CA of the push service, as PEM.
    ca: String,
    text: String,
    subscriptions: Vec<Browser>,
}

/// A subscription in the form that browsers send.
#[derive(Serialize, Deserialize)]
struct Browser {
    endpoint: String,
    keys: SubscriptionKeys,
}

/// Figures of the runs, in order.
#[derive(Default)]
struct Figures {
    /// Pushes a second.
    rates: Vec<f64>,
    /// Processor time per push in microseconds.
    cpu: Vec<f64>,
}

impl Figures {
    fn add(&mut self, arrived: &Arrived, used_us: u64) {
        self.rates.push(arrived.rate);
        self.cpu.push(used_us as f64 / arrived.pushes as f64);
    }

    fn rows(&self, name: String, other: &Self, least: Option<f64>) -> [Row; 2] {
        [
            Row::pairs(name, &self.rates, &other.rates, "/s", least),
            Row::pairs("  CPU time a push", &self.cpu, &other.cpu, " µs", None),
        ]
    }
}

/// Measures simod, the others, and simod again, in turns.
pub(crate) async fn measure(directory: &Path, rounds: usize) -> Vec<Row> {
    let queue = Queue::new(directory, &programs::program("simod")).await;
    let work = directory.join("work.json");
    queue.write(&work).await;
    let mut others = others::all(directory, &work);
    let (mut ours, mut again) = (Figures::default(), Figures::default());
    let mut memory = 0.0_f64;
    for round in 1..=rounds {
        // The bare loop runs between two runs of simod; they alternate as `ours` and `again`.
        let mut runs = [&mut ours, &mut again];
        if round % 2 == 0 {
            runs.reverse();
        }
        for (place, other) in others.iter_mut().enumerate() {
            if let Some(run) = runs.get_mut(place) {
                let drained = queue.drain(directory).await;
                memory = memory.max(drained.resident);
                run.add(&drained.arrived, drained.used_us);
            }
            if let Ok(command) = &mut other.command {
                queue.lets_post(command, other.pushes, &mut other.figures).await;
            }
        }
        eprintln!("web push {round}/{rounds}: {:.0}/s", ours.rates[round - 1]);
    }
    let mut rows =
        Vec::from(ours.rows("drain of 100,000 web pushes, beside itself".to_owned(), &again, None));
    for other in others {
        let name = format!("  beside {}", other.name);
        match other.command {
            Ok(_) => rows.extend(ours.rows(name, &other.figures, Some(other.least))),
            Err(why) => rows.push(Row::only(name, format!("not measured: {why}"))),
        }
    }
    rows.push(Row::only("  resident after the drain", format!("{memory:.1} MiB")));
    rows
}

/// A build of simod with all pushes queued, the browsers of its people, and their push service.
pub(crate) struct Queue {
    service: PushService,
    program: PathBuf,
    /// Stopped.
    simod: Simod,
}

/// The result of a drain.
pub(crate) struct Drained {
    pub(crate) arrived: Arrived,
    /// Processor time of simod, including its start, since it drains from then on.
    pub(crate) used_us: u64,
    /// Memory of simod afterwards, in MiB.
    pub(crate) resident: f64,
}

impl Queue {
    /// Queues the pushes while the channel is off.
    pub(crate) async fn new(directory: &Path, program: &Path) -> Self {
        let service = PushService::start();
        service.journal().without_bodies();
        service.decrypt_every(OPENED);
        let mut simod = setup(directory, &service, program).start().await;
        let plant = site::plant(&simod, site::CLIENT, EMPLOYEES).await;
        let address = |_: &str| {
            let Browser { endpoint, keys } = browser(&service);
            ChannelAddress {
                kind: "webpush".to_owned(),
                address: None,
                address_kind: None,
                endpoint: Some(endpoint),
                keys: Some(keys),
                notifications: Some(true),
            }
        };
        site::pair_phones(&simod, &plant, address).await;
        let token = plant.token("1c").await;
        simod.terminate().await;
        let off = setup(directory, &service, program).set("webpush.enabled", false);
        let mut simod = off.on_database_of(&simod).start().await;
        drain::post(&simod, token, drain::message).await;
        // Indexing the words is not part of the drain.
        compare::used_us(&simod).await;
        simod.terminate().await;
        Self { service, program: program.to_owned(), simod }
    }

    /// Drains a copy of the database.
    pub(crate) async fn drain(&self, directory: &Path) -> Drained {
        let directory = TempDir::with_prefix_in("web-push-", directory).expect("a directory");
        let setup = setup(directory.path(), &self.service, &self.program);
        let simod = setup.on_copy_of(&self.simod).await.start().await;
        let arrived = self.arrived(PUSHES).await;
        let resident = footprint::resident_mib(simod.pid());
        Drained { arrived, used_us: cpu::used_us_when_idle(simod.pid()).await, resident }
    }

    /// Writes the task for the other programs: the same pushes that simod sends.
    async fn write(&self, work: &Path) {
        let directory = work.parent().expect("a file is in a directory");
        let mut text = String::from_utf8(self.drain(directory).await.arrived.text).expect("it is JSON");
        // simod pads to a multiple of 128, and all bodies should have the same length.
        let padding = text.len().next_multiple_of(128) - text.len();
        text.extend(std::iter::repeat_n(' ', padding));
        let subscriptions = (0..EMPLOYEES).map(|_| browser(&self.service)).collect();
        let work_text = Work { ca: self.service.ca_pem().to_owned(), text, subscriptions };
        let json = serde_json::to_vec(&work_text).expect("texts can be written");
        fs::write(work, json).expect("the file can be written");
    }

    /// Lets another program post; it prints the processor time it used.
    async fn lets_post(&self, command: &mut Command, pushes: usize, figures: &mut Figures) {
        let output = command.stderr(Stdio::inherit()).output().expect("the program starts");
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        let used_us = said.trim().parse().expect("it says how many microseconds");
        figures.add(&self.arrived(pushes).await, used_us);
    }

    /// Waits for this many pushes, and checks that a push service would accept them all.
    async fn arrived(&self, count: usize) -> Arrived {
        let journal = self.service.journal();
        let all = async || {
            // Polling costs the stand-in a little, so not too often.
            tokio::time::sleep(Duration::from_millis(250)).await;
            (journal.accepted() >= count).then_some(())
        };
        within(Duration::from_mins(5), "all pushes arrive", all).await;
        let mut pushes = journal.take();
        for push in &pushes {
            assert!(push.violation.is_none() && push.accepted, "{push:?}");
        }
        assert_eq!(pushes.len(), count, "none came twice");
        assert_eq!(pushes.iter().filter(|push| push.text.is_some()).count(), count.div_ceil(OPENED));
        let (first, last) = (pushes[0].at_us, pushes[count - 1].at_us);
        let rate = count as f64 / ((last - first) as f64 / 1e6);
        Arrived { pushes: count, rate, text: pushes[0].text.take().expect("the first is opened") }
    }
}

/// Pushes that arrived.
pub(crate) struct Arrived {
    pub(crate) pushes: usize,
    /// Pushes a second.
    pub(crate) rate: f64,
    /// The text of the first push.
    text: Vec<u8>,
}

fn setup(directory: &Path, service: &PushService, program: &Path) -> Setup {
    let ca = service.write_ca(directory);
    site::setup(directory, "simod")
        .program(program)
        .set("public_url", "https://simo.example.org")
        .set("webpush.ca", ca.to_str().expect("paths here are UTF-8"))
        .set("webpush.allowed_hosts", vec![service.host()])
}

fn browser(service: &PushService) -> Browser {
    let Subscription { endpoint, p256dh, auth } = service.subscribe(None);
    Browser { endpoint, keys: SubscriptionKeys { p256dh, auth } }
}
