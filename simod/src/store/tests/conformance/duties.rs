//! The effects of time on the database, one small step after the other.

use simo_common::time::DAY;

use super::{super::fixture::NOON, Fixture, HOUR, acs_no, claim_all, post, states};
use crate::{channel::ChannelKind, store::NewSession};

#[tokio::test]
async fn what_nobody_took_in_time_expires_with_the_reason() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    post(&f, f.personal("a", &["1", "4"])).await;
    assert_eq!(f.store.note_missing_channel(ChannelKind::Fcm).await.unwrap(), 1);
    assert_eq!(f.store.note_missing_channel(ChannelKind::Fcm).await.unwrap(), 0, "it is noted");
    post(&f, f.personal("b", &["2"])).await;
    f.clock.set(NOON + 2 * HOUR - 1);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    f.clock.set(NOON + 2 * HOUR);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 3);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    assert_eq!(states(&f).await, ["1 expired no_channel", "2 expired expired", "4 expired no_device"]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_under_way_does_not_expire() {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1"])).await;
    assert_eq!(claim_all(&f).await.len(), 1);
    f.clock.set(NOON + 2 * HOUR);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    assert_eq!(states(&f).await, ["1 queued -"]);
}

#[tokio::test]
async fn a_duty_that_can_wait_sees_that_others_write() {
    let f = Fixture::new().await;
    let before = f.store.writes();
    f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap();
    assert_eq!(f.store.writes(), before, "reading is no writing");
    post(&f, f.personal("a", &["1"])).await;
    let posted = f.store.writes();
    assert!(posted > before);
    f.store.index_words(1).await.unwrap();
    assert_eq!(f.store.writes(), posted + 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_three_days_and_events_after_one() {
    let f = Fixture::new().await;
    let keyed = || {
        let mut incoming = f.personal("a", &["1"]);
        incoming.idempotency_key = Some("key".to_owned());
        incoming.draft.fingerprint = Some(1);
        incoming
    };
    let first = post(&f, keyed()).await;
    let (code, _) = f.store.invite(f.client_no, "1", 60).await.unwrap();
    let wrong = NewSession { code_hash: [0; 32], name: "a".to_owned(), valid_for_seconds: 60 };
    f.store.log_in("192.0.2.1", &wrong).await.unwrap();
    let count = async |table: &str| f.rows(&format!("select count(*) from {table}")).await[0].clone();
    let tables = ["idempotency", "event", "pairing_failure", "invite"];
    let left = async || {
        let mut left = String::new();
        for table in tables {
            left += &count(table).await;
        }
        left
    };
    assert!(!code.is_empty());
    assert_eq!(left().await, "1111");
    f.clock.set(NOON + DAY - HOUR);
    assert!(!f.store.forget_old().await.unwrap());
    assert_eq!(left().await, "1111");
    f.clock.set(NOON + DAY + 2 * HOUR);
    assert!(!f.store.forget_old().await.unwrap());
    assert_eq!(left().await, "1001");
    assert_eq!(post(&f, keyed()).await, first, "the key still leads to its message");
    f.clock.set(NOON + 3 * DAY + HOUR);
    assert!(!f.store.forget_old().await.unwrap());
    assert_eq!(left().await, "0001");
    assert_ne!(post(&f, keyed()).await, first);
    f.clock.set(NOON + 31 * DAY);
    assert!(!f.store.forget_old().await.unwrap());
    assert_eq!(left().await, "0000");
}

#[tokio::test]
async fn history_goes_when_its_client_keeps_it_no_longer() {
    let f = Fixture::new().await;
    let old = post(&f, f.personal("старое", &["1", "2"])).await;
    f.clock.set(NOON + 9 * DAY);
    let young = post(&f, f.personal("новое", &["1"])).await;
    f.clock.set(NOON + 10 * DAY + HOUR);
    assert!(!f.store.forget_history().await.unwrap(), "it is kept for ever");
    let ten_days = simo_common::api::access::ClientSpec { retention_days: Some(10), ..Default::default() };
    f.store.edit_client("zavod", &ten_days).await.unwrap();
    while f.store.forget_history().await.unwrap() {}
    let acs = Some(acs_no(&f).await);
    assert_eq!(f.store.message(f.client_no, acs, old).await.unwrap(), None);
    assert!(f.store.message(f.client_no, acs, young).await.unwrap().is_some());
    assert_eq!(states(&f).await, ["1 queued -"]);
}

#[tokio::test]
async fn history_of_people_with_several_phones_is_forgotten_whole() {
    let f = Fixture::new().await;
    super::pair(&f, "1", Some("another address")).await;
    // More rows than a step deletes, so that some step ends between the phones of one person.
    for _ in 0..5 {
        let messages: Vec<_> = (0..40).map(|_| f.personal("a", &["1"])).collect();
        f.store.accept(&messages).await.unwrap();
    }
    let left = async || {
        f.rows("select count(*) from push union all select count(*) from delivery union all select count(*) from message")
            .await
    };
    assert_eq!(left().await, ["400", "200", "200"]);
    let three_days = simo_common::api::access::ClientSpec { retention_days: Some(3), ..Default::default() };
    f.store.edit_client("zavod", &three_days).await.unwrap();
    f.clock.set(NOON + 4 * DAY);
    let mut steps = 0;
    while f.store.forget_history().await.unwrap() {
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    assert_eq!(left().await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_key_that_outlived_its_message_is_free() {
    let f = Fixture::new().await;
    let keyed = |key: &str| {
        let mut incoming = f.personal("a", &["1"]);
        incoming.draft.external_id = Some("order-1".to_owned());
        incoming.draft.fingerprint = Some(1);
        incoming.idempotency_key = Some(key.to_owned());
        incoming
    };
    let first = post(&f, keyed("first")).await;
    f.clock.set(NOON + 3 * DAY - HOUR);
    assert_eq!(post(&f, keyed("second")).await, first, "it is the same order");
    let three_days = simo_common::api::access::ClientSpec { retention_days: Some(3), ..Default::default() };
    f.store.edit_client("zavod", &three_days).await.unwrap();
    f.clock.set(NOON + 4 * DAY);
    while f.store.forget_history().await.unwrap() {}
    let second = post(&f, keyed("second")).await;
    assert_ne!(second, first);
    assert_eq!(post(&f, keyed("second")).await, second);
    let keys = "select key from idempotency where key = 'second'";
    assert_eq!(f.rows(keys).await, ["second"]);
}

#[tokio::test]
async fn the_times_of_a_thousand_numbers_are_noted_once_nobody_can_store_a_message_of_them() {
    let f = Fixture::new().await;
    for at in [NOON, NOON + HOUR] {
        f.clock.set(at);
        let half: Vec<_> = (0..501).map(|_| f.personal("a", &["1"])).collect();
        f.store.accept(&half).await.unwrap();
    }
    for _ in 0..2 {
        assert!(!f.store.note_message_spans().await.unwrap(), "there are no more");
    }
    let noted = f.rows("select first_no || ' ' || earliest_at || ' ' || latest_at from message_span").await;
    // A server's other transactions may have begun before: they are given a minute.
    let expected = if f.store.is_shared() { vec![] } else { vec![format!("1 {NOON} {}", NOON + HOUR)] };
    assert_eq!(noted, expected);
}
