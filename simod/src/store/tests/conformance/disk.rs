//! What is on disk, and how much of it. Here the engines differ most: a server syncs before it confirms a commit, and
//! maintains its files by itself.

use std::{fs, os::unix::fs::FileExt as _, path::Path};

use super::{Error, Fixture, post};
use crate::store::db::engine::query_scalar;

/// A text that is in the database file unchanged.
const TITLE: &str = "the title of a message that is looked for in the file";

fn contains(path: &Path, text: &str) -> bool {
    memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some()
}

#[tokio::test]
async fn nothing_is_stored_in_a_file_that_was_moved_away_until_it_is_back() {
    let f = Fixture::new().await;
    post(&f, f.personal("synced", &["1"])).await;
    f.store.messages_on_disk().await.unwrap();
    f.store.on_disk().await.unwrap();
    f.store.prove_commit(0).await.unwrap();
    if f.store.is_shared() {
        return;
    }
    for name in ["simo.db", "simo.db-wal"] {
        let file = f.file().with_file_name(name);
        let aside = file.with_extension("aside");
        fs::rename(&file, &aside).unwrap();
        // All messages are on disk already: the log is not needed for that.
        f.store.messages_on_disk().await.unwrap();
        post(&f, f.personal("not to be found again", &["1"])).await;
        let said = f.store.messages_on_disk().await.unwrap_err();
        assert!(said.to_string().contains("was replaced"), "{said}");
        assert!(said.text().ru.contains("подменён"), "{}", said.text().ru);
        assert!(matches!(f.store.on_disk().await, Err(Error::OutcomeUnknown(_))));
        fs::copy(&aside, &file).unwrap();
        assert!(matches!(f.store.write().await, Err(Error::Unavailable(_))), "another file is not the same");
        assert!(matches!(f.store.prove_commit(0).await, Err(Error::Unavailable(_))));
        fs::rename(&aside, &file).unwrap();
        f.store.prove_commit(0).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_stored_in_a_file_that_has_lost_its_end() {
    let f = Fixture::new().await;
    if f.store.is_shared() {
        return; // A server has files of its own.
    }
    post(&f, f.personal("synced", &["1"])).await;
    f.store.checkpoint().await.unwrap();
    f.store.on_disk().await.unwrap();
    let file = fs::File::options().write(true).open(f.file()).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length / 2).unwrap();
    let said = f.store.on_disk().await.unwrap_err();
    assert!(said.to_string().contains("cut short"), "{said}");
    // Zeros in place of the lost data do not repair it.
    file.set_len(length).unwrap();
    assert!(matches!(f.store.write().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_remembered() {
    let f = Fixture::new().await;
    if f.store.is_shared() {
        return;
    }
    f.store.checkpoint().await.unwrap();
    let root: u64 =
        f.rows("select rootpage from sqlite_master where name = 'refusal'").await[0].parse().unwrap();
    let file = fs::File::options().write(true).open(f.file()).unwrap();
    file.write_all_at(&[0xff; 4_096], (root - 1) * 4_096).unwrap();
    assert_eq!(f.store.unreadable(), None);
    let mut reader = f.store.read().await.unwrap();
    let refused = query_scalar::<i64>("select first_at from refusal").fetch_all(&mut reader).await;
    assert!(refused.is_err(), "{refused:?}");
    let said = f.store.unreadable().unwrap();
    assert!(said.contains("malformed"), "{said}");
    f.store.prove_commit(0).await.unwrap();
    assert!(f.store.unreadable().is_some(), "it does not mend by itself");
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
    f.store.prove_commit(0).await.unwrap();
    let given_back = before - fs::metadata(f.file()).unwrap().len();
    assert!(steps > 1, "it goes piece by piece: {steps}");
    assert!(given_back > 1_000_000, "{given_back} of {before} bytes");
    assert!(given_back < 10_000_000, "some is kept for what comes next");
}
