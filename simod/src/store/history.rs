//! History: finding deliveries and messages by a query, and the story of one delivery.

mod choice;
mod explain;
mod filter;
mod message;
mod messages;
mod own;
mod plan;
mod rows;
mod scan;
mod scheduled;
mod sql;
mod story;
#[cfg(test)]
mod tests;
mod times;
mod wanted;
pub(super) mod words;

use serde::{Deserialize, Serialize};
use simo_common::{
    api::history::{Delivery, Sort, SortKey},
    page::{Page, decode_cursor, encode_cursor},
    people::sort_key,
    query::{Filter, Query},
    text,
};
use uuid::Uuid;

pub use self::message::AskMessages;
pub(super) use self::times::apart;
use self::{
    times::narrow,
    wanted::{Effort, Wanted},
};
use super::{
    AcsNo, ClientNo, EmployeeNo, Error, MessageNo, Result, Store,
    db::engine::{Conn, query_scalar},
};

/// The most rows on a page.
pub const PAGE_MOST: u32 = 1_000;

/// A query of history.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The client.
    pub client_no: ClientNo,
    /// Only messages that this ACS posted.
    pub acs_no: Option<AcsNo>,
    /// Only this message.
    pub message_id: Option<Uuid>,
    /// The query.
    pub query: &'a Query,
    /// The order.
    pub sort: Sort,
    /// How many rows.
    pub limit: u32,
    /// Start after this row: `next` of the last page.
    pub cursor: Option<&'a str>,
}

/// An order of rows: by a key, then by date, that is by the message's number. Sorts by state and by employee show the
/// newest first within each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) key: SortKey,
    pub(super) descending: bool,
    pub(super) descending_dates: bool,
}

impl Order {
    fn of(sort: Sort) -> Self {
        Self {
            key: sort.key,
            descending: sort.descending,
            descending_dates: sort.descending || sort.key != SortKey::Date,
        }
    }

    /// Whether one state comes before another.
    fn is_before(self, one: i64, other: i64) -> bool {
        if self.descending { one > other } else { one < other }
    }
}

/// The end of a page. Rows change their state between pages: `until` keeps later ones out, and the reader drops repeats
/// by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    #[serde(rename = "o")]
    sort: String,
    /// The time that defines `today`.
    #[serde(rename = "t")]
    as_of: i64,
    /// The newest message at the time of the first page: later ones are left out.
    #[serde(rename = "u")]
    until: MessageNo,
    #[serde(rename = "m")]
    message_no: MessageNo,
    /// In a list of messages: the last of those without a number of their own.
    #[serde(rename = "w", default)]
    waiting: MessageNo,
    #[serde(rename = "e")]
    employee_no: EmployeeNo,
    #[serde(rename = "s")]
    state: i64,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "p")]
    personnel_no: String,
}

impl Cursor {
    fn read(text: &str, sort: &str) -> Result<Self> {
        decode_cursor::<Self>(text).filter(|cursor| cursor.sort == sort).ok_or_else(|| {
            let what = text!(
                "is not a cursor of this list: pass `next` of the page before, with the same sort",
                "это не курсор этого списка: передайте `next` предыдущей страницы с той же сортировкой"
            );
            Error::Invalid(vec![("cursor".to_owned(), what)])
        })
    }

    /// A cursor at a message. Newest first, it skips the rest of that message, as no employee's number is 0.
    fn at_message(message_no: MessageNo) -> Self {
        Self {
            sort: String::new(),
            as_of: 0,
            until: message_no,
            message_no,
            waiting: MessageNo(0),
            employee_no: EmployeeNo(0),
            state: 0,
            name: String::new(),
            personnel_no: String::new(),
        }
    }

    /// The key that employees sort by.
    fn name(&self) -> Vec<u8> {
        sort_key(&self.name, &self.personnel_no)
    }
}

impl Store {
    /// A page of history.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the cursor is not one of this list.
    pub async fn deliveries(&self, ask: &Ask<'_>) -> Result<Page<Delivery>> {
        self.index_for(ask.query).await?;
        let sort = ask.sort.to_string();
        let after = ask.cursor.map(|text| Cursor::read(text, &sort)).transpose()?;
        let as_of = after.as_ref().map_or_else(|| self.clock().now(), |after| after.as_of);
        // One snapshot for all statements.
        let mut snapshot = self.snapshot().await?;
        let until = match &after {
            Some(after) => after.until,
            None => newest(&mut snapshot, ask.client_no).await?,
        };
        let wanted = wanted(&mut snapshot, ask, as_of, until).await?;
        let limit = ask.limit.clamp(1, PAGE_MOST) as usize;
        let mut keys = wanted.keys(&mut snapshot, Order::of(ask.sort), after.as_ref(), limit + 1).await?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        let rows = rows::read(&mut snapshot, ask.client_no, &keys).await?;
        let next = rows.last().filter(|_| more).map(|last| {
            encode_cursor(&Cursor {
                sort,
                as_of,
                until,
                message_no: keys[rows.len() - 1].message_no,
                waiting: MessageNo(0),
                employee_no: keys[rows.len() - 1].employee_no,
                state: last.state.rank(),
                name: last.employee.clone(),
                personnel_no: last.personnel_no.clone(),
            })
        });
        Ok(Page { items: rows, next })
    }

    /// Indexes the words of everything accepted before the search.
    async fn index_for(&self, query: &Query) -> Result<()> {
        let has_words = query.terms.iter().any(|term| matches!(term.filter, Filter::Text(_)));
        if has_words { self.index_all_words().await } else { Ok(()) }
    }
}

/// The newest message of a client, including one dated in the future by a clock that was ahead.
async fn newest(conn: &mut Conn, client_no: ClientNo) -> Result<MessageNo> {
    Ok(query_scalar("select coalesce(max(no), 0) from message where client_no = $1")
        .bind(client_no)
        .fetch_one(conn)
        .await?)
}

/// The parsed conditions of a query.
async fn wanted(conn: &mut Conn, ask: &Ask<'_>, as_of: i64, until: MessageNo) -> Result<Wanted> {
    let mut wanted = Wanted::resolve(conn, ask.client_no, ask.query, as_of, Effort::default()).await?;
    narrow(&mut wanted.numbers, std::slice::from_ref(&(1..until.0.saturating_add(1))));
    if let Some(acs_no) = ask.acs_no {
        wanted.acs.narrow(false, [Some(acs_no)]);
    }
    if let Some(id) = ask.message_id {
        wanted.narrow_messages(conn, false, &[id]).await?;
    }
    Ok(wanted)
}
