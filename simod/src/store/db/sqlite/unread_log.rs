//! Finds commits that SQLite did not read from the log when it opened the database.
//!
//! It reads the log up to the first frame with a wrong checksum, and ignores the rest silently. Usually that is left
//! over from an earlier round of the log, or an interrupted transaction. A commit of the same round is neither.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::store::db::same_file::IndexHeader;

/// <https://www.sqlite.org/walformat.html>: the length of the log's header, and of each frame's.
const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread {
    /// Frames that were read.
    pub(super) read: u64,
    /// Frames after them, up to the last commit.
    pub(super) frames: u64,
    /// Transactions that these frames commit.
    pub(super) commits: u64,
}

/// Compares the log with the part that SQLite read, according to the log's index.
pub(super) fn unread(log: &Path, index: &File) -> io::Result<Option<Unread>> {
    let file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    let (Some(read), true) = (IndexHeader::read(index), length > HEADER) else {
        return Ok(None);
    };
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, 0)?;
    let frame = FRAME_HEADER + u64::from(number(&header, 8));
    let read = u64::from(read.frames);
    let mut unread = Unread { read, frames: 0, commits: 0 };
    let in_file = (length - HEADER) / frame;
    for place in read..in_file {
        let mut of_frame = [0; FRAME_HEADER as usize];
        file.read_exact_at(&mut of_frame, HEADER + place * frame)?;
        let is_of_this_round = of_frame[8..16] == header[16..24];
        let is_commit = number(&of_frame, 4) != 0;
        if is_of_this_round && is_commit {
            unread.frames = place + 1 - read;
            unread.commits += 1;
        }
    }
    Ok((unread.commits > 0).then_some(unread))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sqlx::{ConnectOptions as _, Executor as _, sqlite::SqliteConnectOptions};

    use super::*;
    use crate::{clock::Clock, store::Store};

    async fn commit(store: &Store, times: usize) {
        for _ in 0..times {
            store.prove_commit(0).await.unwrap();
        }
    }

    /// Opens a copy of the files as after a power failure, with a changed log: returns how many of its frames are read,
    /// and the unread part.
    async fn read_of_copy(folder: &Path, change: impl FnOnce(&mut Vec<u8>)) -> (usize, Option<Unread>) {
        let copy = tempfile::tempdir().unwrap();
        let name = |end: &str| copy.path().join(format!("simo.db{end}"));
        fs::copy(folder.join("simo.db"), name("")).unwrap();
        let mut log = fs::read(folder.join("simo.db-wal")).unwrap();
        change(&mut log);
        fs::write(name("-wal"), log).unwrap();
        let mut connection = SqliteConnectOptions::new().filename(name("")).connect().await.unwrap();
        connection.execute("select count(*) from commit_proof").await.unwrap();
        let index = File::open(name("-shm")).unwrap();
        let read = IndexHeader::read(&index).unwrap().frames;
        (read as usize, unread(&name("-wal"), &index).unwrap())
    }

    #[tokio::test]
    async fn commits_behind_a_damaged_frame_are_counted_and_leftovers_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("simo.db").display());
        let store = Store::open(&url, Clock::manual(1)).await.unwrap();
        commit(&store, 20).await;
        store.checkpoint().await.unwrap();
        // The log starts over, now or with the second of them: old frames follow the new ones.
        commit(&store, 3).await;
        let (frames, found) = read_of_copy(folder.path(), |_| {}).await;
        assert!(frames <= 3 && found.is_none(), "{frames} {found:?}");
        let damaged = async |place: usize| {
            let frame = 4_096 + FRAME_HEADER as usize;
            read_of_copy(folder.path(), |log| log[HEADER as usize + place * frame + 100] ^= 1).await.1
        };
        // The last transaction was interrupted.
        let last = frames - 1;
        assert_eq!(damaged(last).await, Some(Unread { read: last as u64, frames: 1, commits: 1 }));
        let all = frames as u64;
        assert_eq!(damaged(0).await, Some(Unread { read: 0, frames: all, commits: all }));
    }
}
