//! Opening, what a connection sees, instances, the clock, closing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures_util::FutureExt as _;
use simo_common::api::access::ClientSpec;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::{super::fixture::NOON, Clock, Error, Fixture, HOUR, Store, empty_database};
use crate::{
    store::{
        Place,
        db::engine::{Conn, Engine, query_scalar},
    },
    testing::make_old,
};

#[tokio::test]
async fn a_database_is_migrated_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = empty_database(&folder).await;
    let place = Place::of(&url).unwrap();
    let pending = Store::pending_migrations(&place).await.unwrap();
    assert_eq!(pending.first().map(String::as_str), Some("0001_numbers"));
    let clock = Clock::manual(NOON);
    let store = Store::open(&url, clock.clone()).await.unwrap();
    assert!(Store::pending_migrations(&place).await.unwrap().is_empty());
    assert_eq!(Store::vapid_key_at(&place).await.unwrap(), None, "nobody has served yet");
    clock.set(NOON + HOUR);
    assert_eq!(store.clock().now(), NOON + HOUR);

    let is_server = url.starts_with("postgres");
    let engine = if is_server { Engine::Postgres } else { Engine::Sqlite };
    assert_eq!((store.engine(), store.is_shared()), (engine, is_server));
    // A file belongs to one process; a server is shared.
    match Store::open_at(&place, clock.clone()).await {
        Ok(another) => assert!(another.is_shared()),
        Err(Error::Held { .. }) => assert!(!is_server),
        Err(other) => panic!("{other}"),
    }

    store.add_client("zavod", &ClientSpec::default()).await.unwrap();
    store.prove_commit(0).await.unwrap();
    store.prove_commit(100_000).await.unwrap();
    assert_eq!(store.unreadable(), None);
    assert!(!store.is_closed());
    store.close().await;
    assert!(store.is_closed());
    assert!(is_server || matches!(store.prove_commit(0).await, Err(Error::Unavailable(_))));
    assert!(matches!(store.client("zavod").await, Err(Error::Unavailable(_))));
    drop(store);
    let store = Store::open_at(&place, clock).await.unwrap();
    assert_eq!(store.client("zavod").await.unwrap().slug, "zavod");
    assert!(matches!(Store::open("mysql://localhost/simo", Clock::System).await, Err(Error::Url(_))));
}

/// Everything in a folder but the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_none_or(|end| end != "lock"));
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[tokio::test]
async fn a_database_of_the_old_form_is_refused_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let url = empty_database(&folder).await;
    make_old(&url).await;
    let place = Place::of(&url).unwrap();
    let refuses = async || {
        let opened = Store::open_at(&place, Clock::manual(NOON)).await;
        assert!(matches!(opened, Err(Error::Of01)), "{opened:?}");
        let pending = Store::pending_migrations(&place).await;
        assert!(matches!(pending, Err(Error::Of01)), "{pending:?}");
    };
    let before = files(folder.path());
    refuses().await;
    assert_eq!(files(folder.path()), before);
    let Place::File(file) = &place else { return };

    // Nor is a leftover log applied to it.
    let mut writer = SqliteConnection::connect(&url).await.unwrap();
    writer.execute("create table client (id blob)").await.unwrap();
    let left = files(folder.path());
    assert!(left.len() > 1);
    writer.close().await.unwrap();
    for (path, content) in &left {
        fs::write(path, content).unwrap();
    }
    refuses().await;
    let log = file.with_extension("db-wal");
    for path in [file, &log] {
        assert_eq!(fs::read(path).unwrap(), left[path], "{}", path.display());
    }
}

async fn clients(conn: &mut Conn) -> i64 {
    query_scalar("select count(*) from client").fetch_one(conn).await.unwrap()
}

fn insert(slug: &str) -> String {
    format!(
        "insert into client (slug, name, timezone, default_ttl, created_at) values ('{slug}', '', 'UTC', 1, 1)"
    )
}

#[tokio::test]
async fn readers_see_what_is_committed_and_a_snapshot_one_moment() {
    let f = Fixture::new().await;
    let mut snapshot = f.store.snapshot().await.unwrap();
    assert_eq!(clients(&mut snapshot).await, 1);

    let mut dropped = f.store.write().await.unwrap();
    dropped.run(&insert("never")).await.unwrap();
    assert_eq!(clients(&mut dropped).await, 2, "a transaction sees what it has written");
    drop(dropped);

    let mut kept = f.store.write().await.unwrap();
    kept.run(&insert("stored")).await.unwrap();
    assert_eq!(clients(&mut f.store.read().await.unwrap()).await, 1);
    kept.commit().await.unwrap();
    assert_eq!(clients(&mut f.store.read().await.unwrap()).await, 2);
    assert_eq!(clients(&mut snapshot).await, 1);
    assert!(snapshot.run(&insert("by a reader")).await.is_err(), "a snapshot writes nothing");
}

#[tokio::test]
async fn whoever_cannot_wait_long_sees_and_writes_the_same() {
    let f = Fixture::new().await;
    assert!(f.store.commit_hangs().now_or_never().is_none(), "nothing is committed");
    let mut dropped = f.store.write_promptly().await.unwrap();
    dropped.run(&insert("never")).await.unwrap();
    drop(dropped);
    let mut kept = f.store.write_promptly().await.unwrap();
    kept.run(&insert("stored")).await.unwrap();
    assert_eq!(clients(&mut f.store.read_promptly().await.unwrap()).await, 1);
    kept.commit().await.unwrap();
    assert_eq!(clients(&mut f.store.read_promptly().await.unwrap()).await, 2);
}

#[tokio::test]
async fn instances_of_one_database_hear_each_other() {
    let f = Fixture::new().await;
    let others = f.store.others().await.unwrap();
    if !f.store.is_shared() {
        // One process owns the file: there are no others.
        assert!(others.is_none());
        f.store.tell_others().await.unwrap();
        return;
    }
    let another_store = f.another_store().await;
    another_store.tell_others().await.unwrap();
    let mut others = others.unwrap();
    let heard = tokio::time::timeout(std::time::Duration::from_secs(20), others.said_something());
    heard.await.expect("the word is passed on").unwrap();
}
