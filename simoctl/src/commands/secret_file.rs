//! A file with secrets: readable by its owner only; an existing one is kept until the new one is complete.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{is_stdio, unwritable};
use crate::{
    failure::{Exit, Failure},
    session::Session,
};

/// A temporary file beside the target, removed if dropped before it is written; or standard output.
#[derive(Debug)]
pub(super) struct Paper(Option<Beside>);

/// The temporary file and its target.
#[derive(Debug)]
struct Beside {
    file: File,
    part: PathBuf,
    path: PathBuf,
    replaces: bool,
}

impl Paper {
    /// A file that replaces an existing one only with `--yes`; - is standard output.
    ///
    /// # Errors
    /// When it exists and `--yes` was not given, or when it cannot be written.
    pub(super) fn open(session: &Session, path: &Path) -> Result<Self, Failure> {
        Self::beside(session, path, session.agreed())
    }

    /// A file that never replaces an existing one; - is standard output.
    ///
    /// # Errors
    /// When it exists already, or cannot be written.
    pub(super) fn open_new(session: &Session, path: &Path) -> Result<Self, Failure> {
        Self::beside(session, path, false)
    }

    fn beside(session: &Session, path: &Path, replaces: bool) -> Result<Self, Failure> {
        if is_stdio(path) {
            return Ok(Self(None));
        }
        if !replaces && path.symlink_metadata().is_ok() {
            return Err(exists(session, path));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        let file = opened.map_err(|cause| unwritable(session, path, cause))?;
        Ok(Self(Some(Beside { file, part, path: path.to_owned(), replaces })))
    }

    /// Writes it, and moves it into place.
    pub(super) fn write(self, session: &Session, bytes: &[u8]) -> Result<(), Failure> {
        let Some(mut it) = self.0 else {
            let mut out = io::stdout().lock();
            return Ok(out.write_all(bytes).and_then(|()| out.flush())?);
        };
        let written = it.file.write_all(bytes).and_then(|()| it.file.sync_all());
        let placed = written.and_then(|()| {
            if it.replaces {
                fs::rename(&it.part, &it.path)
            } else {
                // Unlike renaming, this never replaces a file created meanwhile.
                fs::hard_link(&it.part, &it.path)
            }
        });
        placed.map_err(|cause| {
            if cause.kind() == io::ErrorKind::AlreadyExists {
                exists(session, &it.path)
            } else {
                unwritable(session, &it.path, cause)
            }
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After renaming there is nothing left to remove.
        let _ = fs::remove_file(&self.part);
    }
}

fn exists(session: &Session, path: &Path) -> Failure {
    let path = path.display();
    Failure::new(
        Exit::Conflict,
        session.say(format!("{path} is there already."), format!("{path} уже есть.")),
    )
    .hint(session.say(
        "Name another file, or add --yes to replace it.",
        "Укажите другой файл или добавьте --yes, чтобы заменить этот.",
    ))
}
