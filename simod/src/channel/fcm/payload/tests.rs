use proptest::prelude::*;
use serde_json::{Value, json};
use simo_common::lang::Lang;
use uuid::Uuid;

use super::*;
use crate::channel::Address;

const NOW: i64 = 1_795_600_000 * time::SECOND;

fn push() -> Outgoing {
    Outgoing {
        message_id: Uuid::from_u128(7),
        address: Address::new("token address".to_owned()),
        title: "Котёл №3".to_owned(),
        body: "Давление 1,5 МПа".to_owned(),
        data: Some(r#"{"boiler":3}"#.to_owned()),
        topic: Some("boiler".to_owned()),
        topic_name: Some("Котельная".to_owned()),
        acs: "scada-2".to_owned(),
        client: "Завод".to_owned(),
        priority: Priority::High,
        require_ack: true,
        accepted_at: NOW,
        expires_at: NOW + 90 * time::SECOND,
        now: NOW,
        lang: Lang::Ru,
        platform: "android".to_owned(),
        doorbell: false,
        notification: false,
    }
}

fn sent(push: &Outgoing) -> Value {
    serde_json::from_slice::<Value>(&request(push)).unwrap()["message"].clone()
}

/// The size as FCM counts it.
fn size(message: &Value) -> usize {
    ["data", "notification"]
        .into_iter()
        .filter_map(|part| message.get(part)?.as_object())
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().unwrap().len())
        .sum()
}

#[test]
fn a_push_carries_the_message_as_strings() {
    assert_eq!(
        sent(&push()),
        json!({
            "token": "address",
            "data": {
                "message_id": "00000000-0000-0000-0000-000000000007",
                "title": "Котёл №3",
                "body": "Давление 1,5 МПа",
                "acs": "scada-2",
                "topic": "boiler",
                "priority": "high",
                "data": "{\"boiler\":3}",
                "require_ack": "true",
                "accepted_at": time::from_us(NOW).to_string(),
                "expires_at": time::from_us(NOW + 90 * time::SECOND).to_string(),
            },
            "android": {"priority": "HIGH", "ttl": "90s"},
        })
    );
}

#[test]
fn a_doorbell_tells_nothing_but_the_id() {
    let message = sent(&Outgoing { doorbell: true, notification: true, ..push() });
    assert_eq!(message["data"], json!({"message_id": "00000000-0000-0000-0000-000000000007"}));
    assert_eq!(message.get("notification"), None);
}

#[test]
fn a_notification_repeats_title_and_body() {
    let message = sent(&Outgoing { notification: true, ..push() });
    assert_eq!(message["notification"], json!({"title": "Котёл №3", "body": "Давление 1,5 МПа"}));
}

#[test]
fn only_what_may_wait_is_sent_with_normal_priority() {
    for priority in Priority::ALL {
        let message = sent(&Outgoing { priority, ..push() });
        let expected = if priority == Priority::Low { "NORMAL" } else { "HIGH" };
        assert_eq!(message["android"]["priority"], expected, "{priority:?}");
    }
}

#[test]
fn installations_are_addressed_as_such() {
    let message = sent(&Outgoing { address: Address::new("installation address".to_owned()), ..push() });
    assert_eq!((message.get("token"), &message["fid"]), (None, &json!("address")));
}

#[test]
fn the_time_to_live_stays_within_what_fcm_takes() {
    let ttl = |left: i64| sent(&Outgoing { expires_at: NOW + left, ..push() })["android"]["ttl"].clone();
    assert_eq!(ttl(300_000), "1s");
    assert_eq!(ttl(3_600 * time::SECOND), "3600s");
    assert_eq!(ttl(400 * time::DAY), "2419200s");
}

#[test]
fn a_long_text_is_cut_marked_and_keeps_its_data() {
    let body = "Ж".repeat(5_000);
    let message = sent(&Outgoing { body: body.clone(), ..push() });
    let data = &message["data"];
    let cut = data["body"].as_str().unwrap();
    assert!(body.starts_with(cut.strip_suffix('…').unwrap()));
    assert_eq!((&data["truncated"], &data["data"]), (&json!("true"), &json!(r#"{"boiler":3}"#)));
    assert!((PAYLOAD_BYTES - 4..=PAYLOAD_BYTES).contains(&size(&message)), "{}", size(&message));
}

#[test]
fn data_that_leaves_no_room_for_the_text_is_left_to_be_fetched() {
    let message = sent(&Outgoing { data: Some(format!(r#"{{"x":"{}"}}"#, "y".repeat(4_000))), ..push() });
    let data = &message["data"];
    assert_eq!(
        (data.get("data"), &data["body"], &data["truncated"]),
        (None, &json!("Давление 1,5 МПа"), &json!("true"))
    );
}

#[test]
fn data_that_is_too_much_by_itself_is_left_to_be_fetched() {
    let message = sent(&Outgoing {
        body: String::new(),
        data: Some(format!(r#"{{"k":"{}"}}"#, "x".repeat(4_000))),
        ..push()
    });
    assert!(size(&message) <= PAYLOAD_BYTES, "{}", size(&message));
    assert_eq!((message["data"].get("data"), &message["data"]["truncated"]), (None, &json!("true")));
}

proptest! {
    #[test]
    fn a_payload_is_never_too_large(
        title in "\\PC{1,250}",
        body in "\\PC{0,5000}",
        data in proptest::option::of((0_usize..4_090).prop_map(|length| "x".repeat(length))),
        topic in proptest::option::of("[a-z]{1,64}"),
        acs in "\\PC{1,64}",
        notification: bool,
    ) {
        let body = body.chars().take(4_096).collect::<String>();
        let data = data.map(|text| serde_json::to_string(&json!({"x": text})).unwrap());
        let push = Outgoing { title, body, data, topic, acs, notification, ..push() };
        let message = sent(&push);
        prop_assert!(size(&message) <= PAYLOAD_BYTES, "{}", size(&message));
        let data = &message["data"];
        let cut = data["body"].as_str().unwrap();
        let is_whole = cut == push.body && data.get("data").and_then(Value::as_str) == push.data.as_deref();
        prop_assert_eq!(data.get("truncated").is_none(), is_whole);
        if notification {
            prop_assert_eq!(&message["notification"]["body"], &data["body"]);
        }
    }
}
