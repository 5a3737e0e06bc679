//! Writes the files: each is complete or absent, and a key is never readable by others meanwhile.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use simo_common::lang::Lang;
use tempfile::NamedTempFile;

/// A file to be written.
pub(super) struct File {
    name: &'static str,
    content: Vec<u8>,
    mode: u32,
}

impl File {
    /// Readable by all.
    pub(super) fn open(name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self { name, content: content.into(), mode: 0o644 }
    }

    /// Readable by its owner only.
    pub(super) fn secret(name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self { name, content: content.into(), mode: 0o600 }
    }

    fn written(&self, directory: &Path) -> io::Result<NamedTempFile> {
        let permissions = Permissions::from_mode(self.mode);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(directory)?;
        file.write_all(&self.content)?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

/// Writes files that must not exist yet.
pub(super) fn create(directory: &Path, files: &[File], lang: Lang) -> anyhow::Result<()> {
    let there: Vec<_> = files
        .iter()
        .map(|file| file.name)
        .filter(|name| directory.join(name).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() {
        let (at, there) = (directory.display(), there.join(", "));
        bail!(lang.pick(
            format!("{at} has {there} already; --force replaces them by those of a new CA, which every phone needs"),
            format!("в {at} уже есть {there}; --force заменит их файлами нового УЦ, его нужно добавить в каждый телефон"),
        ));
    }
    for file in files {
        let path = directory.join(file.name);
        let written = file.written(directory).and_then(|new| Ok(new.persist_noclobber(&path)?));
        written.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Writes files that may exist. They keep owner and group, because simod may run as another user.
pub(super) fn replace(directory: &Path, files: &[File]) -> anyhow::Result<()> {
    for file in files {
        let path = directory.join(file.name);
        let written = file.written(directory).and_then(|new| {
            if let Ok(old) = fs::metadata(&path) {
                std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
                // A group may read a key; nobody else.
                let mode = if file.mode == 0o600 { old.mode() & 0o640 } else { old.mode() & 0o777 };
                fs::set_permissions(new.path(), Permissions::from_mode(mode | file.mode))?;
            }
            Ok(new.persist(&path)?)
        });
        written.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Removes a file that may exist.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
