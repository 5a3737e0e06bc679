use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channel::webpush::tests::push;

const BASE: &str = "https://simo.example.org";
const ID: &str = "00000000-0000-0000-0000-000000000007";

fn sent(push: &Outgoing, most: usize) -> Value {
    let text = text(push, BASE, most);
    assert!(text.len() <= most, "{} of {most}", text.len());
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_push_is_ready_to_be_shown_and_carries_the_message() {
    let push = Outgoing { priority: Priority::Critical, data: None, ..push() };
    assert_eq!(
        sent(&push, 3_993),
        json!({
            "web_push": 8030,
            "notification": {
                "title": "Котёл 2: давление",
                "body": "Котельная · критично\nПредел 8,5 бар",
                "lang": "ru",
                "dir": "auto",
                "tag": ID,
                "navigate": format!("{BASE}/app/#m={ID}"),
                "silent": false,
                "requireInteraction": true,
                "actions": [
                    {"action": "ack", "title": "Подтвердить", "navigate": format!("{BASE}/app/#ack={ID}")},
                    {"action": "open", "title": "Открыть", "navigate": format!("{BASE}/app/#m={ID}")},
                ],
                "mutable": true,
                "data": {
                    "v": 1,
                    "id": ID,
                    "title": "Котёл 2: давление",
                    "body": "Предел 8,5 бар",
                    "topic": "boiler",
                    "topic_name": "Котельная",
                    "acs": "scada-2",
                    "priority": "critical",
                    "require_ack": true,
                    "accepted_at": time::from_us(push.accepted_at).to_string(),
                    "expires_at": time::from_us(push.expires_at).to_string(),
                },
            },
            "mutable": true,
        })
    );
}

#[test]
fn what_is_not_said_is_left_out() {
    let push = Outgoing {
        lang: Lang::En,
        priority: Priority::Normal,
        topic: None,
        topic_name: None,
        require_ack: false,
        body: String::new(),
        ..push()
    };
    let notification = &sent(&push, 3_993)["notification"];
    assert_eq!((&notification["body"], &notification["lang"]), (&json!(""), &json!("en")));
    assert_eq!(notification["actions"].as_array().unwrap().len(), 1);
    assert_eq!(notification["actions"][0]["title"], "Open");
    for absent in [&notification["requireInteraction"], &notification["data"]["topic"]] {
        assert_eq!(absent, &Value::Null);
    }
    assert_eq!(notification["data"]["truncated"], true, "its data is to be fetched");
    assert_eq!(notification["data"].get("data"), None);
}

#[test]
fn a_doorbell_tells_nothing_but_the_id_and_whose() {
    let push = Outgoing { doorbell: true, ..push() };
    let sent = sent(&push, 3_993);
    let notification = &sent["notification"];
    assert_eq!((&notification["title"], &notification["body"]), (&json!("Новое сообщение"), &json!("Завод")));
    assert_eq!(notification["data"], json!({"v": 1, "id": ID, "doorbell": true}));
    let sent = sent.to_string();
    for secret in [&push.title, &push.body, "Котельная", "boiler", "scada", "#ack"] {
        assert!(!sent.contains(secret), "{secret}");
    }
}

#[test]
fn a_text_that_fits_once_is_whole_and_shown_in_part() {
    let push = Outgoing { body: "Ж".repeat(900), data: None, ..push() };
    let notification = &sent(&push, 3_993)["notification"];
    assert_eq!(notification["data"]["body"], push.body);
    assert_eq!(notification["data"].get("truncated"), None);
    let shown = notification["body"].as_str().unwrap();
    assert!(shown.ends_with("Ж…") && shown.len() < 1_100, "{}", shown.len());
}

#[test]
fn of_a_long_text_the_head_goes_and_says_so() {
    let push = Outgoing { body: "Ж\"\n".repeat(2_000), ..push() };
    for most in [2_600, 3_993] {
        let text = text(&push, BASE, most);
        assert!((most - 12..=most).contains(&text.len()), "{}", text.len());
        let sent = serde_json::from_slice::<Value>(&text).unwrap();
        let data = &sent["notification"]["data"];
        assert_eq!((&data["truncated"], &data["title"]), (&json!(true), &json!(push.title)));
        assert!(push.body.starts_with(data["body"].as_str().unwrap().strip_suffix('…').unwrap()));
    }
}

#[test]
fn the_longest_names_leave_room_for_a_beginning() {
    let push = Outgoing {
        title: "🦀".repeat(250),
        topic_name: Some("🦀".repeat(200)),
        topic: Some("t".repeat(64)),
        acs: "a".repeat(64),
        body: "Предел ".repeat(1_000),
        ..push()
    };
    let data = &sent(&push, 2_600)["notification"]["data"];
    assert!(data["body"].as_str().unwrap().starts_with("Предел Предел"), "{data}");
    assert!(data["title"].as_str().unwrap().ends_with("🦀…"));
}

proptest! {
    #[test]
    fn a_text_is_never_too_long(
        title in any::<String>(),
        body in "(?s).{0,4000}",
        topic_name in proptest::option::of("\\PC{1,200}"),
        most in 2_600_usize..=3_993,
    ) {
        let title: String = title.chars().take(250).collect();
        let push = Outgoing { title, body, topic_name, data: None, ..push() };
        let sent = sent(&push, most);
        let data = &sent["notification"]["data"];
        let is_whole = data["body"].as_str() == Some(&push.body);
        prop_assert_eq!(data.get("truncated").is_none(), is_whole);
    }

    #[test]
    fn a_character_is_as_long_as_it_is_written(char: char) {
        prop_assert_eq!(serde_json::to_string(&char.to_string()).unwrap().len() - 2, in_json(char));
    }
}
