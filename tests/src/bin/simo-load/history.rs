//! History over a million deliveries of three clients: the named queries of the large one over HTTP, on the first page
//! and far behind it.

mod named;
mod seed;

use std::{
    path::Path,
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use simo_common::{
    api::{
        access::{NewOperator, NewToken},
        history::{Delivery, Sort},
    },
    client::{Client, ListQuery},
    page::Page,
    people::Role,
};
use simo_tests::{
    FakeFcm, Simod, clock,
    fcm::{Answer, Mixture},
    wait::within,
};
use sqlx::{Connection as _, PgConnection};

use self::{
    named::{Form, Named},
    seed::{SHAPES, Site},
};
use crate::{blast::quantile, site, table::Row};

/// Rows per page, as programs ask for them.
const PAGE: u32 = 50;
/// Rows per step on the way to the far page.
const STEP: u32 = 1_000;
/// The far page, which must cost no more than the first.
const FAR: u32 = 10_000;
/// The limit for a page, in milliseconds.
const MOST: f64 = 50.0;
/// How many times each query is asked.
const TIMES: usize = 200;

/// Seeds, then asks.
pub(crate) async fn measure(directory: &Path, deliveries: u64) -> Vec<Row> {
    // In this process, because it is idle while queries are measured.
    let fcm = FakeFcm::start();
    fcm.journal().without_bodies();
    fcm.script().mixture(Some(Mixture { rate: 0.04, answers: vec![Answer::InvalidPayload], seed: 4 }));
    let simod = site::setup(directory, "history").fcm(&fcm).start().await;
    let (large, first, last) = seed(&simod, deliveries).await;
    let statistics = wait_for_statistics(&simod.database_url()).await;

    let viewer = viewer(&simod, &large).await;
    let mut rows = vec![Row::only("history: deliveries of three clients", format!("{deliveries}"))];
    if let Some(statistics) = statistics {
        rows.push(Row::only("  statistics of the server", statistics.to_owned()));
    }
    for Named { name, forms } in named::all() {
        let ask = |form: &Form, number: usize| ListQuery {
            query: Some(form.fill(&large.values(number, first, last))),
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        let asked: Vec<(ListQuery, Sort)> = (0..TIMES)
            .map(|number| {
                let form = &forms[number % forms.len()];
                (ask(form, number / forms.len()), form.sort)
            })
            .collect();
        // Warm-up, not measured.
        for (list, sort) in asked.iter().take(forms.len() * 2) {
            page(&viewer, list, *sort).await;
        }
        let mut times = Vec::with_capacity(TIMES);
        for (list, sort) in &asked {
            times.push(page(&viewer, list, *sort).await.1);
        }
        rows.push(row(format!("  {name}, page 1"), &mut times));
        let (list, sort) = &asked[0];
        if let Some((number, mut times)) = far(&viewer, list, *sort).await {
            rows.push(row(format!("  {name}, page {number}"), &mut times));
        }
    }
    rows
}

/// Creates the clients and their history; returns the large client, and when its history began and ended.
async fn seed(simod: &Simod, deliveries: u64) -> (Site, i64, i64) {
    eprintln!("history: people and phones …");
    let mut sites = Vec::new();
    for shape in &SHAPES {
        sites.push(Site::new(simod, shape, deliveries).await);
    }
    let first = clock::now_us();
    let posted = AtomicU64::new(0);
    let [large, middle, small] = &mut sites[..] else {
        unreachable!("there are three");
    };
    tokio::join!(
        large.post(simod, deliveries, &posted),
        middle.post(simod, deliveries, &posted),
        small.post(simod, deliveries, &posted),
    );
    let last = clock::now_us();
    eprintln!("history: receipts, pushes, what expires, the word index …");
    for site in &sites {
        site.report().await;
    }
    within(Duration::from_mins(30), "all pushes are sent", || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (waiting_pushes(simod).await == 0).then_some(())
    })
    .await;
    for site in &sites {
        site.settled().await;
    }
    (sites.swap_remove(0), first, last)
}

/// Number of pushes to FCM that are not done.
async fn waiting_pushes(simod: &Simod) -> u64 {
    let answer = reqwest::get(format!("{}/metrics", simod.url())).await;
    let text = answer.expect("simod answers").text().await.expect("metrics are text");
    text.lines()
        .find_map(|line| line.strip_prefix("simo_push_queue{channel=\"fcm\"} "))
        .and_then(|number| number.parse().ok())
        .expect("the queue is a number")
}

/// Waits until autovacuum has analyzed the tables, as it would on a server in use; returns where the statistics come
/// from. SQLite has none.
async fn wait_for_statistics(database: &str) -> Option<&'static str> {
    if database.starts_with("sqlite:") {
        return None;
    }
    eprintln!("history: waiting for autovacuum …");
    let mut connection = PgConnection::connect(database).await.expect("the database opens");
    let until = Instant::now() + Duration::from_mins(4);
    let looked = "select count(*) from pg_stat_user_tables
        where relname in ('message', 'delivery', 'push', 'message_word', 'employee') and last_autoanalyze is not null";
    while Instant::now() < until {
        let count: i64 =
            sqlx::query_scalar(looked).fetch_one(&mut connection).await.expect("the server counts");
        if count == 5 {
            return Some("of autovacuum");
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    sqlx::query("analyze").execute(&mut connection).await.expect("the server looks");
    Some("`analyze`, autovacuum did not come")
}

/// A viewer of the client's history, over TCP.
async fn viewer(simod: &Simod, site: &Site) -> Client {
    let name = "viewer".to_owned();
    let operator = NewOperator { name: name.clone(), role: Role::Viewer };
    let admin = &site.plant.admin;
    admin.add_operator(&operator).await.expect("a viewer can be made");
    let token = NewToken { operator: Some(name), ..NewToken::default() };
    let issued = admin.issue_token(&token).await.expect("he gets a token");
    simod.caller(&issued.token)
}

/// A page, and how long it took in milliseconds.
async fn page(viewer: &Client, list: &ListQuery, sort: Sort) -> (Page<Delivery>, f64) {
    let started = Instant::now();
    let page = viewer.deliveries(list, sort).await.expect("history answers");
    (page, started.elapsed().as_secs_f64() * 1e3)
}

/// Times of the far page and those after it; for a shorter list, of pages from its middle on. `None` when it has only
/// one page.
async fn far(viewer: &Client, list: &ListQuery, sort: Sort) -> Option<(u32, Vec<f64>)> {
    let (mut number, mut at) = walk(viewer, list, sort).await?;
    // Steps are a thousand rows wide, so the last few go page by page.
    while number < FAR && at.is_far {
        let step = at.step(list);
        at.cursor = page(viewer, &step, sort).await.0.next?;
        number += 1;
    }
    let begin = at.cursor.clone();
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (page, time) = page(viewer, &at.step(list), sort).await;
        times.push(time);
        at.cursor = page.next.unwrap_or_else(|| begin.clone());
    }
    Some((number, times))
}

/// A place in a list.
struct Place {
    cursor: String,
    /// Whether the list reaches the far page.
    is_far: bool,
}

impl Place {
    fn step(&self, list: &ListQuery) -> ListQuery {
        ListQuery { cursor: Some(self.cursor.clone()), ..list.clone() }
    }
}

/// Walks in wide steps until just before the far page; returns the page number and place there, or in the middle of a
/// shorter list.
async fn walk(viewer: &Client, list: &ListQuery, sort: Sort) -> Option<(u32, Place)> {
    let enough = (FAR * PAGE / STEP) as usize - 1;
    let mut wide = ListQuery { limit: Some(STEP), ..list.clone() };
    let mut cursors = Vec::with_capacity(enough);
    while cursors.len() < enough {
        let Some(next) = page(viewer, &wide, sort).await.0.next else {
            break;
        };
        cursors.push(next.clone());
        wide.cursor = Some(next);
    }
    let is_far = cursors.len() == enough;
    let index = if is_far { enough - 1 } else { cursors.len() / 2 };
    let (number, cursor) = match cursors.into_iter().nth(index) {
        Some(cursor) => ((index as u32 + 1) * (STEP / PAGE) + 1, cursor),
        None => (2, page(viewer, list, sort).await.0.next?),
    };
    Some((number, Place { cursor, is_far }))
}

fn row(name: String, times: &mut [f64]) -> Row {
    let (p50, p99) = (quantile(times, 0.50), quantile(times, 0.99));
    eprintln!("history:{name}: p50 {p50:.1} ms, p99 {p99:.1} ms");
    Row::quantiles(name, p50, p99, MOST)
}
