//! The command line in Russian.

use clap::Command;
use simo_common::command_line::{self, Help};

fn help() -> Help {
    Help::parse(include_str!("help.ru.toml"))
}

/// The words of English help besides clap's own.
const WORDS: &[(&str, &str)] = &[
    (
        "The password may stand in PGPASSWORD or ~/.pgpass instead of the URL.",
        "Пароль может стоять в PGPASSWORD или ~/.pgpass вместо URL.",
    ),
    ("<FILE>", "<ФАЙЛ>"),
    ("<PATH>", "<ПУТЬ>"),
    ("<ADDR>", "<АДРЕС>"),
    ("<TIME>", "<ВРЕМЯ>"),
    ("<NAME_OR_IP>", "<ИМЯ_ИЛИ_IP>"),
    ("<DIR>", "<КАТАЛОГ>"),
    ("<LANG>", "<ЯЗЫК>"),
];

/// The command line with Russian help.
pub(super) fn translate(command: Command) -> Command {
    help().translate(command)
}

/// Reports a command line that is not understood, or shows the requested help, in Russian.
pub(super) fn refusal(error: &clap::Error) -> String {
    let text = command_line::refusal(error, "ошибка:")
        .unwrap_or_else(|| command_line::translated(&error.render().to_string()));
    WORDS.iter().fold(text, |text, (english, russian)| text.replace(english, russian))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Arguments;

    #[test]
    fn every_command_and_argument_has_its_russian_text_and_no_text_is_left_over() {
        assert_eq!(help().missing_and_unused(&Arguments::command()), (vec![], vec![]));
    }

    #[test]
    fn help_and_refusals_are_russian_to_the_last_word() {
        let parse = |line: &str| {
            let command = translate(Arguments::command());
            refusal(&command.try_get_matches_from(line.split(' ')).unwrap_err())
        };
        for line in [
            "simod",
            "simod --help",
            "simod serve --help",
            "simod copy --help",
            "simod vapid import --help",
            "simod tls make --help",
        ] {
            let help = parse(line);
            for (english, _) in WORDS.iter().chain(command_line::WORDS) {
                assert!(!help.contains(english), "{line}: {english}\n{help}");
            }
        }
        assert!(parse("simod server").contains("нет команды «server»"));
        assert!(parse("simod serve --liste x").contains("неизвестный параметр"));
        assert!(parse("simod copy").contains("не указано"));
        let copied = |from, to| parse(&format!("simod copy --from {from} --to {to}"));
        assert!(copied("postgres://h/a", "postgres://h/b").contains("копируют из файла SQLite"));
        assert!(copied("sqlite:a.db", "sqlite:b.db").contains("копируют на сервер PostgreSQL"));
        assert!(parse("simod serve --lang de").contains("нужно `ru` или `en`"));
    }
}
