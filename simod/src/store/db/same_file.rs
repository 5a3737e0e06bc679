//! Checks that SQLite's open files are still the ones under their names.
//!
//! SQLite keeps using its open files, whatever happens to their names: data stored in a file that was moved away,
//! deleted or truncated is gone after the next start.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use simo_common::lang::Text;

/// Why nothing may be stored in the file any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum FileTrouble {
    /// Another file, or none, has its name.
    #[error(
        "the database file was replaced or removed, and simod still has the old one open: put the old one back (with its -wal), or restart simod to go on with what is there now"
    )]
    Replaced,
    /// It was truncated.
    #[error("the database file was cut short by another program: stop simod and restore a backup")]
    CutShort,
    /// Written data may not be on disk.
    #[error(
        "its log cannot be synced to disk: check the disk and restart simod, nothing is stored until then"
    )]
    Unsynced,
}

impl FileTrouble {
    pub(in crate::store) fn text(self) -> Text {
        let russian = match self {
            Self::Replaced => {
                "файл базы данных подменён или удалён, а у simod открыт старый: верните старый на место (вместе с -wal) или \
                 перезапустите simod, чтобы продолжить с тем, что есть"
            }
            Self::CutShort => {
                "файл базы данных укорочен другой программой: остановите simod и восстановите резервную копию"
            }
            Self::Unsynced => {
                "журнал базы данных не удаётся записать на диск: проверьте диск и перезапустите simod, до этого ничего не \
                 сохраняется"
            }
        };
        Text::new(self.to_string(), russian)
    }
}

impl From<FileTrouble> for sqlx::Error {
    fn from(trouble: FileTrouble) -> Self {
        Self::Io(io::Error::other(trouble))
    }
}

/// Identifies a file independently of its name.
type Id = (u64, u64);

fn id(file: &Metadata) -> Id {
    (file.dev(), file.ino())
}

/// The database's files as they were when opened.
#[derive(Debug)]
pub(super) struct SameFile {
    database: PathBuf,
    log: PathBuf,
    opened: Id,
    /// SQLite creates the log when it needs it, and keeps it until the last connection is closed.
    opened_log: OnceLock<Id>,
    /// The log's index, which holds the length of the database. It stays open: closing it would release SQLite's locks.
    index: Option<File>,
    /// Minimum length in bytes at the last check: the file never becomes shorter unless pages are given back.
    least: AtomicU64,
    giving_back: AtomicUsize,
    is_cut_short: AtomicBool,
    /// Result of the last check.
    is_wrong: AtomicBool,
}

/// Pages are given back to the file system while this lives.
pub(super) struct GivingBack<'a>(&'a SameFile);

impl SameFile {
    /// The database at `path`, which is open as `handle`, with the index of its log.
    pub(super) fn of(path: &Path, handle: &File, index: Option<File>) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self {
            database: path.to_owned(),
            log: log.into(),
            opened: id(&handle.metadata()?),
            opened_log: OnceLock::new(),
            index,
            least: AtomicU64::new(0),
            giving_back: AtomicUsize::new(0),
            is_cut_short: AtomicBool::new(false),
            is_wrong: AtomicBool::new(false),
        })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Checks that the files are still in place.
    pub(super) fn look(&self) -> Result<(), sqlx::Error> {
        let looked = self.find_trouble()?;
        self.is_wrong.store(looked.is_some(), Ordering::SeqCst);
        looked.map_or(Ok(()), |trouble| Err(trouble.into()))
    }

    /// Checks again if the last check failed.
    pub(super) fn look_again(&self) -> Result<(), sqlx::Error> {
        if self.is_wrong.load(Ordering::SeqCst) { self.look() } else { Ok(()) }
    }

    fn find_trouble(&self) -> io::Result<Option<FileTrouble>> {
        if self.is_cut_short.load(Ordering::SeqCst) {
            return Ok(Some(FileTrouble::CutShort));
        }
        let (Some(database), Some(log)) = (found(&self.database)?, found(&self.log)?) else {
            return Ok(Some(FileTrouble::Replaced));
        };
        if id(&database) != self.opened || id(&log) != *self.opened_log.get_or_init(|| id(&log)) {
            return Ok(Some(FileTrouble::Replaced));
        }
        if self.has_lost_its_end(database.len()) {
            self.is_cut_short.store(true, Ordering::SeqCst);
            return Ok(Some(FileTrouble::CutShort));
        }
        Ok(None)
    }

    /// A file becomes shorter only when a checkpoint reaches pages that were given back: it is never shorter than the
    /// database has been since.
    fn has_lost_its_end(&self, bytes: u64) -> bool {
        let Some(committed) = self.index.as_ref().and_then(committed_bytes) else {
            return false;
        };
        if self.giving_back.load(Ordering::SeqCst) > 0 {
            return false;
        }
        let before = self.least.swap(bytes.min(committed), Ordering::SeqCst);
        bytes < before.min(committed)
    }

    /// Pages are about to be given back.
    pub(super) fn give_back(&self) -> GivingBack<'_> {
        self.giving_back.fetch_add(1, Ordering::SeqCst);
        GivingBack(self)
    }
}

impl Drop for GivingBack<'_> {
    fn drop(&mut self) {
        self.0.least.store(0, Ordering::SeqCst);
        self.0.giving_back.fetch_sub(1, Ordering::SeqCst);
    }
}

fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The length of the database by its last commit, whether or not all of it is in the file.
fn committed_bytes(index: &File) -> Option<u64> {
    let header = IndexHeader::read(index)?;
    Some(header.page_bytes * u64::from(header.pages))
}

/// The beginning of the log's index: <https://www.sqlite.org/walformat.html>, "The WAL-Index Header".
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexHeader {
    pub(super) page_bytes: u64,
    /// Frames of the log that are valid.
    pub(super) frames: u32,
    /// Pages of the database.
    pub(super) pages: u32,
}

impl IndexHeader {
    /// `None` while SQLite writes it: it is written twice.
    pub(super) fn read(index: &File) -> Option<Self> {
        const LENGTH: usize = 48;
        let mut both = [0; 2 * LENGTH];
        index.read_exact_at(&mut both, 0).ok()?;
        let (header, copy) = both.split_at(LENGTH);
        let is_whole = header == copy && header[12] != 0;
        let number = |at: usize| Some(u32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let size = u16::from_ne_bytes(header[14..16].try_into().ok()?);
        let page_bytes = if size == 1 { 65_536 } else { size.into() };
        is_whole.then_some(Self { page_bytes, frames: number(16)?, pages: number(20)? })
    }
}
