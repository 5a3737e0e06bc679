//! The wire between simod and its database server, which can fall silent: nothing is refused, nothing comes through, as
//! behind a firewall that has forgotten its connections.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// A wire; it is torn when this is dropped.
pub struct Wire {
    directory: TempDir,
    silent: Arc<watch::Sender<bool>>,
    _task: AbortOnDropHandle<()>,
}

/// The other end.
#[derive(Clone)]
enum Server {
    Socket(PathBuf),
    Address(String),
}

impl Wire {
    /// Before the server of this database.
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
                tokio::spawn(join(here, server.clone(), heard.clone()));
            }
        });
        Self {
            directory,
            silent,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The same database by this wire.
    pub fn url(&self, database_url: &str) -> String {
        let url = Url::parse(database_url).expect("it is a URL");
        format!(
            "postgres://simo@localhost{}?host={}",
            url.path(),
            self.directory.path().display()
        )
    }

    /// Lets nothing through from now on, or everything again.
    pub fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn join(here: UnixStream, server: Server, silent: Arc<watch::Sender<bool>>) {
    match server {
        Server::Socket(path) => {
            if let Ok(there) = UnixStream::connect(path).await {
                both_ways(here.into_split(), there.into_split(), &silent).await;
            }
        }
        Server::Address(address) => {
            if let Ok(there) = TcpStream::connect(address).await {
                both_ways(here.into_split(), there.into_split(), &silent).await;
            }
        }
    }
}

async fn both_ways(
    here: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    there: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    silent: &watch::Sender<bool>,
) {
    tokio::join!(
        pass(here.0, there.1, silent.subscribe()),
        pass(there.0, here.1, silent.subscribe())
    );
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let is_torn = silent.wait_for(|silent| !silent).await.is_err();
        if is_torn || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _gone = to.shutdown().await;
}
