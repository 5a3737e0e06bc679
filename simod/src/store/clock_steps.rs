//! The clock that times come from (on SQLite the machine's, on PostgreSQL the server's) and the record of its steps
//! ([`crate::clock`] decides which of them are believed).

use std::sync::PoisonError;

use simo_common::{
    api::clock::{ClockJump, ClockState, ClockStep},
    time::{SECOND, from_us, whole_seconds},
};

use super::{
    Database, MessageNo, Result, SERVER, Store, Write,
    audit::AuditChange,
    db::engine::{Conn, query, query_as, query_scalar},
};
use crate::clock::{Clock, JUMP, REMARKABLE};

const SHOWN: i64 = 100;

/// Instances that see the same step see it within this time, and differ by no more than [`REMARKABLE`].
const SAME_STEP: i64 = 60 * SECOND;

/// A step that is believed, as a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Step {
    /// When, by the clock after it.
    at: i64,
    /// By how much the clock was set; negative: back.
    moved: i64,
}

/// Remaining work on the clock that simod started with.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum LeftOfStart {
    /// It is not judged yet.
    Judging,
    /// It is judged, and the step is not stored yet.
    Keeping(Step),
}

/// State of the clock when a message was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ClockThen {
    /// Ahead by so many microseconds.
    Ahead(i64),
    /// It had been set back by so many, and had not yet caught up.
    SetBack(i64),
}

/// The newest message of each client: PostgreSQL has no index for the newest of all. Messages waiting for their
/// scheduled time are not included.
macro_rules! newest_of_clients {
    () => {
        "select c.no as client_no, (select max(m.no) from message m where m.client_no = c.no and m.no > 0) as no
         from client c"
    };
}

impl Store {
    /// Judges the clock that simod starts with by the times that are stored, and stores a step.
    ///
    /// # Errors
    /// A database error; [`Store::follow_clock`] then carries on with it.
    pub(crate) async fn start_clock(&self) -> Result<()> {
        self.left_of_start(Some(LeftOfStart::Judging));
        self.finish_start().await
    }

    async fn finish_start(&self) -> Result<()> {
        let left = *self.left_of_start.lock().unwrap_or_else(PoisonError::into_inner);
        let step = match left {
            None => None,
            Some(LeftOfStart::Keeping(step)) => Some(step),
            Some(LeftOfStart::Judging) => {
                let step = self.judge_start().await?;
                self.left_of_start(step.map(LeftOfStart::Keeping));
                step
            }
        };
        let Some(step) = step else { return Ok(()) };
        let mut tx = self.write().await?;
        self.keep_once(&mut tx, step).await?;
        tx.commit().await?;
        self.left_of_start(None);
        tell(step);
        Ok(())
    }

    fn left_of_start(&self, left: Option<LeftOfStart>) {
        *self.left_of_start.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }

    async fn judge_start(&self) -> Result<Option<Step>> {
        let mut tx = self.snapshot().await?;
        let last: Option<(i64, MessageNo)> =
            query_as("select at, message_no from clock_step order by no desc limit 1")
                .fetch_optional(&mut tx)
                .await?;
        let message: Option<(i64, MessageNo)> = query_as(concat!(
            "select m.accepted_at, m.no from (",
            newest_of_clients!(),
            ") n cross join message m on m.client_no = n.client_no and m.no = n.no order by m.no desc limit 1"
        ))
        .fetch_optional(&mut tx)
        .await?;
        // A message from before the last step may have any time.
        let message = message.filter(|(_, no)| last.is_none_or(|(_, before)| *no > before));
        let Some(newest) = last.into_iter().chain(message).map(|(at, _)| at).max() else {
            return Ok(None);
        };
        let ahead = open_jump(&mut tx).await?;
        let latest: Option<i64> =
            query_scalar("select max(at - moved) from clock_step where moved < 0").fetch_one(&mut tx).await?;
        let back = self.clock.start(newest, ahead, latest);
        let at = self.clock.now();
        let rest = self.clock.rest();
        let moved = match (back, rest) {
            (Some(back), _) => -back,
            // The part that is already open counts towards it.
            (None, Some(rest)) => rest.ahead - ahead.unwrap_or(0),
            (None, None) => 0,
        };
        Ok((moved != 0).then_some(Step { at, moved }))
    }

    /// Compares the clock with the one it follows, and adjusts. A step that is worth it is stored.
    ///
    /// # Errors
    /// A database error; the clock then goes on as before.
    pub(crate) async fn follow_clock(&self) -> Result<()> {
        self.finish_start().await?;
        let (by, uncertainty) = match &self.database {
            Database::Sqlite(_) => (Clock::System.now() - self.clock.uncorrected(), 0),
            Database::Postgres(server) => server.difference(&self.clock).await?,
        };
        let Some(moved) = self.clock.step_to(by, uncertainty) else { return Ok(()) };
        if -REMARKABLE < moved && moved <= JUMP {
            self.clock.follow(by);
            return Ok(());
        }
        let mut tx = self.write().await?;
        let step = Step { at: self.clock.now() + moved, moved };
        // On SQLite we hold the only writer: all messages up to the one that the row names have times from before the
        // step.
        let before = self.clock.follow(by);
        let kept = async {
            self.keep_once(&mut tx, step).await?;
            tx.commit().await
        };
        if let Err(error) = kept.await {
            self.clock.undo(before);
            return Err(error);
        }
        tell(step);
        Ok(())
    }

    /// Stores a step, unless another instance has.
    async fn keep_once(&self, tx: &mut Write, step: Step) -> Result<()> {
        if self.is_shared() && is_kept(tx, step).await? {
            return Ok(());
        }
        keep(tx, step, self.clock.rest().is_some()).await
    }

    /// Settles the rest of a jump where another instance was told to accept it, or its time is over.
    pub(crate) async fn settle_clock(&self) -> Result<()> {
        let is_open = open_jump(&mut *self.read().await?).await?.is_some();
        match (self.clock.rest(), is_open) {
            (Some(_), false) => self.clock.accept(),
            (None, true) => {
                let mut tx = self.write().await?;
                settle(&mut tx, self.clock.now()).await?;
                tx.commit().await?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) async fn accept_clock(&self) -> Result<ClockState> {
        // Another instance may have stored a jump that this one does not see.
        let mut tx = self.write().await?;
        let open = open_jump(&mut tx).await?;
        let Some(ahead) = self.clock.rest().map(|rest| rest.ahead).or(open) else {
            tx.rollback().await?;
            return self.clock_state().await;
        };
        settle(&mut tx, self.clock.now()).await?;
        let accepted = serde_json::json!({ "ahead_seconds": whole_seconds(ahead) });
        tx.record(SERVER, AuditChange::new("clock.accept", "").after(&accepted));
        tx.commit().await?;
        self.clock.accept();
        self.clock_state().await
    }

    /// The state of the clock and its steps, newest first.
    pub(crate) async fn clock_state(&self) -> Result<ClockState> {
        let steps: Vec<(i64, i64)> = query_as("select at, moved from clock_step order by no desc limit $1")
            .bind(SHOWN)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let steps =
            steps.into_iter().map(|(at, moved)| ClockStep { at: from_us(at), seconds: whole_seconds(moved) });
        Ok(ClockState { now: from_us(self.clock.now()), jump: self.clock_jump(), steps: steps.collect() })
    }

    /// The jump ahead that is not believed yet.
    pub(crate) fn clock_jump(&self) -> Option<ClockJump> {
        let rest = self.clock.rest()?;
        let until = self.clock.now().saturating_add(rest.left.as_micros() as i64);
        Some(ClockJump::new(whole_seconds(rest.ahead), from_us(until)))
    }
}

/// The state of the clock when a message was accepted, if that was near a step.
pub(in crate::store) async fn clock_then(
    conn: &mut Conn,
    message_no: MessageNo,
    accepted_at: i64,
) -> Result<Option<ClockThen>> {
    // Before the step: after the one that had set the clock ahead, or at a time that came twice.
    let ahead: Option<i64> = query_scalar(
        "select -b.moved from clock_step b
         left join clock_step f on f.no = (select max(no) from clock_step where no < b.no)
         where b.moved < 0 and b.message_no >= $1
         and (f.moved > 0 and f.message_no < $1 or b.at < $2 and $2 <= b.at - b.moved)
         order by b.no limit 1",
    )
    .bind(message_no)
    .bind(accepted_at)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(ahead) = ahead {
        return Ok(Some(ClockThen::Ahead(ahead)));
    }
    let back: Option<i64> = query_scalar(
        "select -moved from clock_step where moved < 0 and message_no < $1 and at <= $2 and $2 < at - moved
         order by no desc limit 1",
    )
    .bind(message_no)
    .bind(accepted_at)
    .fetch_optional(conn)
    .await?;
    Ok(back.map(ClockThen::SetBack))
}

/// How far ahead the clock is of the accepted time, by the rows.
async fn open_jump(conn: &mut Conn) -> Result<Option<i64>> {
    Ok(query_scalar(
        "select cast(sum(moved) as integer) from clock_step
         where no >= (select min(no) from clock_step where settled_at is null)",
    )
    .fetch_one(conn)
    .await?)
}

/// Whether another instance has stored the step; waits for one that is about to.
async fn is_kept(tx: &mut Write, step: Step) -> Result<bool> {
    query("lock table clock_step in share row exclusive mode").execute(&mut *tx).await?;
    Ok(query_scalar(
        "select exists (
             select 1 from (select at, moved from clock_step order by no desc limit 1) newest
             where at between $1 and $2 and moved between $3 and $4)",
    )
    .bind(step.at - SAME_STEP)
    .bind(step.at + SAME_STEP)
    .bind(step.moved - REMARKABLE)
    .bind(step.moved + REMARKABLE)
    .fetch_one(tx)
    .await?)
}

async fn keep(tx: &mut Write, step: Step, rests: bool) -> Result<()> {
    if !rests {
        settle(tx, step.at).await?;
    }
    query(concat!(
        "insert into clock_step (at, moved, message_no, settled_at)
         select $1, $2, coalesce(max(no), 0), $3 from (",
        newest_of_clients!(),
        ") newest"
    ))
    .bind(step.at)
    .bind(step.moved)
    .bind((step.moved < 0).then_some(step.at))
    .execute(tx)
    .await?;
    Ok(())
}

async fn settle(tx: &mut Write, now: i64) -> Result<()> {
    query("update clock_step set settled_at = $1 where settled_at is null").bind(now).execute(tx).await?;
    Ok(())
}

fn tell(step: Step) {
    let seconds = whole_seconds(step.moved.abs());
    if step.moved > 0 {
        tracing::warn!(
            "the clock was set {seconds} s ahead, or the machine slept: times go on from there, but nothing expires or is \
             forgotten by it for 15 minutes, or until `simoctl clock accept`"
        );
    } else {
        tracing::warn!(
            "the clock was set {seconds} s back: times go on from there; `simoctl message explain` says which messages were \
             accepted while it was ahead"
        );
    }
}
