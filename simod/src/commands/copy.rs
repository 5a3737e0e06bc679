//! `simod copy`: moves an installation from an SQLite file to a PostgreSQL server.

mod progress;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Instant,
};

use anyhow::bail;
use clap::Args;
use simo_common::{
    lang::{Lang, Text, Wrong},
    text,
};
use simod::{
    config::without_password,
    store::{
        Error, Place,
        copy::{Copied, Copier},
    },
};

use self::progress::{Shown, grouped};
use super::serve::runtime;

pub(super) const ABOUT: &str = "\
Copy an installation from an SQLite file to a PostgreSQL server.

Stop simod first: nobody may use the file meanwhile, which is only read and stays as it is. The target is an empty \
database; its tables are made. A copy that was cut off (Ctrl-C, a crash, a lost connection) goes on where it stopped when \
the same command is run again, and until it is finished no simod starts on the target. At the end both sides are read once \
more and compared, row by row.";

pub(super) const EXAMPLES: &str = "\
Examples:
  simod copy --from sqlite:/var/lib/simo/simo.db --to postgres://simo@db.example.org/simo
  simod copy --from sqlite:/var/lib/simo/simo.db --to postgres://simo@db.example.org/simo --restart

The password may stand in PGPASSWORD or ~/.pgpass instead of the URL.";

#[derive(Debug, Clone, Args)]
pub(super) struct CopyArguments {
    /// The file: `sqlite:/path/simo.db`.
    #[arg(long, value_name = "URL", value_parser = file)]
    from: PathBuf,
    /// The server: `postgres://user:password@host/simo`, an empty database.
    #[arg(long, value_name = "URL", value_parser = server)]
    to: String,
    /// Empty an unfinished copy in the target, and begin anew.
    #[arg(long)]
    restart: bool,
    /// Do not ask before that.
    #[arg(long, requires = "restart")]
    yes: bool,
}

fn file(url: &str) -> Result<PathBuf, Wrong> {
    match Place::of(url) {
        Ok(Place::File(path)) => Ok(path),
        _ => Err(Wrong(text!(
            "a copy goes from an SQLite file: sqlite:/path/to/simo.db",
            "копируют из файла SQLite: sqlite:/path/to/simo.db"
        ))),
    }
}

fn server(url: &str) -> Result<String, Wrong> {
    match Place::of(url) {
        Ok(Place::Server { url, .. }) => Ok(url),
        Err(error @ Error::ServerUrl(_)) => {
            Err(Wrong(Text::new(error.in_words(Lang::En), error.in_words(Lang::Ru))))
        }
        _ => Err(Wrong(text!(
            "a copy goes to a PostgreSQL server: postgres://user@host/simo",
            "копируют на сервер PostgreSQL: postgres://user@host/simo"
        ))),
    }
}

/// Copies, and prints what to do next.
pub(super) fn copy(arguments: &CopyArguments, lang: Lang) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let began = Instant::now();
        let mut copier = Copier::open(&arguments.from, &arguments.to).await?;
        if let Some((source, rows)) = copier.unfinished() {
            if arguments.restart {
                let question = empties(lang, source, rows);
                if let Err(refused) = confirm(lang, &question, arguments.yes) {
                    copier.close().await;
                    return Err(refused);
                }
                copier.empty().await?;
            } else {
                say_aside!("{}", goes_on(lang, rows));
            }
        }
        let mut shown = Shown::new(lang);
        let copied = copier.run(&mut |progress| shown.at(progress)).await;
        shown.end();
        print!("{}", summary(lang, arguments, copied?, began.elapsed().as_secs()));
        Ok(())
    })
}

fn goes_on(lang: Lang, rows: u64) -> String {
    let rows = grouped(rows);
    lang.pick(
        format!("An unfinished copy goes on: {rows} rows are there."),
        format!("Незавершённая копия продолжается: строк уже скопировано {rows}."),
    )
}

fn empties(lang: Lang, source: &str, rows: u64) -> String {
    let rows = grouped(rows);
    lang.pick(
        format!("Empty the unfinished copy of {source} in the target ({rows} rows)?"),
        format!("Удалить из целевой базы незавершённую копию {source} (строк: {rows})?"),
    )
}

/// Continues if `yes` was given or the person agrees.
fn confirm(lang: Lang, question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let mut stderr = std::io::stderr();
    if !(std::io::stdin().is_terminal() && stderr.is_terminal()) {
        bail!(
            "{}: {question}",
            lang.pick(
                "there is no terminal to ask on, add --yes",
                "спросить не на чем, нет терминала: добавьте --yes"
            )
        );
    }
    write!(stderr, "{question} {} ", lang.pick("(y/N)", "(д/Н)"))?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_lowercase();
    if !["y", "yes", "д", "да"].contains(&answer.as_str()) {
        bail!("{}", lang.pick("nothing was changed", "ничего не изменено"));
    }
    Ok(())
}

fn summary(lang: Lang, arguments: &CopyArguments, copied: Copied, seconds: u64) -> String {
    let (tables, rows) = (copied.tables, grouped(copied.rows));
    let (from, to) = (arguments.from.display(), without_password(&arguments.to));
    lang.pick(
        format!(
            "Copied and compared: {tables} tables, {rows} rows, in {seconds} s.
Next:
  simod serve --database {to}
    or `database` in its configuration. Words of earlier messages are indexed while it runs: until that is done, a search
    for words waits; everything else works at once. Whoever follows the live feed is told to begin anew.
  Keep {from} until you are content, but start no simod on it: what waits there would be sent twice.
"
        ),
        format!(
            "Скопировано и сверено: таблиц {tables}, строк {rows}, за {seconds} с.
Дальше:
  simod serve --database {to}
    или `database` в его конфигурации. Слова прежних сообщений индексируются во время работы: поиск по словам ждёт конца
    индексации, всё остальное работает сразу. Подписчики живой ленты получат указание начать заново.
  Сохраните {from}, пока не убедитесь, что всё в порядке, но не запускайте на нём simod: ожидающее ушло бы дважды.
"
        ),
    )
}
