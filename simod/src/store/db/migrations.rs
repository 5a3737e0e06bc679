//! Finds migrations that are missing, and those that another simod ran.

use std::ops::RangeInclusive;

use sqlx::migrate::Migrator;

use crate::store::{Error, Result};

/// Migrations of a minor version are numbered from its number times this one (the first of 0.2 is 2000; of 1.2 it would
/// be 1002000). They only add: every simod of that version works with the result. A simod of an earlier version may
/// not.
const OF_A_MINOR_VERSION: i64 = 1000;

/// Migrations of 0.1. Its first one, like ours, is 1: 0.2 started over, with other tables.
const OF_0_1: RangeInclusive<i64> = 2..=1999;

/// A migration that was run, with the hash of its text.
pub(in crate::store) type Ran = (i64, Vec<u8>);

/// An engine's migrations. Unlike for sqlx, those that a newer simod has run are no error by themselves ([`check`]
/// decides).
pub(in crate::store) fn of(mut migrations: Migrator) -> Migrator {
    migrations.set_ignore_missing(true);
    migrations
}

/// Checks that this simod works with a database in which these were run.
///
/// # Errors
/// [`Error::Newer`] when some are of a later minor version, and as [`check_age`].
pub(in crate::store) fn check(migrations: &Migrator, done: &[Ran]) -> Result<()> {
    check_age(migrations, done)?;
    let number = |part: &str| part.parse::<i64>().unwrap_or(0);
    let minor = number(env!("CARGO_PKG_VERSION_MAJOR")) * OF_A_MINOR_VERSION
        + number(env!("CARGO_PKG_VERSION_MINOR"));
    let newer = |version: &i64| migrations.iter().all(|m| m.version != *version);
    let newer: Vec<i64> = done.iter().map(|(version, _)| *version).filter(newer).collect();
    if newer.iter().any(|version| version / OF_A_MINOR_VERSION > minor) {
        return Err(Error::Newer(newer));
    }
    if !newer.is_empty() {
        tracing::warn!(migrations = ?newer, "a newer simod has migrated the database; this one works with it, but do update");
    }
    Ok(())
}

/// Checks that a database in which these were run is not too old.
///
/// # Errors
/// [`Error::Of01`] when it is.
pub(in crate::store) fn check_age(migrations: &Migrator, done: &[Ran]) -> Result<()> {
    let first = migrations.iter().find(|m| m.version == 1);
    let is_old = done.iter().any(|(version, hash)| match version {
        1 => first.is_some_and(|ours| *ours.checksum != **hash),
        version => OF_0_1.contains(version),
    });
    if is_old { Err(Error::Of01) } else { Ok(()) }
}

/// The names of migrations that were not run yet.
pub(in crate::store) fn pending(migrations: &Migrator, done: &[Ran]) -> Vec<String> {
    let is_done = |version| done.iter().any(|(done, _)| *done == version);
    let pending = migrations.iter().filter(|m| !is_done(m.version));
    pending.map(|m| format!("{:04}_{}", m.version, m.description.replace(' ', "_"))).collect()
}

#[cfg(test)]
mod tests {
    use simo_common::time;
    use tempfile::TempDir;

    use super::*;
    use crate::{clock::Clock, store::Store};

    /// The result of opening a database in which this migration was run besides ours.
    async fn opened_after(version: i64) -> Result<()> {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let open = async || Store::open(&url, Clock::manual(time::DAY)).await;
        let store = open().await?;
        let mut tx = store.write().await?;
        tx.run(&format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select {version}, 'another', success, checksum, 0 from _sqlx_migrations where version = 1"
        ))
        .await?;
        tx.commit().await?;
        store.close().await;
        drop(store);
        open().await?.close().await;
        Ok(())
    }

    #[tokio::test]
    async fn an_instance_starts_after_a_newer_one_of_its_minor_version_and_after_no_other() {
        let of_ours = 3 * OF_A_MINOR_VERSION - 1;
        opened_after(of_ours).await.unwrap();
        let later = 999 * OF_A_MINOR_VERSION;
        let refused = opened_after(later).await;
        assert!(matches!(&refused, Err(Error::Newer(newer)) if newer.contains(&later)), "{refused:?}");
        for old in [2, 1999] {
            let refused = opened_after(old).await;
            assert!(matches!(refused, Err(Error::Of01)), "{refused:?}");
        }
    }
}
