//! Why a copy cannot be made, with what to do.

use std::path::PathBuf;

use crate::store::Error;

/// Why an installation was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no such file.
    #[error("there is no {}", .0.display())]
    NoSource(PathBuf),
    /// The file is older than this program.
    #[error(
        "{} lacks migrations ({}): run `simod migrate --database sqlite:{}` first",
        file.display(), pending.join(", "), file.display()
    )]
    SourceUnmigrated {
        /// The file.
        file: PathBuf,
        /// The migrations.
        pending: Vec<String>,
    },
    /// The server has an installation.
    #[error(
        "the target has data of its own (table `{0}`): make an empty database there and copy into that one"
    )]
    Occupied(&'static str),
    /// A daemon works on the server.
    #[error("a simod is connected to the target: stop it, then run this again")]
    Served,
    /// An unfinished copy cannot go on.
    #[error(
        "the target holds an unfinished copy of {begun}, and {now} is not what that was begun with: it was used since, or is another file; start anew with --restart, which empties the unfinished copy first"
    )]
    SourceChanged {
        /// What the copy was begun from.
        begun: String,
        /// What it would go on with.
        now: String,
    },
    /// A value that the server does not take.
    #[error("table `{table}`, column `{column}`: {why}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// What is wrong with it.
        why: String,
    },
    /// The two databases do not have the same tables.
    #[error("the tables of both databases are not the same: {0}")]
    Tables(String),
    /// Another process has taken the copy over.
    #[error("another `simod copy` works on the target")]
    Overtaken,
    /// The check at the end.
    #[error(
        "table `{table}` is not the same on both sides ({in_file} rows in the file, {on_server} on the server): something else wrote to the target; nothing is delivered from it, start anew with --restart"
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows of the file.
        in_file: u64,
        /// Rows of the server.
        on_server: u64,
    },
    /// What the databases say.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
