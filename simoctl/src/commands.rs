//! The commands, one file per noun, each with its arguments, its actions and the layout of its records.

pub(crate) mod acs;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod device;
mod doctor;
pub(crate) mod employee;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod group;
pub(crate) mod listen;
pub(crate) mod login;
pub(crate) mod message;
pub(crate) mod operator;
mod priority;
mod public_address;
mod secret_file;
mod site;
pub(crate) mod token;
pub(crate) mod topic;
mod whoami;

use std::{
    fmt::Display,
    fs,
    io::{self, Read as _},
    path::Path,
};

use clap::Args;
use simo_common::{
    client::ListQuery,
    lang::{Lang, Wrong},
    text,
};
use uuid::Uuid;

use crate::{cli::Noun, failure::Failure, session::Session};

/// Parses an id.
pub(crate) fn id(text: &str) -> Result<Uuid, Wrong> {
    text.parse().map_err(|_| {
        Wrong(text!(
            "an id looks like 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b; `list` shows them",
            "id выглядит так: 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b; их показывает `list`"
        ))
    })
}

/// Parses the maximum number of rows of a list.
pub(crate) fn rows(text: &str) -> Result<u64, Wrong> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| Wrong(text!("must be a whole number, 1 or more", "нужно целое число, от 1")))
}

/// The path that stands for standard input or output.
const STDIO: &str = "-";

/// Whether a path stands for standard input or output.
fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == STDIO
}

/// Reads a file or standard input.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if !is_stdio(path) {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map(|_| bytes)
}

/// Reads a file or standard input as text.
fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bytes(path)?).map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))
}

/// The file's name in messages to people.
fn called(path: &Path, lang: Lang) -> String {
    if is_stdio(path) {
        lang.pick("standard input", "стандартный ввод").to_owned()
    } else {
        path.display().to_string()
    }
}

/// Error: the file or standard input cannot be read.
fn unreadable(session: &Session, path: &Path, cause: impl Display) -> Failure {
    let path = called(path, session.lang);
    Failure::failed(
        session
            .say(format!("Cannot read {path}: {cause}."), format!("Не удаётся прочитать {path}: {cause}.")),
    )
}

/// Error: two arguments both want standard input.
fn only_one_input(session: &Session, one: &str, other: &str) -> Failure {
    Failure::usage(session.say(
        format!("Only one of {one} and {other} can come from standard input."),
        format!("Со стандартного ввода можно взять только одно: {one} или {other}."),
    ))
}

/// Error: the file or directory cannot be written.
fn unwritable(session: &Session, path: &Path, cause: impl Display) -> Failure {
    let path = path.display();
    Failure::failed(
        session
            .say(format!("Cannot write {path}: {cause}."), format!("Не удаётся записать {path}: {cause}.")),
    )
}

/// Runs a command.
pub(crate) async fn run(session: &Session, noun: Noun) -> Result<(), Failure> {
    match noun {
        Noun::Client(verb) => client::run(session, verb).await,
        Noun::Operator(verb) => operator::run(session, verb).await,
        Noun::Acs(verb) => acs::run(session, verb).await,
        Noun::Token(verb) => token::run(session, verb).await,
        Noun::Employee(verb) => employee::run(session, verb).await,
        Noun::Group(verb) => group::run(session, verb).await,
        Noun::Topic(verb) => topic::run(session, verb).await,
        Noun::Device(verb) => device::run(session, verb).await,
        Noun::Message(verb) => message::run(session, verb).await,
        Noun::Audit(verb) => audit::run(session, verb).await,
        Noun::Clock(verb) => clock::run(session, verb).await,
        Noun::Apply(apply) => apply::run(session, apply).await,
        Noun::Export(export) => export::run(session, export).await,
        Noun::Listen(listen) => listen::run(session, listen).await,
        Noun::Login(login) => login::run(session, login).await,
        Noun::Logout(logout) => login::log_out(session, logout).await,
        Noun::Context(verb) => context::run(session, verb),
        Noun::Whoami => whoami::run(session).await,
        Noun::Doctor => doctor::run(session).await,
        Noun::Completions(completions) => generate::completions(&completions, session),
        Noun::Man(man) => generate::man(&man, session),
    }
}

/// Which rows of a list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those with all of these words in their names
    text: Vec<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", value_parser = rows)]
    limit: Option<u64>,
    /// With archived ones
    #[arg(long)]
    archived: bool,
}

impl ListArgs {
    fn query(&self) -> ListQuery {
        ListQuery {
            query: (!self.text.is_empty()).then(|| self.text.join(" ")),
            archived: self.archived,
            ..ListQuery::default()
        }
    }
}
