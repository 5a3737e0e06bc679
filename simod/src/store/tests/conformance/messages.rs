//! Accepting messages, expanding, releasing and canceling them; blocks.

use simo_common::{
    api::message::RecipientCounts,
    lang::Lang,
    time::{Moment, from_us},
};
use uuid::Uuid;

use super::{
    super::{CANCEL_BEGUN, fixture::NOON, posted},
    Fixture, HOUR, acs_no, claim_all, is_conflict, is_missing, post, send_all, states,
};
use crate::{
    channel::ChannelKind,
    store::{AcsNo, Expiry, KeyKind, Refusal, Stride},
};

#[tokio::test]
async fn a_message_is_taken_once_with_its_audience_counted_or_refused_with_a_reason() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let keyed = |title: &str, meaning| {
        let mut incoming = f.personal(title, &["1", "4", "404"]);
        incoming.idempotency_key = Some("key".to_owned());
        incoming.draft.fingerprint = Some(meaning);
        incoming
    };
    let mut rehearsed = f.personal("rehearsed", &["1"]);
    rehearsed.dry_run = true;
    let mut unknown = f.personal("unknown topic", &["1"]);
    unknown.draft.topic = Some("x".to_owned());
    let batch =
        [keyed("a", 1), keyed("a", 1), keyed("b", 2), rehearsed, unknown, f.personal("nobody", &["404"])];
    let accepted = f.store.accept(&batch).await.unwrap();
    let first = posted(&accepted[0]);
    let counts = RecipientCounts {
        accepted: 2,
        without_device: 1,
        unknown: vec!["404".to_owned()],
        ..Default::default()
    };
    assert_eq!((first.duplicate, &first.recipients), (false, &counts));
    assert_eq!((posted(&accepted[1]).id, posted(&accepted[1]).duplicate), (first.id, true));
    assert_eq!(accepted[2].answer, Err(Refusal::KeyReused(KeyKind::IdempotencyKey)));
    assert_eq!(posted(&accepted[3]).recipients.accepted, 1);
    assert_eq!(accepted[4].answer, Err(Refusal::UnknownTopic("x".to_owned())));
    assert!(matches!(accepted[5].answer, Err(Refusal::Nobody(_))));
    let stored: Vec<_> = accepted.iter().map(|one| one.stored).collect();
    assert_eq!(stored, [true, false, false, false, false, false]);
    assert_eq!(states(&f).await, ["1 queued -", "4 queued no_device"]);
}

#[tokio::test]
async fn a_batch_that_is_to_be_stored_together_is_not_when_one_of_it_is_refused() {
    let f = Fixture::new().await;
    let keyed = |key: &str, no: &str| {
        let mut incoming = f.personal(key, &[no]);
        incoming.idempotency_key = Some(key.to_owned());
        incoming.draft.fingerprint = Some(1);
        incoming
    };
    let refused = f.store.accept_together(&[keyed("a", "1"), keyed("b", "404")]).await.unwrap();
    assert!(matches!(refused[1].answer, Err(Refusal::Nobody(_))));
    assert!(refused.iter().all(|one| !one.stored));
    assert_eq!(states(&f).await, [""; 0]);
    let stored = f.store.accept_together(&[keyed("a", "1"), keyed("b", "2")]).await.unwrap();
    assert!(stored.iter().all(|one| one.stored && !posted(one).duplicate), "no key was kept");
    let again = f.store.accept_together(&[keyed("a", "1"), keyed("c", "2")]).await.unwrap();
    assert_eq!(again.iter().map(|one| posted(one).duplicate).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn what_was_accepted_in_time_is_found_by_its_key_when_its_time_is_over() {
    let f = Fixture::new().await;
    let one = |key: &str| {
        let mut incoming = f.personal("a", &["1"]);
        incoming.idempotency_key = Some(key.to_owned());
        incoming.draft.fingerprint = Some(1);
        incoming.draft.expiry = Expiry::At(Moment::Exact(from_us(NOON + HOUR)));
        incoming
    };
    let first = post(&f, one("a")).await;
    f.clock.set(NOON + HOUR);
    let again = f.store.accept(&[one("a"), one("b"), one("b")]).await.unwrap();
    assert_eq!((posted(&again[0]).id, posted(&again[0]).duplicate), (first, true));
    for new in &again[1..] {
        assert!(matches!(new.answer, Err(Refusal::Invalid(_))), "{new:?}");
    }
    assert_eq!(states(&f).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_came_with_a_known_external_id_stands_for_that_message() {
    let f = Fixture::new().await;
    let one = |key: Option<&str>, external_id: Option<&str>, meaning| {
        let mut incoming = f.personal("a", &["1"]);
        incoming.idempotency_key = key.map(str::to_owned);
        incoming.draft.external_id = external_id.map(str::to_owned);
        incoming.draft.fingerprint = Some(meaning);
        incoming
    };
    let reused = Err(Refusal::KeyReused(KeyKind::IdempotencyKey));
    let first = post(&f, one(None, Some("order"), 1)).await;

    let repeat = f.store.accept(&[one(Some("key"), Some("order"), 1)]).await.unwrap();
    assert_eq!((posted(&repeat[0]).id, posted(&repeat[0]).duplicate), (first, true));
    let other = f.store.accept(&[one(Some("key"), None, 2)]).await.unwrap();
    assert_eq!(other[0].answer, reused);

    // The same within one batch, in either order, and for a message of the same batch.
    let mut rehearsed = one(Some("rehearsed"), Some("order"), 1);
    rehearsed.dry_run = true;
    let batch = [
        one(Some("late"), Some("order"), 1),
        one(Some("late"), None, 2),
        one(Some("early"), None, 3),
        one(Some("early"), Some("order"), 1),
        one(Some("new"), Some("second"), 4),
        one(Some("newer"), Some("second"), 4),
        one(Some("newer"), None, 5),
        rehearsed,
        one(Some("rehearsed"), None, 6),
    ];
    let accepted = f.store.accept(&batch).await.unwrap();
    assert_eq!(posted(&accepted[0]).id, first);
    assert_eq!(accepted[1].answer, reused);
    assert!(accepted[2].stored);
    assert_eq!(accepted[3].answer, reused);
    assert_eq!(posted(&accepted[5]).id, posted(&accepted[4]).id);
    assert_eq!(accepted[6].answer, reused);
    assert!(accepted[8].stored, "a rehearsal uses up no key");
    let later = f.store.accept(&[one(Some("newer"), None, 7)]).await.unwrap();
    assert_eq!(later[0].answer, reused);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_does_not_take_the_others_with_it() {
    let f = Fixture::new().await;
    // No message of ours causes a database error; this index does, on both engines.
    f.execute("create unique index conformance_title on message (title)").await;
    let batch = ["a", "b", "a", "c"].map(|title| f.personal(title, &["1"]));
    assert!(f.store.accept(&batch).await.is_err(), "all or nothing");
    assert!(states(&f).await.is_empty());
    let each = f.store.accept_each(batch.to_vec()).await;
    let stored: Vec<_> = each.iter().map(|one| one.as_ref().is_ok_and(|one| one.stored)).collect();
    assert_eq!(stored, [true, true, false, true]);
    assert!(each[2].is_err());
    assert_eq!(f.rows("select title from message order by title").await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_large_audience_becomes_deliveries_step_by_step() {
    let f = Fixture::new().await;
    f.add_employees(200).await;
    let mut to_all = f.incoming("всем");
    to_all.draft.recipients =
        Some(simo_common::api::message::Recipients { everyone: true, ..Default::default() });
    let accepted = f.store.accept(&[to_all]).await.unwrap();
    assert_eq!(posted(&accepted[0]).recipients.accepted, 203);
    assert!(states(&f).await.is_empty(), "its audience is frozen");
    let mut stride = Stride::default();
    let mut steps = 0;
    while f.store.expand_step(&mut stride).await.unwrap() {
        steps += 1;
    }
    assert!(steps > 0);
    assert_eq!(states(&f).await.len(), 203);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 3);
}

#[tokio::test]
async fn a_scheduled_message_is_decided_when_it_is_due() {
    let f = Fixture::new().await;
    let mut later = f.personal("позже", &["1", "2"]);
    later.draft.send_at = Moment::parse("2026-11-01T13:00:00+03:00");
    let id = post(&f, later).await;
    let message = async || f.store.message(f.client_no, None, id).await.unwrap().unwrap();
    assert!(message().await.scheduled);
    let mut later_still = f.personal("ещё позже", &["1"]);
    later_still.draft.send_at = Moment::parse("2026-11-01T14:00:00+03:00");
    let last = post(&f, later_still).await;
    let scheduled = async |acs_no, limit, cursor| {
        let page = f.store.scheduled_messages(f.client_no, acs_no, limit, cursor).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|message| message.id).collect();
        (ids, page.next)
    };
    assert_eq!(scheduled(None, 10, None).await, (vec![id, last], None));
    assert_eq!(scheduled(Some(AcsNo(99)), 10, None).await, (vec![], None));
    let (first, next) = scheduled(None, 1, None).await;
    assert_eq!((first, scheduled(None, 1, next.as_deref()).await.0), (vec![id], vec![last]));
    f.store.cancel_message(f.client_no, None, last).await.unwrap();
    assert_eq!(scheduled(None, 10, None).await.0, [id], "a canceled one waits for nothing");
    assert_eq!(f.store.release_due().await.unwrap(), 0);
    f.store.block_employee(f.client_no, "2").await.unwrap();
    f.clock.set(NOON + HOUR);
    assert_eq!(f.store.release_due().await.unwrap(), 1);
    assert_eq!(f.store.release_due().await.unwrap(), 0);
    assert!(!message().await.scheduled);
    assert_eq!(states(&f).await, ["1 queued -", "2 denied blocked"]);
}

/// A message on the boiler house for an hour later.
async fn post_for_later(f: &Fixture) -> Uuid {
    f.grant_group("boiler", "smena-a").await;
    let mut later = f.personal("Испытания", &["1", "3"]);
    later.draft.topic = Some("boiler".to_owned());
    later.draft.send_at = Some(Moment::Exact(from_us(NOON + HOUR)));
    post(f, later).await
}

/// The story of a message and an employee, with the hours since noon.
pub(super) async fn story(f: &Fixture, id: Uuid, personnel_no: &str) -> Vec<String> {
    let told = f.store.explain(f.client_no, None, id, personnel_no, Lang::En).await;
    let lines = told.unwrap().story.into_iter();
    lines
        .map(|line| {
            let hours = line.at.map(|at| (at.as_microsecond() - NOON) / HOUR);
            hours.map_or_else(|| line.text.clone(), |hours| format!("{hours}h {}", line.text))
        })
        .collect()
}

#[tokio::test]
async fn of_a_message_that_was_canceled_while_it_waited_nobody_is_told_more() {
    let f = Fixture::new().await;
    let id = post_for_later(&f).await;
    f.store.cancel_message(f.client_no, None, id).await.unwrap();
    let expected = [
        "0h the ACS 1c posted the message on the topic boiler, priority normal",
        "0h it was scheduled for 2026-11-01 13:00:00 +03:00",
        "0h it was canceled before its recipients were decided",
    ];
    for no in ["1", "3"] {
        assert_eq!(story(&f, id, no).await, expected);
    }
}

#[tokio::test]
async fn a_message_that_comes_due_on_an_archived_topic_is_canceled_and_says_why() {
    let f = Fixture::new().await;
    let id = post_for_later(&f).await;
    f.store.remove_topic(f.client_no, "boiler").await.unwrap();
    f.clock.set(NOON + HOUR);
    assert_eq!(f.store.release_due().await.unwrap(), 1);
    assert_eq!(f.store.release_due().await.unwrap(), 0);
    assert!(states(&f).await.is_empty(), "nobody gets it");
    let message = f.store.message(f.client_no, None, id).await.unwrap().unwrap();
    assert_eq!(message.canceled_at, Some(from_us(NOON + HOUR)));
    assert_eq!(message.cancel_reason.as_deref(), Some("topic_archived"));
    let told = story(&f, id, "1").await;
    assert_eq!(
        told[2],
        "1h it was canceled before its recipients were decided: the topic was archived before it came due"
    );
}

#[tokio::test]
async fn a_scheduled_message_was_posted_before_it_came_due() {
    let f = Fixture::new().await;
    let id = post_for_later(&f).await;
    f.clock.set(NOON + HOUR);
    f.store.release_due().await.unwrap();
    let told = story(&f, id, "1").await;
    assert!(told[0].starts_with("0h the ACS 1c posted"), "{told:?}");
    assert!(told[1].starts_with("1h it had been scheduled for"), "{told:?}");
}

#[tokio::test]
async fn a_block_is_told_with_the_grants_of_then() {
    let f = Fixture::new().await;
    f.grant_group("boiler", "smena-a").await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    let held = f.store.access_of(f.client_no, "1").await.unwrap();
    assert!(held[0].blocked && !held[0].times.active, "{held:?}");
    let mut message = f.incoming("Испытания");
    message.draft.topic = Some("boiler".to_owned());
    message.draft.allow_empty = true;
    let id = post(&f, message).await;
    f.store.unblock_employee(f.client_no, "1").await.unwrap();
    f.store.remove_topic(f.client_no, "boiler").await.unwrap();
    let told = story(&f, id, "1").await;
    assert_eq!(
        told[1..],
        [
            "0h it was for all who held a grant for the topic boiler",
            "0h they were blocked then",
            "0h a grant to the group smena-a would have given them the topic boiler"
        ]
    );
}

#[tokio::test]
async fn canceling_stops_what_no_provider_took() {
    let f = Fixture::new().await;
    let id = post(&f, f.personal("a", &["1"])).await;
    send_all(&f).await;
    let both = post(&f, f.personal("b", &["2", "3"])).await;
    let counts = async |id| {
        let canceled = f.store.cancel_message(f.client_no, Some(acs_no(&f).await), id).await;
        let canceled = canceled.unwrap();
        (canceled.canceled, canceled.too_late)
    };
    assert_eq!(counts(id).await, (0, 1));
    assert_eq!(counts(both).await, (2, 0));
    assert_eq!(counts(both).await, (2, 0), "twice changes nothing more");
    assert_eq!(states(&f).await, ["1 sent -", "2 canceled canceled", "3 canceled canceled"]);
    assert!(claim_all(&f).await.is_empty());
    for (acs, id) in [(Some(AcsNo(99)), both), (None, Uuid::from_u128(1))] {
        let refused = f.store.cancel_message(f.client_no, acs, id).await;
        assert!(is_missing(&refused, "message"));
    }
}

#[tokio::test]
async fn a_cancelation_that_was_cut_short_is_finished() {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1", "2"])).await;
    f.execute(&format!("{CANCEL_BEGUN}; update message set canceled_at = 1")).await;
    assert_eq!(states(&f).await, ["1 queued -", "2 queued -"]);
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 canceled canceled", "2 canceled canceled"]);
}

#[tokio::test]
async fn who_is_blocked_or_archived_gets_nothing_of_what_was_queued() {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1", "2", "3"])).await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    f.store.remove_employee(f.client_no, "2").await.unwrap();
    let queued = "3 queued -";
    assert_eq!(states(&f).await, ["1 denied blocked", "2 denied archived", queued]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 1);
    let gone = f.store.employee(f.client_no, "2").await.unwrap();
    assert_eq!((gone.devices, gone.archived_at.is_some()), (0, true));
    assert!(is_conflict(&f.store.block_employee(f.client_no, "2").await));
    assert!(is_missing(&f.store.block_employee(f.client_no, "404").await, "employee"));
    assert!(is_missing(&f.store.unblock_employee(f.client_no, "404").await, "employee"));

    f.store.unblock_employee(f.client_no, "1").await.unwrap();
    assert_eq!(f.store.employee(f.client_no, "1").await.unwrap().blocked_at, None);
    assert_eq!(states(&f).await, ["1 queued -", "2 denied archived", queued], "what waited goes on");
    let accepted = f.store.accept(&[f.personal("b", &["1"])]).await.unwrap();
    assert_eq!(posted(&accepted[0]).recipients.accepted, 1);
}
