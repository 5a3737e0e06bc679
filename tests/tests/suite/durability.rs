//! Accepted messages are never lost.

mod room;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, StatusCode, header};
use simo_common::{
    api::message::PostMessage,
    client::{Client, ListQuery},
};
use simo_tests::{
    FakeFcm, Plant, Simod, clock, eventually,
    plant::{post, to_employees},
    postgres::{self, OwnServer, TemporaryDatabase},
    raw,
    simod::Setup,
    skip,
    wait::within,
    wire::Wire,
};
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::health;

#[tokio::test]
async fn it_goes_in_peace_and_comes_back() {
    let mut simod = Simod::start().await;
    simod.terminate().await;
    simod.restart().await;
    simod.kill9();
    simod.restart().await;
    assert!(simod.owner().readiness().await.unwrap().ready);
}

async fn plant(simod: &Simod) -> (Plant, String) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    (plant, token)
}

/// Ids of all messages.
async fn stored(plant: &Plant) -> Vec<Uuid> {
    let mut ids = Vec::new();
    let mut list = ListQuery { limit: Some(1000), ..ListQuery::default() };
    loop {
        let page = plant.admin.messages(&list).await.unwrap();
        ids.extend(page.items.iter().map(|message| message.id));
        list.cursor = page.next;
        if list.cursor.is_none() {
            return ids;
        }
    }
}

/// Posts until refused; returns the ids of the accepted messages.
async fn post_until_refused(acs: Client) -> Vec<Uuid> {
    let mut ids = Vec::new();
    while let Ok(posted) = acs.post_message(&to_employees("Под нагрузкой", &["001"]), false).await
    {
        ids.push(posted.id);
    }
    ids
}

#[tokio::test]
async fn a_graceful_stop_under_load_loses_nothing_and_repeats_nothing() {
    let fcm = FakeFcm::start();
    let mut simod = Simod::with_fcm(&fcm).await;
    let (plant, token) = plant(&simod).await;
    plant.fcm_phone(&simod, "001", "phone-1").await;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        tasks.spawn(post_until_refused(simod.caller(&token)));
    }
    eventually("pushes are under way", || async { (fcm.journal().accepted() > 100).then_some(()) }).await;
    simod.terminate().await;
    let accepted: Vec<Uuid> = tasks.join_all().await.into_iter().flatten().collect();
    simod.restart().await;

    let stored = stored(&plant).await;
    for id in &accepted {
        assert!(stored.contains(id), "{id} was accepted and is gone");
    }
    eventually("every message is pushed", || async {
        (fcm.journal().arrivals().len() == stored.len()).then_some(())
    })
    .await;
    let repeats: Vec<_> = fcm.journal().arrivals().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(repeats.is_empty(), "{repeats:?}");
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_open_streams() {
    let mut simod = Setup::new().embedded().start().await;
    let (plant, token) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let _stream = phone.client.own_stream().await.unwrap();
    let _events = simod.caller(&token).follow_events(None).await.unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), simod.terminate()).await;
    stopped.expect("an idle daemon stops at once");
}

#[tokio::test]
async fn a_locked_database_is_503_and_loses_nothing() {
    let simod = Setup::new().embedded().start().await;
    let (plant, token) = plant(&simod).await;
    let body = r#"{"title":"Заперто","recipients":{"employees":["001"]}}"#;
    let mut other =
        SqliteConnection::connect(&format!("sqlite:{}", simod.database().display())).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    for (path, body) in
        [("/messages", body.to_owned()), ("/messages/batch", format!("[{}]", vec![body; 100].join(",")))]
    {
        let answer = raw::post(&simod.api(path), &token, body).send().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
        assert!(answer.headers.contains_key(header::RETRY_AFTER), "{path}");
        answer.problem();
    }
    // The log reports it once for all requests, and once per duty.
    let lines = simod.log().matches("the database is unavailable").count();
    assert!((1..10).contains(&lines), "{lines} lines");
    health::not_ready(&simod, "locked").await;
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    health::ready(&simod).await;
    let posted = post(&simod.caller(&token), &to_employees("Открыто", &["001"])).await;
    assert_eq!(stored(&plant).await, [posted.id]);
}

/// The log is often on the same full disk.
#[tokio::test]
async fn whoever_cannot_log_serves_on_and_goes_on_with_what_was_put_off() {
    let simod = Setup::new().embedded().cannot_log().start().await;
    let (plant, token) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let later = PostMessage { send_at: Some(clock::in_seconds(2)), ..to_employees("Позже", &["001"]) };
    let later = post(&simod.caller(&token), &later).await;
    let file = format!("sqlite:{}", simod.database().display());
    let mut other = SqliteConnection::connect(&file).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    // Long enough for every duty to log an error.
    let body = r#"{"title":"Заперто","recipients":{"employees":["001"]}}"#;
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        let answer = raw::post(&simod.api("/messages"), &token, body.to_owned()).send().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    }
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    eventually("what was put off arrives", || async {
        let own = phone.client.own_messages(&ListQuery::default()).await.ok()?;
        own.items.iter().any(|message| message.id == later.id).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_503_and_everything_resumes_when_it_is_back() {
    let Some(server) = OwnServer::start() else { return };
    let fcm = FakeFcm::start();
    let simod = Setup::new().fcm(&fcm).database_url(server.url()).start().await;
    let (plant, token) = plant(&simod).await;
    plant.fcm_phone(&simod, "001", "phone-1").await;
    let acs = simod.caller(&token);
    // A push in flight when the server goes away waits for its return.
    fcm.script().delay(Duration::from_millis(500));
    let before = post(&acs, &to_employees("До", &["001"])).await;
    server.stop();
    let body = r#"{"title":"Без базы","recipients":{"employees":["001"]}}"#;
    let answer = raw::post(&simod.api("/messages"), &token, body.to_owned()).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    health::not_ready(&simod, "").await;
    server.again();
    health::ready(&simod).await;
    fcm.script().delay(Duration::ZERO);
    let after = post(&acs, &to_employees("После", &["001"])).await;
    assert_eq!(stored(&plant).await, [after.id, before.id]);
    eventually("both arrived", || async { (fcm.journal().arrivals().len() == 2).then_some(()) }).await;
}

/// Nothing is refused and nothing gets through: the worst way for a server to fail.
#[tokio::test]
async fn a_server_that_falls_silent_keeps_nobody_waiting_for_long() {
    if postgres::server().is_none() {
        return;
    }
    let database = TemporaryDatabase::create().await;
    let wire = Wire::to(database.url());
    let simod = Setup::new().database_url(wire.url(database.url())).start().await;
    let (_, token) = plant(&simod).await;
    let post = async || {
        let body = r#"{"title":"Тишина","recipients":{"employees":["001"]},"allow_empty":true}"#;
        let ask = raw::post(&simod.api("/messages"), &token, body.to_owned());
        let answer = ask.send().await;
        match answer.status {
            StatusCode::ACCEPTED => Some(answer.value()["id"].as_str().unwrap().to_owned()),
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(answer.headers.contains_key(header::RETRY_AFTER));
                None
            }
            _ => panic!("{}: {}", answer.status, answer.text),
        }
    };
    // Some are in the middle of their transaction when the wire falls silent.
    let is_over = AtomicBool::new(false);
    let posting = async {
        let mut accepted = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            accepted.extend(post().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        accepted
    };
    let silence = async {
        // Readers that ask without pause use every connection that simod may open.
        let read = Arc::new(AtomicUsize::new(0));
        let first = post().await.unwrap();
        let (http, url) = (reqwest::Client::new(), simod.api(&format!("/messages/{first}")));
        let readers: Vec<_> = (0..32)
            .map(|_| {
                let (http, url, token, read) = (http.clone(), url.clone(), token.clone(), read.clone());
                AbortOnDropHandle::new(tokio::spawn(async move {
                    loop {
                        let ask = raw::ask_with(&http, Method::GET, &url).token(&token);
                        let answer = ask.send().await;
                        read.fetch_add(usize::from(answer.status == StatusCode::OK), Ordering::Relaxed);
                    }
                }))
            })
            .collect();
        let busy = within(Duration::from_mins(1), "they are all at it", async || {
            (read.load(Ordering::Relaxed) > 200).then_some(())
        });
        busy.await;
        wire.set_silent(true);
        // Far longer than simod waits, and far shorter than the system takes to give a connection up.
        let answered = within(Duration::from_mins(3), "they are told to come back", async || {
            post().await.is_none().then_some(())
        });
        answered.await;
        drop(readers);
        wire.set_silent(false);
        is_over.store(true, Ordering::Relaxed);
    };
    let (accepted, ()) = tokio::join!(posting, silence);
    let after = within(Duration::from_mins(3), "it accepts again", async || post().await).await;
    for id in accepted.iter().chain([&after]) {
        let url = simod.api(&format!("/messages/{id}"));
        let found = raw::ask(Method::GET, &url).token(&token).send().await;
        assert_eq!(found.status, StatusCode::OK, "{id} was accepted and is gone");
    }
}

/// `strace` on a process, until dropped.
struct Strace {
    process: Child,
    output: tempfile::NamedTempFile,
}

impl Strace {
    /// `None` where strace is missing or not permitted to attach.
    fn attach(pid: u32) -> Option<Self> {
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut process = Command::new("strace")
            .args([
                "-f",
                "-y",
                "-s",
                "200",
                "-e",
                "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg",
                "-o",
            ])
            .arg(output.path())
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let attached = stderr.lines().map_while(Result::ok).any(|line| line.contains("attached"));
        let strace = Self { process, output };
        attached.then_some(strace)
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read(self.output.path()).unwrap();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The message is on disk before its answer is sent.
#[tokio::test]
async fn the_sync_comes_before_the_202() {
    let simod = Setup::new().embedded().start().await;
    let (_, token) = plant(&simod).await;
    let acs = simod.caller(&token);
    post(&acs, &to_employees("Разогрев", &["001"])).await;
    let Some(strace) = Strace::attach(simod.pid()) else {
        skip("the sync before the 202: strace is missing, or may not attach");
        return;
    };
    for _ in 0..5 {
        let from = strace.lines().len();
        post(&acs, &to_employees("Сначала диск", &["001"])).await;
        let lines = eventually("the answer is in the trace", || async {
            let lines = strace.lines().split_off(from);
            let answered = lines.iter().position(|line| line.contains("HTTP/1.1 202"))?;
            Some(lines[..=answered].to_vec())
        })
        .await;
        let log_written =
            lines.iter().position(|line| line.contains("pwrite64(") && line.contains("simo.db-wal"));
        let synced = lines.iter().rposition(|line| {
            let whole = line.contains("sync(") && line.contains("simo.db-wal") && line.ends_with("= 0");
            whole || (line.contains("sync resumed") && line.ends_with("= 0"))
        });
        assert!(
            log_written.is_some() && log_written < synced,
            "no sync before the answer:\n{}",
            lines.join("\n")
        );
    }
}
