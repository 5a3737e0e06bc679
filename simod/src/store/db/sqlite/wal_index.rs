//! Allocates disk space for the log's index (`-shm`) before SQLite touches it.
//!
//! SQLite maps that file into memory, and allocates it by writing a byte in each 4 KiB. Where blocks are smaller the
//! rest are holes, and on a full disk a write into one kills the process (SIGBUS) instead of failing.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use super::{Error, Result};

/// Enough for a log of half a GiB, three times what it is allowed to become (`wal_autocheckpoint`).
const BYTES: u64 = 1024 * 1024;

/// Checks for space before the file is created: SQLite truncates it whenever the database is opened.
pub(super) fn look_for_room(database: &Path) -> Result<()> {
    let left = fs::metadata(beside(database)).map_or(0, |index| index.blocks() * 512);
    if left >= BYTES {
        return Ok(());
    }
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match tempfile::tempfile_in(folder).and_then(|file| allocate(&file, BYTES)) {
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Err(Error::File(folder.to_owned(), error))
        }
        // In a read-only folder, SQLite itself decides what is possible.
        _ => Ok(()),
    }
}

/// Opens the index of an open database. It has to stay open: closing it would release SQLite's locks. `None` where a
/// file system does not support a log.
pub(super) fn open(database: &Path) -> Result<Option<fs::File>> {
    let path = beside(database);
    match OpenOptions::new().read(true).write(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| Error::File(path, error)),
    }
}

/// Allocates its space; on a full disk as much as there is, at least to its present length.
pub(super) fn reserve(index: &fs::File, database: &Path) -> Result<()> {
    let room = || {
        let least = index.metadata()?.len();
        let mut bytes = BYTES.max(least);
        while let Err(error) = allocate(index, bytes) {
            if bytes == least {
                return Err(error);
            }
            bytes = (bytes / 2).max(least);
        }
        Ok(())
    };
    room().map_err(|error| Error::File(beside(database), error))
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-shm");
    path.into()
}

fn allocate(file: &fs::File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // A file system that cannot, such as NFS before 4.2: SQLite's own way has to do.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        done => done.map_err(io::Error::from),
    }
}
