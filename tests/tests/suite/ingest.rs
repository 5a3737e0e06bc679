//! Posting messages: which are accepted, for whom, once, and when.

mod fit;
mod keys;
mod strict;
mod times;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use simo_common::{
    api::{
        access::{ClientSpec, Grantee, NewToken},
        history::Sort,
        message::{BatchAnswer, PostMessage, PostedMessage, Recipients},
    },
    client::ListQuery,
    delivery::DeliveryState,
};
use simo_tests::{
    FakeFcm, Plant, Simod, clock, eventually,
    plant::{post, to_employees, to_topic},
    raw,
};

/// A plant with employees `001` (with a phone), `002` and `003`; the latter two are in `smena-a`.
async fn plant(simod: &Simod) -> Plant {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &["kotelnaya"]).await;
    plant.employees(&["002", "003"], &["smena-a"]).await;
    plant.stream_phone(simod, "001").await;
    plant
}

fn to(recipients: Recipients) -> PostMessage {
    PostMessage { recipients: Some(recipients), ..to_employees("Проверка", &[]) }
}

fn group(slug: &str) -> Recipients {
    Recipients { groups: vec![slug.to_owned()], ..Recipients::default() }
}

async fn states(plant: &Plant, posted: &PostedMessage) -> Vec<(DeliveryState, u64)> {
    let message = plant.admin.message(posted.id).await.unwrap();
    message.states.iter().map(|count| (count.state, count.count)).collect()
}

#[tokio::test]
async fn a_message_is_accepted_and_everyone_named_is_accounted_for() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    plant.admin.block_employee("003").await.unwrap();
    let token = plant.token("1c").await;
    let body = json!({
        "title": "Давление в котле",
        "body": "7,4 бар при норме 6,0",
        "priority": "critical",
        "recipients": {"employees": ["001", "002", "003", "777"], "groups": ["kotelnaya", "net-takoy"]},
    });
    let answer = raw::post(&simod.api("/messages"), &token, body.to_string()).send().await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    assert!(answer.headers.contains_key("x-request-id"));
    let posted: PostedMessage = answer.json();
    assert!(!posted.duplicate);
    let counts = &posted.recipients;
    assert_eq!((counts.accepted, counts.without_device, counts.denied), (2, 1, 1));
    let mut unknown = counts.unknown.clone();
    unknown.sort();
    assert_eq!(unknown, ["777", "net-takoy"]);

    let message = simod.caller(&token).message(posted.id).await.unwrap();
    assert_eq!((message.acs.as_str(), message.title.as_str()), ("1c", "Давление в котле"));
    assert_eq!(states(&plant, &posted).await, [(DeliveryState::Queued, 2), (DeliveryState::Denied, 1)]);
}

#[tokio::test]
async fn the_data_reaches_the_phone_as_it_was_written() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let phone = plant.stream_phone(&simod, "001").await;
    let data = r#"{"z":12345678901234567890123,"a":0.12345678901234567890,"z":1.50,"$serde_json::private::RawValue":"[1]","датчик":{"номер":1E+400}}"#;
    let spaced = data.replace("\":", "\" :\n ").replace(",\"", " ,\t\"");
    for body in [data, &*spaced] {
        let message = format!(r#"{{"title":"a","recipients":{{"employees":["001"]}},"data":{body}}}"#);
        let posted: PostedMessage = raw::post(&simod.api("/messages"), &token, message).send().await.json();
        let kept = simod.caller(&token).message(posted.id).await.unwrap().data.unwrap();
        assert_eq!(kept.as_str(), data);
        let own = phone.client.own_message(posted.id).await.unwrap().data.unwrap();
        assert_eq!(own.as_str(), data);
    }
}

#[tokio::test]
async fn a_batch_answers_for_each_item_and_a_bad_one_spoils_none() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let items = [
        r#"{"title":"Первое","recipients":{"employees":["001"]}}"#,
        r#"{"title":"","recipients":{"employees":["001"]}}"#,
        r#"{"title":"Третье","recipients":{"groups":["smena-a"]},"external_id":"7"}"#,
        r#"{"title":"Четвёртое","topic":"net-takoy"}"#,
        r#"{"title":5,"recipients":{"employees":["001"]}}"#,
        r#"{"title":"Шестое","recipients":{"groups":["smena-a"]},"external_id":"7"}"#,
        r#"{"title":"Седьмое \u0000","recipients":{"employees":["001"]}}"#,
    ];
    let expected = [202, 422, 202, 422, 422, 422, 422];
    let url = simod.api("/messages/batch");
    let rehearsed = raw::post(&format!("{url}?dry_run=true"), &token, format!("[{}]", items[0])).send().await;
    assert_eq!(rehearsed.json::<BatchAnswer>().accepted, 1);
    let all = plant.admin.messages(&ListQuery::default()).await.unwrap();
    assert!(all.items.is_empty(), "a rehearsal stores nothing");
    let array = raw::post(&url, &token, format!("[{}]", items.join(","))).send().await;
    assert_eq!(array.status, StatusCode::OK, "{}", array.text);
    let array: BatchAnswer = array.json();
    assert_eq!(array.items.iter().map(|item| item.status).collect::<Vec<_>>(), expected);
    assert_eq!((array.accepted, array.refused), (2, 5));
    assert!(array.items.iter().enumerate().all(|(place, item)| item.index == place));
    let problem = array.items[1].problem.as_ref().unwrap();
    assert!(problem.errors[0].field.contains("title"), "{problem:?}");
    assert_eq!(array.items[2].message.as_ref().unwrap().recipients.accepted, 2);

    // The same as lines, with a blank line and broken JSON at the end: only that line is refused.
    let lines = format!("{}\n\n{}\r\n{{\"title\":\n", items[0], items[2]);
    let lines = raw::post(&url, &token, lines).header("content-type", "application/x-ndjson").send().await;
    let lines: BatchAnswer = lines.json();
    assert_eq!(lines.items.iter().map(|item| item.status).collect::<Vec<_>>(), [202, 202, 400]);
    assert!(lines.items[1].message.as_ref().unwrap().duplicate);
    let all = plant.admin.messages(&ListQuery::default()).await.unwrap();
    assert_eq!(all.items.len(), 3);
}

/// They reach the phones in this order, and only the last ones exceed a request's budget.
#[tokio::test]
async fn the_items_of_a_batch_are_accepted_in_their_order() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let items: Vec<_> = (0..1_500).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    let answer = simod.caller(&token).post_batch(&items).await.unwrap();
    let ids: Vec<_> = answer.items.iter().map(|item| item.message.as_ref().unwrap().id).collect();
    assert_eq!(ids.len(), items.len());
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_body_may_begin_with_a_bom() {
    let simod = Simod::start().await;
    let token = plant(&simod).await.token("1c").await;
    let message = "\u{feff}{\"title\":\"С меткой\",\"recipients\":{\"employees\":[\"001\"]}}";
    let one = raw::post(&simod.api("/messages"), &token, message).send().await;
    assert_eq!(one.status, StatusCode::ACCEPTED, "{}", one.text);
    let many = raw::post(&simod.api("/messages/batch"), &token, format!("{message}\n")).send().await;
    assert_eq!(many.json::<BatchAnswer>().accepted, 1);
}

#[tokio::test]
async fn targets_add_up_and_a_person_named_twice_gets_it_once() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "1c").await;
    let accepted = async |recipients| post(&acs, &to(recipients)).await.recipients.accepted;
    assert_eq!(accepted(group("smena-a")).await, 2);
    assert_eq!(accepted(Recipients { everyone: true, ..Recipients::default() }).await, 3);
    let overlapping = Recipients {
        employees: vec!["002".to_owned(), "002".to_owned(), "001".to_owned()],
        groups: vec!["smena-a".to_owned()],
        everyone: false,
    };
    assert_eq!(accepted(overlapping.clone()).await, 3);
    assert_eq!(accepted(Recipients { everyone: true, ..overlapping }).await, 3);
    plant.admin.remove_employee("003").await.unwrap();
    assert_eq!(accepted(group("smena-a")).await, 1);
}

#[tokio::test]
async fn a_topic_reaches_those_who_hold_a_grant_and_nobody_else() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "1c").await;
    let grants = [Grantee::Group("smena-a".to_owned()), Grantee::Employee("001".to_owned())];
    plant.topic("kotly", &grants).await;
    plant.topic("zarplata", &[Grantee::Employee("002".to_owned())]).await;
    plant.topic("obyavleniya", &[Grantee::Everyone]).await;
    plant.topic("pusto", &[]).await;

    assert_eq!(post(&acs, &to_topic("Котёл", "kotly")).await.recipients.accepted, 3);
    assert_eq!(post(&acs, &to_topic("Всем", "obyavleniya")).await.recipients.accepted, 3);
    let payroll = PostMessage { topic: Some("zarplata".to_owned()), ..to(group("smena-a")) };
    let payroll = post(&acs, &payroll).await;
    assert_eq!((payroll.recipients.accepted, payroll.recipients.denied), (1, 1));
    assert_eq!(states(&plant, &payroll).await, [(DeliveryState::Queued, 1), (DeliveryState::Denied, 1)]);
    let why = plant.admin.explain(payroll.id, "003").await.unwrap();
    assert_eq!(why.delivery.unwrap().reason.as_deref(), Some("no_grant"));
    assert_eq!(why.target.as_deref(), Some("group:smena-a"));

    // With everyone as recipients, the denied are only counted.
    let everyone = Recipients { everyone: true, ..Recipients::default() };
    let payroll = post(&acs, &PostMessage { topic: Some("zarplata".to_owned()), ..to(everyone) }).await;
    assert_eq!((payroll.recipients.accepted, payroll.recipients.denied), (1, 2));
    assert_eq!(states(&plant, &payroll).await, [(DeliveryState::Queued, 1)]);

    let nobody = acs.post_message(&to_topic("Никому", "pusto"), false).await.unwrap_err();
    assert_eq!(nobody.status(), Some(422));
}

#[tokio::test]
async fn a_message_that_reaches_no_one_is_an_error_unless_that_is_allowed() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let body = json!({"title": "Тревога", "recipients": {"employees": ["777"]}});
    let refused = raw::post(&simod.api("/messages"), &token, body.to_string()).send().await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert_eq!(refused.problem().code, "no_recipients");
    assert!(refused.text.contains("777"), "does not name whom it does not know: {}", refused.text);
    assert!(plant.admin.messages(&ListQuery::default()).await.unwrap().items.is_empty());

    let allowed = PostMessage { allow_empty: true, ..to_employees("Тревога", &["777"]) };
    let posted = post(&simod.caller(&token), &allowed).await;
    assert_eq!((posted.recipients.accepted, posted.recipients.unknown.len()), (0, 1));
}

#[tokio::test]
async fn a_token_may_be_limited_to_topics() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    plant.topic("kotly", &[Grantee::Everyone]).await;
    let limited = NewToken { acs: Some("1c".to_owned()), personal: Some(false), ..NewToken::default() };
    let limited = simod.caller(&plant.admin.issue_token(&limited).await.unwrap().token);
    assert_eq!(post(&limited, &to_topic("Котёл", "kotly")).await.recipients.accepted, 3);
    let refused = limited.post_message(&to_employees("Лично", &["001"]), false).await.unwrap_err();
    assert_eq!(refused.status(), Some(403), "{refused}");
}

#[tokio::test]
async fn an_acs_reads_its_own_messages_only() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let (mine, theirs) = (plant.acs(&simod, "1c").await, plant.acs(&simod, "scada").await);
    let posted = post(&mine, &to_employees("Моё", &["001", "002"])).await;
    assert_eq!(mine.messages(&ListQuery::default()).await.unwrap().items.len(), 1);
    assert_eq!(mine.message_deliveries(posted.id, &ListQuery::default()).await.unwrap().items.len(), 2);
    assert!(theirs.messages(&ListQuery::default()).await.unwrap().items.is_empty());
    assert_eq!(theirs.message(posted.id).await.unwrap_err().status(), Some(404));
    assert_eq!(theirs.cancel_message(posted.id).await.unwrap_err().status(), Some(404));
    let none = theirs.message_deliveries(posted.id, &ListQuery::default()).await.unwrap_err();
    assert_eq!(none.status(), Some(404));
}

#[tokio::test]
async fn an_operator_may_post_too() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let posted = post(&plant.admin, &to_employees("От диспетчера", &["001"])).await;
    assert_eq!(plant.admin.message(posted.id).await.unwrap().acs, "operator");
}

#[tokio::test]
async fn the_contract_is_served() {
    let simod = Simod::start().await;
    let answer = raw::ask(Method::GET, &simod.api("/openapi.json")).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    let document: Value = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/messages"]["post"].is_object());
}
