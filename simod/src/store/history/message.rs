//! Messages as the API returns them.

use std::collections::HashMap;

use simo_common::{
    api::{
        history::{Sort, SortKey},
        message::{Message, RecipientCounts, StateCount},
    },
    delivery::{DeliveryState, Reason},
    message::{OPERATOR, Priority},
    page::{Page, encode_cursor},
    query::Query,
    time::from_us,
};
use uuid::Uuid;

use super::{Ask, Cursor, Order, PAGE_MOST, rows::moment, sql::Sql, wanted::Wanted, words};
use crate::store::{
    AcsNo, ClientNo, MessageNo, Result, Store,
    db::engine::{Conn, Kind::Whole, Row, query, query_scalar},
};

/// Stands for the sort in the cursor of a list of messages.
const SORT: &str = "messages";
/// Newest first.
const ORDER: Order = Order { key: SortKey::Date, descending: true, descending_dates: true };

/// A query for messages.
#[derive(Debug, Clone, Copy)]
pub struct AskMessages<'a> {
    /// The client.
    pub client_no: ClientNo,
    /// Only messages that this ACS posted.
    pub acs_no: Option<AcsNo>,
    /// Only messages with this id of their ACS.
    pub external_id: Option<&'a str>,
    /// The query; its conditions on deliveries must hold for one delivery of the message.
    pub query: &'a Query,
    /// How many.
    pub limit: u32,
    /// Start after this message: `next` of the last page.
    pub cursor: Option<&'a str>,
}

impl Store {
    /// A message; `None` when there is none with this id, or when `acs_no` is given and did not post it.
    pub async fn message(
        &self,
        client_no: ClientNo,
        acs_no: Option<AcsNo>,
        id: Uuid,
    ) -> Result<Option<Message>> {
        let mut snapshot = self.snapshot().await?;
        let found = posted_by(&mut snapshot, client_no, acs_no, id).await?;
        Ok(found.map(|found| found.message))
    }

    /// A page of messages, newest first.
    ///
    /// # Errors
    /// [`super::Error::Invalid`] when the cursor is not one of this list.
    pub async fn messages(&self, ask: &AskMessages<'_>) -> Result<Page<Message>> {
        self.index_for(ask.query).await?;
        let after = ask.cursor.map(|text| Cursor::read(text, SORT)).transpose()?;
        let as_of = after.as_ref().map_or_else(|| self.clock().now(), |after| after.as_of);
        let mut snapshot = self.snapshot().await?;
        let (until, waiting) = if let Some(after) = &after {
            (after.until, after.waiting)
        } else {
            let newest = super::newest(&mut snapshot, ask.client_no).await?;
            (newest, before_waiting(&mut snapshot, ask.client_no).await?)
        };
        let deliveries = Ask {
            client_no: ask.client_no,
            acs_no: ask.acs_no,
            message_id: None,
            query: ask.query,
            sort: Sort::default(),
            limit: ask.limit,
            cursor: None,
        };
        let mut wanted = super::wanted(&mut snapshot, &deliveries, as_of, until).await?;
        if let Some(id) = ask.external_id {
            wanted.external.narrow(false, [id.to_owned()]);
        }
        let limit = ask.limit.clamp(1, PAGE_MOST) as usize;
        let last = after.map_or(MessageNo(until.0.saturating_add(1)), |after| after.message_no);
        let mut numbers = wanted.waiting(&mut snapshot, waiting, limit + 1).await?;
        numbers.extend(wanted.accepted(&mut snapshot, last, limit + 1).await?);
        let mut found = by_date(read(&mut snapshot, ask.client_no, &numbers).await?);
        let more = found.len() > limit;
        found.truncate(limit);
        let shown = |waits: bool| found.iter().rev().map(|found| found.no).find(|no| (no.0 < 0) == waits);
        let next = more.then(|| {
            encode_cursor(&Cursor {
                sort: SORT.to_owned(),
                as_of,
                until,
                waiting: shown(true).unwrap_or(waiting),
                ..Cursor::at_message(shown(false).unwrap_or(last))
            })
        });
        Ok(Page { items: found.into_iter().map(|found| found.message).collect(), next })
    }
}

impl Wanted {
    /// The next messages that were accepted before `last`, newest first.
    async fn accepted(&self, conn: &mut Conn, last: MessageNo, limit: usize) -> Result<Vec<MessageNo>> {
        if self.is_impossible() || self.numbers.is_empty() {
            return Ok(Vec::new());
        }
        if self.asks_of_deliveries() {
            return self.accepted_by_deliveries(conn, last, limit).await;
        }
        if let Some(all) = self.candidates(conn).await? {
            let mut numbers: Vec<_> = all.iter().map(|message| message.no).filter(|no| *no < last).collect();
            numbers.sort_unstable_by(|one, other| other.cmp(one));
            numbers.truncate(limit);
            return Ok(numbers);
        }
        let (mut numbers, mut from, mut step) =
            (Vec::new(), Some(MessageNo(last.0.saturating_sub(1))), limit);
        while from.is_some() && numbers.len() < limit {
            let (found, next) = self.next_messages(conn, ORDER, from, step).await?;
            numbers.extend(found.iter().map(|message| message.no));
            from = next;
            step = (step * 2).min(2_000);
        }
        numbers.truncate(limit);
        Ok(numbers)
    }

    async fn accepted_by_deliveries(
        &self,
        conn: &mut Conn,
        mut last: MessageNo,
        limit: usize,
    ) -> Result<Vec<MessageNo>> {
        let mut numbers: Vec<MessageNo> = Vec::new();
        loop {
            let keys = self.keys(conn, ORDER, Some(&Cursor::at_message(last)), limit).await?;
            numbers.extend(keys.iter().map(|key| key.message_no));
            numbers.dedup();
            match numbers.last() {
                Some(no) if numbers.len() < limit && keys.len() == limit => last = *no,
                _ => {
                    numbers.truncate(limit);
                    return Ok(numbers);
                }
            }
        }
    }

    /// The next messages after `last` without a number of their own, newest first: the later the message, the smaller
    /// its temporary number. No index has their words.
    async fn waiting(&self, conn: &mut Conn, mut last: MessageNo, limit: usize) -> Result<Vec<MessageNo>> {
        let mut numbers = Vec::new();
        if self.is_impossible() || self.asks_of_deliveries() {
            return Ok(numbers);
        }
        let index = if self.external.only().is_some() { "message_external" } else { "message_client" };
        let mut more = true;
        while more && numbers.len() < limit {
            let mut sql = Sql::new(format!("select m.no, m.title, m.body from message m indexed by {index}"));
            sql.push(" where m.client_no = ").bind(self.client_no);
            sql.push(" and m.no < 0 and m.no > ").bind(last);
            if let Some(messages) = self.messages.only() {
                sql.push(" and m.no in ").numbers(messages);
            }
            self.push_message(&mut sql);
            sql.push(" order by m.no limit ").bind(limit as i64);
            let found: Vec<(MessageNo, String, String)> = sql.rows(conn).await?;
            more = found.len() == limit;
            last = found.last().map_or(last, |(no, ..)| *no);
            let has_words = |title: &str, body: &str| {
                self.texts.iter().all(|(negated, text)| words::has(title, body, text) != *negated)
            };
            let fits = |(no, title, body): (_, String, String)| has_words(&title, &body).then_some(no);
            numbers.extend(found.into_iter().filter_map(fits));
        }
        numbers.truncate(limit);
        Ok(numbers)
    }
}

/// The number before all messages of a client without a number of their own, the newest first.
async fn before_waiting(conn: &mut Conn, client_no: ClientNo) -> Result<MessageNo> {
    Ok(query_scalar("select coalesce(min(no), 0) - 1 from message where client_no = $1")
        .bind(client_no)
        .fetch_one(conn)
        .await?)
}

/// Merges messages without a number of their own with the others by date; each kind stays in order.
fn by_date(found: Vec<Found>) -> Vec<Found> {
    let mut all = Vec::with_capacity(found.len());
    let (waiting, accepted): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.no.0 < 0);
    let mut waiting = waiting.into_iter().peekable();
    for accepted in accepted {
        while let Some(later) = waiting.next_if(|it| it.message.accepted_at > accepted.message.accepted_at) {
            all.push(later);
        }
        all.push(accepted);
    }
    all.extend(waiting);
    all
}

pub(super) struct Found {
    pub(super) no: MessageNo,
    acs_no: Option<AcsNo>,
    pub(super) message: Message,
}

/// The message with this id, if it exists and was posted by the given ACS.
pub(super) async fn posted_by(
    conn: &mut Conn,
    client_no: ClientNo,
    acs_no: Option<AcsNo>,
    id: Uuid,
) -> Result<Option<Found>> {
    let no: Option<MessageNo> = query_scalar("select no from message where client_no = $1 and id = $2")
        .bind(client_no)
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
    let found = read(conn, client_no, no.as_slice()).await?.pop();
    Ok(found.filter(|found| acs_no.is_none() || found.acs_no == acs_no))
}

/// The messages with these numbers, in their order.
pub(super) async fn read(conn: &mut Conn, client_no: ClientNo, numbers: &[MessageNo]) -> Result<Vec<Found>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(
        "select m.*, c.slug as client, t.slug as topic, a.name as acs
         from {rows}
         cross join client c on c.no = $1
         cross join message m on m.client_no = $1 and m.no = {message}
         left join topic t on t.client_no = $1 and t.no = m.topic_no
         left join acs a on a.client_no = $1 and a.no = m.acs_no
         order by {#}",
    )
    .bind(client_no)
    .each(("message", Whole), numbers)
    .fetch_all(&mut *conn)
    .await?;
    let sums = query(
        "select s.message_no, max(s.changed_at) as changed_at, cast(sum(s.queued) as integer) as queued,
                cast(sum(s.sent) as integer) as sent, cast(sum(s.delivered) as integer) as delivered,
                cast(sum(s.read) as integer) as read, cast(sum(s.acknowledged) as integer) as acknowledged,
                cast(sum(s.failed) as integer) as failed, cast(sum(s.expired) as integer) as expired,
                cast(sum(s.canceled) as integer) as canceled, cast(sum(s.denied) as integer) as denied
         from {rows} cross join message_sum s
         where s.client_no = $1 and s.message_no = {message} group by s.message_no",
    )
    .bind(client_no)
    .each(("message", Whole), numbers)
    .fetch_all(conn)
    .await?;
    let sums = sums.iter().map(|row| Ok((row.try_get("message_no")?, row))).collect::<Result<_>>()?;
    rows.iter().map(|row| found(row, &sums)).collect()
}

fn found(row: &Row, sums: &HashMap<MessageNo, &Row>) -> Result<Found> {
    let no: MessageNo = row.try_get("no")?;
    let (canceled_at, accepted_at) = (moment(row, "canceled_at")?, row.try_get("accepted_at")?);
    let require_ack: bool = row.try_get("require_ack")?;
    let mut states = Vec::new();
    let mut changed_at = None;
    if let Some(sum) = sums.get(&no) {
        for state in DeliveryState::ALL {
            let count: i64 = sum.try_get(state.as_str())?;
            if count > 0 {
                states.push(StateCount { state, count: count as u64 });
            }
        }
        changed_at = Some(sum.try_get::<i64, _>("changed_at")?).filter(|at| *at > 0).map(from_us);
    }
    let may_acknowledge = |one: &StateCount| {
        !matches!(one.state, DeliveryState::Acknowledged | DeliveryState::Canceled | DeliveryState::Denied)
    };
    let unacknowledged = require_ack && states.iter().any(may_acknowledge);
    let count = |column| row.try_get::<i64, _>(column).map(|count| count as u64);
    let message = Message {
        id: row.try_get("id")?,
        client: row.try_get("client")?,
        acs: row.try_get::<Option<String>, _>("acs")?.unwrap_or_else(|| OPERATOR.to_owned()),
        topic: row.try_get("topic")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        priority: Priority::from_rank(row.try_get("priority")?),
        recipients: row.json("recipients")?,
        data: row.json("data")?,
        fitted: row.json("fitted")?.unwrap_or_default(),
        require_ack,
        external_id: row.try_get("external_id")?,
        accepted_at: from_us(accepted_at),
        send_at: moment(row, "send_at")?,
        expires_at: from_us(row.try_get("expires_at")?),
        canceled_at,
        cancel_reason: row
            .try_get::<Option<Reason>, _>("cancel_reason")?
            .map(|reason| reason.as_str().to_owned()),
        scheduled: no.0 < 0 && canceled_at.is_none(),
        counts: RecipientCounts {
            accepted: count("accepted")?,
            without_device: count("without_device")?,
            denied: count("denied")?,
            unknown: row.json("unknown")?.unwrap_or_default(),
            more_unknown: 0,
        },
        states,
        changed_at,
        unacknowledged_since: unacknowledged.then(|| from_us(accepted_at)),
    };
    Ok(Found { no, acs_no: row.try_get("acs_no")?, message })
}
