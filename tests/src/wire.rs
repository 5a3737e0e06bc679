//! The wire between simod and its database server, which can fall silent: nothing is refused, nothing comes through. The
//! connections of that time stay silent, as behind a firewall that has forgotten them.

use std::{path::PathBuf, pin::pin, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
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
                tokio::spawn(join(here, server.clone(), heard.subscribe()));
            }
        });
        Self { directory, silent, _task: AbortOnDropHandle::new(task) }
    }

    /// The same database by this wire.
    pub fn url(&self, database_url: &str) -> String {
        let url = Url::parse(database_url).expect("it is a URL");
        format!("postgres://simo@localhost{}?host={}", url.path(), self.directory.path().display())
    }

    /// Lets nothing through from now on, or whoever connects anew. Connections that were silent once stay so.
    pub fn set_silent(&self, silent: bool) {
        self.silent.send_if_modified(|is| std::mem::replace(is, silent) != silent);
    }
}

async fn join(mut here: UnixStream, server: Server, mut silent: watch::Receiver<bool>) {
    // Whoever comes into a silence is not heard before it ends.
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
    // Neither end hears that it is over, until the wire is torn.
    while silent.changed().await.is_ok() {}
}
