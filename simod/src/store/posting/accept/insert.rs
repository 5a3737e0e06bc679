//! Stores accepted messages: one statement per table for the whole batch.

use std::sync::LazyLock;

use simo_common::{
    api::message::Recipients,
    delivery::{Outcome, Reason},
};

use super::Item;
use crate::store::{
    ClientNo, MessageNo, Result, Write,
    db::{
        engine::{
            Kind::{self, Id, Text, Truth, Whole},
            RowStatement, Values, query,
        },
        rows_as_json::json,
    },
    feed::{Happened, add_message_events},
    posting::audience::{Audience, Part},
};

/// Messages with more deliveries than this are frozen and expanded later.
const SMALL_AUDIENCE: u64 = 128;
/// Deliveries that one transaction makes; the rest is frozen, so that the writer is not held for long.
const DELIVERIES_AT_ONCE: u64 = 2_048;

/// The columns of a message, in the order of [`insert_messages`].
const MESSAGE: [(&str, Kind); 23] = [
    ("client_no", Whole),
    ("no", Whole),
    ("id", Id),
    ("acs_no", Whole),
    ("operator_no", Whole),
    ("topic_no", Whole),
    ("title", Text),
    ("body", Text),
    ("priority", Whole),
    ("data", Text),
    ("recipients", Text),
    ("require_ack", Truth),
    ("external_id", Text),
    ("fingerprint", Whole),
    ("accepted_at", Whole),
    ("send_at", Whole),
    ("expires_at", Whole),
    ("allow_empty", Truth),
    ("accepted", Whole),
    ("without_device", Whole),
    ("denied", Whole),
    ("unknown", Text),
    ("fitted", Text),
];

static INSERT_MESSAGES: LazyLock<RowStatement<23>> = LazyLock::new(|| {
    let (columns, values): (Vec<_>, Vec<_>) =
        MESSAGE.iter().map(|(column, _)| (*column, format!("{{{column}}}"))).unzip();
    let insert =
        format!("insert into message ({}) select {} from {{rows}}", columns.join(", "), values.join(", "));
    // Lists the messages for the word index, too ([`Store::index_words`](crate::store::Store::index_words)).
    let and_unworded = format!(
        "with made as ({insert} returning client_no, no)
         insert into message_unworded (client_no, no) select client_no, no from made where no > 0"
    );
    RowStatement::of_two(MESSAGE, insert, and_unworded)
});

/// A delivery to be made: the values of [`INSERT_DELIVERIES`].
pub(in crate::store) type DeliveryRow = Values<'static, 11>;

static INSERT_DELIVERIES: LazyLock<RowStatement<11>> = LazyLock::new(|| {
    let denied = Outcome::Denied.number();
    let (archived, blocked) = (Reason::Archived.number(), Reason::Blocked.number());
    let no_device = Reason::NoDevice.number();
    // `cross join` keeps SQLite from starting with the larger table: one seek per row of ours, whatever it assumes.
    // People archived since the audience was frozen are denied for good, blocked ones until they are unblocked. A
    // denial on acceptance has no time of its own.
    let insert = |share: &str| {
        format!(
            "insert into delivery (client_no, message_no, employee_no, expires_at, outcome, reason, outcome_at, target,
                 target_no, let_in)
             select client_no, message_no, employee_no, expires_at,
                 coalesce(outcome, case when out_for is not null then {denied} end),
                 coalesce(reason, out_for, case when outcome is null and devices = 0 then {no_device} end),
                 coalesce(ended_at, case when outcome is null and out_for is not null then made_at end),
                 target, target_no, let_in
             from (select e.client_no, {{message}} as message_no, e.no as employee_no, {{expires_at}} as expires_at,
                       {{outcome}} as outcome, {{reason}} as reason, {{ended_at}} as ended_at, {{target}} as target,
                       {{target_no}} as target_no, {{let_in}} as let_in, {{made_at}} as made_at, e.devices,
                       case when e.archived_at is not null then {archived}
                            when e.blocked_at is not null then {blocked} end as out_for
                   from {{rows}} cross join employee e where e.client_no = {{client}} and e.no = {{employee}}{share}) made
             where true
             on conflict do nothing"
        )
    };
    RowStatement::of_two(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("expires_at", Whole),
            ("outcome", Whole),
            ("reason", Whole),
            ("ended_at", Whole),
            ("target", Whole),
            ("target_no", Whole),
            ("let_in", Whole),
            ("made_at", Whole),
        ],
        insert(""),
        // A concurrent pairing waits, or its phone is seen by the pushes that follow. People blocked after their
        // audience was decided get the message when they are unblocked; SQLite has one writer, and frozen audiences
        // handle this themselves.
        format!(
            "with made as ({} returning client_no, message_no, employee_no, reason, outcome_at)
             insert into hold (client_no, message_no, employee_no, since)
             select client_no, message_no, employee_no, outcome_at from made
             where reason = {blocked} and outcome_at is not null on conflict do nothing",
            insert(" for share of e")
        ),
    )
});

/// Pushes to be made, one per device of an employee: the values of [`INSERT_PUSHES`].
pub(in crate::store) type PushRow = Values<'static, 5>;

static INSERT_PUSHES: LazyLock<RowStatement<5>> = LazyLock::new(|| {
    // Without `indexed by`, SQLite reads all devices of the client for each row: it has no statistics, and takes the
    // prefix of the primary key to be as good.
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("urgency", Whole), ("due_at", Whole)],
        "insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
         select e.client_no, {message}, e.no, d.no, d.channel, {urgency}, {due_at}
         from {rows} cross join employee e cross join device d indexed by device_employee
         where e.client_no = {client} and e.no = {employee}
           and e.blocked_at is null and e.archived_at is null and d.client_no = e.client_no and d.employee_no = e.no
           and d.retired_at is null
         on conflict do nothing",
    )
});

static INSERT_KEYS: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(
        [
            ("client", Whole),
            ("acs", Whole),
            ("key", Text),
            ("message", Whole),
            ("fingerprint", Whole),
            ("created_at", Whole),
        ],
        "insert into idempotency (client_no, acs_no, key, message_no, fingerprint, created_at)
         select {client}, {acs}, {key}, {message}, {fingerprint}, {created_at} from {rows}",
    )
});

/// Fields of a message that its deliveries and pushes share.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct MessageSource {
    pub client_no: ClientNo,
    pub message_no: MessageNo,
    pub expires_at: i64,
    pub urgency: i64,
}

/// Stores messages with their deliveries, pushes, keys and events.
pub(super) async fn store(tx: &mut Write, items: &[&Item<'_>], now: i64) -> Result<()> {
    insert_messages(tx, items).await?;
    insert_keys(tx, items, now).await?;
    let due: Vec<_> = items.iter().filter(|item| item.times.send_at.is_none()).collect();
    let audiences = due.iter().map(|item| {
        let source = MessageSource {
            client_no: item.sender.client_no,
            message_no: item.no,
            expires_at: item.times.expires_at,
            urgency: item.priority.rank(),
        };
        (source, &item.audience)
    });
    insert_audiences(tx, audiences, now).await?;
    let accepted = items.iter().map(|item| (item.sender.client_no, item.no));
    add_message_events(tx, accepted, Happened::Accepted, now).await
}

/// Makes deliveries and pushes of small audiences, and freezes large ones.
pub(super) async fn insert_audiences<'a>(
    tx: &mut Write,
    audiences: impl Iterator<Item = (MessageSource, &'a Audience)>,
    now: i64,
) -> Result<()> {
    let mut left = DELIVERIES_AT_ONCE;
    let mut deliveries = Vec::new();
    let mut pushes = Vec::new();
    let mut frozen = Vec::new();
    for (source, audience) in audiences {
        let rows = audience.rows();
        if rows <= SMALL_AUDIENCE.min(left) {
            left -= rows;
            for part in &audience.parts {
                part_rows(&source, part, part.members.iter(), now, &mut deliveries, &mut pushes);
            }
        } else {
            frozen.extend(audience.parts.iter().enumerate().map(|(number, part)| (source, number, part)));
        }
    }
    insert_deliveries(tx, deliveries).await?;
    insert_pushes(tx, pushes).await?;
    for (source, number, part) in frozen {
        freeze(tx, &source, number, part, now).await?;
    }
    Ok(())
}

/// The rows of some members of a part.
pub(in crate::store) fn part_rows(
    source: &MessageSource,
    part: &Part,
    members: impl Iterator<Item = u32>,
    now: i64,
    deliveries: &mut Vec<DeliveryRow>,
    pushes: &mut Vec<PushRow>,
) {
    for employee in members {
        deliveries.push([
            source.client_no.into(),
            source.message_no.into(),
            employee.into(),
            source.expires_at.into(),
            part.closed.map(|(outcome, _)| outcome).into(),
            part.closed.map(|(_, reason)| reason).into(),
            part.closed.filter(|(outcome, _)| *outcome != Outcome::Denied).map(|_| now).into(),
            part.target.into(),
            part.target_no.into(),
            part.let_in.into(),
            now.into(),
        ]);
        if part.closed.is_none() {
            pushes.push([
                source.client_no.into(),
                source.message_no.into(),
                employee.into(),
                source.urgency.into(),
                now.into(),
            ]);
        }
    }
}

/// Makes deliveries; existing ones stay as they are.
pub(in crate::store) async fn insert_deliveries(tx: &mut Write, rows: Vec<DeliveryRow>) -> Result<()> {
    Ok(INSERT_DELIVERIES.execute(tx, rows).await?)
}

/// Makes a push for every device in use of each employee who is not blocked.
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
            draft.fingerprint.into(),
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
        Some([
            item.sender.client_no.into(),
            item.sender.acs_no.unwrap_or_default().into(),
            key.into(),
            item.no.into(),
            item.incoming.draft.fingerprint.into(),
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
async fn freeze(tx: &mut Write, source: &MessageSource, number: usize, part: &Part, now: i64) -> Result<()> {
    let mut members = Vec::with_capacity(part.members.serialized_size());
    // Writing to memory does not fail.
    let _written = part.members.serialize_into(&mut members);
    query(
        "insert into audience (client_no, message_no, part, reason, target, target_no, let_in, members, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(source.client_no)
    .bind(source.message_no)
    .bind(number as i64)
    .bind(part.closed.map(|(_, reason)| reason))
    .bind(part.target)
    .bind(part.target_no)
    .bind(part.let_in)
    .bind(members)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) fn recipients_json(recipients: &Recipients) -> String {
    // A struct of strings always serialises.
    serde_json::to_string(recipients).unwrap_or_default()
}
