//! Several daemons on one PostgreSQL server, behind a load balancer: their common promises while they come and go.
//! With SQLite there is one daemon, and nothing to test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use simo_tests::{
    FakeFcm, Plant, Simod, checker,
    crowd::{self, Journal},
    eventually,
    load_balancer::{CHECK_EVERY, LoadBalancer},
    postgres::{self, OwnServer},
    raw,
    simod::Setup,
    wait::within,
};
use tokio::task::JoinSet;

const INSTANCES: usize = 3;
const MESSAGES: usize = 20_000;
const CONNECTIONS: usize = 2;
const STREAMS: usize = 40;
/// The share of messages posted before each restart of the database server.
const DATABASE_RESTARTS: [f64; 2] = [0.35, 0.7];

/// Instances are killed and restarted at random, the database server is restarted twice, and one instance's clock is a
/// minute ahead.
#[tokio::test(flavor = "multi_thread")]
async fn instances_that_are_killed_lose_nothing_and_repeat_little() {
    let Some(server) = OwnServer::start() else { return };
    let fcm = FakeFcm::start();
    let mut instances = Vec::new();
    for place in 0..INSTANCES {
        let mut setup = Setup::new()
            .database_url(server.url())
            .fcm(&fcm)
            .set("fcm.connections", CONNECTIONS as i64)
            .set("fcm.streams_per_connection", STREAMS as i64)
            .set("fcm.timeout_seconds", 1.0);
        if place == 1 {
            setup = setup.clock_ahead(60);
        }
        instances.push(setup.start().await);
    }
    let plant = Plant::new(&instances[0], "zavod").await;
    let world = crowd::populate(&instances[0], &plant).await;
    fcm.script().dead(&world.dead);
    fcm.script().mixture(Some(crowd::bad_day()));
    let balancer = load_balancer_before(&instances).await;

    let journal = Arc::new(Journal::default());
    let numbers = crowd::numbers(&world);
    let url = format!("{}/api/v1/messages", balancer.url());
    let acs = crowd::start_acs(&plant, &url, MESSAGES, &numbers, &journal).await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut kills = 0;
    let mut restarts = DATABASE_RESTARTS.iter().peekable();
    while journal.count() < MESSAGES || restarts.peek().is_some() {
        tokio::time::sleep(Duration::from_millis(chance.random_range(1_500..6_000))).await;
        let victim = &mut instances[chance.random_range(0..INSTANCES)];
        victim.kill9();
        kills += 1;
        let share = journal.count() as f64 / MESSAGES as f64;
        if restarts.next_if(|&&at| share >= at).is_some() {
            server.stop();
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..2_000))).await;
            server.again();
        }
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..2_000))).await;
        victim.restart().await;
    }
    acs.join_all().await;
    crowd::until_nothing_is_left(&server.url()).await;

    let posted = journal.take();
    let (faults, census) = checker::check(&checker::Evidence {
        world: &world,
        posted: &posted,
        arrivals: &fcm.journal().arrivals(),
        repeats_allowed: (kills + DATABASE_RESTARTS.len()) * CONNECTIONS * STREAMS,
        database: &server.url(),
    })
    .await;
    println!("{kills} kills, {} repeats", census.repeats);
    faults.assert_none();
    assert_eq!(census.messages, MESSAGES);
    for instance in &instances {
        let counted = crowd::counts_of_api(&instance.owner().for_client(Some(plant.slug.clone()))).await;
        assert_eq!(counted, census.states, "an instance counts otherwise");
    }
}

/// A rolling upgrade: each instance in turn is told to stop, ends, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn instances_are_replaced_one_by_one_without_a_failed_request() {
    if postgres::server().is_none() {
        return;
    }
    let fcm = FakeFcm::start();
    let first = Setup::new().fcm(&fcm).set("shutdown_delay", 1).start().await;
    let mut instances = vec![first];
    for _ in 1..INSTANCES {
        let sibling = instances[0].sibling().await;
        instances.push(sibling);
    }
    let plant = Plant::new(&instances[0], "zavod").await;
    plant.employees(&["001"], &[]).await;
    plant.fcm_phone(&instances[0], "001", "phone-1").await;
    let token = plant.token("1c").await;
    let balancer = load_balancer_before(&instances).await;

    let stop = Arc::new(AtomicBool::new(false));
    let accepted = Arc::new(AtomicUsize::new(0));
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (stop, accepted, token) = (stop.clone(), accepted.clone(), token.clone());
        let messages = format!("{}/api/v1/messages", balancer.url());
        load.spawn(async move {
            let http = reqwest::Client::new();
            let body = json!({"title": "Смена", "recipients": {"employees": ["001"]}}).to_string();
            while !stop.load(Ordering::Relaxed) {
                let post = raw::ask_with(&http, Method::POST, &messages).token(&token);
                let answer = post.json_text(body.clone()).try_send().await.expect("an answer");
                assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
                accepted.fetch_add(1, Ordering::Relaxed);
                let id = answer.value()["id"].as_str().expect("an id").to_owned();
                let read = raw::ask_with(&http, Method::GET, &format!("{messages}/{id}")).token(&token);
                let answer = read.try_send().await.expect("an answer");
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            }
        });
    }
    for (place, instance) in instances.iter_mut().enumerate() {
        let before = accepted.load(Ordering::Relaxed);
        let goes_on = async || (accepted.load(Ordering::Relaxed) > before + 50).then_some(());
        eventually("the load goes on", goes_on).await;
        instance.terminate().await;
        instance.restart().await;
        eventually("it is given requests again", async || balancer.has(place).then_some(())).await;
        tokio::time::sleep(CHECK_EVERY).await;
    }
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
    let all = accepted.load(Ordering::Relaxed);
    let arrived = async || (fcm.journal().arrivals().len() >= all).then_some(());
    within(Duration::from_mins(2), "all are pushed", arrived).await;
    let arrivals = fcm.journal().arrivals();
    assert_eq!(arrivals.len(), all);
    assert!(arrivals.values().all(|&times| times == 1), "a push was repeated");
}

async fn load_balancer_before(instances: &[Simod]) -> LoadBalancer {
    let urls: Vec<&str> = instances.iter().map(Simod::url).collect();
    let balancer = LoadBalancer::start(&urls).await;
    eventually("all instances are given requests", async || {
        (0..instances.len()).all(|place| balancer.has(place)).then_some(())
    })
    .await;
    balancer
}
