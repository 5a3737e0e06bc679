//! Direct access to the database, bypassing the daemon, for tests that inspect or prepare it from outside.

use sqlx::{AnyConnection, Connection as _, any};

/// A connection to the database at this URL, on either engine.
///
/// # Panics
/// When it cannot connect.
pub async fn connect(url: &str) -> AnyConnection {
    any::install_default_drivers();
    AnyConnection::connect(url).await.expect("the database opens")
}

/// Whether the URL names a database server rather than a file.
pub fn is_on_server(url: &str) -> bool {
    !url.starts_with("sqlite:")
}
