//! One message to 100,000 people of one client, while another client posts as usual.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use simo_tests::{Simod, clock, wait::within};

use crate::{
    blast::{Connection, Target, quantile},
    latency::{self, id_of},
    site::{self, Provider},
    table::Row,
};

pub(crate) const PEOPLE: usize = 100_000;
pub(crate) const OTHERS: usize = 1_000;
/// Messages per second of the other client.
const RATE: usize = 200;

/// One message for everyone.
pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let provider = Provider::start(directory);
    let simod = site::setup(directory, "wide").fcm_at(&provider.url, &provider.files).start().await;
    let [wide, other] = people(&simod).await;
    announce(&simod, &provider, [&wide, &other], EVERYONE).await.rows("100,000 recipients")
}

/// The message for everyone.
pub(crate) const EVERYONE: &str =
    r#"{"title":"Общий сбор","body":"В 15:00 у проходной.","recipients":{"everyone":true}}"#;

/// Creates the client with the crowd and the other one, with their phones; returns the token of an ACS of each.
pub(crate) async fn people(simod: &Simod) -> [String; 2] {
    eprintln!("wide: importing 100,000 employees, pairing their phones …");
    let wide = site::plant(simod, "wide", PEOPLE).await;
    let other = site::plant(simod, "other", OTHERS).await;
    for plant in [&wide, &other] {
        site::give_phones(simod, plant, "fcm").await;
    }
    [wide.token("1c").await, other.token("scada").await]
}

/// Results in milliseconds.
pub(crate) struct Announced {
    accepted: f64,
    first: f64,
    /// From 202 to the last push.
    pub(crate) last: f64,
    /// The other client's messages, from POST to 202 and to the provider.
    answered_p99: f64,
    arrived_p99: f64,
}

impl Announced {
    pub(crate) fn rows(&self, name: &str) -> Vec<Row> {
        vec![
            Row::at_most(format!("{name}: until 202"), self.accepted, 1_000.0, "ms"),
            Row::at_most("  from 202 to the first push", self.first, 200.0, "ms"),
            Row::only("  from 202 to the last push", format!("{:.1} s", self.last / 1e3)),
            Row::at_most("  other client meanwhile: POST to 202, p99", self.answered_p99, 100.0, "ms"),
            Row::at_most("  other client meanwhile: POST to provider, p99", self.arrived_p99, 100.0, "ms"),
        ]
    }
}

/// Posts the wide message one second after the other client begins; the other client posts until the last push.
pub(crate) async fn announce(
    simod: &Simod,
    provider: &Provider,
    [wide, other]: [&str; 2],
    body: &'static str,
) -> Announced {
    // Only the other client, as a warm-up.
    latency::steadily(simod, other, RATE, RATE, OTHERS).await;
    let before = provider.stats(0).await.calls;
    let target = Target { address: site::address(simod), path: "/api/v1/messages", token: wide.to_owned() };
    let announce = async {
        let mut connection = Connection::open(target).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent_us = clock::now_us();
        let (_, answer) = connection.post(Bytes::from(body)).await;
        (id_of(&answer), sent_us, clock::now_us())
    };
    let (posted, (id, sent_us, answered_us)) =
        tokio::join!(latency::steadily(simod, other, RATE, RATE * 12, OTHERS), announce);

    let mut answers: Vec<f64> =
        posted.iter().map(|message| (message.answered_us - message.sent_us) as f64 / 1e3).collect();
    let mut arrivals = latency::to_provider(provider, before, &posted).await;
    let calls = within(Duration::from_mins(5), "the wide message arrives everywhere", || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let calls = provider.calls(before).await;
        let arrived = calls.iter().filter(|call| call.message_id.as_deref() == Some(&id));
        (arrived.count() >= PEOPLE).then_some(calls)
    })
    .await;
    let mut at_us =
        calls.iter().filter(|call| call.message_id.as_deref() == Some(&id)).map(|call| call.at_us);
    let first_us = at_us.next().expect("it arrived");
    let last_us = at_us.max().unwrap_or(first_us);
    let after = |us: i64| (us - answered_us) as f64 / 1e3;
    Announced {
        accepted: (answered_us - sent_us) as f64 / 1e3,
        first: after(first_us).max(0.0),
        last: after(last_us),
        answered_p99: quantile(&mut answers, 0.99),
        arrived_p99: quantile(&mut arrivals, 0.99),
    }
}
