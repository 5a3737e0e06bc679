//! The command line: the nouns, and the flags common to all of them. `--help` comes from the doc comments, in Russian from the
//! tables beside them (`russian`).

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use simo_common::{client::parse_url, lang::Lang};
use url::Url;

use crate::{commands, examples, failure::Exit, output::Format, russian, terminal};

const EXAMPLES: &str = "\
Examples:
  simoctl client add romashka --name 'ООО «Ромашка»'
  simoctl --client romashka token issue --acs 1c
  simoctl --client romashka employee import employees.csv --dry-run
  simoctl --client romashka topic add boiler --name 'Котельная'
  simoctl --client romashka topic grant boiler --everyone
  simoctl --client romashka device invite 100001
  simoctl --client romashka message send --topic boiler --title 'Котёл №2: давление'
  simoctl --client romashka message list state:failed after:today
  simoctl login https://simo.example.org";

/// Administers SiMO: who may send, who receives, and who got what
#[derive(Debug, Parser)]
#[command(
    name = "simoctl",
    version,
    after_help = EXAMPLES,
    max_term_width = 110,
    args_override_self = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::doc_markdown, reason = "these comments are what a terminal shows")]
pub(crate) struct Globals {
    /// The daemon's Unix socket [env: SIMO_SOCKET]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "url")]
    pub(crate) socket: Option<PathBuf>,
    /// The server's address [env: SIMO_URL]
    #[arg(long, global = true, value_name = "URL", value_parser = parse_url)]
    pub(crate) url: Option<Url>,
    /// CA certificates to trust besides the system's (PEM) [env: SIMO_CA]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The token to call with [env: SIMO_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// The client to act for, where you may see several [env: SIMO_CLIENT]
    #[arg(long, global = true, value_name = "SLUG")]
    pub(crate) client: Option<String>,
    /// The context to use, see `simoctl context`
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// How to write data; a table on a terminal and tab-separated text in a pipe unless given
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum)]
    pub(crate) output: Option<Format>,
    /// The language to speak: ru or en; that of your locale unless given
    #[arg(long, global = true, value_name = "LANG")]
    pub(crate) lang: Option<Lang>,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Say nothing but data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show help
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Show the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Legal entities that use SiMO
    #[command(subcommand, after_help = examples::CLIENT)]
    Client(commands::client::Verb),
    /// People who administer
    #[command(subcommand, after_help = examples::OPERATOR)]
    Operator(commands::operator::Verb),
    /// Automated control systems that post messages
    #[command(subcommand, after_help = examples::ACS)]
    Acs(commands::acs::Verb),
    /// Codes with which ACS and operators get in
    #[command(subcommand, after_help = examples::TOKEN)]
    Token(commands::token::Verb),
    /// People who receive messages
    #[command(subcommand, after_help = examples::EMPLOYEE)]
    Employee(commands::employee::Verb),
    /// Employees together: a department, a shift
    #[command(subcommand, after_help = examples::GROUP)]
    Group(commands::group::Verb),
    /// Kinds of information, and who may receive them
    #[command(subcommand, after_help = examples::TOPIC)]
    Topic(commands::topic::Verb),
    /// Phones, and invitations for new ones
    #[command(subcommand, after_help = examples::DEVICE)]
    Device(commands::device::Verb),
    /// Messages: send them, find out who got what
    #[command(subcommand, after_help = examples::MESSAGE)]
    Message(commands::message::Verb),
    /// Who changed what
    #[command(subcommand, after_help = examples::AUDIT)]
    Audit(commands::audit::Verb),
    /// The server's clock, and how it was set
    #[command(subcommand, after_help = examples::CLOCK)]
    Clock(commands::clock::Verb),
    /// Make everything as files describe it: clients, operators, ACS, groups, employees, topics, grants
    Apply(commands::apply::Apply),
    /// Write what there is as files for `apply`
    #[command(after_help = examples::EXPORT)]
    Export(commands::export::Export),
    /// Be a phone: receive messages in this terminal
    Listen(commands::listen::Listen),
    /// Log in, and keep the server as a context
    Login(commands::login::Login),
    /// End a session, and forget the context
    #[command(after_help = examples::LOGOUT)]
    Logout(commands::login::Logout),
    /// Servers that you work with
    #[command(subcommand, after_help = examples::CONTEXT)]
    Context(commands::context::Verb),
    /// Say who you are to the server
    Whoami,
    /// Check the way to the server, and how it is
    Doctor,
    /// Print completions for a shell
    Completions(commands::generate::Completions),
    /// Print the manual page
    #[command(after_help = examples::MAN)]
    Man(commands::generate::Man),
}

/// The whole command line, with help in one language.
pub(crate) fn command(lang: Lang) -> clap::Command {
    let command = Cli::command().mut_subcommands(|noun| noun.disable_help_subcommand(true));
    match lang {
        Lang::En => command,
        Lang::Ru => russian::translate(command),
    }
}

/// Parses the command line.
pub(crate) fn parse(arguments: Vec<OsString>, lang: Lang) -> Result<Cli, clap::Error> {
    let mut arguments = negations_last(arguments);
    if arguments.len() <= 1 {
        arguments.push("-h".into());
    }
    let mut command = command(lang);
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Explains why a command line is rejected, or shows the requested help.
pub(crate) fn refuse(refusal: &clap::Error, lang: Lang) -> ExitCode {
    let styled = match lang {
        Lang::En => refusal.render().ansi().to_string(),
        Lang::Ru => russian::refusal(refusal),
    };
    if refusal.use_stderr() {
        terminal::talk(styled.trim_end());
        return Exit::Usage.into();
    }
    terminal::show(&styled);
    ExitCode::SUCCESS
}

/// Moves the negated words of a history query (`-state:read`, `-тест`), which look like flags, behind a `--`. The order of a
/// query's words does not matter.
fn negations_last(arguments: Vec<OsString>) -> Vec<OsString> {
    let asks_history =
        arguments.windows(2).any(|pair| pair[0] == "message" && (pair[1] == "list" || pair[1] == "watch"));
    if !asks_history || arguments.iter().any(|word| word == "--") {
        return arguments;
    }
    let (negated, mut rest): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|word| word.to_str().is_some_and(is_negation));
    if !negated.is_empty() {
        rest.push("--".into());
        rest.extend(negated);
    }
    rest
}

/// Whether it is a negated query word: simoctl's flags are ASCII, have no colon, and begin with one of these letters.
fn is_negation(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|term| {
        term.contains(':') || !term.is_ascii() || !term.starts_with(['-', 'o', 'y', 'q', 'h', 'V'])
    }) && !word.starts_with("--")
        && word.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_sound_in_both_languages() {
        command(Lang::En).debug_assert();
        command(Lang::Ru).debug_assert();
    }

    #[test]
    fn a_negated_word_of_a_query_is_no_flag() {
        let line = words("simoctl message list -state:read котёл -o json -тест --limit 5");
        let Noun::Message(commands::message::Verb::List(list)) = parse(line, Lang::En).unwrap().noun else {
            panic!("not a list");
        };
        assert_eq!(list.query, ["котёл", "-state:read", "-тест"]);
        for flags in ["-ojson", "-yq", "--all"] {
            let line = format!("simoctl message list {flags} -test");
            assert!(parse(words(&line), Lang::En).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_later_flag_goes_before_an_earlier_one_and_lists_grow() {
        let line = "simoctl --client a message send --client b --employee 1 --employee 2,3 --title x";
        let parsed = parse(words(line), Lang::En).unwrap();
        assert_eq!(parsed.globals.client.as_deref(), Some("b"));
        let Noun::Message(commands::message::Verb::Send(send)) = parsed.noun else {
            panic!("nothing to send");
        };
        assert!(format!("{send:?}").contains(r#"employees: ["1", "2", "3"]"#), "{send:?}");
    }

    #[test]
    fn nothing_typed_is_answered_with_help_and_examples() {
        let help = parse(words("simoctl"), Lang::En).unwrap_err();
        assert!(!help.use_stderr());
        assert!(help.to_string().contains("device invite 100001"), "{help}");
    }
}
