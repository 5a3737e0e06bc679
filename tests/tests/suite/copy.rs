//! `simod copy`: moves an installation from an SQLite file to a PostgreSQL server. Without a server there is nothing to test.

use std::process::{Child, Command, Stdio};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use simo_common::{
    api::{
        access::{Grantee, NewOperator, NewToken},
        device::Receipt,
        event::EventKind,
        history::Sort,
        message::PostMessage,
    },
    client::{Client, ListQuery},
    people::Role,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    FakeFcm, Plant, Simod, clock, eventually,
    plant::{post, to_employees, to_topic},
    postgres::{self, TemporaryDatabase},
    programs::program,
    simod::Setup,
};
use sqlx::{Connection as _, PgConnection};

/// The result of a program's run.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn start(arguments: &[&str]) -> Child {
    Command::new(program("simod"))
        .args(arguments)
        .env_remove("SIMO_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn copy(from: &str, to: &str, flags: &[&str]) -> Ran {
    end(start(&[&["copy", "--lang", "en", "--from", from, "--to", to], flags].concat()))
}

fn url(to: &TemporaryDatabase) -> String {
    to.url().to_owned()
}

/// Everything that operators see, as JSON.
async fn all(admin: &Client) -> Value {
    let list = ListQuery { limit: Some(1_000), ..ListQuery::default() };
    let words = |query: &str| ListQuery { query: Some(query.to_owned()), ..list.clone() };
    let sort = Sort::default();
    let mut tokens = admin.tokens(&list).await.unwrap().items;
    for token in &mut tokens {
        // Left out, because they are written only when a daemon ends, as it must before the copy.
        (token.used_at, token.used_from) = (None, None);
    }
    json!({
        "deliveries": admin.deliveries(&list, sort).await.unwrap(),
        "by_words": admin.deliveries(&words("давление котле"), sort).await.unwrap(),
        "by_beginning": admin.deliveries(&words("отмен*"), sort).await.unwrap(),
        "by_state": admin.deliveries(&words("state:denied,canceled"), sort).await.unwrap(),
        "messages": admin.messages(&list).await.unwrap(),
        "employees": admin.employees(&list, None).await.unwrap(),
        "in_group": admin.employees(&list, Some("smena-a")).await.unwrap(),
        "groups": admin.groups(&list).await.unwrap(),
        "tokens": tokens,
        "operators": admin.operators(&list).await.unwrap(),
    })
}

async fn count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn an_installation_moves_and_nothing_is_lost_or_repeated() {
    if postgres::server().is_none() {
        return;
    }
    let target = TemporaryDatabase::create().await;
    let fcm = FakeFcm::start();
    let slug = "zavod";

    // First run, with a provider.
    let mut simod = Setup::new().embedded().fcm(&fcm).start().await;
    let plant = Plant::new(&simod, slug).await;
    plant.employees(&["001", "002", "003", "004"], &["smena-a"]).await;
    plant.topic("boiler", &[Grantee::Group("smena-a".to_owned())]).await;
    let mut phones = Vec::new();
    for number in ["001", "002", "004"] {
        phones.push(plant.fcm_phone(&simod, number, &format!("phone-{number}")).await);
    }
    phones.push(plant.stream_phone(&simod, "003").await);
    let acs = plant.token("scada").await;
    let viewer = NewOperator { name: "vahta".to_owned(), role: Role::Viewer };
    plant.admin.add_operator(&viewer).await.unwrap();
    let token = NewToken { operator: Some(viewer.name), ..NewToken::default() };
    let operator = plant.admin.issue_token(&token).await.unwrap().token;
    let mut feed = plant.admin.follow_events(None).await.unwrap();
    let sent = PostMessage {
        body: "Давление в котле 2 растёт".to_owned(),
        ..to_topic("Доставлено", "boiler")
    };
    let sent = post(&simod.caller(&acs), &sent).await.id;
    let (cursor, _) = feed.next().await.unwrap().unwrap();
    drop(feed);
    eventually("the provider took it", || async { (fcm.journal().accepted() == 3).then_some(()) }).await;
    for (phone, kind) in [(0, ReceiptKind::Acknowledged), (3, ReceiptKind::Read)] {
        let receipt = Receipt { message_id: sent, kind, at: time::from_us(clock::now_us()), by: None };
        phones[phone].client.send_receipts(&[receipt]).await.unwrap();
    }
    simod.terminate().await;

    // Second run, without one: posted messages wait.
    let mut embedded = Setup::new().on_database_of(&simod).start().await;
    let caller = embedded.caller(&acs);
    let admin = embedded.owner().for_client(Some(slug.to_owned()));
    let waiting = PostMessage {
        external_id: Some("e-1".to_owned()),
        ..to_employees("Ждёт", &["001", "002", "404"])
    };
    let waits = post(&caller, &waiting).await.id;
    let scheduled =
        PostMessage { send_at: Some(clock::in_seconds(24 * 3600)), ..to_employees("Завтра", &["001"]) };
    let scheduled = post(&caller, &scheduled).await.id;
    let canceled = post(&caller, &to_employees("Отменено", &["001", "003"])).await.id;
    caller.cancel_message(canceled).await.unwrap();
    let blocked = post(&caller, &to_employees("Заблокирован", &["004"])).await.id;
    admin.block_employee("004").await.unwrap();
    let before = all(&admin).await;
    let own = own(&embedded, &phones[0].token).await;
    let from = embedded.database_url();
    let in_use = copy(&from, target.url(), &[]);
    assert!(in_use.err.contains("in use by another simod"), "{}", in_use.err);
    embedded.terminate().await;

    let copied = copy(&from, target.url(), &[]);
    assert_eq!(copied.code, Some(0), "{}", copied.err);
    assert!(copied.err.contains("copying: delivery: "), "{}", copied.err);
    assert!(copied.err.contains("comparing: client: 1"), "{}", copied.err);
    assert!(copied.out.contains("Next:"), "{}", copied.out);

    // Third run, on the server.
    let mut served = Setup::new().database_url(url(&target)).start().await;
    let admin = served.owner().for_client(Some(slug.to_owned()));
    let after = all(&admin).await;
    for (what, before) in before.as_object().unwrap() {
        assert_eq!(&after[what], before, "{what}");
    }
    assert_eq!(self::own(&served, &phones[0].token).await, own);
    let viewer = served.caller(&operator);
    let history = viewer.deliveries(&ListQuery::default(), Sort::default()).await;
    let rows = before["deliveries"]["items"].as_array().unwrap().len();
    assert_eq!(history.unwrap().items.len(), rows);
    let mut feed = viewer.follow_events(Some(&cursor)).await.unwrap();
    let (_, event) = feed.next().await.unwrap().unwrap();
    assert_eq!(event.kind, EventKind::Reset);
    let again = post(&served.caller(&acs), &waiting).await;
    assert_eq!((again.id, again.duplicate), (waits, true));
    let new = post(&served.caller(&acs), &to_employees("Новое", &["002"])).await.id;
    let (_, event) = feed.next().await.unwrap().unwrap();
    assert_eq!((event.kind, event.message_id), (EventKind::Accepted, new));
    drop(feed);
    served.terminate().await;

    // Last run, with a provider again; the scheduled message is due by now.
    let mut connection = PgConnection::connect(target.url()).await.unwrap();
    sqlx::query("update message set send_at = 1 where no < 0 and canceled_at is null")
        .execute(&mut connection)
        .await
        .unwrap();
    let served = Setup::new().fcm(&fcm).database_url(url(&target)).start().await;
    let expected = [
        ("phone-001", sent),
        ("phone-002", sent),
        ("phone-004", sent),
        ("phone-001", waits),
        ("phone-002", waits),
        ("phone-001", scheduled),
        ("phone-002", new),
    ];
    eventually("everything arrived", || async {
        (fcm.journal().arrivals().len() >= expected.len()).then_some(())
    })
    .await;
    let admin = served.owner().for_client(Some(slug.to_owned()));
    eventually("what a block stopped is closed", || async {
        let of_blocked = admin.message_deliveries(blocked, &ListQuery::default()).await.unwrap();
        (of_blocked.items[0].state.as_str() == "denied").then_some(())
    })
    .await;
    let arrivals = fcm.journal().arrivals();
    for (address, message) in expected {
        let times = arrivals.get(&(address.to_owned(), message.to_string()));
        assert_eq!(times, Some(&1), "{message} at {address}");
    }
    assert_eq!(arrivals.len(), expected.len(), "{arrivals:?}");
}

/// A phone's own history, as JSON.
async fn own(simod: &Simod, token: &str) -> Value {
    let messages = simod.caller(token).own_messages(&ListQuery::default()).await;
    json!(messages.unwrap())
}

/// An installation in a file without a running daemon, and a copy of it that was killed halfway.
async fn half_copy() -> Option<(Simod, Value, TemporaryDatabase)> {
    postgres::server()?;
    let target = TemporaryDatabase::create().await;
    let mut simod = Setup::new().embedded().start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &["smena-a"]).await;
    let acs = plant.acs(&simod, "1c").await;
    for number in 0..20 {
        post(&acs, &to_employees(&format!("Сообщение {number}"), &["001", "002"])).await;
    }
    let all = all(&plant.admin).await;
    // The last changes are only in its write-ahead log.
    simod.kill9();

    let migrated = end(start(&["migrate", "--database", target.url()]));
    assert_eq!(migrated.code, Some(0), "{}", migrated.err);
    let mut holder = PgConnection::connect(target.url()).await.unwrap();
    let mut tx = holder.begin().await.unwrap();
    sqlx::query("lock table delivery in share mode").execute(&mut *tx).await.unwrap();
    let mut child = start(&["copy", "--from", &simod.database_url(), "--to", target.url()]);
    let mut connection = PgConnection::connect(target.url()).await.unwrap();
    let waits = "select count(*) from pg_locks where not granted and relation = 'delivery'::regclass";
    while count(&mut connection, waits).await == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the copy ended");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(tx.rollback().await);
    let there = "select count(*) from message";
    assert_eq!(count(&mut connection, there).await, 20);
    Some((simod, all, target))
}

#[tokio::test]
async fn killed_in_its_middle_it_goes_on_and_until_then_no_daemon_starts() {
    let Some((simod, before, target)) = half_copy().await else {
        return;
    };
    let refusal = Setup::new().database_url(url(&target)).start_in_vain().await;
    assert_eq!(refusal.status.code(), Some(1));
    assert!(refusal.stderr.contains("unfinished copy of sqlite:"), "{}", refusal.stderr);
    let copied = copy(&simod.database_url(), target.url(), &[]);
    assert_eq!(copied.code, Some(0), "{}", copied.err);
    assert!(copied.err.contains("An unfinished copy goes on"), "{}", copied.err);
    let served = Setup::new().database_url(url(&target)).start().await;
    let admin = served.owner().for_client(Some("zavod".to_owned()));
    assert_eq!(all(&admin).await, before);
}

#[tokio::test]
async fn a_file_that_was_used_in_between_is_noticed_and_copied_anew_on_demand() {
    let Some((mut simod, _, target)) = half_copy().await else {
        return;
    };
    simod.restart().await;
    let admin = simod.owner().for_client(Some("zavod".to_owned()));
    admin.block_employee("002").await.unwrap();
    let before = all(&admin).await;
    simod.terminate().await;
    let from = simod.database_url();
    let refused = copy(&from, target.url(), &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("start anew with --restart"), "{}", refused.err);
    let unasked = copy(&from, target.url(), &["--restart"]);
    assert_eq!(unasked.code, Some(1));
    assert!(unasked.err.contains("add --yes"), "{}", unasked.err);
    let copied = copy(&from, target.url(), &["--restart", "--yes"]);
    assert_eq!(copied.code, Some(0), "{}", copied.err);
    let served = Setup::new().database_url(url(&target)).start().await;
    let admin = served.owner().for_client(Some("zavod".to_owned()));
    assert_eq!(all(&admin).await, before);
}

#[tokio::test]
async fn what_is_no_source_or_no_target_is_refused() {
    if postgres::server().is_none() {
        return;
    }
    let target = TemporaryDatabase::create().await;
    let mut source = Setup::new().embedded().start().await;
    source.terminate().await;
    let from = source.database_url();
    for (from, to, why) in
        [(target.url(), target.url(), "from an SQLite file"), (&*from, &*from, "to a PostgreSQL server")]
    {
        let refused = copy(from, to, &[]);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    let nothing = copy("sqlite:/nowhere/simo.db", target.url(), &[]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("there is no /nowhere/simo.db"), "{}", nothing.err);

    let mut other = Setup::new().database_url(url(&target)).start().await;
    let served = copy(&from, target.url(), &[]);
    assert!(served.err.contains("a simod is connected to the target"), "{}", served.err);
    Plant::new(&other, "fabrika").await;
    other.terminate().await;
    for flags in [&[][..], &["--restart", "--yes"]] {
        let occupied = copy(&from, target.url(), flags);
        assert_eq!(occupied.code, Some(1));
        assert!(occupied.err.contains("has data of its own"), "{}", occupied.err);
    }
    other.restart().await;
    assert_eq!(other.owner().clients(&ListQuery::default()).await.unwrap().items.len(), 1);
}
