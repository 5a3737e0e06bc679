//! The way of a message through the store, against a real file.

mod conformance;
mod fixture;
mod races;
mod steps;
mod sweep;

use simo_common::{api::message::Recipients, delivery::Reason, message::Priority};

use self::{
    conformance::states,
    fixture::{Fixture, HOUR, NOON},
};
use super::{DeviceEffect, Finished, KeyKind, PushResult, Refusal, Skip, Stride};
use crate::{
    channel::ChannelKind,
    store::posting::accept::{Accepted, Incoming},
};

fn posted(accepted: &Accepted) -> &simo_common::api::message::PostedMessage {
    accepted.answer.as_ref().unwrap()
}

fn to_employees(personnel_nos: &[&str]) -> Recipients {
    Recipients {
        employees: personnel_nos.iter().map(|no| (*no).to_owned()).collect(),
        ..Recipients::default()
    }
}

const LEASE: std::time::Duration = std::time::Duration::from_secs(30);

async fn claim_all(fixture: &Fixture) -> Vec<super::ClaimedPush> {
    fixture.store.claim(ChannelKind::Fcm, 1_000, LEASE).await.unwrap().pushes
}

/// What the first transaction of a cancel leaves besides the message's row when there is no second one.
const CANCEL_BEGUN: &str =
    "insert into duty (client_no, kind, subject_no, begun_at) select client_no, 1, no, 1 from message";

fn finished(push: &super::ClaimedPush, result: PushResult) -> Finished {
    Finished { claim: push.claim.clone(), at: NOON, result }
}

#[tokio::test]
async fn a_message_becomes_deliveries_and_pushes_with_their_reasons() {
    let f = Fixture::new().await;
    f.grant_group("boiler", "smena-a").await;
    let mut incoming = f.incoming("Давление");
    incoming.draft.topic = Some("boiler".to_owned());
    incoming.draft.recipients = Some(to_employees(&["1", "2", "404"]));
    let accepted = f.store.accept(&[incoming]).await.unwrap();
    let counts = &posted(&accepted[0]).recipients;
    assert_eq!((counts.accepted, counts.without_device, counts.denied), (1, 0, 1));
    assert_eq!(counts.unknown, ["404"]);
    assert_eq!(states(&f).await, ["1 queued -", "2 denied no_grant"]);
    let pushes = claim_all(&f).await;
    assert_eq!((pushes.len(), pushes[0].address.as_str(), pushes[0].skip), (1, "address-1", None));
    assert!(claim_all(&f).await.is_empty(), "a claimed push is not claimed again");
    let accepted = PushResult::Accepted { answer: "projects/p/messages/1".to_owned() };
    f.store.finish(&[finished(&pushes[0], accepted)]).await.unwrap();
    assert_eq!(f.rows("select state from delivery where employee_no = 1").await, ["1"]);
    assert_eq!(f.rows("select kind from event order by seq").await, ["1", "2"]);
}

#[tokio::test]
async fn the_same_key_never_makes_a_second_message() {
    let f = Fixture::new().await;
    let keyed = |title: &str, fingerprint: i64| {
        let mut incoming = f.personal(title, &["1"]);
        incoming.idempotency_key = Some("k".to_owned());
        incoming.draft.external_id = Some("e".to_owned());
        incoming.draft.fingerprint = Some(fingerprint);
        incoming
    };
    // Twice in one batch, then again, then with another meaning.
    let first = f.store.accept(&[keyed("a", 1), keyed("a", 1), keyed("b", 2)]).await.unwrap();
    assert_eq!((posted(&first[0]).duplicate, posted(&first[1]).duplicate), (false, true));
    assert_eq!(posted(&first[0]).id, posted(&first[1]).id);
    assert_eq!(first[2].answer, Err(Refusal::KeyReused(KeyKind::IdempotencyKey)));
    let again = f.store.accept(&[keyed("a", 1), keyed("b", 2)]).await.unwrap();
    assert_eq!(posted(&again[0]).id, posted(&first[0]).id);
    assert!(posted(&again[0]).duplicate && !again[0].stored);
    assert_eq!(again[1].answer, Err(Refusal::KeyReused(KeyKind::IdempotencyKey)));
    assert_eq!(f.rows("select count(*) from message").await, ["1"]);
}

#[tokio::test]
async fn only_what_is_stored_wins_a_key() {
    let f = Fixture::new().await;
    let keyed = |personnel_no: &str| {
        let mut incoming = f.personal("a", &[personnel_no]);
        incoming.draft.external_id = Some("e".to_owned());
        incoming.draft.fingerprint = Some(1);
        incoming
    };
    let rehearsed = Incoming { dry_run: true, ..keyed("1") };
    let batch = [keyed("404"), rehearsed.clone(), keyed("1"), keyed("1"), rehearsed];
    let accepted = f.store.accept(&batch).await.unwrap();
    assert!(matches!(accepted[0].answer, Err(Refusal::Nobody(_))));
    let real = posted(&accepted[2]);
    assert!(!posted(&accepted[1]).duplicate && !real.duplicate);
    for duplicate in [posted(&accepted[3]), posted(&accepted[4])] {
        assert!(duplicate.duplicate && duplicate.id == real.id);
    }
    assert_eq!(f.rows("select count(*) from message").await, ["1"]);
}

#[tokio::test]
async fn a_message_that_reaches_nobody_is_refused_unless_it_may() {
    let f = Fixture::new().await;
    let mut alone = f.personal("a", &["404"]);
    alone.draft.allow_empty = true;
    let accepted = f.store.accept(&[f.personal("a", &["404"]), alone]).await.unwrap();
    assert!(matches!(&accepted[0].answer, Err(Refusal::Nobody(nobody)) if nobody.counts.unknown == ["404"]));
    assert_eq!(posted(&accepted[1]).recipients.accepted, 0);
}

#[tokio::test]
async fn a_revoked_token_is_out_at_once() {
    let f = Fixture::new().await;
    f.execute("update token set revoked_at = 1").await;
    let accepted = f.store.accept(&[f.personal("a", &["1"])]).await.unwrap();
    assert_eq!(accepted[0].answer, Err(Refusal::Unauthenticated));
}

#[tokio::test]
async fn a_large_audience_is_frozen_and_expanded_in_steps() {
    let f = Fixture::new().await;
    f.add_employees(1_000).await;
    let mut incoming = f.incoming("всем");
    incoming.draft.recipients = Some(Recipients { everyone: true, ..Recipients::default() });
    let accepted = f.store.accept(&[incoming]).await.unwrap();
    assert_eq!(posted(&accepted[0]).recipients.accepted, 1_003);
    assert_eq!(f.rows("select count(*) from delivery").await, ["0"]);
    // Employees added later are not among the recipients.
    f.add_employees(10).await;
    let mut steps = 0;
    let mut stride = Stride::default();
    while f.store.expand_step(&mut stride).await.unwrap() {
        steps += 1;
    }
    assert!(steps > 1);
    assert_eq!(f.rows("select count(*) from delivery").await, ["1003"]);
    assert_eq!(f.rows("select count(*) from audience").await, ["0"]);
}

/// A batch of messages to groups makes more deliveries than one transaction may: the frozen rest is many small
/// audiences.
#[tokio::test]
async fn small_audiences_that_were_frozen_are_expanded_many_at_once() {
    let f = Fixture::new().await;
    let batch: Vec<_> = (0..1_000).map(|number| f.personal(&number.to_string(), &["1", "2", "3"])).collect();
    f.store.accept(&batch).await.unwrap();
    let frozen: usize = f.rows("select count(*) from audience").await[0].parse().unwrap();
    assert!(frozen > 200);
    let mut stride = Stride::default();
    let mut steps = 0;
    while f.store.expand_step(&mut stride).await.unwrap() {
        steps += 1;
    }
    assert!(steps < frozen / 10, "{steps} steps for {frozen}");
    assert_eq!(f.rows("select count(*) from delivery").await, ["3000"]);
    assert_eq!(f.rows("select count(*) from audience").await, ["0"]);
}

#[tokio::test]
async fn a_canceled_message_is_not_pushed_any_more() {
    let f = Fixture::new().await;
    let accepted = f.store.accept(&[f.personal("a", &["1", "2", "3"])]).await.unwrap();
    let id = posted(&accepted[0]).id;
    let claimed = f.store.claim(ChannelKind::Fcm, 1, LEASE).await.unwrap().pushes;
    f.store.finish(&[finished(&claimed[0], PushResult::Accepted { answer: "ok".to_owned() })]).await.unwrap();
    let canceled = f.store.cancel_message(f.client_no, None, id).await.unwrap();
    assert_eq!((canceled.canceled, canceled.too_late), (2, 1));
    assert!(claim_all(&f).await.is_empty());
    assert_eq!(f.store.cancel_message(f.client_no, None, id).await.unwrap(), canceled);
    assert_eq!(f.rows("select count(*) from event where kind = 3").await, ["1"]);
}

#[tokio::test]
async fn a_scheduled_message_is_decided_when_it_comes_due() {
    let f = Fixture::new().await;
    let mut incoming = f.personal("завтра", &["1", "2"]);
    incoming.draft.send_at = simo_common::time::Moment::parse("2026-11-01T15:00:00+03:00");
    let accepted = f.store.accept(&[incoming]).await.unwrap();
    assert_eq!(posted(&accepted[0]).recipients.accepted, 2);
    assert_eq!((f.store.release_due().await.unwrap(), claim_all(&f).await.len()), (0, 0));
    f.execute("update employee set blocked_at = 1 where personnel_no = '2'").await;
    f.clock.set(NOON + 3 * HOUR);
    assert_eq!(f.store.release_due().await.unwrap(), 1);
    assert_eq!(claim_all(&f).await.len(), 1);
    assert_eq!(f.rows("select state from delivery order by state").await, ["0", "8"]);
}

#[tokio::test]
async fn a_dead_address_fails_the_delivery_and_quarantines_the_device() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1"])]).await.unwrap();
    let pushes = claim_all(&f).await;
    let dead = |device| PushResult::Failed {
        reason: Reason::DeadAddress,
        answer: "UNREGISTERED".to_owned(),
        device,
    };
    f.store.finish(&[finished(&pushes[0], dead(DeviceEffect::Quarantine))]).await.unwrap();
    assert_eq!(states(&f).await, ["1 failed dead_address"]);
    f.store.accept(&[f.personal("b", &["1"])]).await.unwrap();
    let pushes = claim_all(&f).await;
    assert!(pushes[0].quarantined_at.is_some());
    f.store.finish(&[finished(&pushes[0], dead(DeviceEffect::Retire))]).await.unwrap();
    assert_eq!(f.rows("select devices from employee where personnel_no = '1'").await, ["0"]);
}

#[tokio::test]
async fn a_blocked_employee_gets_nothing_that_was_queued_before() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1"])]).await.unwrap();
    f.execute("update employee set blocked_at = 1").await;
    let pushes = claim_all(&f).await;
    assert_eq!(pushes[0].skip, Some(Skip::Blocked));
    f.store.finish(&[finished(&pushes[0], PushResult::Skipped(Skip::Blocked))]).await.unwrap();
    assert!(claim_all(&f).await.is_empty());
    assert_eq!(states(&f).await, ["1 queued -"], "it is denied by the duty that blocks him");
}

#[tokio::test]
async fn the_more_urgent_overtake_and_a_retry_waits() {
    let f = Fixture::new().await;
    let urgent = Incoming {
        draft: super::Draft {
            priority: Some(Priority::Critical), ..f.personal("авария", &["2"]).draft
        },
        ..f.personal("", &[])
    };
    f.store.accept(&[f.personal("обычное", &["1"]), urgent]).await.unwrap();
    let first = f.store.claim(ChannelKind::Fcm, 1, LEASE).await.unwrap().pushes;
    assert_eq!(first[0].title, "авария");
    let later = PushResult::Retry { due_at: NOON + HOUR, answer: "UNAVAILABLE".to_owned(), counts: true };
    f.store.finish(&[finished(&first[0], later)]).await.unwrap();
    assert_eq!(claim_all(&f).await.len(), 1);
    f.clock.set(NOON + HOUR);
    let again = claim_all(&f).await;
    assert_eq!((again.len(), again[0].tries), (1, 1));
}

#[tokio::test]
async fn a_claim_is_shared_fairly_between_clients() {
    let f = Fixture::new().await;
    let other = f.second_client().await;
    let many: Vec<Incoming> = (0..50).map(|n| f.personal(&n.to_string(), &["1"])).collect();
    f.store.accept(&many).await.unwrap();
    f.store.accept(&[other]).await.unwrap();
    let claimed = f.store.claim(ChannelKind::Fcm, 10, LEASE).await.unwrap().pushes;
    let of_the_other = claimed.iter().filter(|push| push.claim.key.client_no != f.client_no).count();
    assert_eq!((claimed.len(), of_the_other), (10, 1));
}

#[tokio::test]
async fn the_state_column_is_the_same_expression_as_the_function() {
    use simo_common::delivery::{Facts, Outcome};
    let f = Fixture::new().await;
    for bits in 0..16_u8 {
        for outcome in [
            None,
            Some(Outcome::Failed),
            Some(Outcome::Expired),
            Some(Outcome::Canceled),
            Some(Outcome::Denied),
        ] {
            let bit = |n: u8| bits & (1 << n) != 0;
            let facts =
                Facts { sent: bit(0), delivered: bit(1), read: bit(2), acknowledged: bit(3), outcome };
            let column = |set: bool| if set { "1" } else { "null" };
            let outcome = outcome.map_or("null".to_owned(), |outcome| outcome.number().to_string());
            f.execute(&format!(
                "delete from delivery; insert into delivery (client_no, message_no, employee_no, expires_at,
                 sent_at, delivered_at, read_at, acknowledged_at, outcome, target)
                 values (1, 1, 1, 1, {}, {}, {}, {}, {outcome}, 1)",
                column(facts.sent),
                column(facts.delivered),
                column(facts.read),
                column(facts.acknowledged)
            ))
            .await;
            assert_eq!(
                f.rows("select state from delivery").await,
                [facts.state().rank().to_string()],
                "{facts:?}"
            );
        }
    }
}
