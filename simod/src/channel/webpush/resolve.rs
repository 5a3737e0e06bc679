//! Names are resolved once, and only to public addresses: a phone that names an endpoint must not make simod talk to the
//! plant's own machines. reqwest connects only to the addresses found here.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::endpoint::Listed;

const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), bits)
}

const fn v6(a: u16, b: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

/// Addresses that are not globally reachable (iana.org/assignments/iana-ipv4-special-registry) or unassigned.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// Of IPv6 only this is global: loopback, local, mapped and NAT64 addresses are all outside.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Except these: tunnels to any IPv4 address (Teredo, 6to4), and documentation.
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

/// A name resolves to an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error(
    "{host} leads to {address}, which is no public address: nothing is sent there unless `webpush.allowed_hosts` has the host"
)]
pub(super) struct NotPublic {
    host: String,
    address: IpAddr,
}

/// Resolves names for the channel.
#[derive(Debug)]
pub(super) struct Public(pub(super) Arc<Listed>);

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        let listed = self.0.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let inside = found.iter().map(SocketAddr::ip).find(|address| !is_public(*address));
            match inside {
                Some(address) if !listed.has_host(host) => {
                    Err(NotPublic { host: host.to_owned(), address }.into())
                }
                _ => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_everybody_reaches_is_public() {
        for address in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2a00:1450:4010::5f", "2600:1901:0:38d7::"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_unless_it_is_listed() {
        let resolve = async |listed: &[String]| {
            let resolver = Public(Arc::new(Listed::new(listed).unwrap()));
            resolver.resolve("localhost".parse().unwrap()).await.map(Iterator::collect::<Vec<_>>)
        };
        let refused = resolve(&[]).await.unwrap_err();
        assert!(refused.is::<NotPublic>(), "{refused}");
        let found = resolve(&["localhost:8443".to_owned()]).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
