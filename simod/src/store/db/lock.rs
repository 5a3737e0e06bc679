//! One process owns a SQLite file, under whatever name: its claims live in memory, so a second simod would send
//! everything twice.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::store::{Error, Result};

/// A lock on `<database>.lock`, which names its holder. The system releases it however the process ends.
#[derive(Debug)]
pub(in crate::store) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock. The database is named as by [`real`].
    pub(in crate::store) fn take(database: &Path) -> Result<Self> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |e| Error::File(path.clone(), e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                return Err(Error::Held { database: database.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let program = std::env::current_exe().unwrap_or_default();
        write!(file, "PID {} ({})", std::process::id(), program.display()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// The real path of a database, existing or not: SQLite follows symbolic links, and keeps its log beside the file
/// itself.
pub(in crate::store) fn real(database: &Path) -> PathBuf {
    if let Ok(found) = database.canonicalize() {
        return found;
    }
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Ok(target) = database.read_link() {
        // A link to a file that does not exist yet. Opening finds a link that leads to itself.
        let target = folder.join(target);
        return target.canonicalize().unwrap_or(target);
    }
    match (folder.canonicalize(), database.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => database.to_owned(),
    }
}

/// Locks the file itself while it is open: it may have another name, and the first lock's file may have been deleted.
pub(in crate::store) fn hold(file: &File, database: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Held {
            database: database.to_owned(),
            holder: holder(file).unwrap_or_else(|| "PID ?".to_owned()),
        }),
        // On a file system without such locks the first one has to do.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The process that has locked a file, according to the kernel.
fn holder(file: &File) -> Option<String> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|lock| {
        let mut words = lock.split_whitespace().skip(1);
        let (kind, pid, place) = (words.next()?, words.nth(2)?, words.next()?);
        (kind == "FLOCK" && place.ends_with(&inode)).then(|| format!("PID {pid}"))
    })
}
