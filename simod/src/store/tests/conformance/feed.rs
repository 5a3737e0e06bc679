//! The live feed of events, and how far it goes back.

use std::time::Duration;

use simo_common::time::from_us;

use super::{super::fixture::NOON, Fixture, HOUR, acs_no, post, send_all};
use crate::store::{AcsNo, ClientNo, FeedPiece, FeedPosition, FeedScope};

/// The events after a position, once there are `count`: on PostgreSQL an event shows when every older transaction has
/// ended, including those of the server's own workers.
async fn after(f: &Fixture, position: FeedPosition, count: usize) -> FeedPiece {
    let scope = FeedScope { client_no: f.client_no, acs_no: None };
    loop {
        let piece = f.store.feed_after(scope, position).await.unwrap().unwrap();
        if piece.events.len() >= count {
            return piece;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_happens_follows_in_its_order_for_those_whom_it_concerns() {
    let f = Fixture::new().await;
    let begin = f.store.feed_end().await.unwrap();
    assert!(after(&f, begin, 0).await.events.is_empty());
    let id = post(&f, f.personal("a", &["1"])).await;
    send_all(&f).await;
    f.store.cancel_message(f.client_no, None, id).await.unwrap();
    let piece = after(&f, begin, 3).await;
    let told: Vec<_> = piece
        .events
        .iter()
        .map(|(_, event)| {
            let state = event.state.map_or("-", |state| state.as_str());
            (event.kind.as_str(), event.personnel_no.as_deref(), state)
        })
        .collect();
    assert_eq!(told, [("accepted", None, "-"), ("delivery", Some("1"), "sent"), ("canceled", None, "-")]);
    let (position, first) = &piece.events[0];
    assert_eq!((first.message_id, first.at, &*first.client, &*first.acs), (id, from_us(NOON), "zavod", "1c"));
    assert!(piece.events.is_sorted_by(|one, other| one.0 < other.0));
    assert_eq!((piece.read_to, piece.more), (piece.events[2].0, false));
    assert_eq!(f.store.feed_end().await.unwrap(), piece.read_to);
    assert_eq!(after(&f, *position, 2).await.events.len(), 2);

    // Others' events are skipped.
    let scope = |client_no, acs_no| FeedScope { client_no, acs_no };
    for (scope, count) in [
        (scope(f.client_no, Some(acs_no(&f).await)), 3),
        (scope(f.client_no, Some(AcsNo(99))), 0),
        (scope(ClientNo(99), None), 0),
    ] {
        let piece = f.store.feed_after(scope, begin).await.unwrap().unwrap();
        assert_eq!(piece.events.len(), count, "{scope:?}");
    }
}

#[tokio::test]
async fn a_position_is_refused_when_what_followed_it_was_forgotten() {
    let f = Fixture::new().await;
    let begin = f.store.feed_end().await.unwrap();
    post(&f, f.personal("a", &["1"])).await;
    f.clock.set(NOON + HOUR);
    post(&f, f.personal("b", &["1"])).await;
    let both = after(&f, begin, 2).await;
    let (first, second) = (both.events[0].0, both.events[1].0);
    assert_eq!(f.store.forget_events(NOON, 10).await.unwrap(), 0, "none is older");
    assert_eq!(f.store.forget_events(NOON + HOUR, 10).await.unwrap(), 1);
    let scope = FeedScope { client_no: f.client_no, acs_no: None };
    assert!(f.store.feed_after(scope, begin).await.unwrap().is_none());
    assert_eq!(after(&f, first, 1).await.events[0].0, second);
    assert_eq!(f.store.forget_events(i64::MAX, 10).await.unwrap(), 1);
    assert_eq!(f.store.feed_end().await.unwrap(), second, "the end is known when all is forgotten");
}

#[tokio::test]
async fn who_has_read_all_misses_nothing_that_is_forgotten_of_others() {
    let f = Fixture::new().await;
    let quiet = FeedScope { client_no: ClientNo(99), acs_no: None };
    let begin = f.store.feed_end().await.unwrap();
    post(&f, f.personal("a", &["1"])).await;
    let theirs = after(&f, begin, 1).await.events[0].0;
    let read = f.store.feed_after(quiet, begin).await.unwrap().unwrap();
    assert!(read.events.is_empty() && read.read_to >= theirs, "{read:?}");
    f.clock.set(NOON + HOUR);
    assert_eq!(f.store.forget_events(i64::MAX, 10).await.unwrap(), 1);
    let piece = f.store.feed_after(quiet, read.read_to).await.unwrap();
    assert!(piece.is_some(), "nothing of his was forgotten");
}
