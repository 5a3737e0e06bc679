//! The database as it is, past the daemon: for what must be looked at or laid in from outside.

use sqlx::{AnyConnection, Connection as _, any};

/// A connection to the database at this URL, on either engine.
///
/// # Panics
/// When there is none.
pub async fn connect(url: &str) -> AnyConnection {
    any::install_default_drivers();
    AnyConnection::connect(url).await.expect("the database opens")
}

/// Whether the URL leads to a server.
pub fn is_on_server(url: &str) -> bool {
    !url.starts_with("sqlite:")
}
