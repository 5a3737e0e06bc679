//! Why a copy fails, and what to do.

use std::path::PathBuf;

use simo_common::lang::Lang;

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
    /// An unfinished copy cannot be resumed.
    #[error(
        "the target holds an unfinished copy of {begun}, and {now} is not what that was begun with: it was used since, or is another file; start anew with --restart, which empties the unfinished copy first"
    )]
    SourceChanged {
        /// The source the copy was begun with.
        begun: String,
        /// The source it would be resumed with.
        now: String,
    },
    /// A value that the server does not accept.
    #[error("table `{table}`, column `{column}`: {why}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// Why.
        why: String,
    },
    /// The two databases do not have the same tables.
    #[error("the tables of both databases are not the same: {0}")]
    Tables(String),
    /// Another process has taken the copy over.
    #[error("another `simod copy` works on the target")]
    Overtaken,
    /// The comparison at the end failed.
    #[error(
        "table `{table}` is not the same on both sides ({in_file} rows in the file, {on_server} on the server): something else wrote to the target; nothing is delivered from it, start anew with --restart"
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows in the file.
        in_file: u64,
        /// Rows on the server.
        on_server: u64,
    },
    /// A database error.
    #[error(transparent)]
    Store(#[from] Error),
}

impl CopyError {
    /// The error for the person who copies, in their language.
    pub fn in_words(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        match self {
            Self::NoSource(file) => format!("нет файла {}", file.display()),
            Self::SourceUnmigrated { file, pending } => format!(
                "в {} не хватает миграций ({}): сначала выполните `simod migrate --database sqlite:{}`",
                file.display(),
                pending.join(", "),
                file.display()
            ),
            Self::Occupied(table) => format!(
                "в целевой базе есть свои данные (таблица `{table}`): создайте там пустую базу и копируйте в неё"
            ),
            Self::Served => {
                "к целевой базе подключён simod: остановите его и выполните команду ещё раз".to_owned()
            }
            Self::SourceChanged { begun, now } => format!(
                "в целевой базе незавершённая копия {begun}, а {now} — не то, с чего она начата: файл с тех пор \
                 использовали или это другой файл; начните заново с --restart, который сначала удалит незавершённую копию"
            ),
            Self::Value { table, column, why } => format!("таблица `{table}`, столбец `{column}`: {why}"),
            Self::Tables(difference) => format!("таблицы двух баз не одинаковы: {difference}"),
            Self::Overtaken => "с целевой базой работает другой `simod copy`".to_owned(),
            Self::Differs { table, in_file, on_server } => format!(
                "таблица `{table}` не одинакова с двух сторон (строк в файле {in_file}, на сервере {on_server}): в целевую \
                 базу писал кто-то ещё; из неё ничего не доставляется, начните заново с --restart"
            ),
            Self::Store(error) => error.in_words(lang),
        }
    }
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
