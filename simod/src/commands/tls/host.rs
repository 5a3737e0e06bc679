//! Parses hosts on the command line.

use std::net::IpAddr;

use simo_common::{
    lang::{Text, Wrong},
    text,
};
use url::{Host, Url};

/// Parses a name or an IP address. Names become what certificates contain: ASCII in small letters.
pub(super) fn host(text: &str) -> Result<Host, Wrong> {
    if text.contains('*') {
        return Err(Wrong(text!(
            "a certificate for all names is not made: name each host",
            "сертификат на все имена не создаётся: назовите каждый узел"
        )));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        return match address {
            address if address.is_unspecified() => Err(no_host()),
            IpAddr::V4(address) => Ok(Host::Ipv4(address)),
            IpAddr::V6(address) => Ok(Host::Ipv6(address)),
        };
    }
    // It may be a URL, or a host with a port.
    if text.contains([':', '/']) {
        let url = Url::parse(text)
            .ok()
            .filter(Url::has_host)
            .or_else(|| Url::parse(&format!("https://{text}")).ok());
        let meant = url.and_then(|url| url.host_str().map(str::to_owned));
        return Err(meant.map_or_else(no_host, |meant| {
            Wrong(text!(
                "only the host, without scheme, port and path: {meant}",
                "только узел, без схемы, порта и пути: {meant}"
            ))
        }));
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) if is_name(&name) => Ok(Host::Domain(name)),
        _ => Err(no_host()),
    }
}

fn no_host() -> Wrong {
    Wrong(Text::new(
        "neither a host's name, as simo.plant.example, nor its IP address",
        "не имя узла (например, simo.plant.example) и не его IP-адрес",
    ))
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The hosts without repeats, in order.
pub(super) fn each_once(hosts: &[Host]) -> Vec<Host> {
    let new = |(place, host): (usize, &Host)| (!hosts[..place].contains(host)).then(|| host.clone());
    hosts.iter().enumerate().filter_map(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts() {
        for (text, read) in [
            ("simo", "simo"),
            ("SIMO.Plant.Example", "simo.plant.example"),
            ("симо.завод.рф", "xn--h1aigj.xn--80aegj1b.xn--p1ai"),
            ("10.0.0.5", "10.0.0.5"),
            ("fd00::5", "[fd00::5]"),
            ("[fd00::5]", "[fd00::5]"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
        ] {
            assert_eq!(host(text).unwrap().to_string(), read, "{text}");
        }
        assert_eq!(each_once(&["a", "b", "a"].map(|text| host(text).unwrap())).len(), 2);
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_was_meant() {
        for (text, en, ru) in [
            ("*.plant.example", "name each host", "назовите каждый узел"),
            ("https://simo.plant.example/app/", ": simo.plant.example", "только узел"),
            ("simo.plant.example:7466", ": simo.plant.example", "без схемы, порта"),
            ("https://10.0.0.5:7466", ": 10.0.0.5", "только узел"),
            ("10.0.0.5:7466", ": 10.0.0.5", "только узел"),
            ("[fd00::5]:7466", ": [fd00::5]", "только узел"),
            ("10.0.0.0/24", ": 10.0.0.0", "только узел"),
            ("", "neither", "не имя узла"),
            ("a b", "neither", "не имя узла"),
            ("a..b", "neither", "не имя узла"),
            ("simo.", "neither", "не имя узла"),
            ("-a.example", "neither", "не имя узла"),
            ("a_b", "neither", "не имя узла"),
            // A browser would read this as the address 1.2.0.3.
            ("1.2.3", "neither", "не имя узла"),
            ("10.0.0.256", "neither", "не имя узла"),
            ("0.0.0.0", "neither", "не имя узла"),
            (&"a".repeat(64), "neither", "не имя узла"),
        ] {
            let Wrong(said) = host(text).unwrap_err();
            assert!(said.en.contains(en) && said.ru.contains(ru), "{text}: {said:?}");
        }
    }
}
