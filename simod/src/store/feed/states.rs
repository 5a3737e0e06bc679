//! Changed deliveries of a few people, for their phones that hold a stream.

use std::collections::{BTreeSet, HashMap};

use simo_common::{api::device::OwnState, delivery::DeliveryState};
use uuid::Uuid;

use super::{FeedPosition, is_kept};
use crate::store::{
    ClientNo, EmployeeNo, MessageNo, Result, Store, StreamPhone,
    db::engine::{Engine, Kind::Whole, query_as},
};

/// Events that are read at once, including those of others.
const AT_ONCE: i64 = 4_096;

/// Position, and the employee and message of the changed delivery; no employee where an event concerns a whole message.
/// Those are read too: left out, they would be skipped over again in every round.
type Happened = (i64, i64, ClientNo, Option<EmployeeNo>, MessageNo);

const ON_SQLITE: &str = "select 0, seq, client_no, employee_no, message_no from event
     where $1 is not null and seq > $2 order by seq limit $3";

const ON_POSTGRES: &str =
    "select cast(xact::text as integer), seq, client_no, employee_no, message_no from event
     where (xact, seq) > ($1::text::xid8, $2) and xact < $4::text::xid8
     order by event.xact, seq limit $3";

impl Store {
    /// The deliveries of the people with these `phones` that changed after the position `after`, as they are now, and
    /// the position read up to; `None` as in [`Store::feed_after`].
    pub async fn states_after(
        &self,
        phones: &[StreamPhone],
        after: FeedPosition,
    ) -> Result<Option<(Vec<(usize, OwnState)>, FeedPosition)>> {
        let oldest = match self.engine() {
            Engine::Sqlite => None,
            // Before the reader, which must see the writes of transactions that have ended.
            Engine::Postgres => Some(self.oldest_transaction().await?),
        };
        let mut reader = self.read_promptly().await?;
        let mut rows = query_as(if oldest.is_some() { ON_POSTGRES } else { ON_SQLITE })
            .bind(after.xact)
            .bind(after.seq)
            .bind(AT_ONCE);
        if let Some(oldest) = oldest {
            rows = rows.bind(oldest);
        }
        let rows: Vec<Happened> = rows.fetch_all(&mut reader).await?;
        if !is_kept(&mut reader, after).await? {
            return Ok(None);
        }
        let read_to = rows.last().map_or(after, |&(xact, seq, ..)| FeedPosition { xact, seq });
        let mut places: HashMap<(ClientNo, EmployeeNo), Vec<usize>> = HashMap::new();
        for (place, phone) in phones.iter().enumerate() {
            places.entry((phone.client_no, phone.employee_no)).or_default().push(place);
        }
        let moved: BTreeSet<_> = rows
            .iter()
            .filter_map(|&(_, _, client, employee, message)| Some((client, employee?, message)))
            .filter(|(client, employee, _)| places.contains_key(&(*client, *employee)))
            .collect();
        if moved.is_empty() {
            return Ok(Some((Vec::new(), read_to)));
        }
        let states: Vec<(ClientNo, EmployeeNo, Uuid, i64)> = query_as(
            "select d.client_no, d.employee_no, m.id, d.state from {rows}
             cross join message m on m.client_no = {client} and m.no = {message}
             cross join delivery d on d.client_no = m.client_no and d.message_no = m.no and d.employee_no = {employee}",
        )
        .over(
            [("client", Whole), ("employee", Whole), ("message", Whole)],
            moved.into_iter().map(|(client, employee, message)| [client.into(), employee.into(), message.into()]),
        )
        .fetch_all(&mut reader)
        .await?;
        let mut told = Vec::new();
        for (client, employee, id, state) in states {
            if let Some(state) = DeliveryState::from_rank(state) {
                let places = places.get(&(client, employee)).into_iter().flatten();
                told.extend(places.map(|place| (*place, OwnState { id, state })));
            }
        }
        Ok(Some((told, read_to)))
    }
}
