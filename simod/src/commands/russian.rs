//! The command line in Russian: help from a table, clap's own words and refusals as all programs word them.

use clap::{
    Command,
    builder::{Resettable, StyledStr},
};
use simo_common::command_line;

/// Of a command under its name, of an argument under a slash and its id: arguments mean the same everywhere.
const HELP: &[(&str, &str)] = &[
    (
        "",
        "Сервер SiMO: принимает сообщения от автоматизированных систем управления, доставляет их на телефоны сотрудников и хранит историю",
    ),
    ("serve", "Запустить сервер"),
    (
        "demo",
        "Показать весь путь сообщения: сервер во временном каталоге, АСУ, три телефона и ваш браузер как ещё один",
    ),
    ("/lan", "Слушать и в локальной сети, для телефона в ней; коды действуют десять минут"),
    ("migrate", "Создать или обновить базу данных и завершиться"),
    ("copy", "Скопировать всё из файла SQLite на сервер PostgreSQL"),
    ("config", "Показать действующую конфигурацию в TOML без секретов"),
    ("vapid", "Показать или заменить ключ, с которым браузеры подписываются на Web Push"),
    ("show", "Показать открытую половину в base64url"),
    ("/private", "Показать вместо неё закрытую половину: с ней можно отправлять от имени этого сервера"),
    (
        "import",
        "Принять закрытую половину с другого сервера; simod с файлом SQLite в это время не должен работать",
    ),
    ("/file", "Файл с ней, в base64url или PEM; - — стандартный ввод"),
    (
        "/new_key",
        "Даже если телефоны подписаны с другим ключом: до открытия приложения они не получат ничего",
    ),
    ("tls", "HTTPS для предприятия без сертификатов"),
    (
        "make",
        "Создать УЦ только для этих узлов и сертификат сервера; если ключ УЦ сохранён — только новый сертификат от него",
    ),
    (
        "/host",
        "Имя или IP-адрес этого сервера, как его пишут телефоны; первый попадает в ссылки. По разу на каждый",
    ),
    ("/directory", "Каталог для файлов"),
    ("/days", "Сколько дней действует сертификат, не больше 397"),
    (
        "/keep_key",
        "Сохранить и ключ УЦ: тогда следующий сертификат будет от того же УЦ и в телефонах ничего менять не нужно",
    ),
    ("/port", "Порт, на котором работает simod"),
    ("/force", "Заменить имеющиеся файлы файлами нового УЦ: его нужно добавить в каждый телефон"),
    ("/config", "Файл конфигурации (TOML) [переменная: SIMO_CONFIG]"),
    (
        "/database",
        "База данных: sqlite:/path/simo.db или postgres://user:password@host/simo [переменная: SIMO_DATABASE]",
    ),
    (
        "/listen",
        "Адрес TCP, на котором принимать соединения; порт 0 — любой свободный [переменная: SIMO_LISTEN]",
    ),
    (
        "/tls_certificate",
        "Сертификат для HTTPS и промежуточные за ним (PEM) [переменная: SIMO_TLS_CERTIFICATE]",
    ),
    ("/tls_key", "Закрытый ключ сертификата (PEM) [переменная: SIMO_TLS_KEY]"),
    (
        "/allow_plain_http",
        "Разрешить HTTP без шифрования на адресе, доступном другим машинам: перед сервером стоит прокси с HTTPS [переменная: SIMO_ALLOW_PLAIN_HTTP]",
    ),
    ("/socket", "Unix-сокет для управления с этой машины [переменная: SIMO_SOCKET]"),
    (
        "/wait",
        "Сколько при запуске ждать сервер PostgreSQL, который недоступен или не принимает записи: 30s, 5m; 0 — не ждать",
    ),
    (
        "/new_origin",
        "Работать по другому адресу, чем тот, по которому подключены браузеры; их придётся подключить заново",
    ),
    ("/check", "Только показать, что будет выполнено"),
    ("/from", "Файл: sqlite:/path/simo.db"),
    ("/to", "Сервер: postgres://user:password@host/simo, пустая база данных"),
    ("/restart", "Очистить незаконченную копию на сервере и начать заново"),
    ("/yes", "Не спрашивать перед этим"),
    ("/lang", "Язык: ru или en; если не указан, как в системе"),
    ("/help", "Показать справку"),
    ("/version", "Показать версию"),
];

const ABOUT_COPY: &str = "\
Скопировать всё из файла SQLite на сервер PostgreSQL.

Сначала остановите simod: файлом в это время никто не должен пользоваться; он только читается и остаётся как был. Сервер — \
пустая база данных, таблицы создаются. Прерванная копия (Ctrl-C, сбой, потеря связи) продолжается с того же места, если \
запустить ту же команду ещё раз, и пока она не закончена, simod на сервере не запустится. В конце обе стороны читаются ещё \
раз и сравниваются построчно.";

/// What stands in English help besides clap's own words.
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
    let about = text_of(command.get_name()).or_else(|| text_of("")).unwrap_or_default();
    let whole: Resettable<StyledStr> =
        if command.get_name() == "copy" { Resettable::Value(ABOUT_COPY.into()) } else { Resettable::Reset };
    command
        .about(about)
        .long_about(whole)
        .mut_args(|argument| {
            let help = text_of(&format!("/{}", argument.get_id())).unwrap_or_default();
            // The help names the variable itself.
            argument.help(help).long_help(Resettable::Reset).hide_env(true)
        })
        .mut_subcommands(translate)
}

fn text_of(key: &str) -> Option<&'static str> {
    HELP.iter().find_map(|(name, text)| (*name == key).then_some(*text))
}

/// Says in Russian why a command line is not understood, or shows the help that was asked for.
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
        fn keys(command: &Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().map(|argument| format!("/{}", argument.get_id())));
            for verb in command.get_subcommands() {
                found.push(verb.get_name().to_owned());
                keys(verb, found);
            }
        }
        let mut needed = vec![String::new()];
        keys(&Arguments::command(), &mut needed);
        for key in &needed {
            assert!(text_of(key).is_some(), "no Russian text for {key}");
        }
        for (key, _) in HELP {
            assert!(needed.iter().any(|needed| needed == key), "{key} is not there");
        }
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
