//! Confirmation of commands that cannot be undone or that reach many people: asked on a terminal, given by `--yes` in scripts.

use inquire::{Confirm, InquireError, Password, PasswordDisplayMode};
use simo_common::lang::Lang;

use crate::{
    failure::{Exit, Failure},
    terminal,
};

/// Continues if `yes` was given or the person agrees.
///
/// # Errors
/// When the person declines, or there is no terminal to ask on.
pub(crate) fn confirm(question: &str, yes: bool, lang: Lang) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !terminal::can_ask() {
        let what =
            lang.pick(format!("This needs a yes: {question}"), format!("Нужно подтверждение: {question}"));
        return Err(Failure::usage(what).hint(lang.pick(
            "There is no terminal to ask on; add --yes.",
            "Спросить не на чем: нет терминала. Добавьте --yes.",
        )));
    }
    let answer = Confirm::new(question)
        .with_default(false)
        .with_parser(&is_yes)
        .with_error_message(lang.pick("Answer y or n.", "Ответьте «д» или «н»."))
        .with_default_value_formatter(&|_| lang.pick("y/N", "д/Н").to_owned())
        .with_formatter(&|yes| if yes { lang.pick("yes", "да") } else { lang.pick("no", "нет") }.to_owned())
        .prompt();
    if answered(answer, lang)? { Ok(()) } else { Err(unchanged(lang)) }
}

/// Asks for a secret, without echo.
///
/// # Errors
/// When the person cancels.
pub(crate) fn secret(question: &str, lang: Lang) -> Result<String, Failure> {
    let answer = Password::new(question)
        .with_display_mode(PasswordDisplayMode::Hidden)
        .without_confirmation()
        .prompt();
    answered(answer, lang)
}

fn answered<T>(answer: Result<T, InquireError>, lang: Lang) -> Result<T, Failure> {
    answer.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => unchanged(lang),
        other => Failure::failed(lang.pick(
            format!("Cannot ask on this terminal: {other}."),
            format!("Не удаётся спросить на этом терминале: {other}."),
        )),
    })
}

fn unchanged(lang: Lang) -> Failure {
    Failure::new(Exit::Failed, lang.pick("Nothing was changed.", "Ничего не изменено."))
}

/// Parses an answer in either language, in any keyboard layout.
fn is_yes(answer: &str) -> Result<bool, ()> {
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" | "д" | "да" => Ok(true),
        "n" | "no" | "н" | "нет" => Ok(false),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_in_either_language() {
        assert_eq!(is_yes(" ДА "), Ok(true));
        assert_eq!(is_yes("y"), Ok(true));
        assert_eq!(is_yes("нет"), Ok(false));
        assert_eq!(is_yes("maybe"), Err(()));
    }

    #[test]
    fn yes_on_the_command_line_asks_nobody() {
        assert!(confirm("Remove everything?", true, Lang::En).is_ok());
    }
}
