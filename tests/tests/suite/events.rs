//! The live feed: events in order; a resumed feed skips none.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use http::Method;
use simo_common::{
    api::{
        device::Receipt,
        event::{Event, EventKind},
    },
    client::Client,
    delivery::DeliveryState,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    Plant, Simod, clock,
    plant::{post, to_employees},
    raw,
};
use uuid::Uuid;

type Item = simo_common::client::Result<(String, Event)>;

async fn plant(simod: &Simod) -> (Plant, Client) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001", "002"], &[]).await;
    let acs = plant.acs(simod, "1c").await;
    (plant, acs)
}

/// Reads until `wanted` holds; returns all events read, ending with the wanted one.
async fn until(
    stream: &mut (impl Stream<Item = Item> + Unpin),
    wanted: impl Fn(&Event) -> bool,
) -> Vec<(String, Event)> {
    let mut read = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
        let (id, event) = next.expect("an event arrives").expect("the feed goes on").unwrap();
        let found = wanted(&event);
        read.push((id, event));
        if found {
            return read;
        }
    }
}

fn accepted(id: Uuid) -> impl Fn(&Event) -> bool {
    move |event| event.kind == EventKind::Accepted && event.message_id == id
}

#[tokio::test]
async fn it_tells_what_happens_to_a_message() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut feed = plant.admin.follow_events(None).await.unwrap();
    let posted = post(&acs, &to_employees("Лента", &["001", "002"])).await;
    let (_, event) = until(&mut feed, accepted(posted.id)).await.pop().unwrap();
    assert_eq!((event.acs.as_str(), event.client.as_str()), ("1c", "zavod"));

    let receipt = Receipt {
        message_id: posted.id,
        kind: ReceiptKind::Read,
        at: time::from_us(clock::now_us()),
        by: None,
    };
    phone.client.send_receipts(&[receipt]).await.unwrap();
    until(&mut feed, |event| {
        event.kind == EventKind::Delivery
            && event.personnel_no.as_deref() == Some("001")
            && event.state == Some(DeliveryState::Read)
    })
    .await;
    acs.cancel_message(posted.id).await.unwrap();
    until(&mut feed, |event| event.kind == EventKind::Canceled && event.message_id == posted.id).await;
}

#[tokio::test]
async fn resumed_it_skips_nothing() {
    let mut simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let mut feed = plant.admin.follow_events(None).await.unwrap();
    let mut posted = vec![post(&acs, &to_employees("0", &["001"])).await.id];
    let (mut cursor, _) = until(&mut feed, accepted(posted[0])).await.pop().unwrap();
    drop(feed);
    for number in 1..30 {
        posted.push(post(&acs, &to_employees(&number.to_string(), &["001"])).await.id);
    }
    // Through reconnections halfway, and a kill.
    let mut seen = vec![posted[0]];
    for stop in [10, 20, 29] {
        let mut feed = plant.admin.follow_events(Some(&cursor)).await.unwrap();
        for (id, event) in until(&mut feed, accepted(posted[stop])).await {
            cursor = id;
            if event.kind == EventKind::Accepted && !seen.contains(&event.message_id) {
                seen.push(event.message_id);
            }
        }
        drop(feed);
        simod.kill9();
        simod.restart().await;
    }
    assert_eq!(seen, posted);
}

#[tokio::test]
async fn everyone_sees_what_is_his() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let other = Plant::new(&simod, "fabrika").await;
    other.employees(&["001"], &[]).await;
    let scada = plant.acs(&simod, "scada").await;
    let elsewhere = other.acs(&simod, "1c").await;
    let mut mine = acs.follow_events(None).await.unwrap();
    let mut theirs = other.admin.follow_events(None).await.unwrap();

    let foreign = post(&scada, &to_employees("Чужое", &["001"])).await;
    let abroad = post(&elsewhere, &to_employees("Далёкое", &["001"])).await;
    let own = post(&acs, &to_employees("Своё", &["001"])).await;
    let read = until(&mut mine, accepted(own.id)).await;
    assert!(read.iter().all(|(_, event)| event.message_id == own.id), "{read:?}");
    let read = until(&mut theirs, accepted(abroad.id)).await;
    assert!(read.iter().all(|(_, event)| event.client == "fabrika"), "{read:?}");
    assert_ne!(foreign.id, own.id);
}

#[tokio::test]
async fn a_cursor_that_is_unknown_is_told_to_start_anew() {
    let simod = Simod::start().await;
    let (plant, acs) = plant(&simod).await;
    let token = plant.token("1c").await;
    let posted = post(&acs, &to_employees("a", &["001"])).await;
    // An invalid cursor is refused or reset, but never ignored.
    let garbage = acs.follow_events(Some("мусор".escape_unicode().to_string().as_str())).await;
    if let Ok(mut feed) = garbage {
        until(&mut feed, |event| event.kind == EventKind::Reset).await;
    }
    let answer = raw::ask(Method::GET, &simod.api("/events")).send().await;
    assert_eq!(answer.status.as_u16(), 401);
    drop((token, posted));
}
