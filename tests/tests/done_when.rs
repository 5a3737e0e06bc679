//! Everything at once: four ACS, thousands of phones, a provider that fails a tenth of the calls, dead addresses, and a
//! daemon that is killed five times. Nothing accepted is lost, and nobody gets messages meant for others.

use std::{sync::Arc, time::Duration};

use simo_tests::{
    FakeFcm, Plant, checker,
    crowd::{self, Journal},
    simod::Setup,
    wait::within,
};

const MESSAGES: usize = 10_000;
const KILLS: usize = 5;
const CONNECTIONS: usize = 2;
const STREAMS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_and_nobody_gets_what_is_not_his() {
    let fcm = FakeFcm::start();
    let mut simod = Setup::new()
        .embedded()
        .fcm(&fcm)
        .set("fcm.connections", CONNECTIONS as i64)
        .set("fcm.streams_per_connection", STREAMS as i64)
        .set("fcm.timeout_seconds", 1.0)
        .start()
        .await;
    let plant = Plant::new(&simod, "zavod").await;
    let world = crowd::populate(&simod, &plant).await;
    fcm.script().dead(&world.dead);
    fcm.script().mixture(Some(crowd::bad_day()));

    let journal = Arc::new(Journal::default());
    let numbers = crowd::numbers(&world);
    let acs = crowd::start_acs(&plant, &simod.api("/messages"), MESSAGES, &numbers, &journal).await;
    for kill in 1..=KILLS {
        let enough = MESSAGES * kill / (KILLS + 1);
        let look = || async { (journal.count() >= enough).then_some(()) };
        within(Duration::from_mins(5), "the ACS go on posting", look).await;
        simod.kill9();
        simod.restart().await;
    }
    acs.join_all().await;
    crowd::until_nothing_is_left(&simod.database_url()).await;

    let api = crowd::counts_of_api(&plant.admin).await;
    let cli = crowd::counts_of_cli(&simod);
    simod.terminate().await;
    let posted = journal.take();
    assert_eq!(posted.len(), MESSAGES);
    let (faults, census) = checker::check(&checker::Evidence {
        world: &world,
        posted: &posted,
        arrivals: &fcm.journal().arrivals(),
        repeats_allowed: KILLS * CONNECTIONS * STREAMS,
        database: &simod.database_url(),
    })
    .await;
    faults.assert_none();
    assert_eq!(census.messages, MESSAGES);
    assert_eq!(api, census.states, "the API counts otherwise");
    assert_eq!(cli, census.states, "simoctl counts otherwise");
}
