//! Ingest: one message a request over 64 connections, and batches, next to the bare handler. Phones are of kind
//! `stream` and offline, so that nothing but accepting goes on.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    bare::Bare,
    blast::{self, Bodies, Target, median},
    machine::Machine,
    site,
    table::Row,
};

const CONNECTIONS: usize = 64;
const EMPLOYEES: usize = 5_000;
const BATCH: usize = 1_000;
const BATCH_CONNECTIONS: usize = 4;

/// Rounds of ours and the bare one in turns, so that a slow minute of the machine meets both.
pub(crate) async fn measure(directory: &Path, rounds: usize, seconds: u64, machine: &Machine) -> Vec<Row> {
    let mut simod = site::setup(directory, "ingest").start().await;
    let token = site::plant(&simod, "load", EMPLOYEES).await.token("1c").await;
    simod.terminate().await;
    site::give_phones(&simod.database_url(), "stream").await;
    simod.restart().await;
    let bare = Bare::start();

    let to = |address: String, path| Target {
        address,
        path,
        token: token.clone(),
    };
    let (one, many) = ("/api/v1/messages", "/api/v1/messages/batch");
    let address = site::address(&simod);
    let length = Duration::from_secs(seconds);
    let singles: Bodies = Arc::new(|connection, number| Bytes::from(message(connection * 131 + number)));
    let batches: Bodies = Arc::new(|connection, number| batch(connection * 131 + number * BATCH));

    let warm = Duration::from_secs(1);
    blast::rate(&to(address.clone(), one), CONNECTIONS, warm, &singles).await;
    blast::rate(&to(bare.address.clone(), one), CONNECTIONS, warm, &singles).await;
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 1..=rounds {
        let plan = [
            (to(address.clone(), one), CONNECTIONS, &singles, 1.0),
            (to(bare.address.clone(), one), CONNECTIONS, &singles, 1.0),
            (
                to(address.clone(), many),
                BATCH_CONNECTIONS,
                &batches,
                BATCH as f64,
            ),
            (
                to(bare.address.clone(), many),
                BATCH_CONNECTIONS,
                &batches,
                BATCH as f64,
            ),
        ];
        for ((target, connections, bodies, messages), figures) in plan.into_iter().zip(&mut figures) {
            figures.push(blast::rate(&target, connections, length, bodies).await * messages);
        }
        let last = figures
            .each_ref()
            .map(|figures| figures.last().copied().unwrap_or_default());
        eprintln!(
            "ingest {round}/{rounds}: single {:.0}/s, bare {:.0}/s; batch {:.0}/s, bare {:.0}/s",
            last[0], last[1], last[2], last[3]
        );
    }
    let [single, bare_single, batched, bare_batched] = figures.map(median);
    // 64 posts can share one sync, but none may be answered before its own.
    let disk = 0.7 * CONNECTIONS as f64 / machine.sync.as_secs_f64();
    vec![
        Row::rate("ingest, single, 64 connections", single, bare_single, 0.30, disk),
        Row::rate(
            "ingest, batches of 1,000 (messages)",
            batched,
            bare_single,
            0.45,
            f64::INFINITY,
        ),
        Row::only(
            "  the bare handler with the same batches",
            format!("{bare_batched:.0}/s"),
        ),
    ]
}

/// A message such as a 1C posts, for one of the employees.
fn message(number: usize) -> String {
    format!(
        r#"{{"title":"Наряд № {number}","body":"Насос ПН-2, котельная: давление на выходе 7,4 бар при норме 6,0. Проверить клапан и доложить мастеру смены.","priority":"high","recipients":{{"employees":["{}"]}},"data":{{"order":{number}}}}}"#,
        site::personnel_no(number % EMPLOYEES)
    )
}

fn batch(first: usize) -> Bytes {
    let messages: Vec<String> = (first..first + BATCH).map(message).collect();
    Bytes::from(format!("[{}]", messages.join(",")))
}
