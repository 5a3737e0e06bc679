//! How simod finds its PostgreSQL server, and how it reacts when refused.

mod refusals;

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::net::UnixListener,
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt as _;
use simo_tests::{
    Plant, eventually,
    plant::{post, to_employees},
    postgres::OwnServer,
    programs::program,
    simod::Setup,
};
use tempfile::TempDir;

/// Far longer than a message in flight takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The standby is listed first: simod must check that a server takes writes, not just that it answers.
#[tokio::test]
async fn of_two_hosts_the_one_that_takes_writes_is_used_also_after_a_switch() {
    let Some(primary) = OwnServer::start() else { return };
    let standby = primary.standby();
    for attributes in ["", "&target_session_attrs=primary"] {
        let url = format!("postgres://simo@/postgres?host={},{}{attributes}", standby.home(), primary.home());
        Setup::new().database_url(url).start().await.terminate().await;
    }
    let url = format!(
        "postgres://simo@/postgres?host={},{}&target_session_attrs=read-write",
        standby.home(),
        primary.home()
    );
    let simod = Setup::new().database_url(url).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let acs = plant.acs(&simod, "1c").await;
    let phone = plant.stream_phone(&simod, "001").await;
    let before = post(&acs, &to_employees("До", &["001"])).await;
    eventually("the standby has it", async || {
        (standby.number("postgres", "select count(*) from message").await == 1).then_some(())
    })
    .await;

    standby.promote();
    primary.stop();
    let after = eventually("the promoted standby takes a message", async || {
        acs.post_message(&to_employees("После", &["001"]), false).await.ok()
    })
    .await;
    let mut missing = vec![before.id, after.id];
    let arrived = tokio::time::timeout(PATIENCE, async {
        // The switch may cut a stream; phones reconnect.
        while !missing.is_empty() {
            let come_back = async || phone.client.own_stream().await.ok();
            let mut stream = eventually("the phone comes back", come_back).await;
            while let Some(Ok(message)) = stream.next().await {
                missing.retain(|id| *id != message.id);
                if missing.is_empty() {
                    break;
                }
            }
        }
    });
    arrived.await.expect("both messages arrive");
    assert!(simod.log().contains("switched to another database host"), "{}", simod.log());
}

/// A host whose machine is frozen accepts the connection and sends nothing.
#[tokio::test]
async fn a_silent_host_does_not_keep_the_others_waiting() {
    let Some(server) = OwnServer::start() else { return };
    let silent = TempDir::with_prefix("simo-silent-").unwrap();
    let _listener = UnixListener::bind(silent.path().join(".s.PGSQL.5432")).unwrap();
    let (silent, other) = (silent.path().display(), server.home());
    let url = format!("postgres://simo@/postgres?host={silent},{other}&connect_timeout=60");
    let simod = Setup::new().database_url(url).start().await;
    Plant::new(&simod, "zavod").await;
}

/// A server that freezes after it has let simod in.
#[tokio::test]
async fn a_start_gives_a_server_up_that_does_not_answer() {
    let directory = TempDir::with_prefix("simo-silent-").unwrap();
    let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            // AuthenticationOk and ReadyForQuery.
            connection.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").unwrap();
            held.push(connection);
        }
    });
    let url = format!("postgres://simo@/postgres?sslmode=disable&host={}", directory.path().display());
    let refusal = Setup::new().database_url(url).wait("1s").start_in_vain().await;
    assert_eq!(refusal.status.code(), Some(1));
    assert!(refusal.stderr.contains("waited 1 s for the database"), "{}", refusal.stderr);
}

#[tokio::test]
async fn a_start_waits_for_the_server_and_says_so() {
    let Some(server) = OwnServer::start() else { return };
    server.stop();
    let directory = TempDir::with_prefix("simo-").unwrap();
    let log = directory.path().join("simod.log");
    let setup = Setup::in_directory(directory.path()).database_url(server.url()).wait("60s");
    let comes_late = async {
        eventually("it waits", async || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.contains("waiting for the database").then_some(())
        })
        .await;
        server.again();
    };
    let (simod, ()) = tokio::join!(setup.start(), comes_late);
    Plant::new(&simod, "zavod").await;
    assert!(simod.log().contains("the database is there, after "), "{}", simod.log());
}

/// A standby takes no writes, but may be promoted.
#[tokio::test]
async fn a_start_waits_for_a_promotion() {
    let Some(primary) = OwnServer::start() else { return };
    Setup::new().database_url(primary.url()).start().await.terminate().await;
    let standby = primary.standby();
    let directory = TempDir::with_prefix("simo-").unwrap();
    let log = directory.path().join("simod.log");
    let setup = Setup::in_directory(directory.path()).database_url(standby.url()).wait("60s");
    let promoted = async {
        eventually("it waits", async || {
            fs::read_to_string(&log).unwrap_or_default().contains("read-only").then_some(())
        })
        .await;
        standby.promote();
    };
    let (simod, ()) = tokio::join!(setup.start(), promoted);
    Plant::new(&simod, "zavod").await;
}

#[tokio::test]
async fn whoever_waits_for_the_server_can_be_stopped() {
    let directory = TempDir::with_prefix("simo-").unwrap();
    let log = directory.path().join("log");
    let mut simod = Command::new(program("simod"))
        .args(["serve", "--database", "postgres://simo:secret@127.0.0.1:1/simo", "--socket"])
        .arg(directory.path().join("s.sock"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("it waits", async || {
        fs::read_to_string(&log).unwrap().contains("waiting for the database").then_some(())
    })
    .await;
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", simod.id())]).status().unwrap();
    assert!(told.success());
    let ended = eventually("it ends", || std::future::ready(simod.try_wait().unwrap())).await;
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        ended.success() && log.contains("postgres://127.0.0.1:1/simo") && !log.contains("secret"),
        "{log}"
    );
}
