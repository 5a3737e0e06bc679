//! Messages that are scheduled, that expire, and that are canceled.

use super::*;

#[tokio::test]
async fn a_scheduled_message_is_decided_and_sent_when_it_comes_due() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let plant = plant(&simod).await;
    plant.fcm_phone(&simod, "002", "phone-2").await;
    let acs = plant.acs(&simod, "1c").await;
    let later = PostMessage { send_at: Some(clock::in_seconds(3)), ..to(group("smena-a")) };
    let posted = post(&acs, &later).await;
    let message = acs.message(posted.id).await.unwrap();
    assert!(message.scheduled && message.states.is_empty(), "{message:?}");
    assert!(fcm.journal().is_empty());
    // A person who leaves the group before it is due does not get it.
    plant.admin.remove_member("smena-a", "003").await.unwrap();
    eventually("the scheduled message is sent", || async { (fcm.journal().accepted() == 1).then_some(()) })
        .await;
    let message = acs.message(posted.id).await.unwrap();
    assert!(!message.scheduled);
    assert_eq!(message.counts.accepted, 1);
}

#[tokio::test]
async fn times_without_an_offset_are_in_the_clients_time_zone() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let zone = ClientSpec { timezone: Some("Asia/Krasnoyarsk".to_owned()), ..ClientSpec::default() };
    simod.owner().edit_client("zavod", &zone).await.unwrap();
    let acs = plant.acs(&simod, "1c").await;
    let local =
        |at: &str| PostMessage { send_at: Some(at.to_owned()), ..to_employees("Смена", &["001"]) };
    let year = clock::in_seconds(200 * 24 * 3600)[..10].to_owned();
    let without = post(&acs, &local(&format!("{year}T08:00:00"))).await;
    let with = post(&acs, &local(&format!("{year}T08:00:00+07:00"))).await;
    let (without, with) = (acs.message(without.id).await.unwrap(), acs.message(with.id).await.unwrap());
    assert_eq!(without.send_at, with.send_at);
    assert!(without.scheduled);
    // The TTL counts from the moment of sending.
    let lives = without.expires_at.as_second() - without.send_at.unwrap().as_second();
    assert_eq!(lives, 72 * 3600);
}

#[tokio::test]
async fn what_was_not_sent_in_time_expires_with_a_reason() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "1c").await;
    let short = PostMessage { ttl: Some(1), ..to_employees("Успеть", &["001", "002"]) };
    let posted = post(&acs, &short).await;
    eventually("both deliveries expire", || async {
        (states(&plant, &posted).await == [(DeliveryState::Expired, 2)]).then_some(())
    })
    .await;
    let reason =
        async |number| plant.admin.explain(posted.id, number).await.unwrap().delivery.unwrap().reason;
    assert_eq!(reason("001").await.as_deref(), Some("expired"));
    assert_eq!(reason("002").await.as_deref(), Some("no_device"));
}

#[tokio::test]
async fn a_canceled_message_is_not_sent() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let plant = plant(&simod).await;
    plant.fcm_phone(&simod, "002", "phone-2").await;
    let acs = plant.acs(&simod, "1c").await;

    let scheduled =
        PostMessage { send_at: Some(clock::in_seconds(2)), ..to_employees("Потом", &["002"]) };
    let scheduled = post(&acs, &scheduled).await;
    for _ in 0..2 {
        let canceled = acs.cancel_message(scheduled.id).await.unwrap();
        assert_eq!((canceled.scheduled, canceled.canceled), (true, 0));
    }
    assert!(acs.message(scheduled.id).await.unwrap().canceled_at.is_some());

    let sent = post(&acs, &to_employees("Сейчас", &["002", "003"])).await;
    eventually("it is sent", || async { (fcm.journal().accepted() == 1).then_some(()) }).await;
    eventually("that it is sent is known", || async {
        (states(&plant, &sent).await == [(DeliveryState::Queued, 1), (DeliveryState::Sent, 1)]).then_some(())
    })
    .await;
    let canceled = acs.cancel_message(sent.id).await.unwrap();
    assert_eq!((canceled.canceled, canceled.too_late), (1, 1));
    assert!(!canceled.scheduled);
    assert_eq!(states(&plant, &sent).await, [(DeliveryState::Sent, 1), (DeliveryState::Canceled, 1)]);
    // Canceling again changes nothing and gives the same answer.
    assert_eq!(acs.cancel_message(sent.id).await.unwrap(), canceled);

    let after = PostMessage { send_at: Some(clock::in_seconds(3)), ..to_employees("После", &["002"]) };
    let after = post(&acs, &after).await;
    eventually("the one after it is sent", || async { (fcm.journal().accepted() == 2).then_some(()) }).await;
    let arrived: Vec<Option<String>> =
        fcm.journal().calls().into_iter().map(|call| call.message_id).collect();
    assert_eq!(arrived, [Some(sent.id.to_string()), Some(after.id.to_string())]);
}
