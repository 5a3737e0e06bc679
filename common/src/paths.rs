//! Default paths: the daemon's socket and data, the programs' profiles.

use std::path::PathBuf;

use directories::{BaseDirs, ProjectDirs};

/// The daemon's default listen address.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7466";

/// The daemon's Unix socket: in the user's runtime directory, or in `/run/simo` for root and where there is none.
pub fn default_socket() -> PathBuf {
    match BaseDirs::new().and_then(|dirs| dirs.runtime_dir().map(PathBuf::from)) {
        Some(runtime) => runtime.join("simo").join("simod.sock"),
        None => PathBuf::from("/run/simo/simod.sock"),
    }
}

/// The daemon's database file: in the user's data directory.
pub fn default_database() -> PathBuf {
    match ProjectDirs::from("", "", "simo") {
        Some(dirs) => dirs.data_dir().join("simo.db"),
        None => PathBuf::from("simo.db"),
    }
}

/// The directory of the programs' profiles.
pub fn profiles() -> Option<PathBuf> {
    ProjectDirs::from("", "", "simo").map(|dirs| dirs.config_dir().to_owned())
}
