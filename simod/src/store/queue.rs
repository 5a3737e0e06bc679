//! The queue of pushes: claim what is due, and store how it went.
//!
//! Claims live in memory, because one process owns the SQLite file: a push is claimed from [`Store::claim`] until
//! [`Store::finish`] has committed. After a crash nothing is claimed, and what was in flight is sent again.

use std::collections::HashSet;

use serde::Serialize;
use simo_common::{api::access::Payload, delivery::reason, message::Priority};
use sqlx::{AssertSqlSafe, Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{Result, Store, Write};

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
    row: i64,
    acs_id: Option<Uuid>,
    /// Which push.
    pub key: PushKey,
}

/// A claimed push with all that a channel needs to send it.
#[derive(Debug, Clone)]
pub struct ClaimedPush {
    /// The claim, to be handed back in [`Finished`].
    pub claim: Claim,
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

/// Why a push that is due must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The phone has it already, by another way.
    Received,
    /// The message was canceled.
    Canceled,
    /// Its time ran out.
    Expired,
    /// The employee is blocked or archived.
    Blocked,
    /// The device left, was removed or retired.
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
    /// Claims up to `limit` pushes of `channel` that are due, fair between clients, the most urgent and oldest of each
    /// first.
    pub async fn claim(&self, channel: &str, limit: usize) -> Result<Vec<ClaimedPush>> {
        let now = self.clock.now();
        let mut reader = self.read().await?;
        // One seek per client and urgency, however long the queue is.
        let clients: Vec<Uuid> = sqlx::query_scalar(
            "select c.id from client c where exists (
                 select 1 from push p where p.channel = $1 and p.client_id = c.id and p.urgency in (0, 1, 2, 3)
                 and p.done_at is null and p.channel <> 'stream' and p.due_at <= $2)",
        )
        .bind(channel)
        .bind(now)
        .fetch_all(&mut *reader)
        .await?;
        if clients.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        // Whom the rounding down leaves out this time, comes first next time.
        let first = self.claim_turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % clients.len();
        let mut hungry = [&clients[first..], &clients[..first]].concat();
        let mut claimed = Vec::with_capacity(limit);
        while claimed.len() < limit && !hungry.is_empty() {
            // What some leave of their share is shared by those who have more.
            let share = (limit - claimed.len()).div_ceil(hungry.len());
            let mut have_more = Vec::new();
            for client_id in hungry {
                let want = share.min(limit - claimed.len());
                if want == 0 {
                    break;
                }
                let held = self.held_rows();
                let rows = sqlx::query(AssertSqlSafe(CLAIM.as_str()))
                    .bind(channel)
                    .bind(client_id)
                    .bind(now)
                    .bind(held)
                    .bind(want as i64)
                    .fetch_all(&mut *reader)
                    .await?;
                if rows.len() == want {
                    have_more.push(client_id);
                }
                let pushes = rows.iter().map(|row| read_claimed(row, client_id, now));
                let pushes = pushes.collect::<Result<Vec<_>>>()?;
                self.claims().extend(pushes.iter().map(|push| push.claim.row));
                claimed.extend(pushes);
            }
            hungry = have_more;
        }
        Ok(claimed)
    }

    /// Stores how claimed pushes went, and what follows for their deliveries and devices; then the claims end.
    ///
    /// # Errors
    /// Nothing was stored, and the claims go on: call again with the same batch.
    pub async fn finish(&self, batch: &[Finished]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        store_pushes(&mut tx, batch).await?;
        let mut changed = mark_sent(&mut tx, batch).await?;
        changed.extend(close_deliveries(&mut tx, batch).await?);
        store_device_effects(&mut tx, batch).await?;
        add_delivery_events(&mut tx, batch, &changed, self.clock.now()).await?;
        tx.commit().await?;
        let mut claims = self.claims();
        for finished in batch {
            claims.remove(&finished.claim.row);
        }
        Ok(())
    }

    /// How many pushes of a channel wait, for metrics and tests: due or not, claimed or not.
    pub async fn waiting_pushes(&self, channel: &str) -> Result<i64> {
        // Each kind has a partial index, which the condition must name to get.
        let sql = if channel == "stream" {
            "select count(*) from push where channel = $1 and done_at is null and channel = 'stream'"
        } else {
            "select count(*) from push where channel = $1 and done_at is null and channel <> 'stream'"
        };
        Ok(sqlx::query_scalar(sql)
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

/// The due pushes of one client: a short seek per urgency, so that a long queue of retries in the future or of less
/// urgent ones is never read.
static CLAIM: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let due = [3, 2, 1, 0].map(|urgency| {
        format!(
            "select * from (select rowid as row, urgency, due_at from push
             where channel = $1 and client_id = $2 and urgency = {urgency} and due_at <= $3
             and done_at is null and channel <> 'stream'
             and rowid not in (select value from jsonb_each($4))
             order by due_at limit $5)"
        )
    });
    format!(
        "select due.row, p.message_id, p.employee_id, p.device_id, p.tries, p.urgency, m.acs_id, m.title, m.body,
                m.data, m.require_ack, m.accepted_at, m.expires_at, m.canceled_at, t.slug as topic, a.name as acs,
                d.address, d.address_kind, d.quarantined_at, d.retired_at, p.channel <> d.channel as moved,
                e.blocked_at, e.archived_at, c.payload, c.notification
         from (select row from ({}) order by urgency desc, due_at limit $5) due
         cross join push p cross join client c cross join message m cross join device d cross join employee e
         left join topic t on t.client_id = m.client_id and t.id = m.topic_id
         left join acs a on a.client_id = m.client_id and a.id = m.acs_id
         where p.rowid = due.row and c.id = p.client_id and m.client_id = p.client_id and m.id = p.message_id
           and d.client_id = p.client_id and d.id = p.device_id
           and e.client_id = p.client_id and e.id = p.employee_id",
        due.join(" union all ")
    )
});

fn read_claimed(row: &SqliteRow, client_id: Uuid, now: i64) -> Result<ClaimedPush> {
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
            row: row.try_get("row")?,
            acs_id: row.try_get("acs_id")?,
            key: PushKey {
                client_id,
                message_id: row.try_get("message_id")?,
                employee_id: row.try_get("employee_id")?,
                device_id: row.try_get("device_id")?,
            },
        },
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
        payload: if payload == Payload::Doorbell.as_str() {
            Payload::Doorbell
        } else {
            Payload::Full
        },
        notification: row.try_get("notification")?,
        quarantined_at: row.try_get("quarantined_at")?,
    })
}

/// What becomes of one push, as a row for the update.
#[derive(Serialize)]
struct PushRow<'a>(
    i64,             // 0 rowid
    i64,             // 1 tries to add
    Option<i64>,     // 2 last_tried_at
    Option<&'a str>, // 3 last_answer
    Option<i64>,     // 4 sent_at
    Option<i64>,     // 5 done_at
    Option<&'a str>, // 6 outcome
    Option<&'a str>, // 7 reason
    Option<i64>,     // 8 due_at
);

fn push_row(finished: &Finished) -> PushRow<'_> {
    let (row, at) = (finished.claim.row, finished.at);
    match &finished.result {
        PushResult::Accepted { answer } => PushRow(
            row,
            1,
            Some(at),
            Some(answer),
            Some(at),
            Some(at),
            Some("accepted"),
            None,
            None,
        ),
        PushResult::Retry {
            due_at,
            answer,
            counts,
        } => PushRow(
            row,
            i64::from(*counts),
            Some(at),
            Some(answer),
            None,
            None,
            None,
            None,
            Some(*due_at),
        ),
        // What quarantine holds back was not tried.
        PushResult::Failed { reason, answer, .. } => PushRow(
            row,
            i64::from(*reason != reason::QUARANTINED),
            (*reason != reason::QUARANTINED).then_some(at),
            Some(answer),
            None,
            Some(at),
            Some("failed"),
            Some(reason),
            None,
        ),
        PushResult::Skipped(skip) => {
            let (outcome, reason) = skip.outcome();
            PushRow(row, 0, None, None, None, Some(at), Some(outcome), reason, None)
        }
    }
}

impl Skip {
    /// The push's outcome and reason.
    fn outcome(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Received => ("received", None),
            Self::Canceled => ("canceled", Some(reason::CANCELED)),
            Self::Expired => ("expired", Some(reason::EXPIRED)),
            Self::Blocked => ("canceled", Some(reason::BLOCKED)),
            Self::DeviceGone => ("canceled", Some(reason::DEVICE_GONE)),
        }
    }
}

async fn store_pushes(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    let rows: Vec<PushRow<'_>> = batch.iter().map(push_row).collect();
    // A receipt may have closed the push meanwhile: then only what the provider said is added.
    sqlx::query(
        "update push set
             tries = tries + (j.value->>1),
             last_tried_at = coalesce(j.value->>2, last_tried_at),
             last_answer = coalesce(j.value->>3, last_answer),
             sent_at = coalesce(sent_at, j.value->>4),
             outcome = case when done_at is null then j.value->>6 else outcome end,
             reason = case when done_at is null then j.value->>7 else reason end,
             due_at = coalesce(j.value->>8, due_at),
             done_at = coalesce(done_at, j.value->>5)
         from jsonb_each($1) j where push.rowid = j.value->>0",
    )
    .bind(json(&rows))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deliveries that changed: message and employee.
type Changed = Vec<(Uuid, Uuid)>;

async fn mark_sent(tx: &mut Write, batch: &[Finished]) -> Result<Changed> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for finished in batch {
        let key = finished.claim.key;
        if matches!(finished.result, PushResult::Accepted { .. })
            && seen.insert((key.message_id, key.employee_id))
        {
            rows.push((
                hex(key.client_id),
                hex(key.message_id),
                hex(key.employee_id),
                finished.at,
            ));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(
        "update delivery set sent_at = j.value->>3 from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2) and sent_at is null
         returning message_id, employee_id",
    )
    .bind(json(&rows))
    .fetch_all(&mut **tx)
    .await?)
}

/// A delivery ends when its last push ended and no provider took any.
async fn close_deliveries(tx: &mut Write, batch: &[Finished]) -> Result<Changed> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for finished in batch {
        let key = finished.claim.key;
        let (outcome, reason) = match &finished.result {
            PushResult::Failed { reason, .. } => ("failed", *reason),
            PushResult::Skipped(Skip::Canceled) => ("canceled", reason::CANCELED),
            PushResult::Skipped(Skip::Expired) => ("expired", reason::EXPIRED),
            PushResult::Skipped(Skip::Blocked) => ("denied", reason::BLOCKED),
            // Without its only device, a delivery waits for the next one until it expires.
            PushResult::Skipped(Skip::DeviceGone | Skip::Received)
            | PushResult::Accepted { .. }
            | PushResult::Retry { .. } => continue,
        };
        if seen.insert((key.message_id, key.employee_id)) {
            rows.push((
                hex(key.client_id),
                hex(key.message_id),
                hex(key.employee_id),
                outcome,
                reason,
                finished.at,
            ));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(
        "update delivery set outcome = j.value->>3, reason = j.value->>4, outcome_at = j.value->>5
         from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2) and state = 0
         and not exists (
             select 1 from push p where p.client_id = delivery.client_id and p.message_id = delivery.message_id
             and p.employee_id = delivery.employee_id and (p.done_at is null or p.sent_at is not null))
         returning message_id, employee_id",
    )
    .bind(json(&rows))
    .fetch_all(&mut **tx)
    .await?)
}

async fn store_device_effects(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    for finished in batch {
        let key = finished.claim.key;
        let PushResult::Failed { device, .. } = &finished.result else {
            continue;
        };
        match device {
            DeviceEffect::None => {}
            DeviceEffect::Quarantine => {
                sqlx::query(
                    "update device set quarantined_at = $3, reason = $4
                     where client_id = $1 and id = $2 and quarantined_at is null and retired_at is null",
                )
                .bind(key.client_id)
                .bind(key.device_id)
                .bind(finished.at)
                .bind(reason::DEAD_ADDRESS)
                .execute(&mut **tx)
                .await?;
            }
            DeviceEffect::Retire => {
                retire_device(
                    tx,
                    key.client_id,
                    key.device_id,
                    reason::DEAD_ADDRESS,
                    finished.at,
                )
                .await?;
            }
        }
    }
    // The provider took a push for a quarantined device: its address lives.
    let alive: Vec<_> = batch
        .iter()
        .filter(|finished| matches!(finished.result, PushResult::Accepted { .. }))
        .map(|finished| {
            (
                hex(finished.claim.key.client_id),
                hex(finished.claim.key.device_id),
            )
        })
        .collect();
    if !alive.is_empty() {
        sqlx::query(
            "update device set quarantined_at = null, reason = null from jsonb_each($1) j
             where device.client_id = unhex(j.value->>0) and device.id = unhex(j.value->>1)
             and quarantined_at is not null and retired_at is null",
        )
        .bind(json(&alive))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Takes a device out of use for good, with its token; its open pushes are closed when they come due.
pub(super) async fn retire_device(
    tx: &mut Write,
    client_id: Uuid,
    device_id: Uuid,
    reason: &str,
    at: i64,
) -> Result<bool> {
    let owner: Option<Uuid> = sqlx::query_scalar(
        "update device set retired_at = $3, reason = $4 where client_id = $1 and id = $2 and retired_at is null
         returning employee_id",
    )
    .bind(client_id)
    .bind(device_id)
    .bind(at)
    .bind(reason)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(employee_id) = owner else {
        return Ok(false);
    };
    sqlx::query("update employee set devices = max(devices - 1, 0) where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(employee_id)
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

async fn add_delivery_events(tx: &mut Write, batch: &[Finished], changed: &Changed, at: i64) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let changed: HashSet<&(Uuid, Uuid)> = changed.iter().collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(changed.len());
    for finished in batch {
        let key = finished.claim.key;
        let delivery = (key.message_id, key.employee_id);
        if changed.contains(&delivery) && seen.insert(delivery) {
            rows.push((
                hex(key.client_id),
                finished.claim.acs_id.map(hex),
                hex(key.message_id),
                hex(key.employee_id),
            ));
        }
    }
    super::feed::add_delivery_events(tx, &rows, at).await
}

/// Rows for `jsonb_each`. Our rows are strings and numbers, whose serialisation cannot fail.
pub(super) fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).unwrap_or_default()
}

/// An id for `unhex`, which makes a blob of it again.
pub(super) fn hex(id: Uuid) -> uuid::fmt::Simple {
    id.simple()
}

/// A hash for `unhex`.
pub(super) fn hex_hash(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
