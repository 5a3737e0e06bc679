//! Callers behind proxies. A proxy that the configuration trusts names its caller in `X-Forwarded-For`; from any other peer
//! the header is ignored.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::HeaderMap;
use ipnet::IpNet;

use super::Peer;
use crate::app::App;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Replaces a trusted proxy by its caller. An untrusted peer that names a caller is logged: mostly it is a proxy missing in
/// the configuration, whose callers all share one address.
pub(super) fn look_behind(app: &App, request: &mut Request) {
    if let Peer::Tcp(Some(address)) = Peer::of(request.extensions()) {
        let trusted = &app.config.trusted_proxies;
        let from = address.ip().to_canonical();
        if request.headers().contains_key(FORWARDED_FOR)
            && !trusted.iter().any(|network| network.contains(&from))
            && app.guard.is_unbelieved_first(from)
        {
            let network = IpNet::from(from);
            tracing::warn!(
                "X-Forwarded-For from {from} is not believed; if that is your proxy: trusted_proxies = [\"{network}\"]"
            );
        }
        let caller = caller(address.ip(), request.headers(), trusted);
        if caller != Some(address.ip()) {
            let peer = caller.map_or(Peer::Hidden, |caller| Peer::Tcp(Some(SocketAddr::new(caller, 0))));
            request.extensions_mut().insert(ConnectInfo(peer));
        }
    }
}

/// The first address, from the nearest back, that is no trusted proxy's: anything before it the caller may have made up, in
/// any bytes. `None` if a trusted proxy's entry is no address: then the caller is unknown.
fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut caller = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines = headers.get_all(FORWARDED_FOR).into_iter();
    let entries: Vec<&[u8]> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter(|entry| !entry.trim_ascii().is_empty())
        .collect();
    let mut nearest_first = entries.into_iter().rev();
    while is_trusted(&caller) {
        let Some(entry) = nearest_first.next() else {
            break;
        };
        caller = std::str::from_utf8(entry).ok().and_then(address)?;
    }
    Some(caller)
}

/// An address as proxies write it: with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let alone = text.trim_start_matches('[').trim_end_matches(']');
    alone
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn from(peer: &str, forwarded: &[&str]) -> String {
        let lines: Vec<&[u8]> = forwarded.iter().map(|line| line.as_bytes()).collect();
        from_bytes(peer, &lines)
    }

    fn from_bytes(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted = ["10.0.0.5/32".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let caller = caller(peer.parse().unwrap(), &headers, &trusted);
        caller.map_or("unknown".to_owned(), |caller| caller.to_string())
    }

    #[test]
    fn only_what_a_trusted_proxy_says_counts() {
        assert_eq!(from("192.0.2.1", &["10.1.1.1"]), "192.0.2.1", "forged");
        assert_eq!(from("10.0.0.5", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(from("10.0.0.5", &["10.1.1.1, 192.0.2.7"]), "192.0.2.7", "the rest is forged");
        assert_eq!(from("10.0.0.5", &["10.1.1.1", "192.0.2.7, fd00::1"]), "192.0.2.7", "two proxies");
        assert_eq!(from("10.0.0.5", &[]), "10.0.0.5");
        assert_eq!(from("10.0.0.5", &["fd00::2"]), "fd00::2", "proxies all the way");
    }

    #[test]
    fn nobody_passes_for_the_proxy_by_what_he_writes_himself() {
        assert_eq!(from_bytes("10.0.0.5", &[b"\xff, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(from("10.0.0.5", &["nonsense", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(from("10.0.0.5", &[", 192.0.2.7,"]), "192.0.2.7");
        for unknown in [&b"192.0.2.7, nonsense"[..], b"192.0.2.7, \xff", b"10.1.1.1, nonsense, 10.0.0.5"] {
            assert_eq!(from_bytes("10.0.0.5", &[unknown]), "unknown");
        }
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        assert_eq!(from("::ffff:10.0.0.5", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(from("10.0.0.5", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(from("10.0.0.5", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(from("10.0.0.5", &["::ffff:192.0.2.7"]), "192.0.2.7");
        assert_eq!(from("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }
}
