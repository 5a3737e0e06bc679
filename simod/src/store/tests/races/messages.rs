//! Messages that one instance accepts, expands and cancels while another one changes what they depend on.

use std::sync::atomic::{AtomicU64, Ordering};

use simo_common::{api::message::Recipients, delivery::Outcome, lang::Lang};

use super::*;
use crate::{
    channel::ChannelKind,
    store::{DeviceNo, EmployeeNo, tests::posted},
};

/// Stops an acceptance that has stored everything of a message but its event.
const EVENTS: &str = "lock table event in share mode";

/// Two instances; `None` on SQLite.
async fn instances() -> Option<(Fixture, Store, Store)> {
    let f = Fixture::new().await;
    if !f.store.is_shared() {
        return None;
    }
    let (one, other) = (f.another_store().await, f.another_store().await);
    Some((f, one, other))
}

/// The phone of employee 1.
async fn phone(f: &Fixture) -> DeviceCaller {
    let no = f.rows("select no from device where employee_no = 1").await[0].parse().unwrap();
    DeviceCaller {
        client_no: f.client_no,
        client: "zavod".to_owned(),
        employee_no: EmployeeNo(1),
        device_no: DeviceNo(no),
        device_id: Uuid::nil(),
        channel: ChannelKind::Fcm,
        blocked: false,
    }
}

fn stream() -> Way {
    Way { channel: ChannelKind::Stream, address: None, endpoint: None, lang: Lang::En, notifications: None }
}

const OPEN_CHANNELS: &str = "select distinct channel from push where done_at is null";

/// The change waits, and then moves the push that was made the old way.
#[tokio::test]
async fn a_push_that_is_made_while_its_phone_changes_its_way_goes_the_new_way() {
    let Some((f, one, other)) = instances().await else {
        return;
    };
    let (message, phone) = (f.personal("Давление", &["1"]), phone(&f).await);
    let (accepted, changed) =
        meet(&f.store, EVENTS, async move { one.accept(&[message]).await }, async move {
            other.change_way(&phone, &stream()).await
        })
        .await;
    assert!(accepted.unwrap()[0].stored);
    changed.unwrap();
    assert_eq!(f.rows(OPEN_CHANNELS).await, [ChannelKind::Stream.number().to_string()]);
}

/// The message waits, and finds the new way.
#[tokio::test]
async fn a_message_that_comes_while_a_phone_changes_its_way_goes_the_new_way() {
    let Some((f, one, other)) = instances().await else {
        return;
    };
    f.store.accept(&[f.personal("до", &["1"])]).await.unwrap();
    let (message, phone) = (f.personal("после", &["1"]), phone(&f).await);
    let (changed, accepted) = meet(
        &f.store,
        "select message_no from push for update",
        async move { one.change_way(&phone, &stream()).await },
        async move { other.accept(&[message]).await },
    )
    .await;
    changed.unwrap();
    assert!(accepted.unwrap()[0].stored);
    assert_eq!(f.rows(OPEN_CHANNELS).await, [ChannelKind::Stream.number().to_string()]);
}

/// The cancel waits, and closes the deliveries that the step has made.
#[tokio::test]
async fn a_message_that_is_expanded_while_it_is_canceled_leaves_no_delivery_waiting() {
    let Some((f, one, other)) = instances().await else {
        return;
    };
    f.add_employees(200).await;
    let mut message = f.incoming("Всем");
    message.draft.recipients = Some(Recipients { everyone: true, ..Recipients::default() });
    let id = posted(&f.store.accept(&[message]).await.unwrap()[0]).id;
    let client = f.client_no;
    let (expanded, canceled) = meet(
        &f.store,
        "lock table audience in share mode",
        async move { one.expand_step(&mut Stride::default()).await },
        async move { other.cancel_message(client, None, id).await },
    )
    .await;
    assert!(expanded.unwrap());
    assert_eq!(canceled.unwrap().canceled, 203);
    let canceled = [Outcome::Canceled.number().to_string()];
    assert_eq!(f.rows("select distinct outcome from delivery").await, canceled);
    assert_eq!(f.rows("select distinct outcome from push").await, canceled, "of those who have a phone");
}

/// The batch is retried without the items that lost; the rest still fits into the request's budget.
#[tokio::test]
async fn a_batch_that_lost_a_race_is_charged_once() {
    let Some((f, one, other)) = instances().await else {
        return;
    };
    let mut keyed = f.personal("раз", &["1"]);
    keyed.idempotency_key = Some("k".to_owned());
    keyed.draft.fingerprint = Some(1);
    let budget = Arc::new(AtomicU64::new(4));
    let mut batch = vec![keyed.clone(), f.personal("два", &["1", "2", "3"])];
    for incoming in &mut batch {
        incoming.budget = Some(budget.clone());
    }
    let (_, taken) = meet(&f.store, EVENTS, async move { one.accept_each(vec![keyed]).await }, async move {
        other.accept_each(batch).await
    })
    .await;
    let taken: Vec<_> = taken.into_iter().map(|taken| taken.unwrap()).collect();
    assert!(posted(&taken[0]).duplicate && !taken[0].stored && taken[1].stored);
    assert_eq!(budget.load(Ordering::Relaxed), 1);
}
