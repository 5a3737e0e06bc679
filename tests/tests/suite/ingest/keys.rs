//! A repeated key never makes a second message, and a rehearsal makes none.

use super::*;

#[tokio::test]
async fn the_same_idempotency_key_never_makes_a_second_message() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let send = async |token: &str, body: &str| {
        raw::post(&simod.api("/messages"), token, body.to_owned())
            .header("idempotency-key", "накладная-42".escape_unicode().to_string().as_str())
            .send()
            .await
    };
    let first: PostedMessage =
        send(&token, r#"{"title":"А","recipients":{"employees":["001","002"]},"ttl":60}"#).await.json();
    assert!(!first.duplicate);
    let reordered =
        r#" { "ttl" : 60, "recipients":{"employees":["001","002"]}, "title":"\u0410", "priority":"normal"}"#;
    let again = send(&token, reordered).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.text);
    assert_eq!(again.json::<PostedMessage>(), PostedMessage { duplicate: true, ..first.clone() });

    let other = send(&token, r#"{"title":"Б","recipients":{"employees":["001","002"]},"ttl":60}"#).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    assert!(other.problem().detail.to_lowercase().contains("key"), "{}", other.text);

    // Keys belong to the ACS: another ACS has its own, another token of the same ACS does not.
    let scada = plant.token("scada").await;
    let theirs: PostedMessage =
        send(&scada, r#"{"title":"А","recipients":{"employees":["001"]}}"#).await.json();
    assert!(!theirs.duplicate && theirs.id != first.id);
    let rotated = plant.token("1c").await;
    assert!(send(&rotated, reordered).await.json::<PostedMessage>().duplicate);
}

#[tokio::test]
async fn the_same_external_id_never_makes_a_second_message_even_at_the_same_moment() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "1c").await;
    let message =
        PostMessage { external_id: Some("наряд-7".to_owned()), ..to_employees("Наряд", &["001"]) };
    let answers = join_all((0..32).map(|_| acs.post_message(&message, false))).await;
    let answers: Vec<PostedMessage> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| answer.id == answers[0].id));
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(answers.iter().all(|answer| answer.recipients == answers[0].recipients));

    let other = PostMessage { title: "Другой наряд".to_owned(), ..message.clone() };
    assert_eq!(acs.post_message(&other, false).await.unwrap_err().status(), Some(422));
    let found = acs.message_by_external_id("наряд-7").await.unwrap();
    assert_eq!(found.items.iter().map(|message| message.id).collect::<Vec<_>>(), [answers[0].id]);
}

#[tokio::test]
async fn a_rehearsal_answers_the_same_and_stores_nothing() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "1c").await;
    let message = PostMessage { external_id: Some("1".to_owned()), ..to(group("smena-a")) };
    let rehearsed = acs.post_message(&message, true).await.unwrap();
    assert_eq!(rehearsed.recipients.accepted, 2);
    assert!(acs.messages(&ListQuery::default()).await.unwrap().items.is_empty());
    assert!(plant.admin.deliveries(&ListQuery::default(), Sort::default()).await.unwrap().items.is_empty());
    let real = post(&acs, &message).await;
    assert_eq!((real.duplicate, real.recipients), (false, rehearsed.recipients));
    assert!(acs.post_message(&message, true).await.unwrap().duplicate);
    assert_eq!(acs.post_message(&to(group("net")), true).await.unwrap_err().status(), Some(422));
}
