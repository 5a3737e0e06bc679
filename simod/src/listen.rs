//! The two listeners, and what they know of whoever connects.

use std::{net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};

use crate::{api::Peer, tls::Tls};

/// What simod listens on; bound before [`crate::run`], so that the caller knows the port.
#[derive(Debug)]
pub struct Listeners {
    /// TCP.
    pub tcp: TcpListener,
    /// What TCP is encrypted with; without it HTTP is plain.
    pub tls: Option<Arc<Tls>>,
    /// The Unix socket for local administration.
    pub unix: Option<UnixListener>,
}

/// TCP without Nagle's delay: small answers leave at once.
pub(crate) struct Tcp(pub(crate) TcpListener);

impl Tcp {
    /// Who has connected.
    pub(crate) fn peer(_: &TcpStream, address: &SocketAddr) -> Peer {
        Peer::Tcp(Some(*address))
    }
}

impl Listener for Tcp {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's delay");
        }
        (stream, address)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// Who has connected to the Unix socket.
pub(crate) fn local_peer(stream: &UnixStream, _: &unix::SocketAddr) -> Peer {
    // Without credentials nobody is trusted: the overflow user is no daemon's user.
    Peer::Local {
        uid: stream.peer_cred().map_or(u32::MAX, |cred| cred.uid()),
    }
}
