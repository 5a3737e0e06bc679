//! Why a server was not reached, judged by the network's and TLS's errors: an untrusted certificate does not mean that the server
//! is down.

use simo_common::{
    client::{Connection, Origin, Server},
    lang::Lang,
};

use super::place;

/// What happened, and what to do next.
pub(super) fn unreachable(
    connection: Option<&Connection>,
    cause: &str,
    lang: Lang,
) -> (String, Option<String>) {
    let place = connection.map_or_else(String::new, |c| format!(" {}", place(&c.server)));
    if let Some((what, hint)) = by_tls(&place, cause, lang) {
        return (what, Some(hint.to_owned()));
    }
    let what =
        lang.pick(format!("The server{place} does not answer."), format!("Сервер{place} не отвечает."));
    (what, connection.map(|c| hint(c, cause, lang)))
}

/// Explains errors of rustls and hyper: mismatched protocols, or a certificate that is not trusted.
fn by_tls(place: &str, cause: &str, lang: Lang) -> Option<(String, &'static str)> {
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    let told = if says(&["CaUsedAsEndEntity"]) {
        (
            lang.pick(
                format!("The server{place} shows a CA's certificate as its own, which TLS does not allow."),
                format!("Сервер{place} предъявляет как свой сертификат удостоверяющего центра, а TLS этого не допускает."),
            ),
            lang.pick(
                "Make it with `openssl req -x509 … -addext basicConstraints=critical,CA:FALSE`, then name it: --ca FILE.",
                "Создайте его с `openssl req -x509 … -addext basicConstraints=critical,CA:FALSE` и укажите: --ca ФАЙЛ.",
            ),
        )
    } else if says(&["UnknownIssuer"]) {
        (
            lang.pick(
                format!("The certificate of the server{place} is not trusted here."),
                format!("Сертификату сервера{place} здесь не доверяют."),
            ),
            lang.pick(
                "Name the CA that issued it: --ca FILE or SIMO_CA.",
                "Укажите удостоверяющий центр, который его выдал: --ca ФАЙЛ или SIMO_CA.",
            ),
        )
    } else if says(&["NotValidForName", "not valid for name"]) {
        (
            lang.pick(
                format!("The certificate of the server{place} is for another name."),
                format!("Сертификат сервера{place} выдан на другое имя."),
            ),
            lang.pick(
                "Write the address with the name that is in the certificate.",
                "Укажите адрес с тем именем, на которое выдан сертификат.",
            ),
        )
    } else if says(&["invalid peer certificate"]) {
        (
            lang.pick(
                format!("The certificate of the server{place} is not valid."),
                format!("Сертификат сервера{place} недействителен."),
            ),
            lang.pick(
                "Is it in its time, and is the clock of this machine right?",
                "Не истёк ли он и верно ли идут часы этой машины?",
            ),
        )
    } else if says(&["InvalidContentType"]) {
        (
            lang.pick(
                format!("The server{place} speaks HTTP, not HTTPS."),
                format!("Сервер{place} говорит по HTTP, а не по HTTPS."),
            ),
            lang.pick(
                "Write http:// if that is meant, or set tls_certificate and tls_key at the server.",
                "Пишите http://, если так и задумано, или задайте серверу tls_certificate и tls_key.",
            ),
        )
    } else if says(&["invalid HTTP version parsed"]) {
        (
            lang.pick(
                format!("What answers at{place} is not HTTP: it may be HTTPS."),
                format!("То, что отвечает по адресу{place}, говорит не по HTTP; возможно, по HTTPS."),
            ),
            lang.pick("Write https:// instead.", "Пишите https://."),
        )
    } else {
        return None;
    };
    Some(told)
}

fn hint(connection: &Connection, cause: &str, lang: Lang) -> String {
    if matches!(connection.server, Server::Socket(_)) && cause.contains("os error 13") {
        return lang
            .pick(
                "The socket is for root and the daemon's own user; others use --url and a token.",
                "Сокет доступен root и пользователю демона; остальным нужны --url и токен.",
            )
            .to_owned();
    }
    match &connection.origin {
        Origin::Default => lang.pick(
            "Start `simod serve` here, or name a server: `simoctl login`, --url, --socket.",
            "Запустите здесь `simod serve` или укажите сервер: `simoctl login`, --url, --socket.",
        ),
        Origin::Context(_) => lang.pick(
            "Is simod running, and the way to it open? `simoctl context show` shows the address.",
            "Работает ли simod и доступен ли он по сети? Адрес покажет `simoctl context show`.",
        ),
        Origin::Flag | Origin::Environment => {
            lang.pick("Is simod running, and the address right?", "Работает ли simod и верен ли адрес?")
        }
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_refuses_is_not_told_as_a_server_that_is_away() {
        for (cause, says) in [
            ("invalid peer certificate: UnknownIssuer", "--ca FILE"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
            ("received corrupt message of type InvalidContentType", "http://"),
            ("invalid HTTP version parsed", "https://"),
        ] {
            let (what, hint) = unreachable(None, cause, Lang::En);
            assert!(hint.unwrap().contains(says), "{cause}");
            assert!(!what.contains("does not answer"), "{what}");
        }
        let (what, _) = unreachable(None, "Connection refused (os error 111)", Lang::En);
        assert_eq!(what, "The server does not answer.");
    }
}
