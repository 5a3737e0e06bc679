//! History: finding deliveries and messages by a query, and telling the story of one delivery.

mod choice;
mod explain;
mod filter;
mod message;
mod messages;
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
use self::{
    times::narrow,
    wanted::{Effort, Wanted},
};
use super::{Error, Result, Store};
use crate::store::db::engine::{Conn, query_scalar};

/// Rows on a page, at most.
pub const PAGE_MOST: u32 = 1_000;

/// A question to history.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Of which client.
    pub client_id: Uuid,
    /// Only what this ACS posted.
    pub acs_id: Option<Uuid>,
    /// Only of this message.
    pub message_id: Option<Uuid>,
    /// What is wanted.
    pub query: &'a Query,
    /// In which order.
    pub sort: Sort,
    /// How many rows.
    pub limit: u32,
    /// After which row: what the last page gave as `next`.
    pub cursor: Option<&'a str>,
}

/// An order of rows: by a key, then by date. Sorts by state and by employee show the newest first within each.
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

/// Where a page ended. Since rows change their state while one pages, `until` keeps later ones out; the reader drops
/// repeats by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    #[serde(rename = "o")]
    sort: String,
    /// The time by which `today` is meant.
    #[serde(rename = "t")]
    as_of: i64,
    /// Nothing that was accepted later is wanted. It may lie in the future, when the clock was set back.
    #[serde(rename = "u", default)]
    until: i64,
    #[serde(rename = "a")]
    accepted_at: i64,
    #[serde(rename = "m")]
    message_id: Uuid,
    #[serde(rename = "e")]
    employee_id: Uuid,
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
                "is no cursor of this list: pass `next` of the page before, with the same sort",
                "это не курсор этого списка: передайте `next` предыдущей страницы с той же сортировкой"
            );
            Error::Invalid(vec![("cursor".to_owned(), what)])
        })
    }

    /// A cursor at a message, for walking on to the next one.
    fn at_message(accepted_at: i64, message_id: Uuid) -> Self {
        Self {
            sort: String::new(),
            as_of: 0,
            until: 0,
            accepted_at,
            message_id,
            employee_id: Uuid::nil(),
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
        let until = until(&mut snapshot, ask.client_id, after.as_ref(), as_of).await?;
        let wanted = wanted(&mut snapshot, ask, as_of, until).await?;
        let limit = ask.limit.clamp(1, PAGE_MOST) as usize;
        let mut keys = wanted.keys(&mut snapshot, Order::of(ask.sort), after.as_ref(), limit + 1).await?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        let rows = rows::read(&mut snapshot, ask.client_id, &keys).await?;
        let next = rows.last().filter(|_| more).map(|last| {
            encode_cursor(&Cursor {
                sort,
                as_of,
                until,
                accepted_at: last.accepted_at.as_microsecond(),
                message_id: last.message_id,
                employee_id: keys[rows.len() - 1].employee_id,
                state: last.state.rank(),
                name: last.employee.clone(),
                personnel_no: last.personnel_no.clone(),
            })
        });
        Ok(Page { items: rows, next })
    }

    /// Whoever searches for words finds everything that was accepted before he asked.
    async fn index_for(&self, query: &Query) -> Result<()> {
        let has_words = query.terms.iter().any(|term| matches!(term.filter, Filter::Text(_)));
        if has_words { self.index_all_words().await } else { Ok(()) }
    }
}

/// Up to when what was accepted is wanted: all that there is when the first page is asked for, also what a clock that was ahead
/// has put into the future.
async fn until(conn: &mut Conn, client_id: Uuid, after: Option<&Cursor>, as_of: i64) -> Result<i64> {
    if let Some(after) = after {
        return Ok(after.until.max(as_of));
    }
    let newest: Option<i64> = query_scalar(
        "select accepted_at from message where client_id = $1 order by accepted_at desc limit 1",
    )
    .bind(client_id)
    .fetch_optional(conn)
    .await?;
    Ok(newest.map_or(as_of, |newest| newest.max(as_of)))
}

/// What a question wants.
async fn wanted(conn: &mut Conn, ask: &Ask<'_>, as_of: i64, until: i64) -> Result<Wanted> {
    let mut wanted = Wanted::resolve(conn, ask.client_id, ask.query, as_of, Effort::default()).await?;
    narrow(&mut wanted.times, std::slice::from_ref(&(i64::MIN..until.saturating_add(1))));
    if let Some(id) = ask.acs_id {
        wanted.acs.narrow(false, [Some(id)]);
    }
    if let Some(id) = ask.message_id {
        wanted.messages.narrow(false, [id]);
    }
    Ok(wanted)
}
