//! The commands of `simod`.

/// Prints a line for people watching. A closed output is ignored.
macro_rules! say {
    () => { say!("") };
    ($($line:tt)*) => {
        let _closed = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($line)*)));
    };
}

/// The same on standard error, beside the result.
macro_rules! say_aside {
    ($($line:tt)*) => {
        let _closed = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($line)*)));
    };
}

mod copy;
mod demo;
mod open;
mod russian;
mod serve;
mod tls;
mod vapid;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{
    ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use simo_common::lang::Lang;
use simod::{
    config::{self, Config, ConfigError},
    store::{self, copy::CopyError},
};

/// SiMO's daemon: takes messages from automated control systems, delivers them to employees' phones, keeps the history.
#[derive(Debug, Parser)]
#[command(
    name = "simod",
    version,
    arg_required_else_help = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
struct Arguments {
    /// The language: ru or en; that of the locale unless given
    #[arg(long, global = true)]
    lang: Option<Lang>,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(serve::ServeArguments),
    /// Show the whole way of a message: a daemon in a temporary directory, an ACS, three phones, and your browser as one more.
    Demo {
        /// Listen beyond this machine, for a phone in the same network; codes live ten minutes.
        #[arg(long)]
        lan: bool,
    },
    /// Create or migrate the database and leave.
    Migrate(MigrateArguments),
    /// Copy an installation from an SQLite file to a PostgreSQL server.
    #[command(long_about = copy::ABOUT, after_help = copy::EXAMPLES)]
    Copy(copy::CopyArguments),
    /// Print the effective configuration as TOML, secrets hidden.
    Config(ConfigArguments),
    /// Show or replace the key with which browsers subscribe to Web Push.
    Vapid(vapid::VapidArguments),
    /// HTTPS for a plant without certificates.
    Tls(tls::TlsArguments),
}

/// Where the configuration comes from; each of these overrides the file and the environment.
#[derive(Debug, Clone, Args)]
struct ConfigArguments {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "SIMO_CONFIG")]
    config: Option<PathBuf>,
    /// The database: `sqlite:/path/simo.db` or `postgres://user:password@host/simo` [env: `SIMO_DATABASE`]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The TCP address to listen on; port 0 picks a free one [env: `SIMO_LISTEN`]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The certificate to serve HTTPS with, and those between it and the CA (PEM) [env: `SIMO_TLS_CERTIFICATE`]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<String>,
    /// The certificate's private key (PEM) [env: `SIMO_TLS_KEY`]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Speak plain HTTP on an address that other machines reach: a proxy before it speaks HTTPS [env:
    /// `SIMO_ALLOW_PLAIN_HTTP`]
    #[arg(long)]
    allow_plain_http: bool,
    /// The Unix socket for local administration [env: `SIMO_SOCKET`]
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
}

#[derive(Debug, Args)]
struct MigrateArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only say what would be run.
    #[arg(long)]
    check: bool,
}

impl ConfigArguments {
    fn load(&self) -> anyhow::Result<Config> {
        let flags = [
            ("database", self.database.clone()),
            ("listen", self.listen.clone()),
            ("tls_certificate", self.tls_certificate.clone()),
            ("tls_key", self.tls_key.clone()),
            ("allow_plain_http", self.allow_plain_http.then(|| true.to_string())),
            ("socket", self.socket.clone()),
        ];
        let flags: Vec<_> =
            flags.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
        // Names and values that are not valid Unicode are not ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(config::load(self.config.as_deref(), variables, &flags)?)
    }
}

/// Parses the arguments and runs the command.
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let lang = Lang::of_terminal(Lang::said(&words));
    let arguments = match parse(words, lang) {
        Ok(arguments) => arguments,
        Err(refusal) => return refuse(&refusal, lang),
    };
    let result = match arguments.command {
        Command::Serve(arguments) => serve::serve(&arguments, lang),
        Command::Demo { lan } => demo::demo(lang, lan),
        Command::Migrate(arguments) => serve::migrate(&arguments.config, arguments.check, lang),
        Command::Copy(arguments) => copy::copy(&arguments, lang),
        Command::Vapid(arguments) => vapid::vapid(arguments, lang),
        Command::Tls(arguments) => tls::tls(arguments, lang),
        Command::Config(arguments) => arguments.load().and_then(|config| print(&config.shown(), lang)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_aside!("simod: {}", told(&error, lang));
            ExitCode::FAILURE
        }
    }
}

/// Prints a result. A closed output is ignored.
fn print(text: &str, lang: Lang) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context(lang.pick("cannot write the result", "не удаётся записать результат")),
    }
}

fn parse(words: Vec<OsString>, lang: Lang) -> Result<Arguments, clap::Error> {
    let english = Arguments::command();
    let mut command = lang.pick(english.clone(), russian::translate(english));
    let mut matches = command.try_get_matches_from_mut(words).map_err(without_password)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The invalid value may be a URL with a password.
fn without_password(mut refusal: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = refusal.get(ContextKind::InvalidValue) {
        let shown = config::without_password(value);
        refusal.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    refusal
}

/// Reports a command line that is not understood, or shows the requested help.
fn refuse(refusal: &clap::Error, lang: Lang) -> ExitCode {
    match lang {
        Lang::En => {
            // A closed output is ignored.
            let _closed = refusal.print();
        }
        Lang::Ru if refusal.use_stderr() => eprint!("{}", russian::refusal(refusal)),
        Lang::Ru => print!("{}", russian::refusal(refusal)),
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(2))
}

/// An error with its causes. Many errors contain their cause's text: nothing is repeated.
fn told(error: &anyhow::Error, lang: Lang) -> String {
    error
        .chain()
        .map(|cause| in_words(cause, lang))
        .reduce(|said, cause| if said.contains(&cause) { said } else { format!("{said}: {cause}") })
        .unwrap_or_default()
}

/// One cause, in the reader's language if the error is ours.
fn in_words(cause: &(dyn std::error::Error + 'static), lang: Lang) -> String {
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        error.in_words(lang)
    } else if let Some(error) = cause.downcast_ref::<CopyError>() {
        error.in_words(lang)
    } else if let Some(error) = cause.downcast_ref::<store::Error>() {
        error.in_words(lang)
    } else {
        cause.to_string()
    }
}
