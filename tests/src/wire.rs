//! A proxy between simod and its database server that can fall silent: nothing is refused, nothing gets through. The
//! connections of that time stay silent, as behind a firewall that has dropped their state.

use std::{path::PathBuf, pin::pin, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpStream, UnixListener, UnixStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// The proxy; dropping it closes its connections.
pub struct Wire {
    directory: TempDir,
    silent: Arc<watch::Sender<bool>>,
    _task: AbortOnDropHandle<()>,
}

/// The server's end.
#[derive(Clone)]
enum Server {
    Socket(PathBuf),
    Address(String),
}

impl Wire {
    /// Starts one in front of this database's server.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn to(database_url: &str) -> Self {
        let directory = TempDir::with_prefix("simo-wire-").expect("a directory can be made");
        let url = Url::parse(database_url).expect("it is a URL");
        let port = url.port().unwrap_or(5432);
        let socket = url.query_pairs().find(|(name, _)| name == "host");
        let server = match &socket {
            Some((_, directory)) => Server::Socket(PathBuf::from(format!("{directory}/.s.PGSQL.{port}"))),
            None => Server::Address(format!("{}:{port}", url.host_str().unwrap_or("localhost"))),
        };
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).expect("it listens");
        let silent = Arc::new(watch::Sender::new(false));
        let heard = silent.clone();
        let task = tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                tokio::spawn(join(here, server.clone(), heard.subscribe()));
            }
        });
        Self { directory, silent, _task: AbortOnDropHandle::new(task) }
    }

    /// The URL of the same database through the proxy.
    pub fn url(&self, database_url: &str) -> String {
        let url = Url::parse(database_url).expect("it is a URL");
        format!("postgres://simo@localhost{}?host={}", url.path(), self.directory.path().display())
    }

    /// Stops all traffic, or lets new connections through again. Connections that were silent once stay silent.
    pub fn set_silent(&self, silent: bool) {
        self.silent.send_if_modified(|is| std::mem::replace(is, silent) != silent);
    }
}

async fn join(mut here: UnixStream, server: Server, mut silent: watch::Receiver<bool>) {
    // A connection opened during a silence waits for its end.
    if silent.wait_for(|silent| !silent).await.is_err() {
        return;
    }
    let mut passed = pin!(async {
        match server {
            Server::Socket(path) => {
                copy_bidirectional(&mut here, &mut UnixStream::connect(path).await?).await
            }
            Server::Address(address) => {
                copy_bidirectional(&mut here, &mut TcpStream::connect(address).await?).await
            }
        }
    });
    tokio::select! {
        _ended = &mut passed => return,
        _begun = silent.changed() => {}
    }
    // Neither end learns that the connection is dead, until the proxy is dropped.
    while silent.changed().await.is_ok() {}
}
