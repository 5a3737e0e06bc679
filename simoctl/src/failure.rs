//! The error type of all commands. Its kind determines the exit code; people read what happened, why, and what to do next.

mod way;

use std::{io, process::ExitCode};

use anstyle::{AnsiColor, Style};
use simo_common::{
    api::problem::Problem,
    client::{Connection, Error, ProfileError, Server},
    lang::Lang,
};

use crate::terminal::{harmless, styled, talk};

/// The program's exit codes; scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command failed.
    Failed = 1,
    /// The command line is incomplete or wrong.
    Usage = 2,
    /// A named object does not exist.
    NotFound = 3,
    /// The caller is not allowed to do it, or is unknown.
    NotAllowed = 4,
    /// It conflicts with the present state.
    Conflict = 5,
    /// No server answered.
    Unreachable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused the call, or did not answer.
    Call(Error),
    /// The profiles cannot be used.
    Profile(ProfileError),
    /// Stdout cannot be written; a closed pipe is not a failure.
    Output(io::Error),
    /// An error found by the command itself, in the person's language.
    Said(Box<Said>),
}

/// A failure's texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    exit: Exit,
    what: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self::Said(Box::new(Said { exit, what: what.into(), details: Vec::new(), hint: None }))
    }

    /// The command failed.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// The command line is incomplete or wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Said(said) = &mut self {
            said.hint = Some(hint.into());
        }
        self
    }

    /// Adds all single mistakes.
    pub(crate) fn details(mut self, details: Vec<String>) -> Self {
        if let Self::Said(said) = &mut self {
            said.details = details;
        }
        self
    }

    /// The exit code; `None` if the program still succeeds.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Call(error) => Some(exit_of(error)),
            Self::Said(said) => Some(said.exit),
            Self::Profile(ProfileError::Variable { .. }) => Some(Exit::Usage),
            Self::Profile(ProfileError::Unknown { .. }) => Some(Exit::NotFound),
            Self::Profile(_) | Self::Output(_) => Some(Exit::Failed),
        }
    }

    /// Prints the failure, and returns the exit code.
    pub(crate) fn report(&self, lang: Lang, connection: Option<&Connection>) -> ExitCode {
        let Some(exit) = self.exit() else {
            return ExitCode::SUCCESS;
        };
        let said = self.in_words(exit, lang, connection);
        let red = AnsiColor::Red.on_default().bold();
        let error = styled(red, lang.pick("error:", "ошибка:"));
        talk(&format!("{error} {}", harmless(&said.what)));
        for detail in &said.details {
            talk(&format!("  {}", harmless(detail)));
        }
        if let Some(hint) = &said.hint {
            let hint = harmless(hint);
            let label = styled(Style::new().bold(), lang.pick("hint:", "подсказка:"));
            talk(&format!("{label} {hint}"));
        }
        exit.into()
    }

    fn in_words(&self, exit: Exit, lang: Lang, connection: Option<&Connection>) -> Said {
        let (what, details, hint) = match self {
            Self::Call(error) => call_in_words(error, lang, connection),
            Self::Profile(error) => {
                let (what, hint) = error.in_words(lang);
                (what, Vec::new(), hint)
            }
            Self::Output(cause) => (
                lang.pick(
                    format!("Cannot write the result: {cause}."),
                    format!("Не удаётся вывести результат: {cause}."),
                ),
                Vec::new(),
                None,
            ),
            Self::Said(said) => (said.what.clone(), said.details.clone(), said.hint.clone()),
        };
        Said { exit, what, details, hint }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Problem(problem) => match problem.status {
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            _ => Exit::Failed,
        },
        // A proxy's answer when the server behind it is down.
        Error::Foreign { status: 502..=504, .. } | Error::Unreachable(_) => Exit::Unreachable,
        Error::Replaced => Exit::Conflict,
        Error::Foreign { .. } => Exit::Failed,
        Error::Certificates(_) => Exit::Usage,
    }
}

type Words = (String, Vec<String>, Option<String>);

fn call_in_words(error: &Error, lang: Lang, connection: Option<&Connection>) -> Words {
    match error {
        Error::Problem(problem) => problem_in_words(problem, lang, connection),
        Error::Unreachable(cause) => {
            let (what, hint) = way::unreachable(connection, cause, lang);
            (what, vec![cause.clone()], hint)
        }
        Error::Replaced => (
            lang.pick(
                "Another phone with the same identity has taken the place of this one.",
                "Другой телефон с теми же данными занял место этого.",
            )
            .to_owned(),
            Vec::new(),
            None,
        ),
        Error::Certificates(cause) => (
            lang.pick(
                format!("The CA certificates cannot be used: {cause}."),
                format!("Сертификаты удостоверяющих центров нельзя использовать: {cause}."),
            ),
            Vec::new(),
            Some(
                lang.pick(
                    "--ca and SIMO_CA name a file with certificates in PEM.",
                    "--ca и SIMO_CA называют файл с сертификатами в PEM.",
                )
                .to_owned(),
            ),
        ),
        Error::Foreign { status, text } => (
            lang.pick(
                format!("What answered is not SiMO (HTTP {status})."),
                format!("Ответил не SiMO (HTTP {status})."),
            ),
            vec![text.clone()],
            Some(
                lang.pick(
                    "Check the address, and any proxy on the way.",
                    "Проверьте адрес и прокси по пути.",
                )
                .to_owned(),
            ),
        ),
    }
}

fn problem_in_words(problem: &Problem, lang: Lang, connection: Option<&Connection>) -> Words {
    let mut details: Vec<_> =
        problem.errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
    // A single error is usually part of the problem's own text.
    details.retain(|detail| !problem.detail.ends_with(detail));
    if let Some(id) = problem.request_id.as_ref().filter(|_| problem.status >= 500) {
        details.push(format!("x-request-id: {id}"));
    }
    let token = connection.and_then(|c| c.token.as_deref());
    if problem.status == 401 && token.is_some_and(|token| !token.starts_with("simo_")) {
        let what = lang.pick("That is not a SiMO token.", "Это не токен SiMO.");
        let hint = lang.pick(
            "A token begins with `simo_`: see --token, SIMO_TOKEN and `simoctl context show`.",
            "Токен начинается с `simo_`: см. --token, SIMO_TOKEN и `simoctl context show`.",
        );
        return (what.to_owned(), details, Some(hint.to_owned()));
    }
    let unknown_caller = problem.status == 401 && connection.is_some_and(|c| c.token.is_none());
    let hint = if unknown_caller {
        let text = lang.pick(
            "Give a token: `simoctl login`, --token or SIMO_TOKEN.",
            "Укажите токен: `simoctl login`, --token или SIMO_TOKEN.",
        );
        Some(text.to_owned())
    } else if problem.errors.iter().any(|error| error.field == "client") {
        let text = lang.pick(
            "Name it with --client SLUG or SIMO_CLIENT; `simoctl client list` shows them, `simoctl client add` makes one.",
            "Укажите его: --client ИМЯ или SIMO_CLIENT; список — `simoctl client list`, новый — `simoctl client add`.",
        );
        Some(text.to_owned())
    } else {
        problem.hint.clone()
    };
    (problem.detail.clone(), details, hint)
}

/// The server's address as people write it.
pub(crate) fn place(server: &Server) -> String {
    match server {
        Server::Url(url) => url.to_string(),
        Server::Socket(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16) -> Failure {
        Failure::Call(Error::Problem(Box::new(Problem {
            kind: "about:blank".into(),
            title: String::new(),
            status,
            code: String::new(),
            detail: "нет".into(),
            hint: None,
            errors: Vec::new(),
            request_id: Some("seven".into()),
        })))
    }

    #[test]
    fn an_error_of_the_server_names_the_request_under_which_its_log_says_more() {
        let told = |status| problem(status).in_words(Exit::Failed, Lang::En, None).details;
        assert_eq!(told(500), ["x-request-id: seven"]);
        assert_eq!(told(422), [""; 0]);
    }

    #[test]
    fn the_kind_of_a_failure_chooses_the_exit_code() {
        for (status, exit) in [
            (400, Exit::Failed),
            (422, Exit::Failed),
            (503, Exit::Failed),
            (404, Exit::NotFound),
            (401, Exit::NotAllowed),
            (403, Exit::NotAllowed),
            (409, Exit::Conflict),
        ] {
            assert_eq!(problem(status).exit(), Some(exit), "{status}");
        }
        let away = Failure::Call(Error::Unreachable(String::new()));
        assert_eq!(away.exit(), Some(Exit::Unreachable));
        assert_eq!(Failure::usage("?").exit(), Some(Exit::Usage));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), None);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Some(Exit::Failed));
    }
}
