//! Storing what was accepted: one statement per table for the whole batch.

use std::sync::LazyLock;

use serde::Serialize;
use simo_common::{api::message::Recipients, delivery::reason};
use uuid::{Uuid, fmt::Simple};

use super::Item;
use crate::store::{
    Result, Write,
    audience::{Audience, Part},
    bind::{hex, hex_hash, json},
    engine::{Engine, query},
};

/// Messages with more deliveries than this are frozen and expanded afterwards.
const SMALL_AUDIENCE: u64 = 128;
/// Deliveries that one transaction makes at once; what goes beyond is frozen, so that nobody waits long for the writer.
const DELIVERIES_AT_ONCE: u64 = 1_024;

/// A message's row: the columns of `message` in the order of [`INSERT_MESSAGES`].
#[derive(Serialize)]
struct MessageRow<'a>(
    Simple,          // 0 client_id
    Simple,          // 1 id
    Option<Simple>,  // 2 acs_id
    Option<Simple>,  // 3 operator_id
    Option<Simple>,  // 4 topic_id
    &'a str,         // 5 title
    &'a str,         // 6 body
    i64,             // 7 priority
    Option<&'a str>, // 8 data
    Option<String>,  // 9 recipients
    bool,            // 10 require_ack
    Option<&'a str>, // 11 external_id
    Option<String>,  // 12 fingerprint
    i64,             // 13 accepted_at
    Option<i64>,     // 14 send_at
    i64,             // 15 expires_at
    Option<i64>,     // 16 due_at
    bool,            // 17 allow_empty
    u64,             // 18 accepted
    u64,             // 19 without_device
    u64,             // 20 denied
    Option<String>,  // 21 unknown
);

const INSERT_MESSAGES: &str = "insert into message (client_id, id, acs_id, operator_id, topic_id, title, body, priority,
     data, recipients, require_ack, external_id, fingerprint, accepted_at, send_at, expires_at, due_at, allow_empty,
     accepted, without_device, denied, unknown)
 select unhex(value->>0), unhex(value->>1), unhex(value->>2), unhex(value->>3), unhex(value->>4), value->>5, value->>6,
     cast(value->>7 as integer), value->>8, value->>9, cast(value->>10 as boolean), value->>11, unhex(value->>12, ''), cast(value->>13 as integer), cast(value->>14 as integer), cast(value->>15 as integer),
     cast(value->>16 as integer), cast(value->>17 as boolean), cast(value->>18 as integer), cast(value->>19 as integer), cast(value->>20 as integer), value->>21
 from jsonb_each($1)";

/// The same, and what the word index must take up ([`Store::index_words`](crate::store::Store::index_words)).
static INSERT_MESSAGES_UNWORDED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with made as ({INSERT_MESSAGES} returning seq) insert into message_unworded (seq) select seq from made"
    )
});

/// A delivery to be made: of an employee who is known by his ordinal.
#[derive(Serialize)]
pub(in crate::store) struct DeliveryRow(
    Simple,               // 0 client_id
    Simple,               // 1 message_id
    u32,                  // 2 the employee's ordinal
    i64,                  // 3 accepted_at
    i64,                  // 4 expires_at
    Option<&'static str>, // 5 outcome
    Option<&'static str>, // 6 reason
    &'static str,         // 7 target
    Option<Simple>,       // 8 target_id
    Option<Simple>,       // 9 grant_id
);

/// Pushes to be made: one per device of an employee.
#[derive(Serialize)]
pub(in crate::store) struct PushRow(
    Simple, // 0 client_id
    Simple, // 1 message_id
    u32,    // 2 the employee's ordinal
    i64,    // 3 urgency
    i64,    // 4 due_at
);

/// What deliveries and pushes take from their message.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Origin {
    pub client_id: Uuid,
    pub message_id: Uuid,
    pub accepted_at: i64,
    pub expires_at: i64,
    pub urgency: i64,
}

/// Stores messages with what follows from them.
pub(super) async fn store(tx: &mut Write, items: &[&Item<'_>], now: i64) -> Result<()> {
    insert_messages(tx, items).await?;
    insert_keys(tx, items, now).await?;
    let due: Vec<_> = items.iter().filter(|item| item.times.send_at.is_none()).collect();
    let audiences = due.iter().map(|item| {
        let origin = Origin {
            client_id: item.sender.client_id,
            message_id: item.id,
            accepted_at: item.times.accepted_at,
            expires_at: item.times.expires_at,
            urgency: item.priority.rank(),
        };
        (origin, &item.audience)
    });
    insert_audiences(tx, audiences, now).await?;
    let events: Vec<_> = items
        .iter()
        .map(|item| {
            (
                hex(item.sender.client_id),
                item.sender.acs_id.map(hex),
                hex(item.id),
            )
        })
        .collect();
    query(
        "insert into event (client_id, acs_id, at, kind, message_id)
         select unhex(value->>0), unhex(value->>1), $2, 'accepted', unhex(value->>2) from jsonb_each($1)",
    )
    .bind(json(&events))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes deliveries and pushes of small audiences, and freezes large ones.
pub(super) async fn insert_audiences<'a>(
    tx: &mut Write,
    audiences: impl Iterator<Item = (Origin, &'a Audience)>,
    now: i64,
) -> Result<()> {
    let mut left = DELIVERIES_AT_ONCE;
    let mut deliveries = Vec::new();
    let mut pushes = Vec::new();
    let mut frozen = Vec::new();
    for (origin, audience) in audiences {
        let rows = audience.rows();
        if rows <= SMALL_AUDIENCE.min(left) {
            left -= rows;
            for part in &audience.parts {
                part_rows(
                    &origin,
                    part,
                    part.members.iter(),
                    now,
                    &mut deliveries,
                    &mut pushes,
                );
            }
        } else {
            frozen.extend(
                audience
                    .parts
                    .iter()
                    .enumerate()
                    .map(|(number, part)| (origin, number, part)),
            );
        }
    }
    insert_deliveries(tx, &deliveries, now).await?;
    insert_pushes(tx, &pushes).await?;
    for (origin, number, part) in frozen {
        freeze(tx, &origin, number, part, now).await?;
    }
    Ok(())
}

/// The rows of some members of a part.
pub(in crate::store) fn part_rows(
    origin: &Origin,
    part: &Part,
    members: impl Iterator<Item = u32>,
    now: i64,
    deliveries: &mut Vec<DeliveryRow>,
    pushes: &mut Vec<PushRow>,
) {
    for ordinal in members {
        deliveries.push(DeliveryRow(
            hex(origin.client_id),
            hex(origin.message_id),
            ordinal,
            origin.accepted_at,
            origin.expires_at,
            part.closed.map(|(outcome, _)| outcome.as_str()),
            part.closed.map(|(_, reason)| reason),
            part.target.as_str(),
            part.target_id.map(hex),
            part.grant_id.map(hex),
        ));
        if part.closed.is_none() {
            pushes.push(PushRow(
                hex(origin.client_id),
                hex(origin.message_id),
                ordinal,
                origin.urgency,
                now,
            ));
        }
    }
}

/// Makes deliveries; one that is there already stays as it is.
pub(in crate::store) async fn insert_deliveries(
    tx: &mut Write,
    rows: &[DeliveryRow],
    now: i64,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // `cross join` keeps SQLite from beginning with the larger table: one seek per row of ours, whatever it believes.
    // Who was blocked since the audience was frozen is denied: he gets nothing further.
    // A phone that is being paired waits, or is seen by the pushes that follow.
    let share = tx.shared("e");
    query(format!(
        "insert into delivery (client_id, message_id, employee_id, accepted_at, expires_at, outcome, reason,
             outcome_at, target, target_id, grant_id)
         select client_id, message_id, employee_id, accepted_at, expires_at,
             coalesce(outcome, case when out_for is not null then 'denied' end), coalesce(reason, out_for),
             case when outcome is not null or out_for is not null then cast($2 as integer) end, target, target_id, grant_id
         from (select e.client_id, unhex(j.value->>1) as message_id, e.id as employee_id, cast(j.value->>3 as integer) as accepted_at,
                   cast(j.value->>4 as integer) as expires_at, j.value->>5 as outcome, j.value->>6 as reason, j.value->>7 as target,
                   unhex(j.value->>8) as target_id, unhex(j.value->>9) as grant_id,
                   case when e.archived_at is not null then $4 when e.blocked_at is not null then $3 end as out_for
               from jsonb_each($1) j cross join employee e
               where e.client_id = unhex(j.value->>0) and e.ordinal = cast(j.value->>2 as integer){share}) made
         where true
         on conflict do nothing"
    )
    )
    .bind(json(rows))
    .bind(now)
    .bind(reason::BLOCKED)
    .bind(reason::ARCHIVED)
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes a push for every living device of whoever is not blocked.
pub(in crate::store) async fn insert_pushes(tx: &mut Write, rows: &[PushRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // Without `indexed by`, SQLite reads all devices of the client for each row: it has no statistics, and takes the
    // prefix of the primary key for as good.
    query(
        "insert into push (client_id, message_id, employee_id, device_id, channel, urgency, due_at)
         select e.client_id, unhex(j.value->>1), e.id, d.id, d.channel, cast(j.value->>3 as integer), cast(j.value->>4 as integer)
         from jsonb_each($1) j cross join employee e cross join device d indexed by device_employee
         where e.client_id = unhex(j.value->>0) and e.ordinal = cast(j.value->>2 as integer)
           and e.blocked_at is null and e.archived_at is null and d.client_id = e.client_id and d.employee_id = e.id and d.retired_at is null
         on conflict do nothing",
    )
    .bind(json(rows))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_messages(tx: &mut Write, items: &[&Item<'_>]) -> Result<()> {
    let rows: Vec<MessageRow<'_>> = items
        .iter()
        .map(|item| {
            let draft = &item.incoming.draft;
            let unknown = &item.unknown;
            MessageRow(
                hex(item.sender.client_id),
                hex(item.id),
                item.sender.acs_id.map(hex),
                item.sender.operator_id.map(hex),
                item.topic_id.map(hex),
                &draft.title,
                &draft.body,
                item.priority.rank(),
                draft.data.as_deref(),
                draft
                    .recipients
                    .as_ref()
                    .or(item.usual.as_ref())
                    .map(recipients_json),
                draft.require_ack,
                draft.external_id.as_deref(),
                draft.fingerprint.map(|fingerprint| hex_hash(&fingerprint)),
                item.times.accepted_at,
                item.times.send_at,
                item.times.expires_at,
                item.times.send_at,
                draft.allow_empty,
                item.audience.accepted,
                item.audience.without_device,
                item.audience.denied,
                (!unknown.is_empty()).then(|| json(unknown)),
            )
        })
        .collect();
    let insert = match tx.engine() {
        Engine::Sqlite => INSERT_MESSAGES,
        Engine::Postgres => &INSERT_MESSAGES_UNWORDED,
    };
    query(insert).bind(json(&rows)).execute(tx).await?;
    Ok(())
}

async fn insert_keys(tx: &mut Write, items: &[&Item<'_>], now: i64) -> Result<()> {
    let rows: Vec<_> = items
        .iter()
        .filter_map(|item| {
            let key = item.incoming.idempotency_key.as_deref()?;
            let fingerprint = item.incoming.draft.fingerprint.as_ref().map(hex_hash);
            let acs_id = item.sender.acs_id.unwrap_or(Uuid::nil());
            Some((
                hex(item.sender.client_id),
                hex(acs_id),
                key,
                hex(item.id),
                fingerprint,
            ))
        })
        .collect();
    insert_key_rows(tx, &rows, now).await
}

/// Stores `Idempotency-Key`s: whose, the key, the message that it stands for, and that one's meaning.
pub(super) async fn insert_key_rows(
    tx: &mut Write,
    rows: &[(Simple, Simple, &str, Simple, Option<String>)],
    now: i64,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    query(
        "insert into idempotency (client_id, acs_id, key, message_id, fingerprint, created_at)
         select unhex(value->>0), unhex(value->>1), value->>2, unhex(value->>3), unhex(value->>4, ''), $2
         from jsonb_each($1)",
    )
    .bind(json(&rows))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Freezes one part of a large audience.
async fn freeze(tx: &mut Write, origin: &Origin, number: usize, part: &Part, now: i64) -> Result<()> {
    let mut members = Vec::with_capacity(part.members.serialized_size());
    // Writing to memory does not fail.
    let _written = part.members.serialize_into(&mut members);
    query(
        "insert into audience (client_id, message_id, part, reason, target, target_id, grant_id, members, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(origin.client_id)
    .bind(origin.message_id)
    .bind(number as i64)
    .bind(part.closed.map(|(_, reason)| reason))
    .bind(part.target.as_str())
    .bind(part.target_id)
    .bind(part.grant_id)
    .bind(members)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) fn recipients_json(recipients: &Recipients) -> String {
    // A struct of strings, whose serialisation cannot fail.
    serde_json::to_string(recipients).unwrap_or_default()
}
