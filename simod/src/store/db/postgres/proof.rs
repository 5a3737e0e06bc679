//! Commits a small row of this instance to see whether the server commits.
//!
//! It has a connection of its own: the pool may be full of work, or of connections that lead nowhere. An unanswered
//! commit is left alone. The server may be waiting for a synchronous standby: if we canceled the wait, the server would
//! report success, and if we dropped the connection, its process would stay, so that repeated tries would use up the
//! server's connections. It is dropped when the server stops waiting.

use std::{
    fmt,
    io::{self, ErrorKind},
    mem,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use simo_common::lang::Text;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{sync::Mutex, time::timeout};

use super::Hosts;
use crate::store::{
    Result,
    db::engine::{WAIT_FOR_CONNECTION, with_warning},
};

/// How long the server may take to answer. A slower commit proves nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to accept our connection: when the server is back, we are to be ready two seconds later. Where
/// a login takes longer, one of a few tries is patient.
const TO_CONNECT: Duration = Duration::from_secs(1);
const PATIENT_EVERY: u64 = 5;

/// Commits this instance's row.
pub(super) struct Prover {
    hosts: Hosts,
    /// Our connections' `application_name` at the server.
    name: String,
    instance: String,
    /// How many connection attempts were made.
    tries: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Nothing,
    /// The last commit was answered.
    Idle(PgConnection),
    /// It is not answered yet.
    Unanswered(BoxFuture<'static, (PgConnection, sqlx::Result<()>)>),
}

/// The server holds commits back until a standby has them.
#[derive(Debug, thiserror::Error)]
#[error(
    "commits wait for a synchronous standby that does not confirm them: see pg_stat_replication and synchronous_standby_names on the server"
)]
pub(in crate::store) struct StandbyAway;

impl StandbyAway {
    pub(in crate::store) fn text() -> Text {
        Text::new(
            Self.to_string(),
            "фиксации ждут синхронную реплику, которая их не подтверждает: \
        проверьте на сервере pg_stat_replication и synchronous_standby_names",
        )
    }
}

impl Prover {
    pub(super) fn new(url: &str, is_pooled: bool, instance: String) -> Result<Self> {
        let name = format!("simod commit proof {}", &instance[..16]);
        Ok(Self {
            hosts: Hosts::of(url, &name, is_pooled)?,
            name,
            instance,
            tries: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    /// Commits the row with this many bytes of ballast, or fails within some seconds.
    pub(super) async fn commit(&self, ballast: u32) -> Result<()> {
        let mut state = self.state.lock().await;
        if let State::Unanswered(answer) = &mut *state
            && let Ok((connection, answered)) = timeout(PATIENCE / 2, answer).await
        {
            // The answer comes too late to prove anything; the next commit uses the same connection.
            *state = answered.map_or(State::Nothing, |()| State::Idle(connection));
        }
        match mem::take(&mut *state) {
            // A failing connection may have been cut since its last use: a fresh one tells.
            State::Idle(connection) => {
                if self.ask(connection, ballast, &mut state).await.is_ok() {
                    return Ok(());
                }
            }
            other => *state = other,
        }
        let tries = self.tries.fetch_add(1, Ordering::Relaxed) + 1;
        let limit = if tries.is_multiple_of(PATIENT_EVERY) { WAIT_FOR_CONNECTION } else { TO_CONNECT };
        let mut fresh = match timeout(limit, self.hosts.connect(0)).await {
            Ok(connected) => connected?.1,
            Err(_) => return Err(silent("the server does not let us in").into()),
        };
        if matches!(*state, State::Unanswered(_)) && self.waits_for_standby(&mut fresh).await? {
            return Err(sqlx::Error::Io(io::Error::other(StandbyAway)).into());
        }
        *state = State::Nothing;
        Ok(self.ask(fresh, ballast, &mut state).await?)
    }

    pub(super) async fn close(&self) {
        if let State::Idle(connection) = mem::take(&mut *self.state.lock().await) {
            // There is no caller left to report to.
            let _closed = timeout(PATIENCE, connection.close()).await;
        }
    }

    /// Commits on a connection, which is kept if it answers or still may.
    async fn ask(&self, mut connection: PgConnection, ballast: u32, state: &mut State) -> sqlx::Result<()> {
        // In one text that needs no session: a pooler may be in between. It is one transaction, whose commit is
        // answered with it. Random letters, because repeated ones would compress to nothing.
        let (instance, parts) = (&self.instance, ballast / 32);
        let statement = format!(
            "set local client_min_messages = warning;
             delete from commit_proof where instance in (
                 select instance from commit_proof
                 where at < extract(epoch from now() - interval '2 days') * 1000000 for update skip locked);
             insert into commit_proof (instance, at, ballast) values ('{instance}',
                 (extract(epoch from now()) * 1000000)::bigint,
                 coalesce((select string_agg(md5(random()::text), '') from generate_series(1, {parts})), ''))
             on conflict (instance) do update set at = excluded.at, ballast = excluded.ballast"
        );
        let mut answer = async move {
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection);
            // A canceled wait for the standby is a success with a warning.
            let done = match with_warning(done).await {
                (Ok(_), Some(warning)) => Err(sqlx::Error::Protocol(warning)),
                (done, _) => done.map(drop),
            };
            (connection, done)
        }
        .boxed();
        let Ok((connection, done)) = timeout(PATIENCE, &mut answer).await else {
            *state = State::Unanswered(answer);
            return Err(silent("the server does not answer a commit"));
        };
        if done.is_ok() {
            *state = State::Idle(connection);
        }
        done
    }

    /// Whether our unanswered commit only waits for a standby at the server.
    async fn waits_for_standby(&self, fresh: &mut PgConnection) -> sqlx::Result<bool> {
        let question = sqlx::query_scalar(
            "select exists (select from pg_stat_activity
                 where application_name = $1 and wait_event = 'SyncRep' and pid <> pg_backend_pid())",
        );
        let answer = question.bind(&self.name).persistent(false).fetch_one(fresh);
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(silent("the server does not answer")))
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").field("name", &self.name).finish_non_exhaustive()
    }
}

fn silent(what: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, what))
}
