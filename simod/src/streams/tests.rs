use futures_util::{FutureExt as _, StreamExt as _};
use simo_common::{
    api::device::Receipt,
    delivery::DeliveryState,
    receipt::ReceiptKind,
    time::{DAY, from_us},
};

use super::*;
use crate::{
    app::App,
    store::{EmployeeNo, Reported},
    testing::{Plant, TestPhone},
};

fn holder(phone: &TestPhone) -> StreamPhone {
    StreamPhone {
        is_pushed_to: false,
        client_no: phone.caller.client_no,
        employee_no: phone.caller.employee_no,
        device_no: phone.caller.device_no,
        device_id: phone.caller.device_id,
        token_hash: simo_common::token::hash(&phone.token),
    }
}

async fn next(connection: &mut Connection) -> Option<String> {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), connection.next()).await;
        match event.expect("the stream says something, or ends")? {
            StreamEvent::Message(message) => return Some(message.title),
            StreamEvent::State(_) => {}
        }
    }
}

async fn titles(connection: &mut Connection, count: usize) -> HashSet<String> {
    let mut titles = HashSet::new();
    for _ in 0..count {
        titles.insert(next(connection).await.unwrap());
    }
    titles
}

async fn post(plant: &Plant, app: &App, title: &str, employee: EmployeeNo) {
    plant.message(title, &[employee]).await;
    app.wake.feed();
}

#[tokio::test]
async fn a_stream_begins_with_what_has_no_receipt_and_goes_on_live_without_repeats() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let app = plant.app();
    post(&plant, &app, "before", employee).await;
    let mut connection = app.streams.open(holder(&phone));
    assert_eq!(next(&mut connection).await.unwrap(), "before");
    for title in ["one", "two"] {
        post(&plant, &app, title, employee).await;
        assert_eq!(next(&mut connection).await.unwrap(), title);
    }
    plant
        .run("update push set done_at = 1, outcome = 2 where message_no = (select min(message_no) from push)")
        .await;
    drop(connection);
    let mut connection = app.streams.open(holder(&phone));
    let again = titles(&mut connection, 2).await;
    assert_eq!(again, HashSet::from(["one".to_owned(), "two".to_owned()]));
}

#[tokio::test]
async fn what_was_canceled_denied_or_has_expired_is_not_sent() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let app = plant.app();
    plant.message("expired", &[employee]).await;
    plant.advance(DAY);
    let canceled = plant.message("canceled", &[employee]).await;
    let denied = plant.message("denied", &[employee]).await;
    plant
        .run(&format!(
            "update message set canceled_at = 1 where no = {};
             update delivery set outcome = 8 where message_no = {}",
            canceled.no.0, denied.no.0
        ))
        .await;
    let mut connection = app.streams.open(holder(&phone));
    plant.advance(1);
    post(&plant, &app, "good", employee).await;
    assert_eq!(next(&mut connection).await.unwrap(), "good");
}

#[tokio::test]
async fn the_last_connection_of_a_device_counts() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let app = plant.app();
    let mut first = app.streams.open(holder(&phone));
    let fate = first.fate();
    assert!(!fate.is_replaced());
    let mut second = app.streams.open(holder(&phone));
    assert_eq!(next(&mut first).await, None);
    assert!(fate.is_replaced());
    drop(first);
    post(&plant, &app, "m", employee).await;
    assert_eq!(next(&mut second).await.unwrap(), "m");
}

#[tokio::test]
async fn whoever_is_shut_out_gets_nothing_more_not_even_what_is_buffered() {
    let shut_out = [
        "update device set retired_at = 1",
        "update employee set blocked_at = 1",
        "update employee set archived_at = 1",
        "update token set revoked_at = 1",
        "update client set archived_at = 1",
    ];
    for change in shut_out {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let phone = plant.phone(employee, None).await;
        let app = plant.app();
        for title in ["one", "two", "three"] {
            plant.message(title, &[employee]).await;
        }
        let mut connection = app.streams.open(holder(&phone));
        assert!(next(&mut connection).await.is_some());
        plant.run(change).await;
        post(&plant, &app, "late", employee).await;
        app.streams.round().await.unwrap();
        assert_eq!(next(&mut connection).await, None, "{change}");
    }
}

#[tokio::test]
async fn a_reader_slower_than_his_messages_gets_them_all_and_holds_few_in_memory() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let app = plant.app();
    let count = BUFFER * 3 + 1;
    for number in 0..count {
        plant.message(&format!("m{number}"), &[employee]).await;
    }
    let mut connection = app.streams.open(holder(&phone));
    app.streams.round().await.unwrap();
    app.streams.round().await.unwrap();
    assert_eq!(connection.arrived.len(), BUFFER);
    assert_eq!(titles(&mut connection, count).await.len(), count);
    app.streams.round().await.unwrap();
    assert!(connection.next().now_or_never().is_none(), "nothing is repeated");
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_off() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let streams = Arc::new(Streams::new(plant.store.clone()));
    for number in 0..=BUFFER {
        plant.message(&format!("m{number}"), &[employee]).await;
    }
    let mut connection = streams.open(holder(&phone));
    for _ in 0..3 {
        streams.round().await.unwrap();
    }
    assert_eq!(connection.arrived.len(), BUFFER);
    for line in streams.lines().values_mut() {
        line.full_since = Instant::now().checked_sub(PATIENCE * 2);
    }
    streams.round().await.unwrap();
    assert!(connection.next().await.is_none());
    let mut connection = streams.open(holder(&phone));
    streams.round().await.unwrap();
    assert!(connection.next().await.is_some(), "he comes back, and nothing was lost");
}

#[tokio::test]
async fn other_phones_of_a_person_learn_that_a_message_was_read() {
    let plant = Plant::new().await;
    let (me, other) = (plant.employee(1).await, plant.employee(2).await);
    let (reads, looks) = (plant.phone(me, None).await, plant.phone(me, Some("a")).await);
    let app = plant.app();
    let message = plant.message("both", &[me, other]).await;
    let mut connection = app.streams.open(StreamPhone { is_pushed_to: true, ..holder(&looks) });
    assert_eq!(next(&mut connection).await.unwrap(), "both");
    let report = async |phone: &TestPhone| {
        let receipt = Receipt { message_id: message.id, kind: ReceiptKind::Read, at: from_us(1), by: None };
        let reported = Reported { phone: phone.caller.clone(), receipts: vec![receipt] };
        plant.store.record(&[reported]).await.unwrap();
        app.wake.feed();
    };
    report(&plant.phone(other, None).await).await;
    report(&reads).await;
    let event = tokio::time::timeout(Duration::from_secs(20), connection.next()).await.unwrap();
    let Some(StreamEvent::State(state)) = event else { panic!("{event:?}") };
    assert_eq!((state.id, state.state), (message.id, DeliveryState::Read));
}
