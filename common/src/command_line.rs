//! Command lines in Russian. clap speaks only English: the help comes from a file beside the command line, clap's own words are
//! translated in its rendered output, and refusals are worded anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use clap::{
    Command,
    builder::{Resettable, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::lang::{Text, Wrong};

/// clap's own words, and their translations.
pub const WORDS: &[(&str, &str)] = &[
    ("Usage:", "Использование:"),
    ("Commands:", "Команды:"),
    ("Arguments:", "Аргументы:"),
    ("Global options:", "Общие параметры:"),
    ("Options:", "Параметры:"),
    ("Examples:", "Примеры:"),
    ("Possible values:", "Возможные значения:"),
    ("[possible values:", "[возможные значения:"),
    ("[default:", "[по умолчанию:"),
    ("[OPTIONS]", "[ПАРАМЕТРЫ]"),
    ("<COMMAND>", "<КОМАНДА>"),
    ("[COMMAND]", "[КОМАНДА]"),
    (
        "Print this message or the help of the given subcommand(s)",
        "Показать эту справку или справку по команде",
    ),
];

/// Russian help, keyed by path for a command (`employee import`), by path, slash and id for an argument (`employee import/file`),
/// and by slash and id alone for an argument that means the same everywhere.
#[derive(Debug)]
pub struct Help(BTreeMap<String, String>);

impl Help {
    /// Parses a help file. If it is malformed, clap shows no help.
    pub fn parse(file: &str) -> Self {
        Self(toml::from_str(file).unwrap_or_default())
    }

    /// The command line with this help.
    #[must_use]
    pub fn translate(&self, command: Command) -> Command {
        self.translate_under(command, "")
    }

    fn translate_under(&self, command: Command, path: &str) -> Command {
        let about = self.text(path).to_owned();
        let brief = about.split("\n\n").next().unwrap_or_default().to_owned();
        let whole: Resettable<StyledStr> =
            if brief == about { Resettable::Reset } else { Resettable::Value(about.into()) };
        command
            .about(brief)
            .long_about(whole)
            .mut_args(|argument| {
                let help = self.text_of_argument(path, argument.get_id().as_str()).to_owned();
                // Our help names the variable itself.
                argument.help(help).long_help(Resettable::Reset).hide_env(true)
            })
            .mut_subcommands(|verb| {
                let path = under(path, verb.get_name());
                self.translate_under(verb, &path)
            })
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn text_of_argument(&self, path: &str, id: &str) -> &str {
        let own = self.text(&format!("{path}/{id}"));
        if own.is_empty() { self.text(&format!("/{id}")) } else { own }
    }

    /// For tests: commands and arguments without help in either language, and texts that belong to none.
    pub fn missing_and_unused(&self, command: &Command) -> (Vec<String>, Vec<String>) {
        let (mut keys, mut missing) = (BTreeSet::new(), Vec::new());
        self.look_through(command, "", &mut keys, &mut missing);
        (missing, self.0.keys().filter(|key| !keys.contains(*key)).cloned().collect())
    }

    fn look_through(
        &self,
        command: &Command,
        path: &str,
        keys: &mut BTreeSet<String>,
        missing: &mut Vec<String>,
    ) {
        keys.insert(path.to_owned());
        if self.text(path).is_empty() || command.get_about().is_none() {
            missing.push(path.to_owned());
        }
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            keys.extend([format!("{path}/{id}"), format!("/{id}")]);
            if self.text_of_argument(path, id).is_empty() || argument.get_help().is_none() {
                missing.push(format!("{path}/{id}"));
            }
        }
        for verb in command.get_subcommands() {
            self.look_through(verb, &under(path, verb.get_name()), keys, missing);
        }
    }
}

fn under(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path} {name}") }
}

/// clap's rendered output, in Russian.
pub fn translated(rendered: &str) -> String {
    WORDS.iter().fold(rendered.to_owned(), |text, (english, russian)| text.replace(english, russian))
}

/// Explains in Russian why a command line is rejected, after `mark`; `None` when help was requested instead.
pub fn refusal(error: &clap::Error, mark: &str) -> Option<String> {
    let said = |kind| error.get(kind).map(in_words).unwrap_or_default();
    let argument = said(ContextKind::InvalidArg);
    let value = said(ContextKind::InvalidValue);
    let what = match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => format!("для «{argument}» нужно значение"),
        ErrorKind::InvalidValue => {
            let valid = said(ContextKind::ValidValue);
            format!("значение «{value}» не подходит для «{argument}» [возможные значения: {valid}]")
        }
        ErrorKind::ValueValidation => {
            let cause = std::error::Error::source(error).map(|cause| {
                if cause.is::<std::num::ParseIntError>() {
                    return "нужно целое число".to_owned();
                }
                let ours = cause.downcast_ref::<Wrong>();
                ours.map_or_else(|| cause.to_string(), |wrong| wrong.0.ru.clone())
            });
            let cause = cause.unwrap_or_default();
            format!("значение «{value}» не подходит для «{argument}»: {cause}")
        }
        ErrorKind::UnknownArgument => format!("неизвестный параметр «{argument}»"),
        ErrorKind::InvalidSubcommand => {
            format!("нет команды «{}»", said(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => format!("не указано: {argument}"),
        ErrorKind::ArgumentConflict => {
            let prior = said(ContextKind::PriorArg);
            if prior == argument {
                format!("«{argument}» указан дважды")
            } else {
                format!("«{argument}» нельзя указывать вместе с «{prior}»")
            }
        }
        _ => return None,
    };
    let mut text = format!("{mark} {what}\n");
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
            .map(said)
            .concat();
    if !suggested.is_empty() {
        let _ = writeln!(text, "подсказка: может быть, «{suggested}»?");
    }
    let usage = said(ContextKind::Usage);
    if !usage.is_empty() {
        let _ = writeln!(text, "\n{}", translated(&usage));
    }
    text.push_str("\nСправка: --help\n");
    Some(text)
}

fn in_words(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => {
            texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

/// Parses a span of time: `90` or `90s`, `30m`, `72h`, `7d`; in seconds.
pub fn seconds(text: &str) -> Result<i64, Wrong> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "s" | "с" => Some(1),
        "m" | "м" => Some(60),
        "h" | "ч" => Some(3_600),
        "d" | "д" => Some(86_400),
        _ => None,
    };
    unit.zip(digits.parse::<i64>().ok())
        .and_then(|(unit, count)| count.checked_mul(unit))
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| {
            Wrong(Text::new(
                "expected a number with s, m, h or d: 90s, 30m, 72h, 7d",
                "нужно число с буквой s, m, h или d: 90s, 30m, 72h, 7d",
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_has_a_number_and_perhaps_a_unit() {
        assert_eq!(seconds("90").unwrap(), 90);
        assert_eq!(seconds("72h").unwrap(), 259_200);
        assert_eq!(seconds("7д").unwrap(), 604_800);
        for wrong in ["", "h", "-5", "0", "1w", "9999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
