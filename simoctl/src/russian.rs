//! The command line in Russian: help from the tables that stand beside the commands, clap's own words and refusals as all
//! programs word them.

use anstyle::AnsiColor;
use clap::{
    Command,
    builder::{Resettable, StyledStr},
};
use simo_common::command_line::{self, translated};

use crate::{commands, terminal::styled};

/// Russian help: of a command under its path (`employee import`), of an argument under the path, a slash and its id
/// (`employee import/file`), of one that means the same everywhere under the slash and its id alone.
pub(crate) type Help = &'static [(&'static str, &'static str)];

/// What belongs to no noun.
const COMMON: Help = &[
    ("", "Управление SiMO: кто может отправлять, кто получает и кто что получил"),
    ("client", "Юридические лица, которые пользуются SiMO"),
    ("operator", "Люди, которые управляют"),
    ("acs", "Автоматизированные системы управления, которые отправляют сообщения"),
    ("token", "Коды, с которыми входят АСУ и операторы"),
    ("employee", "Люди, которые получают сообщения"),
    ("group", "Сотрудники вместе: отдел, смена"),
    ("topic", "Виды информации и кому они доступны"),
    ("device", "Телефоны и приглашения для новых"),
    ("message", "Сообщения: отправить, узнать, кто что получил"),
    ("audit", "Кто и что изменил"),
    ("clock", "Часы сервера и как их переводили"),
    (
        "apply",
        "Привести всё в соответствие с файлами: клиенты, операторы, АСУ, группы, сотрудники, темы, доступы",
    ),
    ("export", "Записать то, что есть, файлами для `apply`"),
    ("listen", "Побыть телефоном: получать сообщения в этом терминале"),
    ("login", "Войти и запомнить сервер как контекст"),
    ("logout", "Завершить сеанс и забыть контекст"),
    ("context", "Серверы, с которыми вы работаете"),
    ("whoami", "Сказать, кто вы для сервера"),
    ("doctor", "Проверить путь к серверу и его состояние"),
    ("completions", "Вывести автодополнение для командной оболочки"),
    ("man", "Вывести страницу руководства"),
    ("/socket", "Unix-сокет демона [переменная: SIMO_SOCKET]"),
    ("/url", "Адрес сервера [переменная: SIMO_URL]"),
    ("/ca", "Каким сертификатам УЦ доверять кроме системных (PEM) [переменная: SIMO_CA]"),
    ("/token", "Токен, с которым обращаться [переменная: SIMO_TOKEN]"),
    ("/client", "За какого клиента действовать, если вам видны несколько [переменная: SIMO_CLIENT]"),
    ("/context", "Какой контекст использовать, см. `simoctl context`"),
    (
        "/output",
        "Как выводить данные; если не указано: на терминале таблицей, в конвейер текстом с табуляцией",
    ),
    ("/lang", "На каком языке говорить: ru или en; если не указано, как в системе"),
    ("/yes", "Отвечать «да» на все вопросы"),
    ("/quiet", "Не говорить ничего, кроме данных и ошибок"),
    ("/help", "Показать справку"),
    ("/version", "Показать версию"),
    ("/text", "Только те, в названиях которых есть все эти слова"),
    ("/limit", "Не больше стольких строк"),
    ("/archived", "Вместе с архивными"),
];

/// The command line with Russian help.
pub(crate) fn translate(command: Command) -> Command {
    translate_under(command, "")
}

fn translate_under(command: Command, path: &str) -> Command {
    let about = text_of(path).unwrap_or_default();
    let brief = about.split("\n\n").next().unwrap_or_default();
    let whole: Resettable<StyledStr> =
        if brief == about { Resettable::Reset } else { Resettable::Value(about.into()) };
    command
        .about(brief)
        .long_about(whole)
        .mut_args(|argument| {
            let help = text_of_argument(path, argument.get_id().as_str()).unwrap_or_default();
            argument.help(help).long_help(Resettable::Reset)
        })
        .mut_subcommands(|verb| {
            let path = under(path, verb.get_name());
            translate_under(verb, &path)
        })
}

fn under(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path} {name}") }
}

fn text_of(key: &str) -> Option<&'static str> {
    std::iter::once(COMMON)
        .chain(commands::RUSSIAN.iter().copied())
        .flatten()
        .find_map(|(name, text)| (*name == key).then_some(*text))
}

fn text_of_argument(path: &str, id: &str) -> Option<&'static str> {
    text_of(&format!("{path}/{id}")).or_else(|| text_of(&format!("/{id}")))
}

/// Says in Russian why a command line is not understood, or shows the help that was asked for.
pub(crate) fn refusal(error: &clap::Error) -> String {
    let red = AnsiColor::Red.on_default().bold();
    command_line::refusal(error, &styled(red, "ошибка:"))
        .unwrap_or_else(|| translated(&error.render().ansi().to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use simo_common::{command_line::WORDS, lang::Lang};

    use super::*;
    use crate::cli::{self, Cli};

    /// The keys that the command line needs.
    fn needed(command: &Command, path: &str, keys: &mut BTreeSet<String>, missing: &mut Vec<String>) {
        keys.insert(path.to_owned());
        if text_of(path).is_none_or(str::is_empty) {
            missing.push(path.to_owned());
        }
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            keys.extend([format!("{path}/{id}"), format!("/{id}")]);
            if text_of_argument(path, id).is_none_or(str::is_empty) {
                missing.push(format!("{path}/{id}"));
            }
            assert!(argument.get_help().is_some(), "{path}/{id} has no English help");
        }
        for verb in command.get_subcommands() {
            assert!(verb.get_about().is_some(), "{path} {} has no English help", verb.get_name());
            needed(verb, &under(path, verb.get_name()), keys, missing);
        }
    }

    #[test]
    fn every_command_and_argument_has_its_russian_text_and_no_text_is_left_over() {
        let (mut keys, mut missing) = (BTreeSet::new(), Vec::new());
        needed(&Cli::command(), "", &mut keys, &mut missing);
        assert!(missing.is_empty(), "no Russian text for {missing:#?}");
        let all = std::iter::once(COMMON).chain(commands::RUSSIAN.iter().copied()).flatten();
        let unused: Vec<_> = all.map(|(key, _)| *key).filter(|key| !keys.contains(*key)).collect();
        assert!(unused.is_empty(), "Russian text for what is not there: {unused:#?}");
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
