//! Several daemons on one PostgreSQL server: each sees the others' changes, and they share the work. With SQLite there is
//! one daemon, and nothing to test.

use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt as _;
use simo_common::{
    api::{device::Receipt, event::EventKind, history::Sort},
    client::ListQuery,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    plant::{post, to_employees},
    postgres::{self, TemporaryDatabase},
    simod::Setup,
};
use tokio::task::JoinSet;

/// Longer than an instance takes to react, whether notified or by polling.
const SOON: Duration = Duration::from_secs(5);

/// Two daemons on one database; `None` where there is no server.
async fn pair(setup: Setup) -> Option<(Simod, Simod)> {
    postgres::server()?;
    let first = setup.start().await;
    let second = first.sibling().await;
    Some((first, second))
}

#[tokio::test]
async fn a_phone_and_an_operator_may_hang_on_any_instance() {
    let Some((one, other)) = pair(Setup::new()).await else {
        return;
    };
    let plant = Plant::new(&one, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let acs = plant.acs(&one, "1c").await;
    let phone = plant.stream_phone(&other, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    let operator = other.owner().for_client(Some("zavod".to_owned()));
    let mut feed = operator.follow_events(None).await.unwrap();

    let posted = post(&acs, &to_employees("Через соседа", &["001"])).await;
    let arrived = tokio::time::timeout(SOON, stream.next()).await;
    assert_eq!(arrived.unwrap().unwrap().unwrap().id, posted.id);
    let (_, event) = tokio::time::timeout(SOON, feed.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((event.kind, event.message_id), (EventKind::Accepted, posted.id));

    let receipt = Receipt {
        message_id: posted.id,
        kind: ReceiptKind::Read,
        at: time::from_us(simo_tests::clock::now_us()),
        by: None,
    };
    phone.client.send_receipts(&[receipt]).await.unwrap();
    let history = plant.admin.deliveries(&ListQuery::default(), Sort::default()).await.unwrap();
    assert_eq!(history.items[0].state.as_str(), "read");
}

#[tokio::test]
async fn what_is_revoked_at_one_instance_counts_at_the_other_at_once() {
    let Some((one, other)) = pair(Setup::new()).await else {
        return;
    };
    let plant = Plant::new(&one, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    post(&other.caller(&token), &to_employees("До", &["001"])).await;
    let phone = plant.stream_phone(&other, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    let first = tokio::time::timeout(SOON, stream.next()).await;
    assert!(first.unwrap().unwrap().is_ok());

    let tokens = plant.admin.tokens(&ListQuery::default()).await.unwrap();
    let acs = tokens.items.iter().find(|token| token.holder == "1c").unwrap();
    plant.admin.revoke_token(acs.id).await.unwrap();
    let refused = other.caller(&token).post_message(&to_employees("После", &["001"]), false).await;
    assert!(refused.is_err());
    plant.admin.block_employee("001").await.unwrap();
    let ended = tokio::time::timeout(SOON, async { while let Some(Ok(_)) = stream.next().await {} });
    ended.await.expect("the open stream is cut");
}

#[tokio::test]
async fn the_same_key_at_both_instances_makes_one_message() {
    let Some((one, other)) = pair(Setup::new()).await else {
        return;
    };
    let plant = Plant::new(&one, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    let mut posts = JoinSet::new();
    for number in 0..200 {
        for simod in [&one, &other] {
            let acs = simod.caller(&token);
            let mut message = to_employees("Один раз", &["001"]);
            message.external_id = Some(number.to_string());
            posts.spawn(async move { acs.post_message(&message, false).await.unwrap() });
        }
    }
    let answers = posts.join_all().await;
    let ids: HashSet<_> = answers.iter().map(|answer| answer.id).collect();
    let new = answers.iter().filter(|answer| !answer.duplicate).count();
    assert_eq!((ids.len(), new), (200, 200));
}

#[tokio::test]
async fn two_instances_share_the_work_and_repeat_nothing() {
    let fcm = FakeFcm::start();
    let Some((one, other)) = pair(Setup::new().fcm(&fcm)).await else {
        return;
    };
    let plant = Plant::new(&one, "zavod").await;
    let numbers: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    plant.employees(&numbers, &[]).await;
    for number in &numbers {
        plant.fcm_phone(&one, number, &format!("phone-{number}")).await;
    }
    fcm.script().delay(Duration::from_millis(5));
    let callers = [plant.acs(&one, "1c").await, plant.acs(&other, "scada").await];
    for round in 0..4 {
        for acs in &callers {
            post(acs, &to_employees(&format!("Тревога {round}"), &numbers)).await;
        }
    }
    eventually("everything arrived", || async { (fcm.journal().arrivals().len() == 8 * 300).then_some(()) })
        .await;
    let repeated = fcm.journal().arrivals().into_values().filter(|times| *times > 1).count();
    assert_eq!(repeated, 0);
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    if postgres::server().is_none() {
        return;
    }
    let database = TemporaryDatabase::create().await;
    let start = || Setup::new().database_url(database.url().to_owned()).start();
    let (one, other, third) = tokio::join!(start(), start(), start());
    Plant::new(&one, "zavod").await;
    for simod in [&other, &third] {
        let clients = simod.owner().clients(&ListQuery::default()).await.unwrap();
        assert_eq!(clients.items.len(), 1);
    }
}

/// When the database server cannot be reached, the start names it.
#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = "postgres://simo:secret@127.0.0.1:1/simo".to_owned();
    let refusal = Setup::new().database_url(url).wait("0").start_in_vain().await;
    assert!(refusal.stderr.contains("postgres://127.0.0.1:1/simo"), "{}", refusal.stderr);
    assert_eq!(refusal.stderr.matches("refused").count(), 1, "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("secret"), "{}", refusal.stderr);
}
