//! What becomes of pushes and deliveries: nobody else writes how they end, what providers said and phones reported, or
//! that they go on after all.

use std::{collections::HashSet, sync::LazyLock};

use simo_common::delivery::{DeliveryState, Outcome, Reason};

use super::{PushKey, PushOutcome};
use crate::{
    channel::ChannelKind,
    store::{
        ClientNo, DeviceCaller, DeviceNo, EmployeeNo, MessageNo, Result, Write,
        db::engine::{
            Engine,
            Kind::{self, Text, Whole},
            RowStatement, Value, Values, query, query_as,
        },
        feed::add_delivery_events,
    },
};

/// Which delivery: client, message, employee.
pub(in crate::store) type Delivery = (ClientNo, MessageNo, EmployeeNo);

/// How a hold ended. The numbers are what the database stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(in crate::store) enum HoldEnding {
    /// It was given back.
    Lifted = 1,
    /// It is denied for good.
    Final = 2,
    /// A provider had it already.
    Sent = 3,
}

impl HoldEnding {
    /// The number that the database stores.
    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }

    /// The ending stored as `number`.
    pub(in crate::store) fn from_number(number: i64) -> Option<Self> {
        [Self::Lifted, Self::Final, Self::Sent].into_iter().find(|ending| ending.number() == number)
    }
}

/// A delivery that ends without a receipt.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Ending {
    pub(in crate::store) delivery: Delivery,
    pub(in crate::store) outcome: Outcome,
    pub(in crate::store) reason: Reason,
}

/// A push that ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct PushEnding {
    pub(super) key: PushKey,
    pub(super) outcome: PushOutcome,
    pub(super) reason: Reason,
}

fn end_deliveries(condition: &str) -> String {
    format!(
        "update delivery set outcome = {{outcome}}, reason = {{reason}}, outcome_at = {{at}} from {{rows}}
         where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0 {condition}
         returning client_no, message_no, employee_no"
    )
}

/// That no push of a delivery is open, was taken, or is withheld.
fn has_no_push_left() -> String {
    let (canceled, blocked) = (PushOutcome::Canceled.number(), Reason::Blocked.number());
    format!(
        "not exists (
             select 1 from push p where p.client_no = delivery.client_no and p.message_no = delivery.message_no
             and p.employee_no = delivery.employee_no
             and (p.done_at is null or p.sent_at is not null or (p.outcome = {canceled} and p.reason = {blocked})))"
    )
}

/// That its employee has devices, or has none.
fn employee_has_devices(how_many: &str) -> String {
    format!(
        "exists (select 1 from employee e where e.client_no = delivery.client_no and e.no = delivery.employee_no
             and e.devices {how_many})"
    )
}

const DELIVERY_ENDS: [(&str, Kind); 6] = [
    ("client", Whole),
    ("message", Whole),
    ("employee", Whole),
    ("outcome", Whole),
    ("reason", Whole),
    ("at", Whole),
];

static END_DELIVERIES: LazyLock<RowStatement<6>> =
    LazyLock::new(|| RowStatement::new(DELIVERY_ENDS, end_deliveries("")));

static END_DELIVERIES_WITHOUT_PUSHES: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(DELIVERY_ENDS, end_deliveries(&format!("and {}", has_no_push_left())))
});

static END_PUSHES_OF_DELIVERIES: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(
        DELIVERY_ENDS,
        "update push set done_at = {at}, outcome = {outcome}, reason = {reason} from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and done_at is null",
    )
});

impl Ending {
    fn row(&self, outcome: Value<'static>, at: i64) -> Values<'static, 6> {
        let (client, message, employee) = self.delivery;
        [client.into(), message.into(), employee.into(), outcome, self.reason.into(), at.into()]
    }

    fn of_delivery(&self, at: i64) -> Values<'static, 6> {
        self.row(self.outcome.into(), at)
    }

    fn of_pushes(&self, at: i64) -> Values<'static, 6> {
        self.row(PushOutcome::with(self.outcome).into(), at)
    }
}

/// Ends deliveries that wait, with their open pushes, and tells the feed. Returns those that waited.
pub(in crate::store) async fn end(tx: &mut Write, endings: &[Ending], at: i64) -> Result<Vec<Delivery>> {
    let rows = endings.iter().map(|ending| ending.of_delivery(at));
    let ended: Vec<Delivery> = END_DELIVERIES.fetch_all(tx, rows.collect()).await?;
    let changed: HashSet<&Delivery> = ended.iter().collect();
    let pushes = endings.iter().filter(|ending| changed.contains(&ending.delivery));
    let pushes = pushes.map(|ending| ending.of_pushes(at)).collect();
    END_PUSHES_OF_DELIVERIES.execute(tx, pushes).await?;
    add_delivery_events(tx, &ended, at).await?;
    Ok(ended)
}

/// Ends deliveries that wait and of which no push is open or was taken. Returns those that changed.
pub(super) async fn end_without_pushes(tx: &mut Write, endings: &[Ending], at: i64) -> Result<Vec<Delivery>> {
    let rows = endings.iter().map(|ending| ending.of_delivery(at));
    Ok(END_DELIVERIES_WITHOUT_PUSHES.fetch_all(tx, rows.collect()).await?)
}

static END_PUSHES: LazyLock<RowStatement<8>> = LazyLock::new(|| {
    RowStatement::new(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("device", Whole),
            ("step", Whole),
            ("outcome", Whole),
            ("reason", Whole),
            ("at", Whole),
        ],
        "update push set done_at = {at}, outcome = {outcome}, reason = {reason} from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and device_no = {device}
         and step = {step} and done_at is null",
    )
});

/// Ends pushes that are open.
pub(super) async fn end_pushes(tx: &mut Write, endings: &[PushEnding], at: i64) -> Result<()> {
    let rows = endings.iter().map(|PushEnding { key, outcome, reason }| {
        [
            key.client_no.into(),
            key.message_no.into(),
            key.employee_no.into(),
            key.device_no.into(),
            key.step.into(),
            (*outcome).into(),
            (*reason).into(),
            at.into(),
        ]
    });
    Ok(END_PUSHES.execute(tx, rows.collect()).await?)
}

/// Ends what is open for a device that is gone.
pub(in crate::store) async fn end_pushes_of_device(
    tx: &mut Write,
    (client_no, employee_no, device_no): (ClientNo, EmployeeNo, DeviceNo),
    since: MessageNo,
    at: i64,
) -> Result<()> {
    // As everywhere, deliveries are taken before pushes.
    lock_waiting(tx, client_no, employee_no, since).await?;
    lacks_device(tx, client_no, employee_no, since).await?;
    // By way of the employee's deliveries, because no index leads from a device to its pushes.
    let left: Vec<Delivery> = query_as(
        "update push set done_at = $5, outcome = $6, reason = $7
         where client_no = $1 and employee_no = $2 and device_no = $3 and done_at is null and message_no in (
             select message_no from delivery indexed by delivery_employee
             where client_no = $1 and employee_no = $2 and message_no >= $4)
         returning client_no, message_no, employee_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(device_no)
    .bind(since)
    .bind(at)
    .bind(PushOutcome::Canceled)
    .bind(Reason::DeviceGone)
    .fetch_all(tx)
    .await?;
    let ended = end_failed(tx, &left, at).await?;
    add_delivery_events(tx, &ended, at).await
}

/// Takes an employee's deliveries that wait, in their order: whoever changes several of them waits here for another one.
async fn lock_waiting(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        query(
            "select message_no from delivery where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0
             order by message_no for update",
        )
        .bind(client_no)
        .bind(employee_no)
        .bind(since)
        .fetch_all(tx)
        .await?;
    }
    Ok(())
}

static END_FAILED: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    let (outcome, failed) = (Outcome::Failed.number(), PushOutcome::Failed.number());
    let failures = format!(
        "from push p where p.client_no = delivery.client_no and p.message_no = delivery.message_no
         and p.employee_no = delivery.employee_no and p.outcome = {failed}"
    );
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("at", Whole)],
        format!(
            "update delivery set outcome = {outcome}, outcome_at = {{at}},
                 reason = (select p.reason {failures} order by p.done_at desc limit 1)
             from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0
             and exists (select 1 {failures}) and {} and {}
             returning client_no, message_no, employee_no",
            has_no_push_left(),
            employee_has_devices("> 0"),
        ),
    )
});

/// Ends deliveries whose last open push was one to a device that is gone, where those to others have failed. Returns those
/// that changed.
pub(super) async fn end_failed(tx: &mut Write, deliveries: &[Delivery], at: i64) -> Result<Vec<Delivery>> {
    let rows = deliveries
        .iter()
        .map(|&(client, message, employee)| [client.into(), message.into(), employee.into(), at.into()]);
    Ok(END_FAILED.fetch_all(tx, rows.collect()).await?)
}

/// Says of what waits for somebody who has no phone that it waits for one.
pub(in crate::store) async fn lacks_device(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    query(
        "update delivery indexed by delivery_employee set reason = $4
         where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 and reason is null
         and exists (select 1 from employee e where e.client_no = $1 and e.no = $2 and e.devices = 0)",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .bind(Reason::NoDevice)
    .execute(tx)
    .await?;
    Ok(())
}

static LEFT_WITHOUT_DEVICE: LazyLock<RowStatement<3>> = LazyLock::new(|| {
    let no_device = Reason::NoDevice.number();
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole)],
        format!(
            "update delivery set reason = {no_device} from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0
             and {} and {}",
            has_no_push_left(),
            employee_has_devices("= 0"),
        ),
    )
});

/// Says of what waits and has no push any more that it waits for a phone.
pub(super) async fn left_without_device(tx: &mut Write, deliveries: &[Delivery]) -> Result<()> {
    let rows = deliveries
        .iter()
        .map(|&(client, message, employee)| [client.into(), message.into(), employee.into()]);
    Ok(LEFT_WITHOUT_DEVICE.execute(tx, rows.collect()).await?)
}

/// What waits for a phone has one now.
pub(in crate::store) async fn has_device(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    query(
        "update delivery indexed by delivery_employee set reason = null
         where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 and reason = $4",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .bind(Reason::NoDevice)
    .execute(tx)
    .await?;
    Ok(())
}

/// What was said of a push that was tried, or of one that must not be tried.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    pub(super) key: PushKey,
    /// Tries that count.
    pub(super) tries: i64,
    pub(super) at: Option<i64>,
    pub(super) answer: Option<&'a str>,
    pub(super) sent_at: Option<i64>,
    pub(super) done_at: Option<i64>,
    pub(super) outcome: Option<PushOutcome>,
    pub(super) reason: Option<Reason>,
    pub(super) due_at: Option<i64>,
    /// Which claim it was, on PostgreSQL.
    pub(super) claim: i64,
    /// Which of the phone's ways it went.
    pub(super) way_no: i64,
}

fn store_tries(claim: &str, is_ours: &str) -> String {
    // It may have been ended meanwhile, or its phone may fetch its messages now and still be owed this one: then only what the
    // provider said is added.
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
        // What a claim that was taken over says counts only when the provider took the push, and does not end the claim.
        store_tries(
            "held_until = case when claim = {claim} then null else held_until end,",
            &format!("and (claim = {{claim}} or {{outcome}} = {accepted})"),
        ),
    )
});

fn keep_tries(is_ours: &str) -> String {
    // What is known only after somebody else ended the push, comes after that: what was told of the end stays.
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
        // As [`STORE_TRIES`]: of a claim that was taken over, only that a provider took the push.
        keep_tries("and (p.claim = {claim} or p.sent_at = {at})"),
    )
});

/// Stores how tries went, each with the way that it went and what was answered.
pub(super) async fn store_tries_of(tx: &mut Write, tried: &[Tried<'_>]) -> Result<()> {
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

/// Providers took pushes of these deliveries, each for the first time. Returns those that changed.
pub(super) async fn sent(
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
pub(super) type PhoneTimes = [Option<i64>; 3];

static REPORTED: LazyLock<RowStatement<7>> = LazyLock::new(|| {
    // On the right side a column is still as it was before.
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
pub(super) async fn reported(
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

/// These phones reported these deliveries, whichever way they got them.
pub(super) async fn received(
    tx: &mut Write,
    pushes: impl Iterator<Item = (Delivery, DeviceNo)>,
    now: i64,
) -> Result<()> {
    let rows = pushes.map(|((client, message, employee), device)| {
        [client.into(), message.into(), employee.into(), device.into(), now.into()]
    });
    Ok(RECEIVED.execute(tx, rows.collect()).await?)
}

/// Adds a further push for messages that a provider took for a device, or could not bring to it, and that nobody has
/// confirmed: the device fetches its messages from now on.
pub(in crate::store) async fn push_again(
    tx: &mut Write,
    device: &DeviceCaller,
    unconfirmed: &[MessageNo],
    channel: ChannelKind,
    now: i64,
) -> Result<()> {
    query(
        "insert into push (client_no, message_no, employee_no, device_no, step, channel, urgency, due_at)
         select p.client_no, p.message_no, p.employee_no, p.device_no, p.step + 1, $4, p.urgency, $5
         from {rows} cross join push p
         where p.client_no = $1 and p.message_no = {message} and p.employee_no = $2 and p.device_no = $3
         and p.done_at is not null and p.outcome <> $6 and (p.sent_at is not null or p.outcome = $7) and not exists (
             select 1 from push l where l.client_no = $1 and l.message_no = p.message_no and l.employee_no = $2
             and l.device_no = $3 and l.step > p.step)",
    )
    .bind(device.client_no)
    .bind(device.employee_no)
    .bind(device.device_no)
    .bind(channel)
    .bind(now)
    .bind(PushOutcome::Received)
    .bind(PushOutcome::Failed)
    .over([("message", Whole)], unconfirmed.iter().map(|message| [(*message).into()]))
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives back to somebody what was denied because he was blocked, and tells the feed. Returns what it gave back.
pub(in crate::store) async fn give_back(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    messages: &[MessageNo],
    now: i64,
) -> Result<Vec<Delivery>> {
    let given: Vec<Delivery> = query_as(
        "update delivery set outcome = null, reason = null, outcome_at = null
         where client_no = $1 and employee_no = $2 and state = $3 and reason = $4
         and message_no in (select {message} from {rows})
         returning client_no, message_no, employee_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(DeliveryState::Denied.rank())
    .bind(Reason::Blocked)
    .over([("message", Whole)], messages.iter().map(|message| [(*message).into()]))
    .fetch_all(tx)
    .await?;
    add_delivery_events(tx, &given, now).await?;
    Ok(given)
}

/// Opens again the pushes that were closed because somebody was blocked, of what waits for him: what was given back, and what
/// was claimed before it was denied.
pub(in crate::store) async fn reopen_blocked(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
    now: i64,
) -> Result<()> {
    // By the way that leads to the phone now.
    query(
        "update push set done_at = null, outcome = null, reason = null, due_at = $5, channel = (
             select d.channel from device d where d.client_no = $1 and d.no = push.device_no)
         where client_no = $1 and employee_no = $2 and outcome = $3 and reason = $4 and sent_at is null
         and exists (select 1 from device d where d.client_no = $1 and d.no = push.device_no and d.retired_at is null)
         and message_no in (
             select message_no from delivery indexed by delivery_employee
             where client_no = $1 and employee_no = $2 and message_no >= $6 and state in (0, 1))",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(PushOutcome::Canceled)
    .bind(Reason::Blocked)
    .bind(now)
    .bind(since)
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes why open pushes wait. Returns how many.
pub(super) async fn note(tx: &mut Write, pushes: &[PushKey], why: Reason) -> Result<u64> {
    let noted = query(
        "update push set reason = $1 from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and device_no = {device}
         and step = {step} and done_at is null",
    )
    .bind(why)
    .over(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("device", Whole), ("step", Whole)],
        pushes.iter().map(|key| {
            [
                key.client_no.into(),
                key.message_no.into(),
                key.employee_no.into(),
                key.device_no.into(),
                key.step.into(),
            ]
        }),
    )
    .execute(tx)
    .await?;
    Ok(noted.rows_affected())
}
