//! Where a connection comes from: its address, the network under which login attempts are counted, or the local socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Extensions, request::Parts};

use crate::actor::Origin;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP, or unknown (the router is nested in another program).
    Tcp(Option<SocketAddr>),
    /// Behind a trusted proxy that names no address.
    Hidden,
    /// The Unix socket, by this user.
    Local {
        /// The user's id.
        uid: u32,
    },
}

impl Peer {
    /// Where a request comes from.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let info = extensions.get::<ConnectInfo<Self>>();
        info.map_or(Self::Tcp(None), |info| info.0)
    }

    /// Whether this is the daemon's own user or root on the local socket, who are owners without a token.
    pub(super) fn is_owner(self) -> bool {
        match self {
            Self::Tcp(_) | Self::Hidden => false,
            Self::Local { uid } => uid == 0 || uid == rustix::process::geteuid().as_raw(),
        }
    }

    /// Its network address; the local socket is on this machine.
    pub(super) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => address.map(|address| address.ip().to_canonical()),
            Self::Hidden => None,
            Self::Local { .. } => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }

    /// The network under which login attempts are counted: an IPv4 address, or the part of an IPv6 address that its owner
    /// cannot choose. All hidden peers count as one. `None` on the local socket, where nobody guesses, and inside another
    /// program.
    pub(super) fn network(self) -> Option<String> {
        let address = match self {
            Self::Tcp(address) => address?,
            Self::Hidden => return Some(self.origin().to_string()),
            Self::Local { .. } => return None,
        };
        Some(match address.ip().to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }

    /// Its name in the audit and in the counts of failures.
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Tcp(Some(address)) => Origin::Address(address.ip().to_canonical()),
            Self::Tcp(None) | Self::Hidden => Origin::Unknown,
            Self::Local { .. } => Origin::Local,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}
