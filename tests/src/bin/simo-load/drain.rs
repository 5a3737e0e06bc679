//! Drain: 100,000 queued pushes to the stand-in, compared with a bare reqwest loop that sends as many over the same number
//! of connections and streams.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::json;
use simo_tests::{Simod, fcm::sender::Sender, wait::within};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    blast::{Connection, Target, median},
    footprint,
    site::{self, Provider, Silence},
    table::Row,
};

pub(crate) const PUSHES: usize = 100_000;
pub(crate) const EMPLOYEES: usize = 5_000;
const BATCH: usize = 5_000;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 90;

/// Alternates between simod and the bare loop.
pub(crate) async fn measure(directory: &Path, rounds: usize) -> Vec<Row> {
    let provider = Provider::start(directory);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut memory = 0.0_f64;
    for round in 1..=rounds {
        let drained = drain(&directory.join(format!("drain-{round}")), &provider, 1).await;
        ours.push(drained.rate);
        memory = memory.max(drained.resident);
        bare.push(loop_of_sends(&provider).await);
        eprintln!("drain {round}/{rounds}: {:.0}/s, bare {:.0}/s", ours[round - 1], bare[round - 1]);
    }
    vec![
        Row::rate("drain of 100,000 FCM pushes", median(ours), median(bare), 0.40, f64::INFINITY),
        Row::only("  resident after the drain", format!("{memory:.1} MiB")),
    ]
}

/// The result of a drain.
pub(crate) struct Drained {
    /// Pushes a second.
    pub rate: f64,
    /// Memory of the first instance, in MiB.
    pub resident: f64,
    /// Pushes that the provider accepted more than once.
    pub repeats: u64,
}

/// Queues pushes while the provider is unreachable, then starts this many instances with the provider available.
pub(crate) async fn drain(directory: &Path, provider: &Provider, instances: usize) -> Drained {
    let silence = Silence::begin();
    let setup = site::setup(directory, "queue").fcm_at(&silence.url, &provider.files);
    let (mut queue, token) = site::with_phones(setup, EMPLOYEES, "fcm").await;
    post(&queue, token, message).await;
    queue.kill9();
    drop(silence);

    let before = provider.stats(0).await.calls;
    let mut running = Vec::new();
    for instance in 0..instances {
        let setup = site::setup(directory, &format!("drain-{instance}"));
        let setup = setup.on_database_of(&queue).fcm_at(&provider.url, &provider.files);
        running.push(setup.start().await);
    }
    let rate = rate(provider, before).await;
    // Any repeat is on its way already or waits for a lease.
    let repeats = if instances > 1 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        provider.stats(before).await.accepted - PUSHES as u64
    } else {
        0
    };
    Drained { rate, resident: footprint::resident_mib(running[0].pid()), repeats }
}

/// Queues 100,000 messages.
pub(crate) async fn post(simod: &Simod, token: String, message: fn(usize) -> String) {
    let target = Target { address: site::address(simod), path: "/api/v1/messages/batch", token };
    let mut connection = Connection::open(target).await;
    for first in (0..PUSHES).step_by(BATCH) {
        let messages: Vec<String> = (first..first + BATCH).map(message).collect();
        connection.post(Bytes::from(format!("[{}]", messages.join(",")))).await;
    }
}

/// Pushes per second from call `before` on; waits until all have arrived.
pub(crate) async fn rate(provider: &Provider, before: u64) -> f64 {
    let all = async || {
        // Polling costs the stand-in a little, so not too often.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let stats = provider.stats(before).await;
        (stats.accepted >= PUSHES as u64).then_some(stats)
    };
    let done = within(Duration::from_mins(5), "all pushes arrive", all).await;
    let (Some(first), Some(last)) = (done.first_us, done.last_us) else {
        unreachable!("so many were accepted");
    };
    done.accepted as f64 / ((last - first) as f64 / 1e6)
}

async fn loop_of_sends(provider: &Provider) -> f64 {
    let account = std::fs::read_to_string(&provider.files.service_account).expect("the account is there");
    let ca = std::fs::read_to_string(&provider.files.ca).expect("the CA is there");
    let first = Sender::new(&provider.url, &account, &ca).await;
    let started = Instant::now();
    let connect = || first.on_another_connection(&ca);
    let send = |sender: Sender, number| async move {
        let (status, body) = sender.send(&push(number)).await.expect("the stand-in answers");
        assert!(status.is_success(), "{body}");
    };
    send_all(PUSHES, connect, send).await;
    PUSHES as f64 / started.elapsed().as_secs_f64()
}

/// Sends this many pushes over as many connections and streams as simod.
pub(crate) async fn send_all<S, F>(
    pushes: usize,
    connect: impl Fn() -> S,
    send: impl Fn(S, usize) -> F + Clone + Send + 'static,
) where
    S: Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (sender, send) = (connect(), send.clone());
        tasks.spawn(async move {
            let streams = Arc::new(Semaphore::new(STREAMS));
            let mut sends = JoinSet::new();
            for number in (connection..pushes).step_by(CONNECTIONS) {
                let permit = Arc::clone(&streams).acquire_owned().await.expect("it stays open");
                let sent = send(sender.clone(), number);
                sends.spawn(async move {
                    sent.await;
                    drop(permit);
                });
                while sends.try_join_next().is_some() {}
            }
            sends.join_all().await;
        });
    }
    tasks.join_all().await;
}

/// The push that simod sends for such a message.
fn push(number: usize) -> serde_json::Value {
    json!({
        "token": format!("load-{number:032}"),
        "data": {
            "message_id": "01920000-0000-7000-8000-000000000000",
            "title": format!("Наряд № {number}"),
            "body": BODY,
            "priority": "high",
            "accepted_at": "2026-11-22T03:00:00Z",
            "expires_at": "2026-11-25T03:00:00Z",
        },
        "android": {"priority": "HIGH", "ttl": "259200s"},
    })
}

const BODY: &str = "Насос ПН-2, котельная: давление на выходе 7,4 бар при норме 6,0. Проверить клапан.";

pub(crate) fn message(number: usize) -> String {
    let to = site::personnel_no(number % EMPLOYEES);
    format!(
        r#"{{"title":"Наряд № {number}","body":"{BODY}","priority":"high","recipients":{{"employees":["{to}"]}}}}"#
    )
}
