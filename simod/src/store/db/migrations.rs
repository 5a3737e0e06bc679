//! Which migrations are missing, and which were run by a newer simod.

use sqlx::migrate::Migrator;

use crate::store::{Error, Result};

/// Migrations of a minor version are numbered from its number times this one on (the first of 0.2 is 2000; of 1.2 it would
/// be 1002000). They only add: every simod of that version works with what they leave behind. One of an earlier version
/// need not.
const OF_A_MINOR_VERSION: i64 = 1000;

/// Those of an engine. What a newer simod has run is no fault by itself ([`check`] says more), as sqlx would have it.
pub(in crate::store) fn of(mut migrations: Migrator) -> Migrator {
    migrations.set_ignore_missing(true);
    migrations
}

/// Whether this simod works with a database in which these were run.
///
/// # Errors
/// [`Error::Newer`] when some are of a later minor version.
pub(in crate::store) fn check(migrations: &Migrator, done: &[i64]) -> Result<()> {
    let number = |part: &str| part.parse::<i64>().unwrap_or(0);
    let minor = number(env!("CARGO_PKG_VERSION_MAJOR")) * OF_A_MINOR_VERSION
        + number(env!("CARGO_PKG_VERSION_MINOR"));
    let newer = |version: &i64| migrations.iter().all(|m| m.version != *version);
    let newer: Vec<i64> = done.iter().copied().filter(newer).collect();
    if newer.iter().any(|version| version / OF_A_MINOR_VERSION > minor) {
        return Err(Error::Newer(newer));
    }
    if !newer.is_empty() {
        tracing::warn!(migrations = ?newer, "a newer simod has migrated the database; this one works with it, but do update");
    }
    Ok(())
}

/// The names of those that are not among those that were run.
pub(in crate::store) fn pending(migrations: &Migrator, done: &[i64]) -> Vec<String> {
    let pending = migrations.iter().filter(|m| !done.contains(&m.version));
    pending.map(|m| format!("{:04}_{}", m.version, m.description.replace(' ', "_"))).collect()
}

#[cfg(test)]
mod tests {
    use simo_common::time;
    use tempfile::TempDir;

    use super::*;
    use crate::{clock::Clock, store::Store};

    #[tokio::test]
    async fn an_instance_starts_after_a_newer_one_of_its_minor_version_and_not_after_a_later_version() {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let open = async || Store::open(&url, Clock::manual(time::DAY)).await;
        let ran = async |version: i64| {
            let store = open().await.unwrap();
            let mut tx = store.write().await.unwrap();
            tx.run(&format!(
                "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 select {version}, 'later', success, checksum, 0 from _sqlx_migrations where version = 1"
            ))
            .await
            .unwrap();
            tx.commit().await.unwrap();
            store.close().await;
        };
        ran(OF_A_MINOR_VERSION - 1).await;
        open().await.unwrap().close().await;
        ran(999 * OF_A_MINOR_VERSION).await;
        let refused = open().await;
        assert!(
            matches!(&refused, Err(Error::Newer(newer)) if newer.contains(&(999 * OF_A_MINOR_VERSION))),
            "{refused:?}"
        );
    }
}
