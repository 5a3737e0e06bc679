//! The command line in Russian.

use anstyle::AnsiColor;
use clap::Command;
use simo_common::command_line::{self, Help, translated};

use crate::terminal::styled;

fn help() -> Help {
    Help::parse(include_str!("help.ru.toml"))
}

/// The command line with Russian help.
pub(crate) fn translate(command: Command) -> Command {
    help().translate(command)
}

/// Explains in Russian why a command line is rejected, or shows the requested help.
pub(crate) fn refusal(error: &clap::Error) -> String {
    let red = AnsiColor::Red.on_default().bold();
    command_line::refusal(error, &styled(red, "ошибка:"))
        .unwrap_or_else(|| translated(&error.render().ansi().to_string()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use simo_common::{command_line::WORDS, lang::Lang};

    use super::*;
    use crate::cli::{self, Cli};

    #[test]
    fn every_command_and_argument_has_its_russian_text_and_no_text_is_left_over() {
        assert_eq!(help().missing_and_unused(&Cli::command()), (vec![], vec![]));
    }

    #[test]
    fn help_and_refusals_are_russian_to_the_last_word() {
        let parse = |line: &str| {
            let words = line.split(' ').map(Into::into).collect();
            refusal(&cli::parse(words, Lang::Ru).unwrap_err())
        };
        for line in [
            "simoctl",
            "simoctl employee import --help",
            "simoctl message send --help",
            "simoctl help topic",
            "simoctl topic",
        ] {
            let help = parse(line);
            for (english, _) in WORDS {
                assert!(!help.contains(english), "{line}: {english}\n{help}");
            }
        }
        assert!(parse("simoctl employe list").contains("нет команды «employe»"));
        assert!(parse("simoctl employee list --limi 3").contains("может быть, «--limit»?"));
        assert!(parse("simoctl topic grant boiler").contains("не указано"));
        assert!(parse("simoctl -o xml topic list").contains("не подходит"));
        assert!(parse("simoctl device invite 1 --valid-for week").contains("нужно число"));
        assert!(parse("simoctl topic list --lang de").contains("нужно `ru` или `en`"));
        assert!(parse("simoctl topic list --url simo").contains("нужен адрес"));
    }
}
