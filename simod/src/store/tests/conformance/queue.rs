//! Claiming pushes and storing their results.

use simo_common::{api::access::Payload, delivery::Reason, message::Priority};

use super::{
    super::{
        super::{ClaimedPush, DeviceEffect, PushResult, Skip, queue::PushOutcome},
        LEASE,
        fixture::{HOUR, NOON},
    },
    Fixture, claim_all, finished, post, states,
};
use crate::channel::ChannelKind;

#[tokio::test]
async fn a_claimed_push_has_all_that_a_channel_needs() {
    let f = Fixture::new().await;
    f.grant_group("boiler", "smena-a").await;
    let mut incoming = f.personal("Давление", &["1"]);
    incoming.draft.body = "растёт".to_owned();
    incoming.draft.topic = Some("boiler".to_owned());
    incoming.draft.priority = Some(Priority::High);
    incoming.draft.data = Some("{\"unit\":3}".to_owned());
    incoming.draft.require_ack = true;
    let id = post(&f, incoming).await;
    let pushes = claim_all(&f).await;
    let push = &pushes[0];
    assert_eq!((pushes.len(), push.message_id), (1, id));
    assert_eq!(
        (&*push.title, &*push.body, push.data.as_deref(), push.topic.as_deref()),
        ("Давление", "растёт", Some("{\"unit\":3}"), Some("boiler"))
    );
    assert_eq!((&*push.acs, push.address.as_str(), push.priority), ("1c", "address-1", Priority::High));
    assert_eq!(
        (push.accepted_at, push.expires_at, push.tries, push.require_ack),
        (NOON, NOON + 2 * HOUR, 0, true)
    );
    assert_eq!(
        (push.skip, push.payload, push.notification, push.quarantined_at),
        (None, Payload::Full, false, None)
    );
}

#[tokio::test]
async fn a_push_is_claimed_once_until_it_is_finished() {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1", "2", "3"])).await;
    assert!(f.store.claim(ChannelKind::Fcm, 0, LEASE).await.unwrap().pushes.is_empty());
    assert!(f.store.claim(ChannelKind::Stream, 10, LEASE).await.unwrap().pushes.is_empty());
    let mut pushes = f.store.claim(ChannelKind::Fcm, 2, LEASE).await.unwrap().pushes;
    assert_eq!(pushes.len(), 2);
    pushes.extend(claim_all(&f).await);
    assert_eq!(pushes.len(), 3);
    assert!(claim_all(&f).await.is_empty());
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 3);

    pushes.sort_by(|one, other| one.address.as_str().cmp(other.address.as_str()));
    let answer = || "said".to_owned();
    let results = [
        PushResult::Accepted { answer: answer() },
        PushResult::Failed { reason: Reason::Rejected, answer: answer(), device: DeviceEffect::None },
        PushResult::Retry { due_at: NOON + HOUR, answer: answer(), counts: true },
    ];
    let batch: Vec<_> = pushes.iter().zip(results).map(|(push, result)| finished(push, result)).collect();
    f.store.finish(&batch).await.unwrap();
    f.store.finish(&[]).await.unwrap();
    assert_eq!(states(&f).await, ["1 sent -", "2 failed rejected", "3 queued -"]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 1);
    assert!(claim_all(&f).await.is_empty(), "a retry is not due yet");
    f.clock.set(NOON + HOUR);
    let again = claim_all(&f).await;
    assert_eq!((again.len(), again[0].tries), (1, 1));
    let pause = PushResult::Retry { due_at: NOON + 2 * HOUR, answer: answer(), counts: false };
    f.store.finish(&[finished(&again[0], pause.clone())]).await.unwrap();
    f.store.hasten(pushes[0].claim.key).await.unwrap();
    assert!(claim_all(&f).await.is_empty(), "that is another phone");
    f.store.hasten(again[0].claim.key).await.unwrap();
    let again = claim_all(&f).await;
    assert_eq!(again.len(), 1, "its phone is there again");
    f.store.finish(&[finished(&again[0], pause)]).await.unwrap();
    f.clock.set(NOON + 2 * HOUR);
    let late = claim_all(&f).await;
    assert_eq!((late[0].tries, late[0].skip), (1, Some(Skip::Expired)));
    let skipped = PushResult::Skipped(Skip::Expired);
    f.store.finish(&[finished(&late[0], skipped)]).await.unwrap();
    assert_eq!(states(&f).await[2], "3 expired expired");
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_taken_while_it_was_canceled_or_denied_was_sent() {
    let f = Fixture::new().await;
    let canceled = post(&f, f.personal("a", &["1", "2"])).await;
    post(&f, f.personal("b", &["3"])).await;
    let claimed = claim_all(&f).await;
    assert_eq!(claimed.len(), 3);
    // The answers wait for pushes on their way, which end meanwhile.
    let cancels = f.store.cancel_message(f.client_no, None, canceled);
    let blocks = f.store.block_employee(f.client_no, "3");
    let sends = async {
        let closed = ["1 canceled canceled", "2 canceled canceled", "3 denied blocked"];
        while states(&f).await != closed {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let result = |push: &ClaimedPush| {
            if push.address.as_str() == "address-1" {
                PushResult::Retry { due_at: NOON, answer: "503".to_owned(), counts: true }
            } else {
                PushResult::Accepted { answer: "ok".to_owned() }
            }
        };
        let results: Vec<_> = claimed.iter().map(|push| finished(push, result(push))).collect();
        f.store.finish(&results).await.unwrap();
    };
    let (counts, blocked, ()) = tokio::join!(cancels, blocks, sends);
    blocked.unwrap();
    let counts = counts.unwrap();
    assert_eq!((counts.canceled, counts.too_late), (1, 1));
    assert_eq!(states(&f).await, ["1 canceled canceled", "2 sent -", "3 sent -"]);
    // Their former outcome is kept as well.
    let outcomes = f.rows("select outcome from push where sent_at is not null").await;
    let ended = PushOutcome::Canceled.number().to_string();
    assert_eq!(outcomes, [ended.clone(), ended]);
    assert!(claim_all(&f).await.is_empty());
}
