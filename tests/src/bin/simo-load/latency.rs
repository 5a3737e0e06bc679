//! From POST to arrival at the provider, at a steady 500 messages a second.

use std::{collections::HashMap, path::Path, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use simo_tests::{Simod, clock, wait::within};
use tokio::task::JoinSet;

use crate::{
    blast::{Connection, Target, quantile},
    site::{self, Provider},
    table::Row,
};

const RATE: usize = 500;
const SECONDS: usize = 20;
const EMPLOYEES: usize = 5_000;
const CONNECTIONS: usize = 16;

/// When a message was posted and answered: microseconds since 1970.
pub(crate) struct Posted {
    pub(crate) id: String,
    pub(crate) sent_us: i64,
    pub(crate) answered_us: i64,
}

/// Runs for twenty seconds at that rate.
pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let provider = Provider::start(directory);
    let setup = site::setup(directory, "latency").fcm_at(&provider.url, &provider.files);
    let (simod, token) = site::with_phones(setup, EMPLOYEES, "fcm").await;

    steadily(&simod, &token, RATE, RATE, EMPLOYEES).await;
    let before = provider.stats(0).await.calls;
    let posted = steadily(&simod, &token, RATE, RATE * SECONDS, EMPLOYEES).await;
    let mut times = to_provider(&provider, before, &posted).await;
    let p50 = quantile(&mut times, 0.50);
    let p99 = quantile(&mut times, 0.99);
    eprintln!("latency: p50 {p50:.1} ms, p99 {p99:.1} ms");
    vec![
        Row::at_most("POST to provider at 500/s, p50", p50, 10.0, "ms"),
        Row::at_most("POST to provider at 500/s, p99", p99, 50.0, "ms"),
    ]
}

/// Posts `count` messages at `rate` per second, whether or not earlier ones are answered.
pub(crate) async fn steadily(
    simod: &Simod,
    token: &str,
    rate: usize,
    count: usize,
    employees: usize,
) -> Vec<Posted> {
    let mut tasks = JoinSet::new();
    let start = tokio::time::Instant::now();
    for lane in 0..CONNECTIONS {
        let target =
            Target { address: site::address(simod), path: "/api/v1/messages", token: token.to_owned() };
        tasks.spawn(async move {
            let mut connection = Connection::open(target).await;
            let mut posted = Vec::new();
            for number in (lane..count).step_by(CONNECTIONS) {
                tokio::time::sleep_until(start + Duration::from_secs_f64(number as f64 / rate as f64)).await;
                let sent_us = clock::now_us();
                let (_, answer) = connection.post(message(number, employees)).await;
                let answered_us = clock::now_us();
                posted.push(Posted { id: id_of(&answer), sent_us, answered_us });
            }
            posted
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Milliseconds from each POST to its arrival at the provider; waits until all have arrived.
pub(crate) async fn to_provider(provider: &Provider, before: u64, posted: &[Posted]) -> Vec<f64> {
    within(Duration::from_mins(2), "all messages reach the provider", || async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let arrived: HashMap<String, i64> = provider
            .calls(before)
            .await
            .into_iter()
            .rev()
            .filter_map(|call| Some((call.message_id?, call.at_us)))
            .collect();
        posted
            .iter()
            .map(|message| {
                let at_us = arrived.get(&message.id)?;
                Some((at_us - message.sent_us) as f64 / 1e3)
            })
            .collect()
    })
    .await
}

/// The message id in the answer to a post.
pub(crate) fn id_of(answer: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        id: String,
    }
    serde_json::from_slice::<Answer>(answer).expect("the answer has an id").id
}

fn message(number: usize, employees: usize) -> Bytes {
    let to = site::personnel_no(number % employees);
    Bytes::from(format!(
        r#"{{"title":"Тревога {number}","body":"Давление на выходе 7,4 бар при норме 6,0.","priority":"high","recipients":{{"employees":["{to}"]}}}}"#
    ))
}
