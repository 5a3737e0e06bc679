//! `simo-tui`: browses the history of deliveries in the terminal, live.
//!
//! Model, update, view: `action` defines the inputs, `update` (pure) applies them to `model`, `view` draws the screen from it;
//! `runtime` connects them to terminal, clock and network.

mod action;
mod cli;
mod complete;
#[cfg(test)]
mod fixture;
mod history;
mod keys;
mod model;
mod runtime;
mod text;
mod update;
mod view;

use std::{
    io::{IsTerminal as _, stdin, stdout},
    process::ExitCode,
};

use jiff::tz::TimeZone;
use simo_common::client::{Connection, Server};

use crate::model::{Model, Selection};

/// Exit code: something went wrong.
const FAILED: u8 = 1;
/// Exit code: wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = cli::parse();
    let lang = arguments.language();
    if !(stdout().is_terminal() && stdin().is_terminal()) {
        eprintln!(
            "simo-tui: {}",
            lang.pick(
                "needs a terminal. For scripts and pipes there is `simoctl message list`.",
                "нужен терминал. Для сценариев и каналов есть `simoctl message list`."
            )
        );
        return ExitCode::from(USAGE);
    }
    let connection = match arguments.connection() {
        Ok(connection) => connection,
        Err(cause) => {
            let (what, hint) = cause.in_words(lang);
            eprintln!("simo-tui: {what}");
            if let Some(hint) = hint {
                eprintln!("{hint}");
            }
            return ExitCode::from(USAGE);
        }
    };
    let wanted = Selection { query: arguments.query.join(" "), sort: arguments.sort };
    if let Err(mistakes) = simo_common::query::parse(&wanted.query) {
        eprintln!("simo-tui: {}", lang.pick("the query is not understood", "запрос непонятен"));
        eprintln!("  {}", wanted.query);
        for mistake in mistakes {
            let before = " ".repeat(mistake.column.saturating_sub(1));
            eprintln!("  {before}^ {}", mistake.message(lang));
        }
        return ExitCode::from(USAGE);
    }
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut model = Model::new(lang, TimeZone::system(), named(&connection), wanted, runtime::now());
    model.client.clone_from(&connection.client);
    model.colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match started(model, connection) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("simo-tui: {cause:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn started(model: Model, connection: Connection) -> anyhow::Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = tokio.block_on(runtime::run(model, connection));
    // The terminal reader may block until one more event: do not wait for it.
    tokio.shutdown_background();
    done
}

/// The server's name as the operator knows it.
fn named(connection: &Connection) -> String {
    match &connection.server {
        Server::Url(url) => url.as_str().trim_end_matches('/').to_owned(),
        Server::Socket(path) => path.display().to_string(),
    }
}
