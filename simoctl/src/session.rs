//! State common to all commands: the language, the printer, and the server, opened at the first call.

use std::{cell::OnceCell, collections::HashSet, path::PathBuf, process::ExitCode};

use anstyle::AnsiColor;
use serde::Serialize;
use simo_common::{
    client::{self, Client, Connection, ListQuery, Profiles, Wish},
    lang::Lang,
    page::Page,
    paths,
};

use crate::{
    ask,
    cli::Globals,
    failure::Failure,
    output::{Printer, Record},
    terminal::{styled, talk},
};

/// Rows per request.
const PAGE: u64 = 500;

/// One run of the program.
pub(crate) struct Session {
    pub(crate) lang: Lang,
    /// The printer for data.
    pub(crate) out: Printer,
    globals: Globals,
    connection: OnceCell<(Connection, Client)>,
}

impl Session {
    /// A run with these global flags.
    pub(crate) fn new(globals: Globals, lang: Lang) -> Self {
        Self { lang, out: Printer::new(globals.output, lang), globals, connection: OnceCell::new() }
    }

    pub(crate) fn say<T>(&self, english: T, russian: T) -> T {
        self.lang.pick(english, russian)
    }

    /// The server to call, and as which caller.
    pub(crate) fn connection(&self) -> Result<&Connection, Failure> {
        self.opened().map(|(connection, _)| connection)
    }

    /// The HTTP client of the server.
    pub(crate) fn client(&self) -> Result<&Client, Failure> {
        self.opened().map(|(_, client)| client)
    }

    fn opened(&self) -> Result<&(Connection, Client), Failure> {
        if let Some(opened) = self.connection.get() {
            return Ok(opened);
        }
        self.connect(self.chosen()?)
    }

    /// The server chosen by flags, environment and profiles.
    pub(crate) fn chosen(&self) -> Result<Connection, Failure> {
        let flags = self.flags();
        Ok(Connection::choose(&flags, self.context(), &environment()?, &self.profiles()?)?)
    }

    /// Opens a server for the rest of the session.
    pub(crate) fn connect(&self, connection: Connection) -> Result<&(Connection, Client), Failure> {
        let client = connection.open(self.lang)?;
        Ok(self.connection.get_or_init(|| (connection, client)))
    }

    /// The settings given by flags.
    pub(crate) fn flags(&self) -> Wish {
        Wish {
            socket: self.globals.socket.clone(),
            url: self.globals.url.clone(),
            token: self.globals.token.clone(),
            client: self.globals.client.clone(),
            ca: self.globals.ca.clone(),
        }
    }

    pub(crate) fn context(&self) -> Option<&str> {
        self.globals.context.as_deref()
    }

    pub(crate) fn profiles(&self) -> Result<Profiles, Failure> {
        Ok(Profiles::load(&self.profile_directory()?)?)
    }

    /// Saves changed profiles.
    pub(crate) fn save(&self, profiles: &Profiles) -> Result<(), Failure> {
        Ok(profiles.save(&self.profile_directory()?)?)
    }

    fn profile_directory(&self) -> Result<PathBuf, Failure> {
        paths::profiles().ok_or_else(|| {
            Failure::failed(self.say(
                "There is no home directory to keep contexts in.",
                "Нет домашнего каталога, где хранить контексты.",
            ))
        })
    }

    /// Continues if the person agrees, or with `--yes`.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Failure> {
        ask::confirm(question, self.globals.yes, self.lang)
    }

    pub(crate) fn agreed(&self) -> bool {
        self.globals.yes
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.globals.quiet
    }

    /// Prints a message to the person, on stderr.
    pub(crate) fn talk(&self, text: &str) {
        if !self.globals.quiet {
            talk(text);
        }
    }

    /// Prints a success message.
    pub(crate) fn done(&self, text: &str) {
        let mark = styled(AnsiColor::Green.on_default(), "✓");
        self.talk(&format!("{mark} {}", crate::terminal::one_line(text)));
    }

    /// Prints a success message to people, and the resulting record to programs.
    pub(crate) fn made(&self, record: &impl Record, text: &str) -> Result<(), Failure> {
        if self.out.is_structured() {
            self.out.record(record)?;
        }
        self.done(text);
        Ok(())
    }

    /// Writes a list page by page, up to `limit` rows, and says when there are more. Rows that move to another page meanwhile are
    /// recognised by `key` and written once.
    pub(crate) async fn list<T: Record + Serialize>(
        &self,
        query: ListQuery,
        limit: Option<u64>,
        key: impl Fn(&T) -> String,
        fetch: impl AsyncFn(&ListQuery) -> client::Result<Page<T>>,
    ) -> Result<(), Failure> {
        let mut rows = self.out.rows();
        let mut left = limit.unwrap_or(u64::MAX);
        let mut seen = HashSet::new();
        let mut query = query;
        let page = query.limit.map_or(PAGE, u64::from);
        while left > 0 {
            query.limit = Some(left.min(page) as u32);
            let page = fetch(&query).await?;
            for record in &page.items {
                if left > 0 && seen.insert(key(record)) {
                    rows.push(record)?;
                    left -= 1;
                }
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        rows.finish()?;
        if query.cursor.is_some() && left == 0 {
            self.talk(self.say("There are more: see --limit.", "Это не все: см. --limit."));
        }
        Ok(())
    }

    /// Prints a failure, and returns the exit code.
    pub(crate) fn report(&self, failure: &Failure) -> ExitCode {
        let connection = self.connection.get().map(|(connection, _)| connection);
        failure.report(self.lang, connection)
    }
}

/// The settings from the environment.
pub(crate) fn environment() -> Result<Wish, Failure> {
    Ok(Wish::from_environment(|name| std::env::var(name).ok())?)
}
