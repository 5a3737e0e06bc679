use simo_common::{hex::hex, token};

use super::*;
use crate::{
    store::FeedPosition,
    testing::{Events, Plant},
};

async fn add(plant: &Plant, app: &App, kind: &str) {
    let kind = match kind {
        "accepted" => 1,
        "delivery" => 2,
        _ => 3,
    };
    plant
        .run(&format!(
            "insert into event (client_no, at, kind, message_no)
             select client_no, 1, {kind}, no from message limit 1"
        ))
        .await;
    app.wake.feed();
}

async fn started() -> (Plant, Arc<App>) {
    let plant = Plant::new().await;
    let employee = plant.employee(1).await;
    plant.message("m", &[employee]).await;
    let app = plant.app();
    (plant, app)
}

#[tokio::test]
async fn without_a_cursor_the_feed_begins_now_and_with_one_nothing_is_skipped() {
    let (plant, app) = started().await;
    add(&plant, &app, "accepted").await;
    let mut live = Events::open(&app, "/events", &plant.acs_token, None).await;
    add(&plant, &app, "delivery").await;
    let first = live.next().await.unwrap();
    assert_eq!((&*first.event, &first.data["acs"]), ("delivery", &"scada".into()));
    drop(live);
    for kind in ["canceled", "accepted", "delivery"] {
        add(&plant, &app, kind).await;
    }
    let mut resumed = Events::open(&app, "/events", &plant.acs_token, Some(&first.id)).await;
    for kind in ["canceled", "accepted", "delivery"] {
        assert_eq!(resumed.next().await.unwrap().event, kind);
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_before_the_first_event_can_be_resumed() {
    let (plant, app) = started().await;
    let begin = Events::open(&app, "/events", &plant.acs_token, None).await.first_id().await;
    add(&plant, &app, "accepted").await;
    let mut resumed = Events::open(&app, "/events", &plant.acs_token, Some(&begin)).await;
    assert_eq!(resumed.next().await.unwrap().event, "accepted");
}

#[tokio::test]
async fn more_events_than_one_read_takes_come_in_their_order() {
    let (plant, app) = started().await;
    add(&plant, &app, "accepted").await;
    plant
        .run(
            "insert into event (client_no, at, kind, message_no)
             with recursive n(n) as (select 2 union all select n + 1 from n where n < 1203)
             select e.client_no, n.n, 2, e.message_no from n, event e",
        )
        .await;
    let begin = encode_cursor(&(0, 0));
    let mut feed = Events::open(&app, "/events", &plant.acs_token, Some(&begin)).await;
    let mut read = Vec::new();
    for _ in 1..=1_203 {
        let event = feed.next().await.unwrap();
        read.push(decode_cursor::<FeedPosition>(&event.id).unwrap());
    }
    assert!(read.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_resumed_from_is_answered_with_reset() {
    let (plant, app) = started().await;
    for _ in 0..3 {
        add(&plant, &app, "accepted").await;
    }
    plant.store.forget_events(i64::MAX, 2).await.unwrap();
    for cursor in ["rubbish", &encode_cursor(&(0, 1)), &encode_cursor(&(1_i64 << 40, 77))] {
        let mut feed = Events::open(&app, "/events", &plant.acs_token, Some(cursor)).await;
        let reset = feed.next().await.unwrap();
        assert_eq!((&*reset.event, &reset.data["kind"]), ("reset", &"reset".into()));
        add(&plant, &app, "canceled").await;
        assert_eq!(feed.next().await.unwrap().event, "canceled", "it goes on from now");
    }
}

#[tokio::test]
async fn a_revoked_token_is_out_at_once() {
    let (plant, app) = started().await;
    let mut feed = Events::open(&app, "/events", &plant.acs_token, None).await;
    add(&plant, &app, "accepted").await;
    assert!(feed.next().await.is_some());
    plant
        .run(&format!(
            "update token set revoked_at = 1 where hash = x'{}'",
            hex(&token::hash(&plant.acs_token))
        ))
        .await;
    add(&plant, &app, "delivery").await;
    assert_eq!(feed.next().await, None);
}

#[tokio::test]
async fn the_feed_ends_with_the_shutdown() {
    let (plant, app) = started().await;
    let mut feed = Events::open(&app, "/events", &plant.acs_token, None).await;
    app.shutdown.cancel();
    assert_eq!(feed.next().await, None);
}
