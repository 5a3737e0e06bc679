//! The address under which phones and operators on other machines reach the server.

use simo_common::client::{Connection, Server};
use url::{Host, Url};

use crate::session::Session;

/// The address for other machines: the one that the server reports, unless that is only its listen address.
pub(super) fn others_reach(connection: &Connection, said: &str) -> String {
    match &connection.server {
        Server::Url(url) if is_only_here(said) => url.as_str().trim_end_matches('/').to_owned(),
        Server::Url(_) | Server::Socket(_) => said.to_owned(),
    }
}

/// Whether a URL points to another host, or nowhere, when used on another machine.
pub(super) fn is_only_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_unspecified() || ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_unspecified() || ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

/// Warns about a link or code that does not work on other machines.
pub(super) fn warn_of_url(session: &Session, url: &str) {
    if is_only_here(url) {
        session.talk(&session.say(
            format!("It works on this machine only: others do not find {url}. Set `public_url` in simod's configuration."),
            format!("Это сработает только на этой машине: другие не найдут {url}. Задайте `public_url` в настройках simod."),
        ));
    }
}

#[cfg(test)]
mod tests {
    use simo_common::client::Origin;

    use super::*;

    #[test]
    fn an_operator_is_told_the_address_that_he_reaches() {
        let connection = Connection {
            server: Server::Url("http://10.0.0.7:8420/".parse().unwrap()),
            token: None,
            client: None,
            ca: None,
            origin: Origin::Flag,
        };
        let said = |server| others_reach(&connection, server);
        assert_eq!(said("https://simo.example.org"), "https://simo.example.org");
        assert_eq!(said("http://0.0.0.0:8420"), "http://10.0.0.7:8420");
    }

    #[test]
    fn loopback_and_unspecified_addresses_lead_nowhere_elsewhere() {
        for url in [
            "http://127.0.0.1:8080",
            "http://0.0.0.0:80",
            "https://[::1]/",
            "https://[::]:1",
            "http://localhost:1",
        ] {
            assert!(is_only_here(url), "{url}");
        }
        for url in ["https://simo.example.org", "http://10.0.0.5:8080", "nothing"] {
            assert!(!is_only_here(url), "{url}");
        }
    }
}
