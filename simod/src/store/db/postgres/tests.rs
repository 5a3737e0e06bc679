//! The feed after a dump was restored into a cluster younger than the one it was taken from.

use crate::{
    store::{FeedPosition, FeedScope, Store},
    testing::{Plant, START},
};

/// Transaction numbers that this cluster will not reach while the tests run.
const FAR: i64 = 900_000_000_000;

/// A client with a feed; `None` without a cluster.
async fn feed() -> Option<(Plant, FeedScope)> {
    let plant = Plant::new().await;
    let scope = FeedScope { client_no: plant.client_no, acs_no: None };
    plant.is_shared().then_some((plant, scope))
}

/// Makes an event for a message of this name.
async fn happens(plant: &Plant, name: &str) {
    let message = plant.message(name, &[]).await;
    plant
        .run(&format!(
            "insert into event (client_no, at, kind, message_no) values ({}, {START}, 3, {})",
            plant.client_no.0, message.no.0
        ))
        .await;
}

/// As in the cluster that the dump was taken from.
async fn dumped(plant: &Plant) {
    let far = format!("update event set xact = '{FAR}'; update event_floor set xact = '{}'", FAR - 1);
    plant.run(&far).await;
}

fn position(xact: i64, seq: i64) -> FeedPosition {
    serde_json::from_value(serde_json::json!({"xact": xact, "seq": seq})).unwrap()
}

/// How many events follow a position; `None`: the subscriber has to start over.
async fn following(store: &Store, scope: FeedScope, after: FeedPosition) -> Option<usize> {
    let piece = store.feed_after(scope, after).await.unwrap();
    piece.map(|piece| piece.events.len())
}

#[tokio::test]
async fn events_of_another_cluster_make_their_subscribers_start_anew_and_hide_no_later_ones() {
    let Some((plant, scope)) = feed().await else {
        return;
    };
    happens(&plant, "a").await;
    dumped(&plant).await;
    let last = plant.number("select max(seq) from event").await.unwrap();
    let there = position(FAR, last);
    let store = plant.another_store().await;
    assert_eq!(following(&store, scope, there).await, None);
    let here = store.feed_end().await.unwrap();
    assert!(here < there);
    happens(&plant, "b").await;
    assert_eq!(following(&store, scope, here).await, Some(1));
}

/// The position looks like one of ours, and nothing after it was dropped before the dump.
#[tokio::test]
async fn whoever_stands_where_this_cluster_has_long_been_starts_anew_too() {
    let Some((plant, scope)) = feed().await else {
        return;
    };
    happens(&plant, "a").await;
    let early = plant.store.feed_end().await.unwrap();
    assert_eq!(following(&plant.store, scope, early).await, Some(0));
    plant.run(&format!("update event set xact = '{FAR}'")).await;
    let store = plant.another_store().await;
    assert_eq!(following(&store, scope, early).await, None);
}

/// Only the newest dropped position shows that there was a feed.
#[tokio::test]
async fn a_feed_that_was_restored_without_events_starts_anew_and_hides_no_later_ones() {
    let Some((plant, scope)) = feed().await else {
        return;
    };
    let early = plant.store.feed_end().await.unwrap();
    dumped(&plant).await;
    let store = plant.another_store().await;
    for old in [early, position(FAR - 1, 0)] {
        assert_eq!(following(&store, scope, old).await, None, "{old:?}");
    }
    let here = store.feed_end().await.unwrap();
    happens(&plant, "a").await;
    assert_eq!(following(&store, scope, here).await, Some(1));
}

#[tokio::test]
async fn a_start_in_the_same_cluster_lets_subscribers_go_on() {
    let Some((plant, scope)) = feed().await else {
        return;
    };
    happens(&plant, "a").await;
    let here = plant.store.feed_end().await.unwrap();
    happens(&plant, "b").await;
    let store = plant.another_store().await;
    assert_eq!(following(&store, scope, here).await, Some(1));
}
