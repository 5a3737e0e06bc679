use jiff::Timestamp;
use simo_common::time::from_us;

use super::*;
use crate::{
    store::queue::PushOutcome,
    testing::{Plant, START, TestPhone},
};

fn at(us: i64) -> Timestamp {
    from_us(us)
}

fn report(phone: &TestPhone, receipts: &[(Uuid, ReceiptKind, i64)]) -> Reported {
    Reported {
        phone: phone.caller.clone(),
        receipts: receipts
            .iter()
            .map(|(message_id, kind, phone_time)| Receipt {
                message_id: *message_id,
                kind: *kind,
                at: at(*phone_time),
                by: None,
            })
            .collect(),
    }
}

async fn state(plant: &Plant) -> Option<i64> {
    plant.number("select state from delivery").await
}

#[tokio::test]
async fn the_first_receipt_of_a_kind_counts_with_both_times() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("a")).await;
    let id = plant.message("m", &[employee]).await.id;
    let first = report(&phone, &[(id, ReceiptKind::Read, 7), (id, ReceiptKind::Read, 8)]);
    let recorded = plant.store.record(&[first]).await.unwrap();
    assert_eq!((recorded[0].answer.stored, recorded[0].changed), (2, true));
    plant.advance(SECOND);
    let again = report(&phone, &[(id, ReceiptKind::Read, 9), (id, ReceiptKind::Delivered, 5)]);
    assert!(plant.store.record(std::slice::from_ref(&again)).await.unwrap()[0].changed);
    assert!(!plant.store.record(&[again]).await.unwrap()[0].changed, "a repeat changes nothing");
    let number = async |column: &str| plant.number(&format!("select {column} from delivery")).await;
    assert_eq!((number("read_at").await, number("phone_read_at").await), (Some(START), Some(7)));
    assert_eq!(
        (number("delivered_at").await, number("phone_delivered_at").await),
        (Some(START + SECOND), Some(5))
    );
    assert_eq!(state(&plant).await, Some(3), "read, though `delivered` came later");
    assert_eq!(plant.number("select count(*) from event").await, Some(2));
}

#[tokio::test]
async fn a_receipt_closes_the_push_of_its_device_and_no_other() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("a")).await;
    let other = plant.phone(employee, None).await;
    let id = plant.message("m", &[employee]).await.id;
    let receipt = report(&phone, &[(id, ReceiptKind::Delivered, 7)]);
    plant.store.record(&[receipt]).await.unwrap();
    let outcome = async |phone: &TestPhone| {
        let device = phone.caller.device_no.0;
        plant.number(&format!("select coalesce(outcome, 0) from push where device_no = {device}")).await
    };
    assert_eq!(outcome(&phone).await, Some(PushOutcome::Received.number()));
    assert_eq!(outcome(&other).await, Some(0), "it is open");
}

#[tokio::test]
async fn a_late_receipt_beats_every_outcome_but_a_denial_from_the_start() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("a")).await;
    let id = plant.message("m", &[employee]).await.id;
    let receipt = report(&phone, &[(id, ReceiptKind::Acknowledged, 7)]);
    plant.run("update delivery set outcome = 8, reason = 1; delete from push").await;
    let recorded = plant.store.record(std::slice::from_ref(&receipt)).await.unwrap();
    assert_eq!(recorded[0].answer.unknown, [id], "it was never his");
    plant.run("update delivery set outcome = 6").await;
    plant.store.record(&[receipt]).await.unwrap();
    assert_eq!(state(&plant).await, Some(4));
}

#[tokio::test]
async fn a_receipt_ends_the_quarantine_and_contact_is_noted_once_a_minute() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("a")).await;
    plant.run("update device set quarantined_at = 1, reason = 10").await;
    let seen = async || plant.number("select seen_at from device").await;
    let alive = async || plant.store.record(&[report(&phone, &[])]).await.unwrap();
    plant.advance(SECOND);
    alive().await;
    assert_eq!(
        plant.number("select count(*) from device where quarantined_at is null and reason is null").await,
        Some(1)
    );
    plant.advance(SEEN_EVERY - 1);
    alive().await;
    assert_eq!(seen().await, Some(START + SECOND));
    plant.advance(1);
    alive().await;
    assert_eq!(seen().await, Some(START + SECOND + SEEN_EVERY));
}

#[tokio::test]
async fn phones_of_one_batch_get_each_their_own_answer() {
    let plant = Plant::new().await;
    let (one, two) = (plant.employee(1).await, plant.employee(2).await);
    let (first, second) = (plant.phone(one, None).await, plant.phone(two, None).await);
    let id = plant.message("m", &[one]).await.id;
    let receipts = [(id, ReceiptKind::Read, 7)];
    let results = plant.store.record_each(vec![report(&first, &receipts), report(&second, &receipts)]).await;
    let answers: Vec<_> = results.into_iter().map(|result| result.unwrap().answer).collect();
    assert_eq!((answers[0].stored, answers[1].stored, &answers[1].unknown), (1, 0, &vec![id]));
}

#[tokio::test]
async fn more_than_one_transaction_should_hold_is_stored_in_several() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, None).await;
    let id = plant.message("m", &[employee]).await.id;
    let many = vec![(id, ReceiptKind::Read, 7); AT_ONCE + 1];
    let results = plant
        .store
        .record_each(vec![report(&phone, &many), report(&phone, &[]), report(&phone, &many[..1])])
        .await;
    let stored: Vec<_> = results.into_iter().map(|result| result.unwrap().answer.stored).collect();
    assert_eq!(stored, [AT_ONCE + 1, 0, 1]);
}
