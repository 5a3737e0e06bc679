use simo_common::{
    time::{DAY, SECOND},
    token::{self, TokenKind},
};

use super::*;
use crate::{
    store::{DeviceNo, queue::PushOutcome},
    testing::{Plant, new_device},
};

#[tokio::test]
async fn a_code_works_once_and_not_after_its_time() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let code = plant.invite(employee).await;
    let token = token::generate(TokenKind::Device);
    let device = new_device(&code.to_lowercase().replace('-', " "), &token, None);
    let Pairing::Done(paired) = plant.store.pair(&device).await.unwrap() else { panic!("the code works") };
    assert_eq!((paired.personnel_no.as_str(), paired.client.as_str()), ("0001", "Завод"));
    assert!(plant.store.token_holder(&token::hash(&token)).await.unwrap().is_some());
    assert_eq!(plant.devices_of(employee).await, Some(1));
    assert_eq!(plant.store.pair(&device).await.unwrap(), Pairing::WrongCode);

    let late = plant.invite(employee).await;
    plant.advance(DAY);
    let device = new_device(&late, &token, None);
    assert_eq!(plant.store.pair(&device).await.unwrap(), Pairing::WrongCode);
}

#[tokio::test]
async fn so_many_unknown_codes_are_looked_up_in_a_second_and_known_ones_are_not_counted() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let bad = new_device("WRONG", "t", None);
    for number in 0..wrong_codes::UNKNOWN_PER_SECOND {
        let token = format!("t{number}");
        let good = new_device(&plant.invite(employee).await, &token, None);
        assert!(matches!(plant.store.pair(&good).await.unwrap(), Pairing::Done(_)));
        assert_eq!(plant.store.pair(&bad).await.unwrap(), Pairing::WrongCode);
    }
    let good = new_device(&plant.invite(employee).await, "t", None);
    assert_eq!(plant.store.pair(&good).await.unwrap(), Pairing::NextSecond);
    if plant.is_shared() {
        let another = plant.another_store().await;
        assert_eq!(
            another.pair(&bad).await.unwrap(),
            Pairing::NextSecond,
            "the limit is that of all instances"
        );
    }
    plant.advance(SECOND);
    assert!(matches!(plant.store.pair(&good).await.unwrap(), Pairing::Done(_)));
}

#[tokio::test]
async fn a_blocked_employee_cannot_pair_until_he_is_let_in_again() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let device = new_device(&plant.invite(employee).await, "t", None);
    plant.run("update employee set blocked_at = 1").await;
    assert_eq!(plant.store.pair(&device).await.unwrap(), Pairing::Blocked);
    plant.run("update employee set blocked_at = null").await;
    assert!(matches!(plant.store.pair(&device).await.unwrap(), Pairing::Done(_)));
}

#[tokio::test]
async fn a_new_phone_gets_what_waits_and_nothing_that_is_over() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    plant.message("waits", &[employee]).await;
    let states = [
        ("sent", "delivery set sent_at = 1"),
        ("received", "delivery set delivered_at = 1"),
        ("denied", "delivery set outcome = 8"),
        ("expired", "delivery set expires_at = 1"),
        ("canceled", "message set canceled_at = 1"),
    ];
    for (title, change) in states {
        let message = plant.message(title, &[employee]).await;
        let key = if change.starts_with("message") { "no" } else { "message_no" };
        plant.run(&format!("update {change} where {key} = {}", message.no.0)).await;
    }
    let titles = |device: DeviceNo| {
        format!(
            "select m.title from push p join message m on m.no = p.message_no where p.device_no = {}
                 and p.done_at is null order by m.title",
            device.0
        )
    };
    let fcm = plant.phone(employee, Some("address")).await;
    assert_eq!(
        plant.texts(&titles(fcm.caller.device_no)).await,
        ["waits"],
        "what a provider took went to another phone"
    );
    let stream = plant.phone(employee, None).await;
    assert_eq!(
        plant.texts(&titles(stream.caller.device_no)).await,
        ["sent", "waits"],
        "a stream gets everything without a receipt"
    );
}

#[tokio::test]
async fn a_phone_that_left_is_out_and_its_messages_wait_for_the_next() {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    let phone = plant.phone(employee, Some("address")).await;
    plant.message("m", &[employee]).await;
    plant.store.leave(&phone.caller).await.unwrap();
    assert!(plant.store.token_holder(&token::hash(&phone.token)).await.unwrap().is_none());
    assert_eq!(plant.devices_of(employee).await, Some(0));
    let ended = [PushOutcome::Canceled.number(), Reason::DeviceGone.number()].map(Some);
    assert_eq!(
        [plant.number("select outcome from push").await, plant.number("select reason from push").await],
        ended
    );
    let waits_for_one = Some(Reason::NoDevice.number());
    assert_eq!(plant.number("select reason from delivery").await, waits_for_one);
    let next = plant.phone(employee, None).await;
    assert_eq!(plant.open_pushes(next.caller.device_no).await, Some(1));
}
