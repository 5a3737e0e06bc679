//! The effect of one client's large bodies on another client's single messages, and on memory.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use simo_tests::{Simod, raw};
use tokio::task::JoinSet;

use crate::{
    blast::{Connection, Target, quantile},
    ingest::message,
    site,
    table::Row,
};

const EMPLOYEES: usize = 5_000;
/// Connections that send the large bodies, as fast as they are answered.
const CONNECTIONS: usize = 4;
/// Number of the other client's messages, and the interval between them.
const MESSAGES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);

/// Too many items, and as many as allowed: wrong ones, right ones, and ones that name many people.
pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let wrong = "{}\n".repeat(10_000) + &" ".repeat(9 << 20);
    let right: String = (0..10_000).map(|n| padded(&message(n), 920)).collect();
    let names: Vec<String> = (0..EMPLOYEES).map(|n| format!("\"{}\"", site::personnel_no(n))).collect();
    let wide =
        format!("{{\"title\":\"a\",\"recipients\":{{\"employees\":[{}]}}}}\n", names.join(",")).repeat(200);
    let mut rows = Vec::new();
    for (name, body) in [
        ("60 MiB of `{}` lines", "{}\n".repeat(20 << 20)),
        ("10,000 wrong items in 9 MiB", wrong),
        ("10,000 messages in 9 MiB", right),
        ("200 messages to 5,000 each in 9 MiB", wide),
    ] {
        eprintln!("bodies: {name} …");
        rows.extend(beside(directory, name, Bytes::from(body)).await);
    }
    rows
}

/// A line of this many bytes.
fn padded(message: &str, bytes: usize) -> String {
    format!("{message}{}\n", " ".repeat(bytes.saturating_sub(message.len())))
}

async fn beside(directory: &Path, name: &str, body: Bytes) -> Vec<Row> {
    let directory = tempfile::TempDir::with_prefix_in("bodies-", directory).expect("a directory");
    let simod = site::setup(directory.path(), "bodies").start().await;
    let greedy = site::plant(&simod, "greedy", EMPLOYEES).await.token("1c").await;
    let other = site::plant(&simod, "other", EMPLOYEES).await.token("scada").await;
    let done = Arc::new(AtomicBool::new(false));
    let senders = send(&simod, &greedy, &body, &done);
    let target = Target { address: site::address(&simod), path: "/api/v1/messages", token: other };
    let mut connection = Connection::open(target).await;
    let mut times = Vec::with_capacity(MESSAGES);
    for number in 0..MESSAGES {
        let posted = Instant::now();
        connection.post(Bytes::from(message(number))).await;
        times.push(posted.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(PAUSE).await;
    }
    done.store(true, Ordering::Relaxed);
    let sent: usize = senders.join_all().await.into_iter().sum();
    vec![
        Row::quantiles(
            format!("beside {name}: the other client's post"),
            quantile(&mut times, 0.5),
            quantile(&mut times, 0.99),
            50.0,
        ),
        Row::at_most("  its worst post", quantile(&mut times, 1.0), 500.0, "ms"),
        Row::at_most("  simod's peak memory", simod.peak_mib(), 200.0, "MiB"),
        Row::only("  large bodies answered", sent.to_string()),
    ]
}

/// Sends the body repeatedly until `done`; returns how often.
fn send(simod: &Simod, token: &str, body: &Bytes, done: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut senders = JoinSet::new();
    let http = reqwest::Client::new();
    for _ in 0..CONNECTIONS {
        let (url, token, body) = (simod.api("/messages/batch"), token.to_owned(), body.clone());
        let (http, done) = (http.clone(), done.clone());
        senders.spawn(async move {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                // If there is no room for a body, it is answered 503, or cut off while it is sent.
                let post =
                    raw::ask_with(&http, http::Method::POST, &url).token(&token).json_text(body.clone());
                sent += usize::from(post.try_send().await.is_ok());
            }
            sent
        });
    }
    senders
}
