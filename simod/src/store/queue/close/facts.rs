//! Attempts, providers' answers, and phones' reports.

use std::sync::LazyLock;

use simo_common::delivery::{Outcome, Reason};

use super::{
    super::{PushKey, PushOutcome},
    Delivery, HoldEnding,
};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, MessageNo, Result, Write,
    db::engine::{
        Kind::{Text, Whole},
        RowStatement,
    },
};

/// The result of a push that was tried, or of one that must not be tried.
#[derive(Debug)]
pub(in crate::store::queue) struct Tried<'a> {
    pub(in crate::store::queue) key: PushKey,
    /// Tries that count.
    pub(in crate::store::queue) tries: i64,
    pub(in crate::store::queue) at: Option<i64>,
    pub(in crate::store::queue) answer: Option<&'a str>,
    pub(in crate::store::queue) sent_at: Option<i64>,
    pub(in crate::store::queue) done_at: Option<i64>,
    pub(in crate::store::queue) outcome: Option<PushOutcome>,
    pub(in crate::store::queue) reason: Option<Reason>,
    pub(in crate::store::queue) due_at: Option<i64>,
    /// The claim's number, on PostgreSQL.
    pub(in crate::store::queue) claim: i64,
    /// The number of the phone's way that was used.
    pub(in crate::store::queue) way_no: i64,
}

fn store_tries(claim: &str, is_ours: &str) -> String {
    // It may have been ended meanwhile, or its phone may now fetch its messages and still be owed this one: then only
    // the provider's answer is added.
    let counts = "channel > 0 and done_at is null";
    format!(
        "update push set
             tries = tries + {{tries}},
             last_tried_at = coalesce({{tried_at}}, last_tried_at),
             sent_at = coalesce(sent_at, {{sent_at}}),
             outcome = case when {counts} then {{outcome}} else outcome end,
             reason = case when {counts} then {{reason}} else reason end,
             due_at = coalesce({{due_at}}, due_at),
             {claim}
             done_at = coalesce(done_at, case when channel > 0 then {{done_at}} end)
         from {{rows}}
         where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}}
         and device_no = {{device}} and step = {{step}} {is_ours}"
    )
}

static STORE_TRIES: LazyLock<RowStatement<13>> = LazyLock::new(|| {
    let accepted = PushOutcome::Accepted.number();
    RowStatement::of_two(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("device", Whole),
            ("step", Whole),
            ("tries", Whole),
            ("tried_at", Whole),
            ("sent_at", Whole),
            ("done_at", Whole),
            ("outcome", Whole),
            ("reason", Whole),
            ("due_at", Whole),
            ("claim", Whole),
        ],
        store_tries("", ""),
        // The result of a claim that was taken over counts only if the provider accepted the push, and does not end the
        // claim.
        store_tries(
            "held_until = case when claim = {claim} then null else held_until end,",
            &format!("and (claim = {{claim}} or {{outcome}} = {accepted})"),
        ),
    )
});

fn keep_tries(is_ours: &str) -> String {
    // A result known only after the push was ended otherwise comes after that: the story of the end stays.
    format!(
        "insert into try (client_no, message_no, employee_no, device_no, step, no, at, way_no, answer)
         select p.client_no, p.message_no, p.employee_no, p.device_no, p.step, p.tries + {{more}},
             case when p.done_at > {{at}} and (p.sent_at is null or p.sent_at <> {{at}}) then p.done_at + 1 else {{at}} end,
             {{way}}, {{answer}}
         from {{rows}} cross join push p
         where p.client_no = {{client}} and p.message_no = {{message}} and p.employee_no = {{employee}}
         and p.device_no = {{device}} and p.step = {{step}} {is_ours}
         on conflict (client_no, message_no, employee_no, device_no, step, no)
         do update set at = excluded.at, way_no = excluded.way_no, answer = excluded.answer"
    )
}

static KEEP_TRIES: LazyLock<RowStatement<10>> = LazyLock::new(|| {
    RowStatement::of_two(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("device", Whole),
            ("step", Whole),
            ("more", Whole),
            ("at", Whole),
            ("way", Whole),
            ("answer", Text),
            ("claim", Whole),
        ],
        keep_tries(""),
        // As [`STORE_TRIES`]: from a claim that was taken over, only that a provider accepted the push.
        keep_tries("and (p.claim = {claim} or p.sent_at = {at})"),
    )
});

/// Stores attempts, each with its way and the answer.
pub(in crate::store::queue) async fn store_tries_of(tx: &mut Write, tried: &[Tried<'_>]) -> Result<()> {
    let rows = tried.iter().map(|tried| {
        [
            tried.key.client_no.into(),
            tried.key.message_no.into(),
            tried.key.employee_no.into(),
            tried.key.device_no.into(),
            tried.key.step.into(),
            tried.tries.into(),
            tried.at.into(),
            tried.sent_at.into(),
            tried.done_at.into(),
            tried.outcome.into(),
            tried.reason.into(),
            tried.due_at.into(),
            tried.claim.into(),
        ]
    });
    STORE_TRIES.execute(tx, rows.collect()).await?;
    let kept = tried.iter().filter_map(|tried| {
        let (at, answer) = (tried.at?, tried.answer?);
        Some([
            tried.key.client_no.into(),
            tried.key.message_no.into(),
            tried.key.employee_no.into(),
            tried.key.device_no.into(),
            tried.key.step.into(),
            i64::from(tried.tries == 0).into(),
            at.into(),
            tried.way_no.into(),
            answer.into(),
            tried.claim.into(),
        ])
    });
    Ok(KEEP_TRIES.execute(tx, kept.collect()).await?)
}

static SENT: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("at", Whole)],
        "update delivery set sent_at = {at} from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and sent_at is null
         returning client_no, message_no, employee_no, outcome",
    )
});

/// Providers accepted pushes of these deliveries, each for the first time. Returns those that changed.
pub(in crate::store::queue) async fn sent(
    tx: &mut Write,
    deliveries: impl Iterator<Item = (Delivery, i64)>,
    now: i64,
) -> Result<Vec<Delivery>> {
    let rows = deliveries
        .map(|((client, message, employee), at)| [client.into(), message.into(), employee.into(), at.into()]);
    let sent: Vec<(ClientNo, MessageNo, EmployeeNo, Option<Outcome>)> =
        SENT.fetch_all(tx, rows.collect()).await?;
    let denied = sent.iter().filter(|(.., outcome)| *outcome == Some(Outcome::Denied));
    let rows = denied
        .map(|&(client, message, employee, _)| [client.into(), message.into(), employee.into(), now.into()]);
    END_HOLDS_OF_SENT.execute(tx, rows.collect()).await?;
    Ok(sent.into_iter().map(|(client, message, employee, _)| (client, message, employee)).collect())
}

static END_HOLDS_OF_SENT: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    let sent = HoldEnding::Sent.number();
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("now", Whole)],
        format!(
            "update hold set until = {{now}}, ending = {sent} from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and until is null"
        ),
    )
});

/// When, by the phone's clock, a delivery was delivered, read and acknowledged.
pub(in crate::store::queue) type PhoneTimes = [Option<i64>; 3];

static REPORTED: LazyLock<RowStatement<7>> = LazyLock::new(|| {
    // On the right side a column still has its old value.
    let first = |kind: &str| {
        format!(
            "{kind}_at = coalesce({kind}_at, case when {{{kind}}} is not null then {{now}} end),
             phone_{kind}_at = case when {kind}_at is null then {{{kind}}} else phone_{kind}_at end"
        )
    };
    let is_new = |kind: &str| format!("{kind}_at is null and {{{kind}}} is not null");
    let kinds = ["delivered", "read", "acknowledged"];
    RowStatement::new(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("delivered", Whole),
            ("read", Whole),
            ("acknowledged", Whole),
            ("now", Whole),
        ],
        format!(
            "update delivery set {} from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and ({})
             returning client_no, message_no, employee_no",
            kinds.map(first).join(", "),
            kinds.map(is_new).join(" or "),
        ),
    )
});

/// Phones reported deliveries. Returns those that changed.
pub(in crate::store::queue) async fn reported(
    tx: &mut Write,
    deliveries: impl Iterator<Item = (Delivery, PhoneTimes)>,
    now: i64,
) -> Result<Vec<Delivery>> {
    let rows = deliveries.map(|((client, message, employee), [delivered, read, acknowledged])| {
        [
            client.into(),
            message.into(),
            employee.into(),
            delivered.into(),
            read.into(),
            acknowledged.into(),
            now.into(),
        ]
    });
    Ok(REPORTED.fetch_all(tx, rows.collect()).await?)
}

static RECEIVED: LazyLock<RowStatement<5>> = LazyLock::new(|| {
    let (accepted, received) = (PushOutcome::Accepted.number(), PushOutcome::Received.number());
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("device", Whole), ("now", Whole)],
        format!(
            "update push set done_at = coalesce(done_at, {{now}}), outcome = {received}, reason = null from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}}
             and device_no = {{device}} and (done_at is null or outcome = {accepted})"
        ),
    )
});

/// These phones reported these deliveries, by whichever way they got them.
pub(in crate::store::queue) async fn received(
    tx: &mut Write,
    pushes: impl Iterator<Item = (Delivery, DeviceNo)>,
    now: i64,
) -> Result<()> {
    let rows = pushes.map(|((client, message, employee), device)| {
        [client.into(), message.into(), employee.into(), device.into(), now.into()]
    });
    Ok(RECEIVED.execute(tx, rows.collect()).await?)
}
