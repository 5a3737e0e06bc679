//! Warnings for an administrator.

use simo_common::{
    api::service::{ChannelPhones, Unprotected},
    time::DAY,
};

use super::{super::fixture::NOON, Fixture};
use crate::store::db::engine::Engine;

#[tokio::test]
async fn people_without_a_phone_are_counted_unless_they_are_to_receive_nothing() {
    let f = Fixture::new().await;
    f.add_employees(3).await;
    f.second_client().await;
    f.store.block_employee(f.client_no, "4").await.unwrap();
    f.store.remove_employee(f.client_no, "5").await.unwrap();
    let own = f.store.reach(Some(f.client_no)).await.unwrap();
    assert_eq!((own.people, own.without_phone), (4, 1));
    assert_eq!(own.phones, [ChannelPhones { channel: "fcm".to_owned(), phones: 3 }]);
    let all = f.store.reach(None).await.unwrap();
    assert_eq!((all.people, all.without_phone, all.phones[0].phones), (5, 1, 4));
}

#[tokio::test]
async fn a_disk_is_known_to_fill_up_after_a_day() {
    let f = Fixture::new().await;
    f.store.note_disk().await.unwrap();
    if f.store.engine() == Engine::Postgres {
        assert!(f.store.disk().await.unwrap().is_none(), "a server's disk is not ours to see");
        return;
    }
    f.execute("update disk_free set free = free + 1000000000000").await;
    f.clock.set(NOON + DAY - 1);
    assert_eq!(f.store.disk().await.unwrap().unwrap().full_in_days, None);
    f.clock.set(NOON + DAY);
    let disk = f.store.disk().await.unwrap().unwrap();
    assert!(disk.free > 0 && disk.full_in_days.is_some(), "{disk:?}");
    f.clock.set(NOON + 8 * DAY);
    f.store.note_disk().await.unwrap();
    assert_eq!(f.rows("select count(*) from disk_free").await, ["1"], "a week is kept");
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_told() {
    let f = Fixture::new().await;
    let unprotected = f.store.unprotected().await.unwrap();
    match f.store.engine() {
        Engine::Sqlite => assert_eq!(unprotected, []),
        // The tests' server is thrown away.
        Engine::Postgres => {
            assert_eq!(unprotected, [Unprotected::FsyncOff, Unprotected::CommitNotSynced]);
        }
    }
}
