use std::time::Duration;

use simo_common::token;

use super::*;
use crate::{
    store::{DeviceEffect, DeviceNo, Finished, PushResult},
    testing::Plant,
};

fn stream() -> Way {
    Way { channel: ChannelKind::Stream, address: None, endpoint: None, lang: Lang::En, notifications: None }
}

#[tokio::test]
async fn an_address_belongs_to_the_device_that_named_it_last() {
    let plant = Plant::new().await;
    let (one, two) = (plant.employee(1).await, plant.employee(2).await);
    let old = plant.phone(one, Some("address")).await;
    plant.message("m", &[one]).await;
    let new = plant.phone(two, Some("address")).await;
    let lives = async |device: DeviceNo| {
        plant.number(&format!("select coalesce(reason, 0) from device where no = {}", device.0)).await
    };
    assert_eq!(lives(old.caller.device_no).await, Some(Reason::Replaced.number()));
    assert_eq!(lives(new.caller.device_no).await, Some(0));
    assert_eq!((plant.devices_of(one).await, plant.devices_of(two).await), (Some(0), Some(1)));
    assert_eq!(plant.open_pushes(old.caller.device_no).await, Some(0));
    let holder = plant.store.token_holder(&token::hash(&old.token)).await.unwrap();
    assert!(holder.is_none(), "the replaced phone is out");

    let third = plant.phone(one, Some("other")).await;
    let way = Way {
        channel: ChannelKind::Fcm,
        address: Some(Address::new("address".to_owned())),
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    plant.store.change_way(&third.caller, &way).await.unwrap();
    let holder = plant.store.token_holder(&token::hash(&new.token)).await.unwrap();
    assert!(holder.is_none(), "it moved on");
}

#[tokio::test]
async fn a_new_address_ends_the_quarantine_and_takes_what_waits_along() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("address")).await;
    plant.message("m", &[employee]).await;
    plant
        .run(&format!(
            "update device set quarantined_at = 1, reason = 10; update push set due_at = {}",
            i64::MAX
        ))
        .await;
    let same = Way {
        channel: ChannelKind::Fcm,
        address: Some(Address::new("address".to_owned())),
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    plant.store.change_way(&phone.caller, &same).await.unwrap();
    assert_eq!(
        plant.number("select quarantined_at from device").await,
        Some(1),
        "the address is as dead as before"
    );
    let way = Way {
        channel: ChannelKind::Stream,
        address: None,
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    plant.store.change_way(&phone.caller, &way).await.unwrap();
    assert_eq!(plant.number("select quarantined_at from device").await, None);
    assert_eq!(plant.number("select channel from push").await, Some(ChannelKind::Stream.number()));
    assert_eq!(plant.number("select due_at from push").await, Some(plant.store.clock().now()));
}

#[tokio::test]
async fn a_phone_that_changes_to_a_stream_gets_what_it_has_not_confirmed() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("address")).await;
    let other = plant.phone(employee, Some("other")).await;
    let accepted = "sent_at = 1, done_at = 1, outcome = 1";
    for (title, push, change) in [
        ("accepted", accepted, "delivery set sent_at = 1"),
        ("failed", "done_at = 1, outcome = 5", "delivery set sent_at = 1"),
        ("waits", "tries = 1", "delivery set reason = null"),
        ("received", "done_at = 1, outcome = 2", "delivery set sent_at = 1, delivered_at = 1"),
        ("read elsewhere", accepted, "delivery set sent_at = 1, read_at = 1"),
        ("expired", accepted, "delivery set sent_at = 1, expires_at = 1"),
        ("canceled", accepted, "message set canceled_at = 1"),
        ("given up", "done_at = 1, outcome = 5", "delivery set outcome = 5, reason = 15"),
    ] {
        let no = plant.message(title, &[employee]).await.no.0;
        let key = if change.starts_with("message") { "no" } else { "message_no" };
        plant
            .run(&format!(
                "update push set {push} where message_no = {no}; update {change} where {key} = {no}"
            ))
            .await;
    }
    plant
        .run("update delivery set sent_at = 1 where message_no in (select no from message where title = 'canceled')")
        .await;
    plant.store.change_way(&phone.caller, &stream()).await.unwrap();
    let open = async |device: DeviceNo| {
        plant
            .texts(&format!(
                "select m.title || ' ' || p.channel from push p join message m on m.no = p.message_no
                 where p.device_no = {} and p.done_at is null and p.outcome is null order by 1",
                device.0
            ))
            .await
    };
    assert_eq!(open(phone.caller.device_no).await, ["accepted -1", "failed -1", "given up -1", "waits -1"]);
    assert_eq!(open(other.caller.device_no).await, ["waits 1"]);
}

#[tokio::test]
async fn what_a_provider_says_of_an_address_does_not_concern_the_next_one() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("old")).await.caller;
    for title in ["quarantine", "retire"] {
        plant.message(title, &[employee]).await;
    }
    let lease = Duration::from_mins(1);
    let claimed = plant.store.claim(ChannelKind::Fcm, 10, lease).await.unwrap().pushes;
    let next = Way { channel: ChannelKind::Fcm, address: Some(Address::new("new".to_owned())), ..stream() };
    plant.store.change_way(&phone, &next).await.unwrap();
    let finished: Vec<Finished> = claimed
        .into_iter()
        .map(|push| Finished {
            claim: push.claim,
            at: 1,
            result: PushResult::Failed {
                reason: Reason::DeadAddress,
                answer: "UNREGISTERED".to_owned(),
                device: match &*push.title {
                    "retire" => DeviceEffect::Retire,
                    _ => DeviceEffect::Quarantine,
                },
            },
        })
        .collect();
    plant.store.finish(&finished).await.unwrap();
    let untouched =
        "select count(*) from device where address = 'new' and quarantined_at is null and retired_at is null";
    assert_eq!(plant.number(untouched).await, Some(1));
    let again = plant.store.claim(ChannelKind::Fcm, 10, lease).await.unwrap().pushes;
    let addresses: Vec<&str> = again.iter().map(|push| push.address.as_str()).collect();
    assert_eq!(addresses, ["new", "new"]);
}

#[tokio::test]
async fn what_was_under_way_when_a_phone_changed_to_a_stream_is_owed_to_the_stream() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("address")).await.caller;
    for title in ["accepted", "refused"] {
        plant.message(title, &[employee]).await;
    }
    let lease = Duration::from_mins(1);
    let claimed = plant.store.claim(ChannelKind::Fcm, 10, lease).await.unwrap().pushes;
    plant.store.change_way(&phone, &stream()).await.unwrap();
    let finished: Vec<Finished> = claimed
        .into_iter()
        .map(|push| Finished {
            claim: push.claim,
            at: 1,
            result: match &*push.title {
                "accepted" => PushResult::Accepted { answer: "yes".to_owned() },
                _ => PushResult::Failed {
                    reason: Reason::DeadAddress,
                    answer: "no".to_owned(),
                    device: DeviceEffect::None,
                },
            },
        })
        .collect();
    assert_eq!(finished.len(), 2);
    plant.store.finish(&finished).await.unwrap();
    assert_eq!(plant.open_pushes(phone.device_no).await, Some(2));
    let states = plant.texts(
        "select m.title || ' ' || d.state from delivery d join message m on m.no = d.message_no order by 1",
    );
    assert_eq!(states.await, ["accepted 1", "refused 0"]);
}
