//! `/readyz` checks the promise itself: that a posted message can be stored.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use http::StatusCode;
use simo_common::{
    client::{Client, ListQuery, Server},
    lang::Lang,
};
use simo_tests::{
    Plant, Simod, database, eventually,
    plant::{post, to_employees},
    postgres::OwnServer,
    raw,
    simod::Setup,
    wait::within,
};
use sqlx::Executor as _;

use super::cli::Ctl;

/// How long to wait for `/readyz` to change. It promises to report a fault within 12 s and its end within 2 s; either may
/// take longer on a machine busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until it is not ready for this reason; returns the reason that the owner sees.
pub(super) async fn not_ready(simod: &Simod, because: &str) -> String {
    within(PATIENCE, &format!("not ready: {because}"), || async {
        let readiness = simod.owner().readiness().await.ok()?;
        let reason = readiness.reason.filter(|reason| reason.contains(because))?;
        (!readiness.ready).then_some(reason)
    })
    .await
}

pub(super) async fn ready(simod: &Simod) {
    within(PATIENCE, "ready", || async {
        let readiness = simod.owner().readiness().await.ok()?;
        (readiness.ready && readiness.reason.is_none()).then_some(())
    })
    .await;
}

async fn readyz(simod: &Simod) -> StatusCode {
    reqwest::get(format!("{}/readyz", simod.url())).await.unwrap().status()
}

/// Posts are refused in such a way that the caller retries.
async fn refuses(simod: &Simod, token: &str) {
    let body = r#"{"title":"Вызов","recipients":{"employees":["001"]}}"#;
    let answer = raw::post(&simod.api("/messages"), token, body.to_owned()).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
}

async fn plant(simod: &Simod) -> (Plant, String) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    (plant, token)
}

async fn titles(plant: &Plant) -> Vec<String> {
    let page = plant.admin.messages(&ListQuery::default()).await.unwrap();
    page.items.into_iter().map(|message| message.title).collect()
}

/// A program that saves its input, and the file it saves it to.
fn alarm(setup: Setup) -> (Setup, PathBuf) {
    let directory = setup.directory().to_owned();
    let (program, told) = (directory.join("alarm"), directory.join("told"));
    fs::write(&program, format!("#!/bin/sh\ncat >>'{}'\n", told.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (setup.set("alarm_command", program.to_str().unwrap()), told)
}

#[tokio::test]
async fn a_file_that_was_swapped_is_noticed_and_somebody_is_told() {
    let (setup, told) = alarm(Setup::new().embedded());
    let simod = setup.start().await;
    let (plant, token) = plant(&simod).await;
    let acs = simod.caller(&token);
    post(&acs, &to_employees("До", &["001"])).await;

    let aside = simod.database().with_extension("aside");
    fs::rename(simod.database(), &aside).unwrap();
    fs::copy(&aside, simod.database()).unwrap();
    // Even the first post is refused.
    refuses(&simod, &token).await;
    not_ready(&simod, "was replaced").await;
    assert_eq!(readyz(&simod).await, StatusCode::SERVICE_UNAVAILABLE);
    let others = simod.anyone().readiness().await.unwrap().reason.unwrap();
    assert_eq!(others, "the database is unavailable", "what names files is for the owner");
    let doctor = Ctl::new(&simod, "zavod").run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.out.contains("was replaced") && doctor.out.contains("restart simod"), "{}", doctor.out);
    let metrics = async || {
        let answer = reqwest::get(format!("{}/metrics", simod.url())).await.unwrap();
        answer.text().await.unwrap()
    };
    let told_by_metrics = metrics().await;
    assert!(told_by_metrics.contains("simo_ready 0"), "{told_by_metrics}");
    assert!(told_by_metrics.contains("simo_not_ready{cause=\"file\"} 1"), "{told_by_metrics}");
    eventually("somebody is told", || async {
        let told = fs::read_to_string(&told).ok()?;
        (told.contains("not ready") && told.contains("не готов") && told.contains("подменён")).then_some(())
    })
    .await;

    fs::rename(&aside, simod.database()).unwrap();
    ready(&simod).await;
    assert_eq!(readyz(&simod).await, StatusCode::OK);
    assert!(metrics().await.contains("simo_ready 1"));
    assert!(metrics().await.contains("simo_not_ready{cause=\"file\"} 0"));
    post(&acs, &to_employees("После", &["001"])).await;
    let titles = titles(&plant).await;
    assert_eq!([&titles[0], titles.last().unwrap()], ["После", "До"], "{titles:?}");
    eventually("somebody is told that it is over", || async {
        let told = fs::read_to_string(&told).ok()?;
        (told.contains("ready again") && told.contains("снова готов")).then_some(())
    })
    .await;
    let turned = simod.log().matches("not ready: ").count();
    assert_eq!(turned, 1, "it is logged once");
}

#[tokio::test]
async fn a_file_that_was_deleted_is_noticed_though_nobody_posts() {
    let simod = Setup::new().embedded().start().await;
    plant(&simod).await;
    fs::remove_file(simod.database()).unwrap();
    not_ready(&simod, "was replaced or removed").await;
}

#[tokio::test]
async fn an_alarm_command_that_fails_or_hangs_harms_nobody() {
    let does = async |what: &str| {
        let (setup, told) = alarm(Setup::new().embedded());
        let script = format!("#!/bin/sh\necho $$ >'{}'\n{what}\n", told.display());
        fs::write(setup.directory().join("alarm"), script).unwrap();
        let simod = setup.start().await;
        let (_, token) = plant(&simod).await;
        let aside = simod.database().with_extension("aside");
        fs::rename(simod.database(), &aside).unwrap();
        not_ready(&simod, "was replaced").await;
        let process = eventually("it runs", || async {
            let process = fs::read_to_string(&told).ok()?;
            process.ends_with('\n').then(|| process.trim().to_owned())
        })
        .await;
        fs::rename(&aside, simod.database()).unwrap();
        ready(&simod).await;
        post(&simod.caller(&token), &to_employees("Дальше", &["001"])).await;
        (simod, PathBuf::from("/proc").join(process))
    };
    let (simod, _) = does("exit 3").await;
    eventually("its failure is logged", || async {
        simod.log().contains("the alarm command failed").then_some(())
    })
    .await;
    let (mut simod, process) = does("exec sleep 1000").await;
    simod.terminate().await;
    eventually("it ends with simod", || async { (!process.exists()).then_some(()) }).await;
}

#[tokio::test]
async fn a_server_that_only_reads_is_not_ready_until_it_writes_again() {
    let Some(server) = OwnServer::start() else { return };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (_, token) = plant(&simod).await;
    let mut admin = database::connect(&server.url()).await;
    admin.execute("alter system set default_transaction_read_only = on").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    not_ready(&simod, "read-only").await;
    refuses(&simod, &token).await;
    admin.execute("alter system reset default_transaction_read_only").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    ready(&simod).await;
    post(&simod.caller(&token), &to_employees("Снова", &["001"])).await;
}

#[tokio::test]
async fn a_synchronous_standby_that_is_away_is_not_ready_and_takes_no_connections() {
    let Some(server) = OwnServer::start() else { return };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (_, token) = plant(&simod).await;
    let mut admin = database::connect(&server.url()).await;
    admin.execute("alter system set synchronous_standby_names = 'nobody'").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    let mut most = 0;
    for _ in 0..3 {
        let reason = not_ready(&simod, "synchronous standby").await;
        assert!(reason.contains("pg_stat_replication"), "{reason}");
        let waiting = "select count(*) from pg_stat_activity
            where application_name like 'simod commit proof%' and wait_event = 'SyncRep'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut admin).await.unwrap();
        most = most.max(waiting);
        // Until it has checked once more.
        let metric = || async {
            let answer = reqwest::get(format!("{}/metrics", simod.url())).await.ok()?;
            let text = answer.text().await.ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("simo_commits_failed_total "))?;
            line.parse::<u64>().ok()
        };
        let before = eventually("it is counted", metric).await;
        within(PATIENCE, "it asks again", || async { (metric().await? > before).then_some(()) }).await;
    }
    assert_eq!(most, 1, "commits that are not answered do not pile up on the server");
    let russian = Client::new(&Server::Socket(simod.socket()), Lang::Ru).unwrap();
    assert!(russian.readiness().await.unwrap().reason.unwrap().contains("синхронную реплику"));
    admin.execute("alter system reset synchronous_standby_names").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    ready(&simod).await;
    post(&simod.caller(&token), &to_employees("Снова", &["001"])).await;
}
