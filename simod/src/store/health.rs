//! Warnings for an administrator: people without a phone, settings of the server, a disk that fills up.

use std::path::Path;

use simo_common::{
    api::service::{ChannelPhones, Disk, Unprotected},
    time::{DAY, HOUR},
};

use crate::channel::ChannelKind;

use super::{
    ClientNo, Database, Result, Store,
    db::engine::{Engine, query, query_as},
};

/// The period over which the rate of the disk filling up is measured.
const WATCHED: i64 = 7 * DAY;

/// Recipients, and how they can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleReached {
    /// Neither archived nor blocked, of clients that are not archived.
    pub people: u64,
    /// Those of them who have no phone.
    pub without_phone: u64,
    /// Phones by channel.
    pub phones: Vec<ChannelPhones>,
}

impl Store {
    /// The people who can be reached: of one client, or of all.
    pub async fn reach(&self, client_no: Option<ClientNo>) -> Result<PeopleReached> {
        let mut reader = self.read().await?;
        let (people, without_phone): (i64, i64) = query_as(
            "select count(*), count(*) filter (where not exists (
                 select 1 from device d
                 where d.client_no = e.client_no and d.employee_no = e.no and d.retired_at is null))
             from employee e join client c on c.no = e.client_no
             where ($1 is null or e.client_no = $1) and c.archived_at is null
             and e.archived_at is null and e.blocked_at is null",
        )
        .bind(client_no)
        .fetch_one(&mut reader)
        .await?;
        let phones: Vec<(ChannelKind, i64)> = query_as(
            "select channel, count(*) from device
             where ($1 is null or client_no = $1) and retired_at is null group by channel order by channel desc",
        )
        .bind(client_no)
        .fetch_all(&mut reader)
        .await?;
        let phones = phones
            .into_iter()
            .map(|(channel, phones)| ChannelPhones { channel: channel.to_string(), phones: phones as u64 });
        Ok(PeopleReached {
            people: people as u64,
            without_phone: without_phone as u64,
            phones: phones.collect(),
        })
    }

    /// Settings under which the database may lose what a 202 promises. SQLite is opened so that there are none.
    pub async fn unprotected(&self) -> Result<Vec<Unprotected>> {
        if self.engine() == Engine::Sqlite {
            return Ok(Vec::new());
        }
        let row = query(
            "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
                    current_setting('synchronous_standby_names') as names,
                    (select count(*) from pg_stat_replication) as standbys",
        )
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(judged(
            &row.try_get::<String, _>("fsync")?,
            &row.try_get::<String, _>("commits")?,
            &row.try_get::<String, _>("names")?,
            row.try_get("standbys")?,
        ))
    }

    /// Notes the free disk space, for the rate at which it shrinks. A server's disk is not visible to us.
    pub(crate) async fn note_disk(&self) -> Result<()> {
        let Some(free) = self.free_disk() else { return Ok(()) };
        let now = self.clock.now();
        let mut tx = self.write().await?;
        query("insert into disk_free (at, free) values ($1, $2) on conflict (at) do nothing")
            .bind(now)
            .bind(free as i64)
            .execute(&mut tx)
            .await?;
        query("delete from disk_free where at < $1").bind(now - WATCHED - HOUR).execute(&mut tx).await?;
        tx.commit().await
    }

    /// The disk that holds the file, and how long it will last.
    pub async fn disk(&self) -> Result<Option<Disk>> {
        let Some(free) = self.free_disk() else { return Ok(None) };
        let now = self.clock.now();
        let oldest: Option<(i64, i64)> =
            query_as("select at, free from disk_free where at between $1 and $2 order by at limit 1")
                .bind(now - WATCHED)
                .bind(now - DAY)
                .fetch_optional(&mut *self.read().await?)
                .await?;
        let full_in_days = oldest.and_then(|(at, was)| full_in_days(was, free as i64, now - at));
        Ok(Some(Disk { free, full_in_days }))
    }

    fn free_disk(&self) -> Option<u64> {
        match &self.database {
            Database::Sqlite(file) => free_at(file.path()),
            Database::Postgres(_) => None,
        }
    }
}

/// Free space at a path for users other than root.
fn free_at(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).map(|disk| disk.f_bavail * disk.f_frsize).ok()
}

/// When free space runs out that shrank from `was` to `is` within `passed` microseconds.
fn full_in_days(was: i64, is: i64, passed: i64) -> Option<f64> {
    let used = was - is;
    (used > 0).then(|| is as f64 / used as f64 * passed as f64 / DAY as f64)
}

/// Problems of a server's settings, given their values and the number of connected standbys.
fn judged(fsync: &str, commits: &str, names: &str, standbys: i64) -> Vec<Unprotected> {
    let awaits_none = names.is_empty() || commits == "local";
    [
        (fsync == "off", Unprotected::FsyncOff),
        (commits == "off", Unprotected::CommitNotSynced),
        (standbys > 0 && commits != "off" && awaits_none, Unprotected::NoStandbyAwaited),
    ]
    .into_iter()
    .filter_map(|(is_so, what)| is_so.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_loses_a_tenth_a_day_of_what_it_has_left_is_full_in_ten_days() {
        assert_eq!(full_in_days(170, 100, 7 * DAY), Some(10.0));
        assert_eq!(full_in_days(100, 100, DAY), None);
        assert_eq!(full_in_days(100, 170, DAY), None);
    }

    #[test]
    fn a_standby_that_no_commit_waits_for_protects_nothing() {
        assert_eq!(judged("on", "on", "", 0), []);
        assert_eq!(judged("on", "on", "*", 1), []);
        assert_eq!(judged("on", "on", "", 1), [Unprotected::NoStandbyAwaited]);
        assert_eq!(judged("on", "local", "*", 1), [Unprotected::NoStandbyAwaited]);
        assert_eq!(judged("on", "off", "", 1), [Unprotected::CommitNotSynced]);
        assert_eq!(judged("off", "on", "", 0), [Unprotected::FsyncOff]);
    }
}
