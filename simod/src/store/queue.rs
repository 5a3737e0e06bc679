//! The queue of pushes: claim what is due, and store how it went (`queue/finish.rs`).
//!
//! A push is claimed from [`Store::claim`] until [`Store::finish`] has committed. On SQLite claims live in memory, because
//! one process owns the file: after a crash nothing is claimed, and what was in flight is sent again. On PostgreSQL they
//! stand in the row, with a number of their own and a lease that counts in the server's time: what an instance held that is
//! gone, another one claims when the lease is over.

mod finish;
mod room;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{LazyLock, atomic::Ordering},
    time::{Duration, Instant},
};

use simo_common::{api::access::Payload, message::Priority};
use uuid::Uuid;

pub use self::room::Room;
use super::{
    Result, Store,
    engine::{Engine, Row, query, query_scalar},
};

/// Which push: one message for one employee on its way to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PushKey {
    /// The client.
    pub client_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Whom it is for.
    pub employee_id: Uuid,
    /// The phone.
    pub device_id: Uuid,
}

/// The right to send a push, until it is finished.
#[derive(Debug, Clone)]
pub struct Claim {
    seq: i64,
    /// Which claim it is, on PostgreSQL: what came of an earlier one must not undo a later one.
    number: i64,
    acs_id: Option<Uuid>,
    /// Which push.
    pub key: PushKey,
}

/// A claimed push with all that a channel needs to send it.
#[derive(Debug, Clone)]
pub struct ClaimedPush {
    /// The claim, to be handed back in [`Finished`].
    pub claim: Claim,
    /// When the claim began.
    pub claimed: Instant,
    /// Why it must not be sent at all; then only [`PushResult::Skipped`] is right.
    pub skip: Option<Skip>,
    /// Tries so far.
    pub tries: u32,
    /// How urgent the message is.
    pub priority: Priority,
    /// The message's title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its JSON object.
    pub data: Option<String>,
    /// The topic's slug.
    pub topic: Option<String>,
    /// The ACS's name; `operator` when an operator posted it.
    pub acs: String,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// When it was accepted.
    pub accepted_at: i64,
    /// When it is given up.
    pub expires_at: i64,
    /// The provider's address of the phone.
    pub address: String,
    /// `token` or `installation`.
    pub address_kind: String,
    /// What the provider may see.
    pub payload: Payload,
    /// Whether the push carries a provider-side notification.
    pub notification: bool,
    /// Since when the device is quarantined, if it is.
    pub quarantined_at: Option<i64>,
}

/// What a claim got.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The pushes, now claimed.
    pub pushes: Vec<ClaimedPush>,
    /// Whether there may be more that is due, for which there was no room.
    pub more: bool,
}

/// Why a push that is due must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The message was canceled.
    Canceled,
    /// Its time ran out.
    Expired,
    /// The employee is blocked or archived.
    Blocked,
    /// The device left, was removed or retired, or is reached another way now.
    DeviceGone,
}

/// How a push went.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The claim that ends with this.
    pub claim: Claim,
    /// When it was known.
    pub at: i64,
    /// The result.
    pub result: PushResult,
}

/// The result of one try.
#[derive(Debug, Clone)]
pub enum PushResult {
    /// The provider took it.
    Accepted {
        /// What it said.
        answer: String,
    },
    /// Not now.
    Retry {
        /// When to try again.
        due_at: i64,
        /// What the provider said, or what went wrong on the way.
        answer: String,
        /// Whether it counts as a try (a pause does not).
        counts: bool,
    },
    /// Never.
    Failed {
        /// The reason code.
        reason: &'static str,
        /// What the provider said.
        answer: String,
        /// What it means for the device.
        device: DeviceEffect,
    },
    /// It was not sent.
    Skipped(Skip),
}

/// What a failure means for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEffect {
    /// Nothing.
    None,
    /// Its address is dead: no pushes but one later probe.
    Quarantine,
    /// Its address is dead, and was so when probed: it is retired.
    Retire,
}

impl Store {
    /// Claims pushes of `channel` that are due, as many as there is room for, fair between clients, the most urgent and
    /// oldest of each first. On PostgreSQL others may claim them again after `lease`.
    pub async fn claim(&self, channel: &str, room: impl Into<Room>, lease: Duration) -> Result<Claimed> {
        let mut room = room.into();
        let now = self.clock.now();
        // One seek per client and urgency, however long the queue is.
        let clients: Vec<Uuid> = query_scalar(
            "select c.id from client c where exists (
                 select 1 from push p where p.channel = $1 and p.client_id = c.id and p.urgency in (0, 1, 2, 3)
                 and p.done_at is null and p.channel <> 'stream' and p.due_at <= $2)",
        )
        .bind(channel)
        .bind(now)
        .fetch_all(&mut *self.read().await?)
        .await?;
        if clients.is_empty() || room.is_full() {
            return Ok(Claimed::default());
        }
        // Whom the rounding down leaves out this time, comes first next time.
        let first = self.claim_turn.fetch_add(1, Ordering::Relaxed) % clients.len();
        let mut hungry = [&clients[first..], &clients[..first]].concat();
        // Who has little under way waits least: what is claimed for a crowd takes a while to read.
        hungry.sort_by_key(|client_id| room.held_by(*client_id));
        let mut pushes = Vec::new();
        let mut more = false;
        while !room.is_full() && !hungry.is_empty() {
            // What some leave of their share is shared by those who have more.
            let share = room.free().div_ceil(hungry.len());
            let mut have_more = Vec::new();
            for client_id in hungry {
                let want = share.min(room.free_for(client_id));
                if want == 0 {
                    more = true;
                    continue;
                }
                let claimed = match self.claim_of(channel, client_id, now, want, lease).await {
                    Ok(claimed) => claimed,
                    Err(error) if pushes.is_empty() => return Err(error),
                    // What is claimed already must not stay in nobody's hands.
                    Err(_) => return self.claimed_and_on_disk(pushes, true).await,
                };
                room.take(client_id, claimed.len());
                if claimed.len() == want {
                    have_more.push(client_id);
                }
                pushes.extend(claimed);
            }
            hungry = have_more;
        }
        self.claimed_and_on_disk(pushes, more || !hungry.is_empty()).await
    }

    /// Nothing goes out that a power failure could still take away.
    async fn claimed_and_on_disk(&self, pushes: Vec<ClaimedPush>, more: bool) -> Result<Claimed> {
        if !pushes.is_empty()
            && let Err(error) = self.messages_on_disk().await
        {
            let mut claims = self.claims();
            for push in &pushes {
                claims.remove(&push.claim.seq);
            }
            return Err(error);
        }
        Ok(Claimed { pushes, more })
    }

    /// Claims due pushes of one client.
    async fn claim_of(
        &self,
        channel: &str,
        client_id: Uuid,
        now: i64,
        want: usize,
        lease: Duration,
    ) -> Result<Vec<ClaimedPush>> {
        let begun = Instant::now();
        let text = match self.engine() {
            Engine::Sqlite => &*CLAIM_IN_MEMORY,
            Engine::Postgres => &*CLAIM_IN_ROWS,
        };
        let claim = query(text)
            .bind(channel)
            .bind(client_id)
            .bind(now)
            .bind(want as i64);
        let rows = match self.engine() {
            Engine::Sqlite => {
                let claim = claim.bind(self.held_rows());
                claim.fetch_all(&mut *self.read().await?).await?
            }
            Engine::Postgres => {
                let mut tx = self.write().await?;
                let rows = claim.bind(lease.as_micros() as i64).fetch_all(&mut tx).await?;
                tx.commit().await?;
                rows
            }
        };
        let pushes = rows.iter().map(|row| read_claimed(row, client_id, now, begun));
        let pushes = pushes.collect::<Result<Vec<_>>>()?;
        if self.engine() == Engine::Sqlite {
            self.claims().extend(pushes.iter().map(|push| push.claim.seq));
        }
        Ok(pushes)
    }

    /// How many pushes of a channel wait, for metrics and tests: due or not, claimed or not.
    pub async fn waiting_pushes(&self, channel: &str) -> Result<i64> {
        // Each kind has a partial index, which the condition must name to get.
        let sql = if channel == "stream" {
            "select count(*) from push where channel = $1 and done_at is null and channel = 'stream'"
        } else {
            "select count(*) from push where channel = $1 and done_at is null and channel <> 'stream'"
        };
        Ok(query_scalar(sql)
            .bind(channel)
            .fetch_one(&mut *self.read().await?)
            .await?)
    }

    /// The rows that are claimed, for `jsonb_each`.
    pub(super) fn held_rows(&self) -> String {
        serde_json::to_string(&*self.claims()).unwrap_or_default()
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        // A poisoned set is still a set: nothing panics between its changes.
        self.claims
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a channel must know of the pushes `due`. Their rows stand in for `{}`.
const CLAIMED: &str = "select due.seq, due.claim, p.message_id, p.employee_id, p.device_id, p.tries, p.urgency, m.acs_id,
            m.title, m.body, m.data, m.require_ack, m.accepted_at, m.expires_at, m.canceled_at, t.slug as topic,
            a.name as acs, d.address, d.address_kind, d.quarantined_at, d.retired_at, p.channel <> d.channel as moved,
            e.blocked_at, e.archived_at, c.payload, c.notification
     from {} due
     cross join push p cross join client c cross join message m cross join device d cross join employee e
     left join topic t on t.client_id = m.client_id and t.id = m.topic_id
     left join acs a on a.client_id = m.client_id and a.id = m.acs_id
     where p.seq = due.seq and c.id = p.client_id and m.client_id = p.client_id and m.id = p.message_id
       and d.client_id = p.client_id and d.id = p.device_id
       and e.client_id = p.client_id and e.id = p.employee_id";

/// The due pushes of one client that we do not hold: a short seek per urgency, so that a long queue of retries in the
/// future or of less urgent ones is never read.
static CLAIM_IN_MEMORY: LazyLock<String> = LazyLock::new(|| {
    let due = [3, 2, 1, 0].map(|urgency| {
        format!(
            "select * from (select seq, urgency, due_at from push
             where channel = $1 and client_id = $2 and urgency = {urgency} and due_at <= $3
             and done_at is null and channel <> 'stream'
             and seq not in (select value from jsonb_each($5))
             order by due_at limit $4)"
        )
    });
    let due = format!(
        "(select seq, 0 as claim from ({}) order by urgency desc, due_at limit $4)",
        due.join(" union all ")
    );
    CLAIMED.replace("{}", &due)
});

/// The same, written down in the rows: what another instance is claiming is left to it.
static CLAIM_IN_ROWS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with free as (
             select push.seq from (values (3), (2), (1), (0)) urgent (rank) cross join lateral (
                 select seq, due_at from push
                 where channel = $1 and client_id = $2 and urgency = urgent.rank and due_at <= $3
                 and done_at is null and channel <> 'stream'
                 and (held_until is null or held_until < clock_timestamp())
                 order by due_at limit $4 for update skip locked) push
             order by urgent.rank desc, push.due_at limit $4),
         taken as (
             update push set claim = nextval('push_claim'),
                 held_until = clock_timestamp() + $5 * interval '1 microsecond'
             from free where push.seq = free.seq returning push.seq, push.claim)
         {}",
        CLAIMED.replace("{}", "taken")
    )
});

fn read_claimed(row: &Row, client_id: Uuid, now: i64, claimed: Instant) -> Result<ClaimedPush> {
    let expires_at: i64 = row.try_get("expires_at")?;
    let is_set = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.is_some());
    let skip = if is_set("canceled_at")? {
        Some(Skip::Canceled)
    } else if expires_at <= now {
        Some(Skip::Expired)
    } else if is_set("blocked_at")? || is_set("archived_at")? {
        Some(Skip::Blocked)
    } else if is_set("retired_at")? || row.try_get("moved")? {
        Some(Skip::DeviceGone)
    } else {
        None
    };
    let payload: String = row.try_get("payload")?;
    Ok(ClaimedPush {
        claim: Claim {
            seq: row.try_get("seq")?,
            number: row.try_get("claim")?,
            acs_id: row.try_get("acs_id")?,
            key: PushKey {
                client_id,
                message_id: row.try_get("message_id")?,
                employee_id: row.try_get("employee_id")?,
                device_id: row.try_get("device_id")?,
            },
        },
        claimed,
        skip,
        tries: row.try_get::<i64, _>("tries")? as u32,
        priority: Priority::from_rank(row.try_get("urgency")?),
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        data: row.try_get("data")?,
        topic: row.try_get("topic")?,
        acs: row
            .try_get::<Option<String>, _>("acs")?
            .unwrap_or_else(|| "operator".to_owned()),
        require_ack: row.try_get("require_ack")?,
        accepted_at: row.try_get("accepted_at")?,
        expires_at,
        address: row.try_get::<Option<String>, _>("address")?.unwrap_or_default(),
        address_kind: row.try_get("address_kind")?,
        payload: Payload::from_name(&payload),
        notification: row.try_get("notification")?,
        quarantined_at: row.try_get("quarantined_at")?,
    })
}
