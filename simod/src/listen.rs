//! The two listeners, and what they know of whoever connects.

use std::net::SocketAddr;

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};

use crate::api::Peer;

/// What simod listens on; bound before [`crate::run`], so that the caller knows the port.
#[derive(Debug)]
pub struct Listeners {
    /// TCP.
    pub tcp: TcpListener,
    /// The Unix socket for local administration.
    pub unix: Option<UnixListener>,
}

/// TCP without Nagle's delay: small answers leave at once.
pub(crate) struct Tcp(pub(crate) TcpListener);

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

impl Connected<IncomingStream<'_, Tcp>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Tcp>) -> Self {
        Self::Tcp(Some(*stream.remote_addr()))
    }
}

/// The Unix socket.
pub(crate) struct Unix(pub(crate) UnixListener);

impl Listener for Unix {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Listener::accept(&mut self.0).await
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Unix>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Unix>) -> Self {
        // Without credentials nobody is trusted: the overflow user is no daemon's user.
        Self::Local {
            uid: stream.io().peer_cred().map_or(u32::MAX, |cred| cred.uid()),
        }
    }
}
