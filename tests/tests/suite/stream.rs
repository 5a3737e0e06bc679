//! The phone's side: pairing, stream, receipts, its own history.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use simo_common::{
    api::{
        access::{Grantee, NewTopic},
        device::{ChannelAddress, DeviceMessage, Pair, Receipt},
        message::PostMessage,
        people::NewInvite,
    },
    client::{Client, Error, ListQuery},
    delivery::DeliveryState,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    FakeFcm, Plant, Simod, clock, eventually,
    fcm::Answer,
    plant::{post, to_employees, to_topic},
};
use uuid::Uuid;

async fn plant(simod: &Simod) -> (Plant, Client) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001", "002"], &["smena-a"]).await;
    let acs = plant.acs(simod, "1c").await;
    (plant, acs)
}

type Item = simo_common::client::Result<DeviceMessage>;

async fn next(stream: &mut (impl Stream<Item = Item> + Unpin)) -> DeviceMessage {
    tokio::time::timeout(Duration::from_secs(10), stream.next())
        .await
        .expect("a message arrives")
        .expect("the stream goes on")
        .unwrap()
}

/// Checks that nothing else arrives: the next message is one posted now.
async fn nothing_before(stream: &mut (impl Stream<Item = Item> + Unpin), acs: &Client, personnel_no: &str) {
    let marker = post(acs, &to_employees("Метка", &[personnel_no])).await;
    assert_eq!(next(stream).await.id, marker.id);
}

fn receipt(message_id: Uuid, kind: ReceiptKind) -> Receipt {
    Receipt { message_id, kind, at: time::from_us(clock::now_us()), by: None }
}

async fn state(plant: &Plant, id: Uuid, number: &str) -> DeliveryState {
    plant.admin.explain(id, number).await.unwrap().delivery.unwrap().state
}

#[tokio::test]
async fn a_stream_brings_what_waits_and_then_what_comes() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    plant.topic("kotly", &[Grantee::Everyone]).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let first = post(&acs, &to_employees("Первое", &["001"])).await;
    let second = post(&acs, &to_topic("Второе", "kotly")).await;
    let mut stream = phone.client.own_stream().await.unwrap();
    let waiting = [next(&mut stream).await, next(&mut stream).await];
    let mut ids = waiting.each_ref().map(|message| message.id);
    ids.sort_unstable();
    let mut expected = [first.id, second.id];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let topical = waiting.iter().find(|message| message.id == second.id).unwrap();
    assert_eq!((topical.topic.as_deref(), topical.acs.as_str()), (Some("kotly"), "1c"));

    let third =
        PostMessage { body: "Текст".to_owned(), ..to_employees("Третье", &["001", "002"]) };
    let third = post(&acs, &third).await;
    let live = next(&mut stream).await;
    assert_eq!((live.id, live.title.as_str(), live.body.as_str()), (third.id, "Третье", "Текст"));
    // Writing to the socket does not make it delivered.
    assert_eq!(state(&plant, third.id, "001").await, DeliveryState::Queued);
}

#[tokio::test]
async fn what_has_no_receipt_comes_again_and_what_has_one_does_not() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let posted = post(&acs, &to_employees("Повтор", &["001"])).await;
    for _ in 0..3 {
        let mut stream = phone.client.own_stream().await.unwrap();
        assert_eq!(next(&mut stream).await.id, posted.id);
    }
    let answer = phone.client.send_receipts(&[receipt(posted.id, ReceiptKind::Delivered)]).await.unwrap();
    assert_eq!((answer.stored, answer.unknown.len()), (1, 0));
    assert_eq!(state(&plant, posted.id, "001").await, DeliveryState::Delivered);
    let mut stream = phone.client.own_stream().await.unwrap();
    nothing_before(&mut stream, &acs, "001").await;
}

#[tokio::test]
async fn each_phone_of_a_person_gets_it() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let (one, two) = (plant.stream_phone(&simod, "001").await, plant.stream_phone(&simod, "001").await);
    let mut first = one.client.own_stream().await.unwrap();
    let mut second = two.client.own_stream().await.unwrap();
    let of_two = next(&mut first).await;
    assert_eq!(of_two.title, "New phone: Телефон");
    assert_eq!(next(&mut second).await.id, of_two.id);
    two.client.send_receipts(&[receipt(of_two.id, ReceiptKind::Delivered)]).await.unwrap();
    let posted = post(&acs, &to_employees("Обоим", &["001"])).await;
    assert_eq!(next(&mut first).await.id, posted.id);
    one.client.send_receipts(&[receipt(posted.id, ReceiptKind::Read)]).await.unwrap();
    assert_eq!(next(&mut second).await.id, posted.id);
    // A kill of the daemon ends the streams; new ones continue where receipts left off.
    drop((first, second));
    let mut second = two.client.own_stream().await.unwrap();
    assert_eq!(next(&mut second).await.id, posted.id);
}

#[tokio::test]
async fn a_phone_whose_place_another_one_with_its_token_takes_is_told_so_and_the_server_logs_it() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    for _ in 0..5 {
        assert!(!simod.log().contains("was copied to a second phone"), "a phone that comes back is no copy");
        let mut other = phone.client.own_stream().await.unwrap();
        let told =
            tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("the stream ends");
        assert!(matches!(told, Some(Err(Error::Replaced))), "{told:?}");
        assert!(stream.next().await.is_none());
        std::mem::swap(&mut stream, &mut other);
    }
    let devices = plant.admin.devices(&ListQuery::default(), None).await.unwrap().items;
    let told = eventually("it is logged", || async {
        let log = simod.log();
        log.lines().find(|line| line.contains("was copied to a second phone")).map(str::to_owned)
    })
    .await;
    assert!(told.contains(&devices[0].id.to_string()), "{told}");
    // The last stream continues.
    let posted = post(&acs, &to_employees("Последнему", &["001"])).await;
    assert_eq!(next(&mut stream).await.id, posted.id);
}

#[tokio::test]
async fn what_waited_for_a_first_phone_reaches_it() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let (plant, acs) = plant(&simod).await;
    let posted = post(&acs, &to_employees("До телефона", &["001", "002"])).await;
    assert_eq!(posted.recipients.without_device, 2);
    let streaming = plant.stream_phone(&simod, "001").await;
    let mut stream = streaming.client.own_stream().await.unwrap();
    assert_eq!(next(&mut stream).await.id, posted.id);
    plant.fcm_phone(&simod, "002", "phone-2").await;
    eventually("FCM has it", || async { (fcm.journal().accepted() == 1).then_some(()) }).await;
    // Its own history includes messages posted before.
    let own = streaming.client.own_messages(&ListQuery::default()).await.unwrap();
    assert_eq!(own.items.len(), 1);
}

#[tokio::test]
async fn receipts_are_facts_whatever_their_order_and_number() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mine = post(&acs, &to_employees("Моё", &["001"])).await;
    let foreign = post(&acs, &to_employees("Чужое", &["002"])).await;
    let batch = [
        receipt(mine.id, ReceiptKind::Acknowledged),
        receipt(foreign.id, ReceiptKind::Read),
        receipt(mine.id, ReceiptKind::Delivered),
        receipt(mine.id, ReceiptKind::Delivered),
        receipt(Uuid::new_v4(), ReceiptKind::Read),
    ];
    for _ in 0..2 {
        let answer = phone.client.send_receipts(&batch).await.unwrap();
        assert_eq!((answer.stored, answer.unknown.len()), (3, 2));
        assert!(answer.unknown.contains(&foreign.id));
    }
    assert_eq!(state(&plant, mine.id, "001").await, DeliveryState::Acknowledged);
    assert_eq!(state(&plant, foreign.id, "002").await, DeliveryState::Queued);
    let before = plant.admin.explain(mine.id, "001").await.unwrap();
    assert!(before.phone_times.delivered_at.is_some() && before.phone_times.read_at.is_none());
    // A later receipt of the same kind does not change the first one's time.
    let late = Receipt { at: time::from_us(clock::now_us() + time::HOUR), ..batch[2].clone() };
    phone.client.send_receipts(&[late]).await.unwrap();
    let after = plant.admin.explain(mine.id, "001").await.unwrap();
    assert_eq!(after.phone_times.delivered_at, before.phone_times.delivered_at);
    assert_eq!(after.delivery.unwrap().delivered_at, before.delivery.unwrap().delivered_at);
}

#[tokio::test]
async fn a_late_receipt_beats_having_given_up() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.fcm_phone(&simod, "001", "phone-1").await;
    fcm.script().address("phone-1", Answer::InvalidPayload);
    let posted = post(&acs, &to_employees("Отклонено", &["001"])).await;
    eventually("it has failed", || async {
        (state(&plant, posted.id, "001").await == DeliveryState::Failed).then_some(())
    })
    .await;
    phone.client.send_receipts(&[receipt(posted.id, ReceiptKind::Acknowledged)]).await.unwrap();
    assert_eq!(state(&plant, posted.id, "001").await, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn a_phone_reads_its_owners_history_and_nobody_elses() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    plant.topic("zakryto", &[Grantee::Employee("002".to_owned())]).await;
    let mut mine = Vec::new();
    for number in 0..25 {
        mine.push(post(&acs, &to_employees(&format!("Сообщение {number}"), &["001"])).await.id);
    }
    let foreign = post(&acs, &to_employees("Чужое", &["002"])).await;
    let denied =
        PostMessage { topic: Some("zakryto".to_owned()), ..to_employees("Нельзя", &["001", "002"]) };
    let denied = post(&acs, &denied).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut seen = Vec::new();
    let mut list = ListQuery { limit: Some(10), ..ListQuery::default() };
    loop {
        let page = phone.client.own_messages(&list).await.unwrap();
        assert!(page.items.len() <= 10);
        seen.extend(page.items.iter().map(|message| message.id));
        list.cursor = page.next;
        if list.cursor.is_none() {
            break;
        }
    }
    mine.reverse();
    assert_eq!(seen, mine);
    assert_eq!(phone.client.own_message(mine[0]).await.unwrap().title, "Сообщение 24");
    for hidden in [foreign.id, denied.id, Uuid::new_v4()] {
        assert_eq!(phone.client.own_message(hidden).await.unwrap_err().status(), Some(404));
    }
}

#[tokio::test]
async fn a_code_pairs_one_phone_once() {
    let simod = Simod::start().await;
    let (plant, _) = plant(&simod).await;
    let invite = NewInvite { employee: "001".to_owned(), valid_for: None };
    let invite = plant.admin.invite_device(&invite).await.unwrap();
    let pair = |code: &str| Pair {
        code: code.to_owned(),
        key: None,
        channel: ChannelAddress {
            kind: "stream".to_owned(),
            address: None,
            address_kind: None,
            endpoint: None,
            keys: None,
            notifications: None,
        },
        name: "Телефон".to_owned(),
        platform: "android".to_owned(),
    };
    let typed = invite.code.to_lowercase().replace('-', " ");
    let paired = simod.anyone().pair(&pair(&typed)).await.unwrap();
    assert_eq!(paired.employee.personnel_no, "001");
    let again = simod.anyone().pair(&pair(&invite.code)).await.unwrap_err();
    assert!(matches!(again.status(), Some(400..=499)), "{again}");

    let soon = NewInvite { employee: "001".to_owned(), valid_for: Some(1) };
    let soon = plant.admin.invite_device(&soon).await.unwrap();
    let later = soon.expires_at.as_microsecond();
    eventually("the code expires", || async { (clock::now_us() > later).then_some(()) }).await;
    let expired = simod.anyone().pair(&pair(&soon.code)).await.unwrap_err();
    assert!(matches!(expired.status(), Some(400..=499)), "{expired}");
}

#[tokio::test]
async fn a_phone_that_leaves_is_out() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.fcm_phone(&simod, "001", "phone-1").await;
    phone.client.leave().await.unwrap();
    assert_eq!(phone.client.own_messages(&ListQuery::default()).await.unwrap_err().status(), Some(401));
    let posted = post(&acs, &to_employees("После ухода", &["001"])).await;
    assert_eq!(posted.recipients.without_device, 1);

    let removed = plant.stream_phone(&simod, "002").await;
    let stream = removed.client.own_stream().await.unwrap();
    plant.admin.remove_device(removed.id).await.unwrap();
    assert_eq!(removed.client.own_messages(&ListQuery::default()).await.unwrap_err().status(), Some(401));
    // Its open stream ends too, or at least delivers nothing more.
    post(&acs, &to_employees("После удаления", &["002"])).await;
    let mut stream = pin!(stream);
    let more = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
    assert!(!matches!(more, Ok(Some(Ok(_)))), "a removed phone received {more:?}");
    assert!(fcm.journal().is_empty());
}

#[tokio::test]
async fn a_new_address_is_used_from_then_on() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.fcm_phone(&simod, "001", "old").await;
    let address = |kind: &str, address: Option<&str>| ChannelAddress {
        kind: kind.to_owned(),
        address: address.map(str::to_owned),
        address_kind: None,
        endpoint: None,
        keys: None,
        notifications: None,
    };
    phone.client.change_channel(&address("fcm", Some("new"))).await.unwrap();
    post(&acs, &to_employees("По новому", &["001"])).await;
    eventually("it arrives", || async { (fcm.journal().accepted() == 1).then_some(()) }).await;
    assert_eq!(fcm.journal().calls()[0].address, "new");
    for wrong in [address("fcm", None), address("fcm", Some("")), address("pigeon", None)] {
        let refused = phone.client.change_channel(&wrong).await.unwrap_err();
        assert!(matches!(refused.status(), Some(400..=499)), "{wrong:?}: {refused}");
    }
    let unknown = NewTopic { slug: "x".to_owned(), ..NewTopic::default() };
    assert_eq!(phone.client.add_topic(&unknown).await.unwrap_err().status(), Some(403));
}
