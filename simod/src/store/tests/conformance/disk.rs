//! What is on disk, and how much of it. Here the engines differ most: a server syncs before it says that it has committed,
//! and keeps its files in order by itself.

use std::{fs, path::Path};

use super::{Error, Fixture, post};

/// A text that stands in the database file as it is.
const TITLE: &str = "the title of a message that is looked for in the file";

fn contains(path: &Path, text: &str) -> bool {
    memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some()
}

#[tokio::test]
async fn whoever_waits_for_the_disk_learns_that_it_does_not_take_the_log() {
    let f = Fixture::new().await;
    post(&f, f.personal("synced", &["1"])).await;
    f.store.messages_on_disk().await.unwrap();
    f.store.on_disk().await.unwrap();
    if f.store.is_shared() {
        return;
    }
    let log = f.file().with_extension("db-wal");
    fs::rename(&log, log.with_extension("aside")).unwrap();
    // All messages are on disk already: nobody needs the log for that.
    f.store.messages_on_disk().await.unwrap();
    post(&f, f.personal("not synced", &["1"])).await;
    assert!(matches!(f.store.messages_on_disk().await, Err(Error::Unavailable(_))));
    assert!(matches!(f.store.on_disk().await, Err(Error::Unavailable(_))));
    assert!(matches!(f.store.answers().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_checkpoint_brings_what_was_committed_into_the_file() {
    let f = Fixture::new().await;
    post(&f, f.personal(TITLE, &["1"])).await;
    if f.store.is_shared() {
        f.store.checkpoint().await.unwrap();
    } else {
        assert!(!contains(&f.file(), TITLE), "so far it is in the log");
        f.store.checkpoint().await.unwrap();
        assert!(contains(&f.file(), TITLE));
    }
    assert_eq!(f.rows("select title from message").await, [TITLE]);
}

#[tokio::test]
async fn a_long_log_begins_anew() {
    let f = Fixture::new().await;
    if f.store.is_shared() {
        return; // A server has a log of its own.
    }
    f.execute("insert into pairing_failure (address, hour, count) values (hex(zeroblob(45000000)), 1, 1)")
        .await;
    let log = f.file().with_extension("db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    let long = length();
    assert!(long > 80 * 1024 * 1024, "{long} bytes");
    assert!(f.store.checkpoint().await.unwrap(), "that was much");
    assert!(!f.store.checkpoint().await.unwrap(), "nothing came since");
    for number in 0..20 {
        post(&f, f.personal(&format!("number {number}"), &["1"])).await;
    }
    assert_eq!(length(), long, "it is written from its beginning");
    assert_eq!(f.rows("select count(*) from message").await, ["20"]);
}

#[tokio::test]
async fn a_file_that_has_become_much_too_large_is_made_smaller() {
    let f = Fixture::new().await;
    assert!(!f.store.vacuum().await.unwrap(), "nothing is free");
    if f.store.is_shared() {
        return;
    }
    f.execute(
        "insert into pairing_failure (address, hour, count) values (hex(zeroblob(10000000)), 1, 1);
         delete from pairing_failure",
    )
    .await;
    f.store.checkpoint().await.unwrap();
    let before = fs::metadata(f.file()).unwrap().len();
    let mut steps = 0;
    while f.store.vacuum().await.unwrap() {
        steps += 1;
    }
    f.store.checkpoint().await.unwrap();
    let given_back = before - fs::metadata(f.file()).unwrap().len();
    assert!(steps > 1, "it goes piece by piece: {steps}");
    assert!(given_back > 1_000_000, "{given_back} of {before} bytes");
    assert!(given_back < 10_000_000, "some is kept for what comes next");
}
