//! Storing what was accepted: one statement per table for the whole batch.

use std::sync::LazyLock;

use simo_common::{api::message::Recipients, delivery::reason};

use super::Item;
use crate::store::{
    ClientNo, MessageNo, Result, Write,
    db::{
        engine::{
            Kind::{Bytes, Id, Text, Truth, Whole},
            RowStatement, Values, query,
        },
        rows_as_json::json,
    },
    posting::audience::{Audience, Part},
};

/// Messages with more deliveries than this are frozen and expanded afterwards.
const SMALL_AUDIENCE: u64 = 128;
/// Deliveries that one transaction makes at once; what goes beyond is frozen, so that nobody waits long for the writer.
const DELIVERIES_AT_ONCE: u64 = 2_048;

macro_rules! insert_messages {
    () => {
        "insert into message (client_no, no, id, acs_no, operator_no, topic_no, title, body, priority, data, recipients,
             require_ack, external_id, fingerprint, accepted_at, send_at, expires_at, allow_empty, accepted,
             without_device, denied, unknown, fitted)
         select {0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}, {16}, {17},
             {18}, {19}, {20}, {21}, {22}
         from {rows}"
    };
}

static INSERT_MESSAGES: LazyLock<RowStatement<23>> = LazyLock::new(|| {
    RowStatement::of_two(
        [
            Whole, Whole, Id, Whole, Whole, Whole, Text, Text, Whole, Text, Text, Truth, Text, Bytes, Whole,
            Whole, Whole, Truth, Whole, Whole, Whole, Text, Text,
        ],
        insert_messages!(),
        // And what the word index must take up ([`Store::index_words`](crate::store::Store::index_words)).
        concat!(
            "with made as (",
            insert_messages!(),
            " returning client_no, no) insert into message_unworded (client_no, no)
             select client_no, no from made where no > 0"
        ),
    )
});

/// A delivery to be made: the values of [`INSERT_DELIVERIES`].
pub(in crate::store) type DeliveryRow = Values<'static, 10>;

static INSERT_DELIVERIES: LazyLock<RowStatement<10>> = LazyLock::new(|| {
    // `cross join` keeps SQLite from beginning with the larger table: one seek per row of ours, whatever it believes.
    // Who was blocked since the audience was frozen is denied: he gets nothing further.
    let insert = |share: &str| {
        format!(
            "insert into delivery (client_no, message_no, employee_no, expires_at, outcome, reason,
                 outcome_at, target, target_no, grant_no)
             select client_no, message_no, employee_no, expires_at,
                 coalesce(outcome, case when out_for is not null then 'denied' end), coalesce(reason, out_for),
                 case when outcome is not null or out_for is not null then made_at end, target, target_no, grant_no
             from (select e.client_no, {{1}} as message_no, e.no as employee_no, {{3}} as expires_at,
                       {{4}} as outcome, {{5}} as reason, {{6}} as target, {{7}} as target_no, {{8}} as grant_no,
                       {{9}} as made_at,
                       case when e.archived_at is not null then '{}' when e.blocked_at is not null then '{}' end as out_for
                   from {{rows}} cross join employee e where e.client_no = {{0}} and e.no = {{2}}{share}) made
             where true
             on conflict do nothing",
            reason::ARCHIVED,
            reason::BLOCKED,
        )
    };
    RowStatement::of_two(
        [Whole, Whole, Whole, Whole, Text, Text, Text, Whole, Whole, Whole],
        insert(""),
        // A phone that is being paired waits, or is seen by the pushes that follow.
        insert(" for share of e"),
    )
});

/// Pushes to be made, one per device of an employee: the values of [`INSERT_PUSHES`].
pub(in crate::store) type PushRow = Values<'static, 5>;

static INSERT_PUSHES: LazyLock<RowStatement<5>> = LazyLock::new(|| {
    // Without `indexed by`, SQLite reads all devices of the client for each row: it has no statistics, and takes the
    // prefix of the primary key for as good.
    RowStatement::new(
        [Whole, Whole, Whole, Whole, Whole],
        "insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
         select e.client_no, {1}, e.no, d.no, d.channel, {3}, {4}
         from {rows} cross join employee e cross join device d indexed by device_employee
         where e.client_no = {0} and e.no = {2}
           and e.blocked_at is null and e.archived_at is null and d.client_no = e.client_no and d.employee_no = e.no
           and d.retired_at is null
         on conflict do nothing",
    )
});

static INSERT_EVENTS: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    RowStatement::new(
        [Whole, Whole, Whole, Whole],
        "insert into event (client_no, acs_no, at, kind, message_no) select {0}, {1}, {3}, 'accepted', {2} from {rows}",
    )
});

static INSERT_KEYS: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(
        [Whole, Whole, Text, Whole, Bytes, Whole],
        "insert into idempotency (client_no, acs_no, key, message_no, fingerprint, created_at)
         select {0}, {1}, {2}, {3}, {4}, {5} from {rows}",
    )
});

/// What deliveries and pushes take from their message.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Origin {
    pub client_no: ClientNo,
    pub message_no: MessageNo,
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
            client_no: item.sender.client_no,
            message_no: item.no,
            expires_at: item.times.expires_at,
            urgency: item.priority.rank(),
        };
        (origin, &item.audience)
    });
    insert_audiences(tx, audiences, now).await?;
    let events = items
        .iter()
        .map(|item| [item.sender.client_no.into(), item.sender.acs_no.into(), item.no.into(), now.into()]);
    INSERT_EVENTS.execute(tx, events.collect()).await?;
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
                part_rows(&origin, part, part.members.iter(), now, &mut deliveries, &mut pushes);
            }
        } else {
            frozen.extend(audience.parts.iter().enumerate().map(|(number, part)| (origin, number, part)));
        }
    }
    insert_deliveries(tx, deliveries).await?;
    insert_pushes(tx, pushes).await?;
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
    for employee in members {
        deliveries.push([
            origin.client_no.into(),
            origin.message_no.into(),
            employee.into(),
            origin.expires_at.into(),
            part.closed.map(|(outcome, _)| outcome.as_str()).into(),
            part.closed.map(|(_, reason)| reason).into(),
            part.target.as_str().into(),
            part.target_no.into(),
            part.grant_no.into(),
            now.into(),
        ]);
        if part.closed.is_none() {
            pushes.push([
                origin.client_no.into(),
                origin.message_no.into(),
                employee.into(),
                origin.urgency.into(),
                now.into(),
            ]);
        }
    }
}

/// Makes deliveries; one that is there already stays as it is.
pub(in crate::store) async fn insert_deliveries(tx: &mut Write, rows: Vec<DeliveryRow>) -> Result<()> {
    Ok(INSERT_DELIVERIES.execute(tx, rows).await?)
}

/// Makes a push for every living device of whoever is not blocked.
pub(in crate::store) async fn insert_pushes(tx: &mut Write, rows: Vec<PushRow>) -> Result<()> {
    Ok(INSERT_PUSHES.execute(tx, rows).await?)
}

async fn insert_messages(tx: &mut Write, items: &[&Item<'_>]) -> Result<()> {
    let rows = items.iter().map(|item| {
        let draft = &item.incoming.draft;
        let recipients = draft.recipients.as_ref().or(item.usual.as_ref());
        [
            item.sender.client_no.into(),
            item.no.into(),
            item.id.into(),
            item.sender.acs_no.into(),
            item.sender.operator_no.into(),
            item.topic_no.into(),
            (&draft.title).into(),
            (&draft.body).into(),
            item.priority.rank().into(),
            draft.data.as_deref().into(),
            recipients.map(recipients_json).into(),
            draft.require_ack.into(),
            draft.external_id.as_deref().into(),
            draft.fingerprint.as_ref().map(|fingerprint| &fingerprint[..]).into(),
            item.times.accepted_at.into(),
            item.times.send_at.into(),
            item.times.expires_at.into(),
            draft.allow_empty.into(),
            item.audience.accepted.into(),
            item.audience.without_device.into(),
            item.audience.denied.into(),
            (!item.unknown.is_empty()).then(|| json(&item.unknown)).into(),
            (!draft.fitted.is_empty()).then(|| json(&draft.fitted)).into(),
        ]
    });
    Ok(INSERT_MESSAGES.execute(tx, rows.collect()).await?)
}

async fn insert_keys(tx: &mut Write, items: &[&Item<'_>], now: i64) -> Result<()> {
    let rows = items.iter().filter_map(|item| {
        let key = item.incoming.idempotency_key.as_deref()?;
        let fingerprint = item.incoming.draft.fingerprint.as_ref();
        Some([
            item.sender.client_no.into(),
            item.sender.acs_no.unwrap_or_default().into(),
            key.into(),
            item.no.into(),
            fingerprint.map(|fingerprint| &fingerprint[..]).into(),
            now.into(),
        ])
    });
    insert_key_rows(tx, rows.collect()).await
}

/// Stores `Idempotency-Key`s: the values of [`INSERT_KEYS`].
pub(super) async fn insert_key_rows(tx: &mut Write, rows: Vec<Values<'_, 6>>) -> Result<()> {
    Ok(INSERT_KEYS.execute(tx, rows).await?)
}

/// Freezes one part of a large audience.
async fn freeze(tx: &mut Write, origin: &Origin, number: usize, part: &Part, now: i64) -> Result<()> {
    let mut members = Vec::with_capacity(part.members.serialized_size());
    // Writing to memory does not fail.
    let _written = part.members.serialize_into(&mut members);
    query(
        "insert into audience (client_no, message_no, part, reason, target, target_no, grant_no, members, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(origin.client_no)
    .bind(origin.message_no)
    .bind(number as i64)
    .bind(part.closed.map(|(_, reason)| reason))
    .bind(part.target.as_str())
    .bind(part.target_no)
    .bind(part.grant_no)
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
