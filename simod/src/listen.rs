//! The two listeners, and the peers of their connections.

use std::{net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};

use crate::{api::Peer, tls::Tls};

/// The listeners; bound before [`crate::run`], so that the caller knows the port.
#[derive(Debug)]
pub struct Listeners {
    /// TCP.
    pub tcp: TcpListener,
    /// What TCP is encrypted with; without it HTTP is plain.
    pub tls: Option<Arc<Tls>>,
    /// The Unix socket for local administration. Its file is removed with it.
    pub unix: Option<UnixListener>,
}

/// TCP without Nagle's delay, so that small answers leave at once.
pub(crate) struct Tcp(pub(crate) TcpListener);

impl Tcp {
    /// The connecting peer.
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

/// A Unix socket that removes its file when dropped.
pub(crate) struct Socket(pub(crate) UnixListener);

impl Socket {
    /// The connecting peer.
    pub(crate) fn peer(stream: &UnixStream, _: &unix::SocketAddr) -> Peer {
        // A peer without credentials gets the overflow user's id, which is no daemon's, so it is not trusted.
        Peer::Local { uid: stream.peer_cred().map_or(u32::MAX, |cred| cred.uid()) }
    }
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Listener::accept(&mut self.0).await
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Drop for Socket {
    /// Before the socket closes: afterwards the file may belong to a successor.
    fn drop(&mut self) {
        let address = self.0.local_addr();
        if let Some(path) = address.as_ref().ok().and_then(unix::SocketAddr::as_pathname) {
            // If it remains, the next start takes it over.
            let _gone = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_takes_its_file_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let socket = Socket(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(socket);
        assert!(!path.exists());
    }
}
