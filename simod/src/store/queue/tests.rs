//! Claims of several instances. SQLite has one.

use std::time::Duration;

use simo_common::delivery::Reason;

use super::*;
use crate::testing::Plant;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(300);

/// A client with one phone, and another instance; `None` on SQLite.
async fn two() -> Option<(Plant, Store)> {
    let plant = Plant::new().await;
    if !plant.is_shared() {
        return None;
    }
    let employee = plant.employee(1).await;
    plant.phone(employee, Some("a")).await;
    plant.message("m", &[employee]).await;
    let other = plant.another_store().await;
    Some((plant, other))
}

async fn claim(store: &Store, lease: Duration) -> Option<ClaimedPush> {
    store.claim(ChannelKind::Fcm, 10, lease).await.unwrap().pushes.pop()
}

/// Claims, waiting until the present lease is over.
async fn claim_after_lease(store: &Store) -> ClaimedPush {
    loop {
        if let Some(push) = claim(store, LONG).await {
            return push;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn finished(push: &ClaimedPush, result: PushResult) -> [Finished; 1] {
    [Finished { claim: push.claim.clone(), at: 1, result }]
}

fn failed() -> PushResult {
    PushResult::Failed { reason: Reason::Rejected, answer: "no".to_owned(), device: DeviceEffect::None }
}

fn accepted() -> PushResult {
    PushResult::Accepted { answer: "yes".to_owned() }
}

#[tokio::test]
async fn what_one_instance_holds_no_other_one_claims_until_its_lease_is_over() {
    let Some((plant, other)) = two().await else { return };
    let held = claim(&plant.store, SHORT).await.unwrap();
    assert!(claim(&other, LONG).await.is_none());
    let taken_over = claim_after_lease(&other).await;
    assert_eq!(taken_over.claim.key, held.claim.key);
    assert!(claim(&plant.store, LONG).await.is_none());
}

#[tokio::test]
async fn a_late_failure_does_not_undo_what_another_instance_does() {
    let Some((plant, other)) = two().await else { return };
    let held = claim(&plant.store, SHORT).await.unwrap();
    let taken_over = claim_after_lease(&other).await;
    plant.store.finish(&finished(&held, failed())).await.unwrap();
    let open = "select count(*) from push where done_at is null and tries = 0 and held_until is not null";
    assert_eq!(plant.number(open).await, Some(1));
    other.finish(&finished(&taken_over, accepted())).await.unwrap();
    let sent = "select count(*) from push where outcome = 1 and tries = 1";
    assert_eq!(plant.number(sent).await, Some(1));
}

#[tokio::test]
async fn a_late_success_counts() {
    let Some((plant, other)) = two().await else { return };
    let held = claim(&plant.store, SHORT).await.unwrap();
    let taken_over = claim_after_lease(&other).await;
    plant.store.finish(&finished(&held, accepted())).await.unwrap();
    other.finish(&finished(&taken_over, failed())).await.unwrap();
    let sent = "select count(*) from push p join delivery d on d.message_no = p.message_no
                where p.outcome = 1 and d.sent_at = 1 and d.outcome is null";
    assert_eq!(plant.number(sent).await, Some(1));
}

#[tokio::test]
async fn a_retry_gives_the_claim_back() {
    let Some((plant, other)) = two().await else { return };
    let held = claim(&plant.store, LONG).await.unwrap();
    let retry =
        PushResult::Retry { due_at: plant.store.clock().now(), answer: "later".to_owned(), counts: true };
    plant.store.finish(&finished(&held, retry)).await.unwrap();
    assert_eq!(claim(&other, LONG).await.unwrap().tries, 1);
}
