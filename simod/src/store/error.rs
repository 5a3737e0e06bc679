//! Database errors, sorted by what the caller should do.

use std::path::PathBuf;

use simo_common::lang::{Lang, Text};
use sqlx::{migrate::MigrateError, postgres::PgDatabaseError};

use super::db::{
    postgres::{StandbyAway, Unreached},
    same_file::FileTrouble,
};

/// Result of the store's methods.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a database URL of ours.
    #[error("`{0}` is not a database URL: expected sqlite:/path/to/simo.db or postgres://user@host/simo")]
    Url(String),
    /// A server's URL with a part that is not understood.
    #[error("{}", .0.en)]
    ServerUrl(Text),
    /// `database_direct` is given for a file.
    #[error(
        "`database_direct` is the server's own URL where `database` leads to it through a pooler: both begin with postgres://"
    )]
    DirectToFile,
    /// Another simod has the file.
    #[error("{} is in use by another simod: {holder}", database.display())]
    Held {
        /// The database file.
        database: PathBuf,
        /// Its holder, as it describes itself.
        holder: String,
    },
    /// A file or folder beside the database cannot be used.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// The file is not a database, or must not be read or written.
    #[error("{}: {}", .0, .1)]
    Open(String, #[source] sqlx::Error),
    /// No host of the server accepts us.
    #[error(transparent)]
    Unreached(#[from] Unreached),
    /// Our role may not create the tables, or not read the existing ones.
    #[error("{said}. What the role lacks, as statements for the owner of the database: {}", grants.join("; "))]
    Forbidden {
        /// The server's message.
        said: String,
        /// Statements that grant the missing rights.
        grants: Vec<String>,
    },
    /// Migrations are missing, and cannot be run from here.
    #[error(
        "the database lacks migrations ({}), which cannot be run behind a pooler: set `database_direct` to the server's own URL, or run `simod migrate` with it",
        .0.join(", ")
    )]
    Unmigrated(Vec<String>),
    /// Migrations of a later minor version were run.
    #[error(
        "a later version of simod has migrated the database (migrations {}), and this one does not know what it left: start that version, or restore a backup",
        numbers(.0)
    )]
    Newer(Vec<i64>),
    /// It was created by 0.1, which had other tables.
    #[error(
        "the database is of SiMO 0.1, which this version cannot read: nothing was changed in it, start with a new database"
    )]
    Of01,
    /// The database holds part of an installation.
    #[error(
        "the database holds an unfinished copy of {0}: run the same `simod copy` again, which goes on where it stopped"
    )]
    HalfCopied(String),
    /// The migrations could not be run.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[from] MigrateError),
    /// An object named in a request does not exist, or not for its caller.
    #[error("no {noun} `{name}`")]
    NotFound {
        /// `employee`, `group` …
        noun: &'static str,
        /// The name in the request.
        name: String,
    },
    /// The request contradicts the stored state.
    #[error("{}", .0.en)]
    Conflict(Text),
    /// The state the request was made from has changed.
    #[error("changed meanwhile")]
    ChangedMeanwhile,
    /// Fields of the request are wrong, all of them listed.
    #[error("{} invalid fields", .0.len())]
    Invalid(Vec<(String, Text)>),
    /// The database cannot do it now: locked, full, unreachable. Nothing was changed; the same request may succeed
    /// later.
    #[error("the database is unavailable: {}", said(.0).en)]
    Unavailable(#[source] sqlx::Error),
    /// The commit's outcome is unknown: the database confirmed neither success nor failure.
    #[error("whether the database has committed it is not known: {}", said(.0).en)]
    OutcomeUnknown(#[source] sqlx::Error),
    /// A bug in simod.
    #[error("database: {0}")]
    Internal(#[source] sqlx::Error),
    /// A bug in simod, in work outside the database.
    #[error("{0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl Error {
    /// The named object does not exist.
    pub fn not_found(noun: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { noun, name: name.into() }
    }
}

impl Error {
    /// The error for the person who started a program that works on the database, in their language.
    pub fn in_words(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        match self {
            Self::Url(url) => format!(
                "`{url}` — не адрес базы данных: нужно sqlite:/путь/simo.db или postgres://пользователь@сервер/simo"
            ),
            Self::Unreached(why) => why.in_words(lang),
            Self::Forbidden { said, grants } => {
                format!(
                    "{said}. Чего не хватает роли (выполнить от имени владельца базы данных): {}",
                    grants.join("; ")
                )
            }
            Self::DirectToFile => {
                "`database_direct` — собственный адрес сервера, когда `database` ведёт к нему через пулер: \
                 оба начинаются с postgres://"
                    .to_owned()
            }
            Self::Held { database, holder } => {
                format!("{} занят другим simod: {holder}", database.display())
            }
            Self::Unmigrated(missing) => format!(
                "в базе данных не хватает миграций ({}), а через пулер их не выполнить: укажите в `database_direct` \
                 собственный адрес сервера или выполните с ним `simod migrate`",
                missing.join(", ")
            ),
            Self::Newer(versions) => format!(
                "базу данных обновила более поздняя версия simod (миграции {}), и этой неизвестно, что там осталось: \
                 запустите ту версию или восстановите резервную копию",
                numbers(versions)
            ),
            Self::Of01 => {
                "база данных создана SiMO 0.1, эта версия её не читает: в ней ничего не изменено, начните с новой базы данных"
                    .to_owned()
            }
            Self::HalfCopied(source) => format!(
                "в базе данных незавершённая копия {source}: выполните тот же `simod copy` ещё раз, он продолжит с места \
                 остановки"
            ),
            Self::Migrate(error) => format!("не удаётся обновить базу данных: {error}"),
            Self::Unavailable(error) => format!("база данных недоступна: {}", said(error).ru),
            Self::OutcomeUnknown(error) => {
                format!("неизвестно, сохранила ли база данных изменения: {}", said(error).ru)
            }
            Self::Internal(error) => format!("база данных: {error}"),
            Self::ServerUrl(text) | Self::Conflict(text) => text.ru.clone(),
            // System errors, and errors that only requests cause: the API words those itself.
            _ => self.to_string(),
        }
    }

    /// Whether it may pass without any change on our side: a server that could not be reached is started, becomes
    /// reachable, or accepts writes again.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreached(why) => why.passes(),
            Self::Unavailable(_) | Self::OutcomeUnknown(_) => true,
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_away(error)
            }
            _ => false,
        }
    }

    /// In both languages.
    pub fn text(&self) -> Text {
        Text::new(self.in_words(Lang::En), self.in_words(Lang::Ru))
    }

    /// In both languages, without the consequence: two failures with one cause are equal.
    pub(crate) fn cause(&self) -> Text {
        self.unanswered().map_or_else(|| self.text(), said)
    }

    /// Whether SQLite's file is no longer ours, or cannot be trusted.
    pub(crate) fn is_of_file(&self) -> bool {
        self.unanswered().is_some_and(|error| ours::<FileTrouble>(error).is_some())
    }

    /// Whether commits wait for a standby.
    pub(crate) fn is_of_standby(&self) -> bool {
        self.unanswered().is_some_and(|error| ours::<StandbyAway>(error).is_some())
    }

    fn unanswered(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Unavailable(error) | Self::OutcomeUnknown(error) => Some(error),
            _ => None,
        }
    }

    /// Whether space was lacking: a smaller write may succeed.
    pub(crate) fn lacks_room(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error.code().is_some_and(|code| match error.try_downcast_ref::<PgDatabaseError>() {
            Some(_) => code == "53100",
            // FULL; IOERR_WRITE, where files may not grow.
            None => code.parse::<u32>().is_ok_and(|code| code & 0xff == 13 || code == 778),
        })
    }

    /// Whether another transaction was in the way, so that a retry succeeds: it took the same key, or there was a
    /// deadlock.
    pub(crate) fn is_race(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error.try_downcast_ref::<PgDatabaseError>().is_some()
            && error.code().is_some_and(|code| ["23505", "40001", "40P01"].contains(&&*code))
    }
}

/// The database's message, or ours about an existing database that cannot be used.
fn said(error: &sqlx::Error) -> Text {
    let of_file = ours::<FileTrouble>(error).map(|trouble| trouble.text());
    of_file
        .or_else(|| ours::<StandbyAway>(error).map(|_| StandbyAway::text()))
        .unwrap_or_else(|| Text::new(error.to_string(), error.to_string()))
}

/// Our own error inside a database error.
fn ours<E: std::error::Error + 'static>(error: &sqlx::Error) -> Option<&E> {
    let sqlx::Error::Io(error) = error else { return None };
    error.get_ref()?.downcast_ref()
}

/// Migrations by the numbers at the start of their file names.
fn numbers(versions: &[i64]) -> String {
    let numbers: Vec<_> = versions.iter().map(|version| format!("{version:04}")).collect();
    numbers.join(", ")
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

/// Whether the database cannot do it now, but may be able to later.
pub(super) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(e) => {
            e.code().is_some_and(|code| match e.try_downcast_ref::<PgDatabaseError>() {
                Some(_) => is_away_on_postgres(&code),
                None => is_away_on_sqlite(&code),
            })
        }
        _ => false,
    }
}

/// <https://www.sqlite.org/rescode.html>: the primary code is the low byte. BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
fn is_away_on_sqlite(code: &str) -> bool {
    let code = code.parse::<u32>();
    code.is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>: connections, resources, operator intervention, a
/// standby, and conflicting transactions: also two that create the same thing at once, or we would have seen the first
/// one's.
fn is_away_on_postgres(code: &str) -> bool {
    ["08", "53", "57", "58"].contains(&&code[..2])
        || ["23505", "25006", "40001", "40P01", "55P03"].contains(&code)
}
