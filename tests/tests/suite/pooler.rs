//! PostgreSQL behind a pooler in transaction mode, which keeps no state of a connection: no prepared statements, no
//! settings, no `LISTEN`.

use std::time::Duration;

use futures_util::StreamExt as _;
use simo_common::{
    api::{device::Receipt, history::Sort},
    client::ListQuery,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    plant::{post, to_employees},
    pooler::Pooler,
    postgres::{self, TemporaryDatabase},
    simod::Setup,
};

/// Far longer than the second that an instance takes to poll.
const PATIENCE: Duration = Duration::from_secs(20);

/// An empty database, and a pooler in front of it; `None` where there is no server.
async fn pooled() -> Option<(TemporaryDatabase, Pooler)> {
    postgres::server()?;
    let database = TemporaryDatabase::create().await;
    let pooler = Pooler::start(database.url()).await?;
    Some((database, pooler))
}

#[tokio::test]
async fn migrations_take_the_direct_way() {
    let Some((database, pooler)) = pooled().await else {
        return;
    };
    let pooled = || Setup::new().database_url(pooler.url(database.url()));
    let refusal = pooled().start_in_vain().await;
    assert!(
        refusal.stderr.contains("0001_numbers") && refusal.stderr.contains("`database_direct`"),
        "{}",
        refusal.stderr
    );
    let mut simod = pooled().set("database_direct", database.url()).start().await;
    everything_works(&simod, &simod.sibling().await).await;
    simod.terminate().await;
}

/// PgBouncer 1.18 passes a client's startup parameters on only if it knows them.
#[tokio::test]
async fn what_it_does_not_pass_on_is_told_with_what_to_do() {
    let Some((database, pooler)) = pooled().await else {
        return;
    };
    let url = format!("{}&options=-c%20geqo%3Doff", pooler.url(database.url()));
    let refusal = Setup::new().database_url(url).wait("60s").start_in_vain().await;
    let advice = "`ignore_startup_parameters = options`";
    assert!(refusal.stderr.contains(advice), "{}", refusal.stderr);
}

/// Without a direct connection no instance is notified by the others: they poll.
#[tokio::test]
async fn instances_that_cannot_hear_each_other_look_by_themselves() {
    let Some((database, pooler)) = pooled().await else {
        return;
    };
    Setup::new().database_url(database.url().to_owned()).start().await.terminate().await;
    let simod = Setup::new().database_url(pooler.url(database.url())).start().await;
    everything_works(&simod, &simod.sibling().await).await;
}

async fn everything_works(one: &Simod, other: &Simod) {
    let plant = Plant::new(one, "zavod").await;
    plant.employees(&["001", "002"], &["smena"]).await;
    let acs = plant.acs(one, "1c").await;
    let phone = plant.stream_phone(other, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    let mut feed = other.owner().for_client(Some("zavod".to_owned())).follow_events(None).await.unwrap();
    let mut sent = Vec::new();
    // More than the pooler has connections, so that statements run on connections that have not prepared them.
    for number in 0..30 {
        let posted = post(&acs, &to_employees(&format!("Насос {number}"), &["001", "002"])).await;
        sent.push(posted.id);
    }
    for _ in &sent {
        let arrived = tokio::time::timeout(PATIENCE, stream.next()).await;
        let message = arrived.unwrap().unwrap().unwrap();
        assert!(sent.contains(&message.id));
        let receipt = Receipt {
            message_id: message.id,
            kind: ReceiptKind::Read,
            at: time::from_us(simo_tests::clock::now_us()),
            by: None,
        };
        phone.client.send_receipts(&[receipt]).await.unwrap();
    }
    let (_, event) = tokio::time::timeout(PATIENCE, feed.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(event.message_id, sent[0]);
    let found = ListQuery { query: Some("насосы state:read".to_owned()), ..ListQuery::default() };
    eventually("all are read, and found by their words", async || {
        let page = plant.admin.deliveries(&found, Sort::default()).await.unwrap();
        (page.items.len() == sent.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pushes_are_claimed_and_finished_through_it() {
    let Some((database, pooler)) = pooled().await else {
        return;
    };
    let fcm = FakeFcm::start();
    let one = Setup::new()
        .fcm(&fcm)
        .database_url(pooler.url(database.url()))
        .set("database_direct", database.url())
        .start()
        .await;
    let _other = one.sibling().await;
    let plant = Plant::new(&one, "zavod").await;
    plant.employees(&["001"], &[]).await;
    plant.fcm_phone(&one, "001", "phone-1").await;
    let acs = plant.acs(&one, "1c").await;
    for number in 0..100 {
        post(&acs, &to_employees(&number.to_string(), &["001"])).await;
    }
    eventually("all arrived", async || (fcm.journal().arrivals().len() == 100).then_some(())).await;
    assert!(fcm.journal().arrivals().values().all(|&times| times == 1));
}
