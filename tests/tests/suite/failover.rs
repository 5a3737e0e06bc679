//! A database that does not answer, and one that comes back in another place: posts are answered in time, and failed
//! connections are not used again. With SQLite there is only a file that another process locks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use http::{Method, StatusCode, header};
use simo_common::client::ListQuery;
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    plant::{post, to_employees},
    postgres::{self, OwnServer, TemporaryDatabase},
    raw::{self, Answer},
    simod::Setup,
    wait::within,
    wire::Wire,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio_util::task::AbortOnDropHandle;

/// Longer than a post may take to be answered, and shorter than the silence in earlier versions.
const IN_TIME: Duration = Duration::from_secs(20);

const HANGING: &str = "select count(*) from pg_stat_activity
    where application_name = 'simod' and wait_event = 'SyncRep'";

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
}

async fn number(connection: &mut PgConnection, question: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(connection).await.unwrap()
}

async fn employee(simod: &Simod) -> (Plant, String) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    (plant, token)
}

/// Posts a message under a key; it must be answered in time.
async fn post_key(simod: &Simod, token: &str, key: &str) -> Answer {
    let body = r#"{"title":"Пожар","recipients":{"employees":["001"]}}"#;
    let ask = raw::post(&simod.api("/messages"), token, body).header("idempotency-key", key);
    tokio::time::timeout(IN_TIME, ask.send()).await.expect("the post is answered")
}

fn code(answer: &Answer) -> String {
    answer.value()["code"].as_str().unwrap_or_default().to_owned()
}

/// Takes the server's synchronous standby away: from now on every commit waits for it.
async fn standby_goes(server: &OwnServer, admin: &mut PgConnection) {
    run(admin, "create table canary (a int)").await;
    run(admin, "alter system set synchronous_standby_names = 'nobody'").await;
    run(admin, "select pg_reload_conf()").await;
    let mut canary = PgConnection::connect(&server.url()).await.unwrap();
    let _writes = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            run(&mut canary, "insert into canary values (1)").await;
        }
    }));
    let waiting = "select count(*) from pg_stat_activity
        where wait_event = 'SyncRep' and query like 'insert into canary%'";
    within(IN_TIME, "commits wait for the standby", async || {
        let mut asking = PgConnection::connect(&server.url()).await.unwrap();
        (number(&mut asking, waiting).await > 0).then_some(())
    })
    .await;
}

async fn standby_comes(admin: &mut PgConnection) {
    run(admin, "alter system reset synchronous_standby_names").await;
    run(admin, "select pg_reload_conf()").await;
}

/// PostgreSQL then answers the commit with success and a warning.
#[tokio::test]
async fn a_wait_for_the_standby_that_somebody_cancels_is_no_success() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (plant, token) = employee(&simod).await;
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    standby_goes(&server, &mut admin).await;
    let posting = post_key(&simod, &token, "a");
    let canceling = async {
        within(IN_TIME, "the message's commit waits", async || {
            let mut asking = PgConnection::connect(&server.url()).await.unwrap();
            (number(&mut asking, HANGING).await > 0).then_some(())
        })
        .await;
        let cancel = HANGING.replace("count(*)", "pg_cancel_backend(pid)");
        run(&mut admin, &cancel).await;
    };
    let (answer, ()) = tokio::join!(posting, canceling);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert_eq!(code(&answer), "outcome_unknown");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    // The message is stored, but on no standby: a repeated post still gets no success.
    let repeated = post_key(&simod, &token, "a").await;
    assert_eq!((repeated.status, &*code(&repeated)), (StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown"));
    standby_comes(&mut admin).await;
    let repeated = eventually("it is accepted", async || {
        let answer = post_key(&simod, &token, "a").await;
        (answer.status == StatusCode::ACCEPTED).then_some(answer)
    })
    .await;
    assert_eq!(repeated.value()["duplicate"], true);
    assert_eq!(plant.admin.messages(&ListQuery::default()).await.unwrap().items.len(), 1);
}

/// The same for simod's own row.
#[tokio::test]
async fn whoever_cancels_the_waits_for_the_standby_makes_simod_not_ready() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let simod = Setup::new().database_url(server.url()).start().await;
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    standby_goes(&server, &mut admin).await;
    let _cancels = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let cancel = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
            run(&mut admin, cancel).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }));
    let readiness = async || {
        raw::ask(Method::GET, &format!("{}/readyz", simod.url())).send().await.status == StatusCode::OK
    };
    eventually("it is not ready", async || (!readiness().await).then_some(())).await;
    for _ in 0..20 {
        assert!(!readiness().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// They take longer than a commit that hangs, and each of them is answered.
#[tokio::test]
async fn commits_that_are_slow_are_waited_for() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (plant, token) = employee(&simod).await;
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    let slow = "create function slow() returns trigger language plpgsql as $$ begin
            if current_setting('slow.slept', true) is distinct from pg_current_xact_id()::text then
                perform pg_sleep(1.4), set_config('slow.slept', pg_current_xact_id()::text, true);
            end if;
            return null;
        end $$;
        create constraint trigger slow after insert on message deferrable initially deferred
            for each row execute function slow()";
    run(&mut admin, slow).await;
    for round in 0..4 {
        let keys: Vec<String> = (0..12).map(|n| format!("{round}-{n}")).collect();
        let employees: Vec<String> = (0..3).map(|n| format!("{}", 100 + 3 * round + n)).collect();
        let named: Vec<&str> = employees.iter().map(String::as_str).collect();
        let answers = futures_util::future::join_all(keys.iter().map(|key| post_key(&simod, &token, key)));
        let (answers, ()) = tokio::join!(answers, plant.employees(&named, &[]));
        for answer in answers {
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn while_commits_hang_few_are_tried_and_whoever_reads_is_served() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (plant, token) = employee(&simod).await;
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    let before = post(&simod.caller(&token), &to_employees("До", &["001"])).await;
    standby_goes(&server, &mut admin).await;
    let (mut unknown, mut refused) = (0, 0);
    let mut number_of_key = 0;
    // Enough to use up every connection if each were tried.
    while unknown < 2 || refused < 40 {
        let keys: Vec<String> = (0..8).map(|place| format!("{}", number_of_key + place)).collect();
        number_of_key += 8;
        let answers = keys.iter().map(|key| post_key(&simod, &token, key));
        for answer in futures_util::future::join_all(answers).await {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
            match &*code(&answer) {
                "outcome_unknown" => unknown += 1,
                "unavailable" => refused += 1,
                other => panic!("{other}"),
            }
        }
        let hanging = number(&mut admin, HANGING).await;
        assert!(hanging <= 3, "{hanging} commits hang");
        let url = simod.api(&format!("/messages/{}", before.id));
        let read = raw::ask(Method::GET, &url).token(&token).send().await;
        assert_eq!(read.status, StatusCode::OK);
    }
    standby_comes(&mut admin).await;
    eventually("it accepts again", async || {
        (post_key(&simod, &token, "after").await.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    for key in 0..number_of_key {
        assert_eq!(post_key(&simod, &token, &key.to_string()).await.status, StatusCode::ACCEPTED);
    }
    let all = ListQuery { limit: Some(1000), ..ListQuery::default() };
    let stored = plant.admin.messages(&all).await.unwrap();
    assert_eq!(stored.items.len(), number_of_key + 2);
}

/// Starts readers that ask without pause, and waits until every connection that simod may open was used.
async fn use_all_connections(
    simod: &Simod,
    token: &str,
    id: impl std::fmt::Display,
) -> Vec<AbortOnDropHandle<()>> {
    let read = Arc::new(AtomicUsize::new(0));
    let (http, url) = (reqwest::Client::new(), simod.api(&format!("/messages/{id}")));
    let readers = (0..32)
        .map(|_| {
            let (http, url, token, read) = (http.clone(), url.clone(), token.to_owned(), read.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    let answer = raw::ask_with(&http, Method::GET, &url).token(&token).send().await;
                    read.fetch_add(usize::from(answer.status == StatusCode::OK), Ordering::Relaxed);
                }
            }))
        })
        .collect();
    within(Duration::from_mins(1), "they are all at it", async || {
        (read.load(Ordering::Relaxed) > 400).then_some(())
    })
    .await;
    readers
}

/// A switch to another server behind the same address: nothing more arrives on the old connections.
#[tokio::test]
async fn when_connections_fall_silent_the_second_attempt_succeeds() {
    if postgres::server().is_none() {
        return;
    }
    let database = TemporaryDatabase::create().await;
    let wire = Wire::to(database.url());
    let simod = Setup::new().database_url(wire.url(database.url())).start().await;
    let (_plant, token) = employee(&simod).await;
    let before = post(&simod.caller(&token), &to_employees("До", &["001"])).await;
    let _readers = use_all_connections(&simod, &token, before.id).await;
    wire.set_silent(true);
    wire.set_silent(false);
    let first = post_key(&simod, &token, "a").await;
    if first.status != StatusCode::ACCEPTED {
        let second = post_key(&simod, &token, "a").await;
        assert_eq!(second.status, StatusCode::ACCEPTED, "{} {}", first.text, second.text);
    }
}

/// After a switch some connections lead to a server that is now a standby.
#[tokio::test]
async fn when_connections_lead_to_a_server_that_only_reads_the_second_attempt_succeeds() {
    let Some(server) = OwnServer::start() else {
        return;
    };
    let simod = Setup::new().database_url(server.url()).start().await;
    let (_plant, token) = employee(&simod).await;
    let before = post(&simod.caller(&token), &to_employees("До", &["001"])).await;
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    run(&mut admin, "alter role simo set default_transaction_read_only = on").await;
    run(
        &mut admin,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'simod'",
    )
    .await;
    eventually("nothing can be written", async || {
        let answer = post_key(&simod, &token, "a").await;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE && code(&answer) == "unavailable").then_some(())
    })
    .await;
    drop(use_all_connections(&simod, &token, before.id).await);
    run(&mut admin, "alter role simo reset default_transaction_read_only").await;
    let first = post_key(&simod, &token, "b").await;
    if first.status != StatusCode::ACCEPTED {
        let second = post_key(&simod, &token, "b").await;
        assert_eq!(second.status, StatusCode::ACCEPTED, "{} {}", first.text, second.text);
    }
}

#[tokio::test]
async fn after_a_silence_posts_pushes_and_streams_are_back_soon() {
    if postgres::server().is_none() {
        return;
    }
    let database = TemporaryDatabase::create().await;
    let wire = Wire::to(database.url());
    let fcm = FakeFcm::start();
    let simod = Setup::new().fcm(&fcm).database_url(wire.url(database.url())).start().await;
    let (plant, token) = employee(&simod).await;
    plant.fcm_phone(&simod, "001", "phone-1").await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    // Both phones are notified of the second one.
    tokio::time::timeout(IN_TIME, stream.next()).await.expect("the stream goes on").unwrap().unwrap();
    eventually("the first is told", async || (fcm.journal().arrivals().len() == 1).then_some(())).await;
    wire.set_silent(true);
    assert_eq!(post_key(&simod, &token, "a").await.status, StatusCode::SERVICE_UNAVAILABLE);
    wire.set_silent(false);
    let id = eventually("it is accepted", async || {
        let answer = post_key(&simod, &token, "a").await;
        (answer.status == StatusCode::ACCEPTED).then(|| answer.value()["id"].as_str().unwrap().to_owned())
    })
    .await;
    let streamed = tokio::time::timeout(IN_TIME, stream.next()).await.expect("the stream goes on");
    assert_eq!(streamed.unwrap().unwrap().id.to_string(), id);
    eventually("it was pushed", async || (fcm.journal().arrivals().len() == 2).then_some(())).await;
}

/// Its address has sent too many wrong tokens, and this token is not cached yet.
#[tokio::test]
async fn a_token_is_not_wrong_because_the_database_is_away() {
    if postgres::server().is_none() {
        return;
    }
    let database = TemporaryDatabase::create().await;
    let wire = Wire::to(database.url());
    let setup = Setup::new().database_url(wire.url(database.url())).set("failures_per_minute", 5);
    let simod = setup.start().await;
    let (plant, token) = employee(&simod).await;
    let revoked = plant.token("scada").await;
    let tokens = plant.admin.tokens(&ListQuery::default()).await.unwrap().items;
    let id = tokens.iter().find(|token| token.holder == "scada").unwrap().id;
    plant.admin.revoke_token(id).await.unwrap();
    eventually("the address has tried too often", async || {
        (post_key(&simod, &revoked, "a").await.status == StatusCode::TOO_MANY_REQUESTS).then_some(())
    })
    .await;
    wire.set_silent(true);
    let answer = post_key(&simod, &token, "a").await;
    assert_eq!((answer.status, &*code(&answer)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
}

/// Each of its transactions waits for the lock in vain.
#[tokio::test]
async fn a_large_batch_before_a_locked_file_is_answered_in_time() {
    let simod = Setup::new().embedded().start().await;
    let (_plant, token) = employee(&simod).await;
    let mut other =
        SqliteConnection::connect(&format!("sqlite:{}", simod.database().display())).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    let item = r#"{"title":"Заперто","recipients":{"employees":["001"]}}"#;
    let body = format!("[{}]", vec![item; 10_000].join(","));
    let ask = raw::post(&simod.api("/messages/batch"), &token, body);
    let answer =
        tokio::time::timeout(Duration::from_secs(15), ask.send()).await.expect("the batch is answered");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    answer.problem();
}
