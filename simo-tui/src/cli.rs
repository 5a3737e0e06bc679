//! The command line.

use std::{ffi::OsString, path::PathBuf, process::exit};

use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _, Parser};
use simo_common::{
    api::history::Sort,
    client::{Connection, ProfileError, Profiles, Wish, parse_url},
    command_line::{self, Help},
    lang::Lang,
    paths,
};
use url::Url;

/// Browse the history of deliveries, live. Press ? inside for every key.
#[derive(Debug, Parser)]
#[command(
    name = "simo-tui",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    disable_version_flag = true
)]
#[allow(clippy::doc_markdown, reason = "these comments are the help text")]
pub(crate) struct Arguments {
    /// What to show at first, as in `state:failed after:today`; negations go after `--`
    #[arg(value_name = "QUERY")]
    pub(crate) query: Vec<String>,
    /// The order: date, employee, state, or with a minus the other way round
    #[arg(long, value_name = "ORDER", default_value = "-date", allow_hyphen_values = true)]
    pub(crate) sort: Sort,
    /// The daemon's Unix socket [env: SIMO_SOCKET]
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    socket: Option<PathBuf>,
    /// The server's address [env: SIMO_URL]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    url: Option<Url>,
    /// CA certificates to trust besides the system's (PEM) [env: SIMO_CA]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The token to call with [env: SIMO_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The client to act for, where you may see several [env: SIMO_CLIENT]
    #[arg(long, value_name = "SLUG")]
    client: Option<String>,
    /// The context to use, see `simoctl context`
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The language to speak: ru or en; that of your locale unless given
    #[arg(long, value_name = "LANG")]
    lang: Option<Lang>,
    /// Show help
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Show the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Parses the command line; help and errors exit here.
pub(crate) fn parse() -> Arguments {
    let words: Vec<OsString> = std::env::args_os().collect();
    let lang = Lang::of_terminal(Lang::said(&words));
    let parsed =
        command(lang).try_get_matches_from(words).and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| {
        if lang == Lang::En || !error.use_stderr() {
            error.exit();
        }
        eprint!("{}", refusal(&error));
        exit(error.exit_code());
    })
}

/// Explains in Russian why a command line is rejected.
fn refusal(error: &clap::Error) -> String {
    command_line::refusal(error, "ошибка:").unwrap_or_else(|| error.to_string())
}

/// The command line, with help in one language.
fn command(lang: Lang) -> Command {
    let command = Arguments::command();
    match lang {
        Lang::En => command,
        Lang::Ru => {
            russian().translate(command).override_usage("simo-tui [ПАРАМЕТРЫ] [ЗАПРОС]...").help_template(
                "{about}\n\nИспользование: {usage}\n\nАргументы:\n{positionals}\n\nПараметры:\n{options}",
            )
        }
    }
}

fn russian() -> Help {
    Help::parse(include_str!("help.ru.toml"))
}

impl Arguments {
    pub(crate) fn language(&self) -> Lang {
        Lang::of_terminal(self.lang)
    }

    /// The server, chosen by flags, environment, context, else the local socket.
    ///
    /// # Errors
    /// When the contexts cannot be read, or the named one does not exist.
    pub(crate) fn connection(&self) -> Result<Connection, ProfileError> {
        let flags = Wish {
            socket: self.socket.clone(),
            url: self.url.clone(),
            token: self.token.clone(),
            client: self.client.clone(),
            ca: self.ca.clone(),
        };
        let environment = Wish::from_environment(|name| std::env::var(name).ok())?;
        let profiles =
            paths::profiles().map_or_else(|| Ok(Profiles::default()), |path| Profiles::load(&path))?;
        Connection::choose(&flags, self.context.as_deref(), &environment, &profiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_russian() {
        let refused = |line: &str| {
            let parsed = command(Lang::Ru).try_get_matches_from(line.split(' '));
            refusal(&parsed.unwrap_err())
        };
        for (line, said) in [
            ("simo-tui --lang de", "нужно `ru` или `en`"),
            ("simo-tui --url simo", "нужен адрес вроде"),
            ("simo-tui --sort size", "возможны значения: date"),
            ("simo-tui --sorted", "неизвестный параметр «--sorted»"),
            ("simo-tui --token", "нужно значение"),
            ("simo-tui --socket s --url http://a", "нельзя указывать вместе"),
            ("simo-tui --ca a --ca b", "указан дважды"),
        ] {
            let told = refused(line);
            assert!(told.starts_with("ошибка: ") && told.contains(said), "{told}");
        }
    }

    #[test]
    fn every_argument_is_explained_in_both_languages() {
        command(Lang::En).debug_assert();
        let help = command(Lang::Ru).render_help().to_string();
        assert!(help.contains("Использование: simo-tui [ПАРАМЕТРЫ] [ЗАПРОС]..."));
        assert_eq!(russian().missing_and_unused(&Arguments::command()), (vec![], vec![]));
    }
}
