//! Full disks and limits of file size.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::*;
use crate::health;

/// A small, almost full file system; unmounted when dropped.
struct SmallDisk {
    at: tempfile::TempDir,
    _image: Option<tempfile::NamedTempFile>,
}

impl SmallDisk {
    /// The space that is free at first.
    const FREE: usize = 6 * 1024 * 1024;
    const ALL: usize = 64 * 1024 * 1024;

    /// With blocks as large as memory pages; `None` if mounting is not permitted.
    fn mount() -> Option<Self> {
        let at = tempfile::TempDir::with_prefix("simo-disk-").unwrap();
        let is_mounted =
            run("mount", &["-t", "tmpfs", "-o", &format!("size={}", Self::ALL), "tmpfs"], at.path());
        is_mounted.then(|| Self { at, _image: None }.fill())
    }

    /// With blocks smaller than memory pages.
    fn mount_of_small_blocks() -> Option<Self> {
        let at = tempfile::TempDir::with_prefix("simo-disk-").unwrap();
        let image = tempfile::NamedTempFile::with_prefix("simo-disk-").unwrap();
        image.as_file().set_len(Self::ALL as u64).unwrap();
        let make = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-m", "0"];
        let file = image.path().to_str().unwrap();
        let is_mounted = run("mke2fs", &make, image.path()) && run("mount", &["-o", "loop", file], at.path());
        is_mounted.then(|| Self { at, _image: Some(image) }.fill())
    }

    fn database(&self) -> PathBuf {
        self.at.path().join("simo.db")
    }

    fn ballast(&self) -> PathBuf {
        self.at.path().join("ballast")
    }

    fn fill(self) -> Self {
        self.leave(Self::FREE);
        self
    }

    /// Fills the disk except for this many bytes.
    fn leave(&self, free: usize) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        while ballast.write_all(&[0; 4_096]).is_ok() {}
        let taken = ballast.metadata().unwrap().len();
        ballast.set_len(taken - free as u64).unwrap();
    }

    fn grow(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.at.path());
    }
}

fn run(program: &str, words: &[&str], path: &Path) -> bool {
    Command::new(program)
        .args(words)
        .arg(path)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A message that takes much space.
fn large() -> PostMessage {
    PostMessage { body: "ж".repeat(8 * 1024), ..to_employees("Много места", &["001"]) }
}

/// Posts until the disk is full; returns the ids of the accepted messages.
async fn fill(acs: &Client) -> Vec<Uuid> {
    let mut accepted = Vec::new();
    let refusal = loop {
        match acs.post_message(&large(), false).await {
            Ok(posted) => accepted.push(posted.id),
            Err(error) => break error,
        }
        assert!(accepted.len() < 2000, "there is room without end");
    };
    assert_eq!(refusal.status(), Some(503), "{refusal}");
    accepted
}

#[tokio::test]
async fn a_limit_of_the_files_size_is_503_and_loses_nothing() {
    let simod = Setup::new().embedded().ulimit("-f 8000").start().await;
    let (plant, token) = plant(&simod).await;
    let acs = simod.caller(&token);
    let mut accepted = fill(&acs).await;
    // The log may also be restarted until the file has reached the limit.
    let reason = loop {
        match acs.post_message(&large(), false).await {
            Ok(posted) => accepted.push(posted.id),
            Err(refusal) => assert_eq!(refusal.status(), Some(503), "{refusal}"),
        }
        if let Some(reason) = simod.owner().readiness().await.unwrap().reason {
            break reason;
        }
        assert!(accepted.len() < 2000, "there is room without end");
    };
    assert!(reason.contains("disk I/O error"), "{reason}");
    let mut stored = stored(&plant).await;
    stored.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(stored, accepted);
}

#[tokio::test]
async fn a_full_disk_is_503_and_loses_nothing() {
    match SmallDisk::mount() {
        Some(disk) => goes_on_when_there_is_room(&disk).await,
        None => skip("a full disk: we may not mount one"),
    }
}

/// Without reserved space, SQLite's memory mapping would crash the process there.
#[tokio::test]
async fn a_full_disk_of_small_blocks_is_503_too_and_told_at_the_start() {
    let Some(disk) = SmallDisk::mount_of_small_blocks() else {
        skip("a full disk of small blocks: we may not mount one");
        return;
    };
    for free in [64, 256, 1_000] {
        disk.leave(free * 1024);
        let refusal = Setup::new().database(&disk.database()).start_in_vain().await;
        assert!(refusal.stderr.contains("No space left"), "{free}: {}", refusal.stderr);
    }
    disk.leave(SmallDisk::FREE);
    goes_on_when_there_is_room(&disk).await;
}

async fn goes_on_when_there_is_room(disk: &SmallDisk) {
    let mut simod = Setup::new().database(&disk.database()).start().await;
    let (plant, token) = plant(&simod).await;
    let acs = simod.caller(&token);
    let large = large();
    let mut accepted = fill(&acs).await;
    let body = serde_json::to_string(&large).unwrap();
    let answer = raw::post(&simod.api("/messages"), &token, body).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    health::not_ready(&simod, "full").await;

    // It starts again with the disk still full.
    simod.kill9();
    simod.restart_unready().await;
    accepted.extend(fill(&acs).await);
    health::not_ready(&simod, "full").await;

    // With free space again it resumes by itself, and after a kill everything is there.
    disk.grow();
    let room =
        eventually("there is room again", || async { acs.post_message(&large, false).await.ok() }).await;
    accepted.push(room.id);
    health::ready(&simod).await;
    simod.kill9();
    simod.restart().await;
    let mut stored = stored(&plant).await;
    stored.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(stored, accepted);
    simod.kill9();
}
