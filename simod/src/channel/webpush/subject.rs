//! The contact that push services may write to about our pushes. Apple refuses tokens whose subject leads nowhere, without
//! naming the reason, while Google accepts them: so we check it ourselves.

use std::net::IpAddr;

use simo_common::{lang::Text, text};
use url::{Host, Url};

/// Checks that push services accept the subject.
///
/// # Errors
/// A description of the error.
pub fn check(subject: &str) -> Result<(), Text> {
    let host = match subject.strip_prefix("mailto:") {
        Some(mailbox) => mailbox.rsplit_once('@').filter(|(who, _)| !who.is_empty()).map(|(_, host)| host),
        None => subject.strip_prefix("https://").and_then(|rest| rest.split(['/', ':', '?', '#']).next()),
    };
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\');
    let Some(host) = host.filter(|_| subject.chars().all(is_plain) && Url::parse(subject).is_ok()) else {
        return Err(text!(
            "`{subject}` is neither mailto: with a mailbox nor an https URL, such as mailto:it@example.org",
            "`{subject}` — не mailto: с адресом и не URL https; пример: mailto:it@example.org"
        ));
    };
    if is_real(host) {
        return Ok(());
    }
    Err(text!(
        "`{subject}`: Apple refuses what is sent in the name of a host that is none on the internet (`{host}`): name the \
         mailbox or site of whoever runs this server, such as mailto:it@example.org",
        "`{subject}`: Apple отклоняет отправленное от имени узла, которого нет в интернете (`{host}`): укажите почту или сайт \
         тех, кто отвечает за сервер, например mailto:it@example.org"
    ))
}

fn is_real(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_name = matches!(Host::parse(&host), Ok(Host::Domain(_))) && host.parse::<IpAddr>().is_err();
    is_name
        && host.contains('.')
        && !host.starts_with('.')
        && !last.is_empty()
        && !["localhost", "local", "invalid", "internal", "test", "lan"].contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apple_takes_passes_and_nothing_else() {
        for good in [
            "mailto:it@example.org",
            "https://simo.example.org",
            "https://simo.example.org:8443/a?b",
            "mailto:a.b+c@x.ru",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "it@example.org",
            "http://simo.example.org",
            "mailto:",
            "mailto:it",
            "mailto:@example.org",
            "mailto:it@localhost",
            "mailto:it@plant.local",
            "mailto:it@example.invalid",
            "mailto:it@plant",
            "mailto:<it@example.org>",
            "mailto: it@example.org",
            "mailto:it@example.org ",
            "mailto:it@10.0.0.7",
            "https://10.0.0.7",
            "https://[fd00::7]/",
            "https://localhost:7466",
            "https://simo",
            "https://пример.рф",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
