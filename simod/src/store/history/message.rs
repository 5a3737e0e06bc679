//! Messages as they are read back.

use simo_common::{
    api::{
        history::{Sort, SortKey},
        message::{Message, RecipientCounts, StateCount},
    },
    delivery::DeliveryState,
    message::{OPERATOR, Priority},
    page::{Page, encode_cursor},
    query::Query,
    time::from_us,
};
use uuid::Uuid;

use super::{Ask, Cursor, Order, PAGE_MOST, messages::Candidate, rows::moment, wanted::Wanted};
use crate::store::{
    Result, Store,
    db::{
        engine::{Conn, Row, query, query_as},
        rows_as_json,
    },
};

/// What the cursor of a list of messages says in place of a sort.
const SORT: &str = "messages";
/// Newest first.
const ORDER: Order = Order { key: SortKey::Date, descending: true, descending_dates: true };

/// A question for messages.
#[derive(Debug, Clone, Copy)]
pub struct AskMessages<'a> {
    /// Of which client.
    pub client_id: Uuid,
    /// Only what this ACS posted.
    pub acs_id: Option<Uuid>,
    /// Only those that their ACS calls so.
    pub external_id: Option<&'a str>,
    /// What is wanted; what it asks of deliveries must hold for one of the message's.
    pub query: &'a Query,
    /// How many.
    pub limit: u32,
    /// After which message: what the last page gave as `next`.
    pub cursor: Option<&'a str>,
}

impl Store {
    /// A message; `None` when there is none with this id, or when `acs_id` is given and did not post it.
    pub async fn message(&self, client_id: Uuid, acs_id: Option<Uuid>, id: Uuid) -> Result<Option<Message>> {
        let mut snapshot = self.snapshot().await?;
        let message = read(&mut snapshot, client_id, &[id]).await?.pop();
        Ok(message.filter(|(by, _)| acs_id.is_none() || *by == acs_id).map(|(_, message)| message))
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
        let until = super::until(&mut snapshot, ask.client_id, after.as_ref(), as_of).await?;
        let deliveries = Ask {
            client_id: ask.client_id,
            acs_id: ask.acs_id,
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
        let mut places = wanted.places(&mut snapshot, after.as_ref(), limit + 1).await?;
        let more = places.len() > limit;
        places.truncate(limit);
        let ids: Vec<Uuid> = places.iter().map(|(_, id)| *id).collect();
        let rows = read(&mut snapshot, ask.client_id, &ids).await?;
        let next = places.last().filter(|_| more).map(|(accepted_at, id)| {
            encode_cursor(&Cursor {
                sort: SORT.to_owned(),
                as_of,
                until,
                ..Cursor::at_message(*accepted_at, *id)
            })
        });
        Ok(Page { items: rows.into_iter().map(|(_, message)| message).collect(), next })
    }
}

impl Wanted {
    /// When the next messages after the cursor were accepted, and their ids.
    async fn places(
        &self,
        conn: &mut Conn,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<(i64, Uuid)>> {
        if self.is_impossible() {
            return Ok(Vec::new());
        }
        if self.asks_of_deliveries() {
            return self.places_by_deliveries(conn, after, limit).await;
        }
        let comes = |message: &Candidate| {
            after
                .is_none_or(|after| (message.accepted_at, message.id) < (after.accepted_at, after.message_id))
        };
        let place = |message: &Candidate| (message.accepted_at, message.id);
        if let Some(mut all) = self.candidates(conn).await? {
            all.retain(comes);
            let mut places: Vec<_> = all.iter().map(place).collect();
            places.sort_unstable_by(|one, other| other.cmp(one));
            places.truncate(limit);
            return Ok(places);
        }
        let (mut places, mut from, mut step) = (Vec::new(), after.cloned(), limit + 1);
        loop {
            // Each step begins with the message that the one before it ended with.
            let (found, last) = self.next_messages(conn, ORDER, from.as_ref(), step).await?;
            places.extend(found.iter().filter(|message| comes(message)).map(place));
            places.dedup();
            places.truncate(limit);
            match last {
                Some(last) if places.len() < limit => {
                    from = Some(Cursor::at_message(last.accepted_at, last.id));
                    step = (step * 2).min(2_000);
                }
                _ => return Ok(places),
            }
        }
    }

    async fn places_by_deliveries(
        &self,
        conn: &mut Conn,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<(i64, Uuid)>> {
        let mut places: Vec<(i64, Uuid)> = Vec::new();
        let mut after = after.cloned();
        loop {
            let keys = self.keys(conn, ORDER, after.as_ref(), limit).await?;
            places.extend(keys.iter().map(|key| (key.accepted_at, key.message_id)));
            places.dedup();
            match places.last() {
                // No employee's id is smaller than nil: the cursor skips what is left of this message.
                Some((accepted_at, id)) if places.len() < limit && keys.len() == limit => {
                    after = Some(Cursor::at_message(*accepted_at, *id));
                }
                _ => {
                    places.truncate(limit);
                    return Ok(places);
                }
            }
        }
    }
}

/// The messages with these ids, in their order, each with the ACS that posted it.
pub(super) async fn read(
    conn: &mut Conn,
    client_id: Uuid,
    ids: &[Uuid],
) -> Result<Vec<(Option<Uuid>, Message)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows_as_json::ids(ids);
    let rows = query(
        "select m.*, c.slug as client, t.slug as topic, a.name as acs
         from jsonb_each($2) k
         cross join client c on c.id = $1
         cross join message m indexed by message_id on m.client_id = $1 and m.id = unhex(k.atom)
         left join topic t on t.client_id = $1 and t.id = m.topic_id
         left join acs a on a.client_id = $1 and a.id = m.acs_id
         order by k.key",
    )
    .bind(client_id)
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let counts: Vec<(Uuid, i64, i64)> = query_as(
        "select d.message_id, d.state, count(*)
         from jsonb_each($2) k
         cross join message m indexed by message_id on m.client_id = $1 and m.id = unhex(k.atom)
         cross join delivery d indexed by delivery_state on d.client_id = $1
              and d.state in (0, 1, 2, 3, 4, 5, 6, 7, 8) and d.accepted_at = m.accepted_at and d.message_id = m.id
         group by d.message_id, d.state order by d.state",
    )
    .bind(client_id)
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| message(row, &counts)).collect()
}

fn message(row: &Row, counts: &[(Uuid, i64, i64)]) -> Result<(Option<Uuid>, Message)> {
    let id: Uuid = row.try_get("id")?;
    let states = counts.iter().filter(|(message, ..)| *message == id).filter_map(|(_, state, count)| {
        Some(StateCount { state: DeliveryState::from_rank(*state)?, count: *count as u64 })
    });
    let count = |column| row.try_get::<i64, _>(column).map(|count| count as u64);
    let message = Message {
        id,
        client: row.try_get("client")?,
        acs: row.try_get::<Option<String>, _>("acs")?.unwrap_or_else(|| OPERATOR.to_owned()),
        topic: row.try_get("topic")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        priority: Priority::from_rank(row.try_get("priority")?),
        recipients: row.json("recipients")?,
        data: row.json("data")?,
        fitted: row.json("fitted")?.unwrap_or_default(),
        require_ack: row.try_get("require_ack")?,
        external_id: row.try_get("external_id")?,
        accepted_at: from_us(row.try_get("accepted_at")?),
        send_at: moment(row, "send_at")?,
        expires_at: from_us(row.try_get("expires_at")?),
        canceled_at: moment(row, "canceled_at")?,
        cancel_reason: row.try_get("cancel_reason")?,
        scheduled: moment(row, "due_at")?.is_some(),
        counts: RecipientCounts {
            accepted: count("accepted")?,
            without_device: count("without_device")?,
            denied: count("denied")?,
            unknown: row.json("unknown")?.unwrap_or_default(),
            more_unknown: 0,
        },
        states: states.collect(),
    };
    Ok((row.try_get("acs_id")?, message))
}
