//! Two instances changing the same row. SQLite has one writer: there is nothing to race.
//!
//! One transaction is held after it has changed the row and before it ends; the other work must wait for it, and then
//! see its result.

mod access;
mod messages;
mod people;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{super::*, fixture::Fixture};
use crate::{
    store::db::engine::query_scalar,
    testing::{Plant, START, new_device},
};

/// Statements that wait for a lock, in this database.
const WAITING: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and wait_event_type = 'Lock'";

/// Returns when this many wait for a lock, or `work` has ended; returns whether they wait.
async fn waits<T>(store: &Store, so_many: i64, work: &JoinHandle<T>) -> bool {
    while !work.is_finished() {
        let mut reader = store.read().await.unwrap();
        let waiting: i64 = query_scalar(WAITING).fetch_one(&mut reader).await.unwrap();
        if waiting >= so_many {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

/// Does `first` in a transaction, starts `second`, and ends the transaction when `second` waits for it (or has finished
/// without waiting).
async fn race<T: Send + 'static>(
    store: &Store,
    first: &str,
    second: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut held = store.write().await.unwrap();
    held.run(first).await.unwrap();
    let second: JoinHandle<T> = tokio::spawn(second);
    waits(store, 1, &second).await;
    held.commit().await.unwrap();
    second.await.unwrap()
}

/// Stops `first` half-way by `gate`, which locks what it needs next; starts `second`, and opens the gate when `second`
/// waits as well (or has finished without waiting).
fn meet<T: Send + 'static, U: Send + 'static>(
    store: &Store,
    gate: &str,
    first: impl Future<Output = T> + Send + 'static,
    second: impl Future<Output = U> + Send + 'static,
) -> impl Future<Output = (T, U)> {
    // Statements make large futures; callers should not hold them.
    let (first, second) = (Box::pin(first), Box::pin(second));
    async move {
        let mut held = store.write().await.unwrap();
        held.run(gate).await.unwrap();
        let first = tokio::spawn(first);
        assert!(waits(store, 1, &first).await, "the gate did not stop the first one");
        let second = tokio::spawn(second);
        waits(store, 2, &second).await;
        held.rollback().await.unwrap();
        (first.await.unwrap(), second.await.unwrap())
    }
}

/// A client, and another instance; `None` on SQLite.
async fn two() -> Option<(Plant, Arc<Store>)> {
    let plant = Plant::new().await;
    if !plant.is_shared() {
        return None;
    }
    let other = Arc::new(plant.another_store().await);
    Some((plant, other))
}

#[tokio::test]
async fn a_token_that_is_revoked_while_it_is_rotated_has_no_successor() {
    let Some((plant, other)) = two().await else { return };
    let id: Uuid = {
        let mut reader = plant.store.read().await.unwrap();
        let id = query_scalar("select id from token").fetch_one(&mut reader);
        id.await.unwrap()
    };
    let revoke = format!("update token set revoked_at = {START}");
    let client = plant.client_no;
    let rotated =
        race(&plant.store, &revoke, async move { other.rotate_token(Some(client), id, 0).await.map(|_| ()) });
    let rotated = rotated.await;
    assert!(matches!(rotated, Err(Error::Conflict(_))), "{rotated:?}");
    let alive = "select count(*) from token where revoked_at is null";
    assert_eq!(plant.number(alive).await, Some(0));
}

#[tokio::test]
async fn whoever_is_archived_while_he_pairs_gets_no_device() {
    let Some((plant, other)) = two().await else { return };
    let employee = plant.employee(1).await;
    let code = plant.invite(employee).await;
    let archive = format!("update employee set archived_at = {START}");
    let paired =
        race(&plant.store, &archive, async move { other.pair(&new_device(&code, "token", Some("a"))).await });
    let paired = paired.await.unwrap();
    assert!(!matches!(paired, Pairing::Done(_)), "{paired:?}");
    assert_eq!(plant.number("select count(*) from device").await, Some(0));
}

/// The step after the cancel sees it.
#[tokio::test]
async fn a_message_that_is_canceled_while_it_is_expanded_leaves_no_delivery_waiting() {
    let f = Fixture::new().await;
    if !f.store.is_shared() {
        return;
    }
    f.add_employees(200).await;
    let mut message = f.incoming("Всем");
    message.draft.recipients =
        Some(simo_common::api::message::Recipients { everyone: true, ..Default::default() });
    f.store.accept(&[message]).await.unwrap();
    let other = Arc::new(f.another_store().await);
    let cancel = "update message set canceled_at = 1";
    let expanded = race(&f.store, cancel, async move {
        let mut stride = Stride::default();
        while other.expand_step(&mut stride).await? {}
        Ok::<_, Error>(())
    });
    expanded.await.unwrap();
    assert_eq!(f.rows("select count(*) from delivery where state = 0").await, ["0"]);
    assert_eq!(f.rows("select count(*) from push").await, ["0"]);
}
