//! The queue of pushes: claim those that are due (statements: `queue/claim.rs`), and store their results
//! (`queue/finish.rs`).
//!
//! A push is claimed from [`Store::claim`] until [`Store::finish`] has committed. On SQLite claims live in memory,
//! because one process owns the file: after a crash nothing is claimed, and pushes in flight are sent again. On
//! PostgreSQL they are stored in the row, with a number of their own and a lease in the server's time: when an instance
//! is gone, another one claims its pushes after the lease ends.

pub(super) mod cancel;
mod claim;
pub(super) mod close;
pub(super) mod duty;
mod finish;
pub(super) mod inbox;
mod outcome;
mod permits_left;
pub(super) mod receipts;
pub(super) mod sweep;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use simo_common::{
    api::access::{Payload, WebPush},
    lang::Lang,
    message::Priority,
};
use uuid::Uuid;

use self::claim::{CLAIM_IN_MEMORY, CLAIM_IN_ROWS, CLIENTS, Due, read_claimed};
pub(super) use self::outcome::PushOutcome;
pub use self::{
    finish::{DeviceEffect, Finished, PushResult},
    permits_left::Room,
};
use super::{Result, Store};
use crate::{
    channel::{Address, ChannelKind},
    store::{
        ClientNo, DeviceNo, EmployeeNo, MessageNo,
        db::{
            engine::{Engine, query, query_as, query_scalar},
            rows_as_json::json,
        },
        message_spans::first_since,
        phones::retire_device::oldest_open,
    },
};

/// How long a cancel or denial waits for pushes on their way to a provider: mostly that takes a part of a second.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// Between two checks of pushes on their way.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A push as one number: SQLite looks a number up in a list, but scans a list of rows. If two pushes ever share one,
/// the second is claimed when the first is done.
const PACKED: &str = "((message_no << 24) | (device_no << 4) | step)";

/// Longer than any lease, which is a provider's time-out and some seconds.
const LONGEST_LEASE: &str = "15 minutes";

/// Whether a push is held by a lease, on PostgreSQL. A lease ending later than any possible one was given before the
/// server's clock was set back.
pub(super) fn is_leased(push: &str) -> String {
    format!(
        "{push}.held_until > clock_timestamp() and {push}.held_until <= clock_timestamp() + interval '{LONGEST_LEASE}'"
    )
}

/// Selects pushes under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum UnderWay {
    Message(MessageNo),
    Employee(EmployeeNo),
}

/// Identifies a push: one message for one employee on its way to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PushKey {
    /// The client.
    pub client_no: ClientNo,
    /// The message.
    pub message_no: MessageNo,
    /// The employee.
    pub employee_no: EmployeeNo,
    /// The phone.
    pub device_no: DeviceNo,
    /// The number of this push among the delivery's pushes to this phone; the first is 0.
    pub step: i64,
}

impl PushKey {
    pub(super) fn delivery(self) -> close::Delivery {
        (self.client_no, self.message_no, self.employee_no)
    }
}

/// The right to send a push, until it is finished.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The claim's number, on PostgreSQL: the result of an earlier claim must not undo a later one.
    number: i64,
    /// The provider's address that is tried: the result does not concern another address that the phone has got
    /// meanwhile.
    address: Address,
    /// The number of that way of the phone.
    way_no: i64,
    /// The push.
    pub key: PushKey,
}

/// A claimed push with everything a channel needs to send it.
#[derive(Debug, Clone)]
pub struct ClaimedPush {
    /// The claim, to be returned in [`Finished`].
    pub claim: Claim,
    /// When the claim began.
    pub claimed: Instant,
    /// The message's id, by which phones know it.
    pub message_id: Uuid,
    /// Why it must not be sent; then only [`PushResult::Skipped`] is right.
    pub skip: Option<Skip>,
    /// Tries so far.
    pub tries: u32,
    /// The message's priority.
    pub priority: Priority,
    /// The message's title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its JSON object.
    pub data: Option<String>,
    /// The topic's slug.
    pub topic: Option<String>,
    /// The topic's display name.
    pub topic_name: Option<String>,
    /// The ACS's name; `operator` when an operator posted it.
    pub acs: String,
    /// The client's name.
    pub client: String,
    /// The language of the phone's person.
    pub lang: Lang,
    /// The platform that the phone reports.
    pub platform: String,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// When it was accepted.
    pub accepted_at: i64,
    /// When it is given up.
    pub expires_at: i64,
    /// The provider's address of the phone.
    pub address: Address,
    /// How much FCM may see.
    pub payload: Payload,
    /// How much is sent by Web Push.
    pub webpush: WebPush,
    /// Whether the push carries a provider-side notification.
    pub notification: bool,
    /// Since when the device is quarantined, if it is.
    pub quarantined_at: Option<i64>,
}

/// The result of a claim.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The pushes, now claimed.
    pub pushes: Vec<ClaimedPush>,
    /// Whether more may be due, for which there was no room.
    pub more: bool,
}

/// Why a due push must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The message was canceled.
    Canceled,
    /// It has expired.
    Expired,
    /// The employee is blocked or archived.
    Blocked,
    /// The device left, was removed or retired, or has another way now.
    DeviceGone,
}

impl Store {
    /// Claims due pushes of `channel`, as many as there is room for, fairly between clients, the most urgent and oldest
    /// of each first. On PostgreSQL others may claim them again after `lease`.
    pub async fn claim(
        &self,
        channel: ChannelKind,
        room: impl Into<Room>,
        lease: Duration,
    ) -> Result<Claimed> {
        let mut room = room.into();
        if room.is_full() {
            return Ok(Claimed::default());
        }
        let due = Due {
            now: self.clock.now(),
            settled: self.clock.settled(),
            is_repeated: self.clock.is_repeated(),
        };
        // One seek per client and urgency, however long the queue is.
        let clients: Vec<(ClientNo, bool)> = query_as(due.of(&CLIENTS))
            .bind(channel)
            .bind(due.now)
            .fetch_all(&mut *self.read_promptly().await?)
            .await?;
        let Some((_, has_others)) = clients.first().copied() else {
            return Ok(Claimed::default());
        };
        if !has_others {
            room.keep_none();
        }
        let clients: Vec<ClientNo> = clients.into_iter().map(|(no, _)| no).collect();
        // A client that rounding down leaves out this time comes first next time.
        let first = self.claim_turn.fetch_add(1, Ordering::Relaxed) % clients.len();
        let mut hungry = [&clients[first..], &clients[..first]].concat();
        // A client with little under way waits least: claiming for a crowd takes a while to read.
        hungry.sort_by_key(|client_no| room.held_by(*client_no));
        let mut pushes = Vec::new();
        let mut more = false;
        while !room.is_full() && !hungry.is_empty() {
            // The unused parts of shares go to clients with more pushes.
            let share = room.free().div_ceil(hungry.len());
            let mut have_more = Vec::new();
            for client_no in hungry {
                let want = share.min(room.free_for(client_no));
                if want == 0 {
                    more = true;
                    continue;
                }
                let claimed = match self.claim_of(channel, client_no, due, want, lease).await {
                    Ok(claimed) => claimed,
                    Err(error) if pushes.is_empty() => return Err(error),
                    // Pushes claimed so far must still be returned.
                    Err(_) => return self.claimed_and_on_disk(pushes, true).await,
                };
                room.take(client_no, claimed.len());
                if claimed.len() == want {
                    have_more.push(client_no);
                }
                pushes.extend(claimed);
            }
            hungry = have_more;
        }
        self.claimed_and_on_disk(pushes, more || !hungry.is_empty()).await
    }

    /// Nothing is sent that a power failure could still undo.
    async fn claimed_and_on_disk(&self, pushes: Vec<ClaimedPush>, more: bool) -> Result<Claimed> {
        if !pushes.is_empty()
            && let Err(error) = self.messages_on_disk().await
        {
            let mut claims = self.claims();
            for push in &pushes {
                claims.remove(&push.claim.key);
            }
            return Err(error);
        }
        Ok(Claimed { pushes, more })
    }

    async fn claim_of(
        &self,
        channel: ChannelKind,
        client_no: ClientNo,
        due: Due,
        want: usize,
        lease: Duration,
    ) -> Result<Vec<ClaimedPush>> {
        let begun = Instant::now();
        let text = match self.engine() {
            Engine::Sqlite => due.of(&CLAIM_IN_MEMORY),
            Engine::Postgres => due.of(&CLAIM_IN_ROWS),
        };
        let claim = query(text).bind(channel).bind(client_no).bind(due.now).bind(want as i64);
        // A wait for claimed pushes must not check between the reading and the noting of a claim.
        let _claiming = self.claiming.lock().await;
        let rows = match self.engine() {
            Engine::Sqlite => {
                let claim = claim.bind(self.held(Some(client_no)));
                claim.fetch_all(&mut *self.read_promptly().await?).await?
            }
            Engine::Postgres => {
                let mut tx = self.write_promptly().await?;
                let rows = claim.bind(lease.as_micros() as i64).fetch_all(&mut tx).await?;
                tx.commit().await?;
                rows
            }
        };
        let pushes = rows.iter().map(|row| read_claimed(row, client_no, due.settled, begun));
        let pushes = pushes.collect::<Result<Vec<_>>>()?;
        if self.engine() == Engine::Sqlite {
            self.claims().extend(pushes.iter().map(|push| push.claim.key));
        }
        Ok(pushes)
    }

    /// Waits until every push claimed before the cancel or denial is finished, so that the caller is answered when
    /// nothing more is sent; at most [`SETTLES_WITHIN`].
    pub(super) async fn settled(&self, client_no: ClientNo, of: UnderWay) -> Result<()> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            // A claim in progress is noted first.
            drop(self.claiming.lock().await);
            if !self.is_under_way(client_no, of).await? || Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn is_under_way(&self, client_no: ClientNo, of: UnderWay) -> Result<bool> {
        if self.engine() == Engine::Sqlite {
            let is_meant = |key: &PushKey| match of {
                UnderWay::Message(no) => key.message_no == no,
                UnderWay::Employee(no) => key.employee_no == no,
            };
            return Ok(self.claims().iter().any(|key| key.client_no == client_no && is_meant(key)));
        }
        let mut reader = self.read().await?;
        let (which, no, since) = match of {
            UnderWay::Message(no) => ("d.message_no = $2 and $3 is not null", no.0, no),
            UnderWay::Employee(no) => (
                "d.employee_no = $2 and d.message_no >= $3",
                no.0,
                first_since(&mut reader, oldest_open(self.clock.now())).await?,
            ),
        };
        let exists = query_scalar(format!(
            "select exists (select 1 from delivery d join push p
                 on p.client_no = d.client_no and p.message_no = d.message_no and p.employee_no = d.employee_no
             where d.client_no = $1 and {which} and {})",
            is_leased("p")
        ))
        .bind(client_no)
        .bind(no)
        .bind(since);
        Ok(exists.fetch_one(&mut reader).await?)
    }

    /// How many pushes of a channel wait, for metrics and tests: due or not, claimed or not.
    pub async fn waiting_pushes(&self, channel: ChannelKind) -> Result<i64> {
        // Each kind has a partial index, which needs this condition.
        let kind = if channel.is_pulled() { "channel < 0" } else { "channel > 0" };
        query_scalar(format!("select count(*) from push where channel = $1 and done_at is null and {kind}"))
            .bind(channel)
            .fetch_one(&mut *self.read().await?)
            .await
            .map_err(Into::into)
    }

    /// The claimed pushes (of one client), for `jsonb_each`: each as in [`PACKED`].
    fn held(&self, client_no: Option<ClientNo>) -> String {
        let claims = self.claims();
        let held = claims.iter().filter(|key| client_no.is_none_or(|client_no| key.client_no == client_no));
        json(
            &held.map(|key| (key.message_no.0 << 24) | (key.device_no.0 << 4) | key.step).collect::<Vec<_>>(),
        )
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, HashSet<PushKey>> {
        // A poisoned set is still valid: nothing panics between its changes.
        self.claims.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
