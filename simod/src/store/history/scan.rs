//! One statement that finds deliveries by one way through the indexes, in one order.
//!
//! The planner of SQLite has no statistics here and picks ways that cost a thousand times more, so every way names its
//! index. `indexed by` is the one piece of text that another engine does not take.

use std::collections::BTreeSet;

use simo_common::api::history::SortKey;
use uuid::Uuid;

use super::{Cursor, Order, filter::Said, sql::Sql, wanted::Wanted};
use crate::store::{
    Result,
    db::engine::{Conn, Engine, FromRow, Row},
};

/// Which delivery, and where it stands by date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) accepted_at: i64,
    pub(super) message_id: Uuid,
    pub(super) employee_id: Uuid,
}

impl FromRow for Key {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            accepted_at: row.try_get("accepted_at")?,
            message_id: row.try_get("message_id")?,
            employee_id: row.try_get("employee_id")?,
        })
    }
}

/// A way to the deliveries. The first ones walk an index in the order of a sort, and stop when a page is full.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    /// All, by date.
    ByDate,
    /// Those in one state, by date.
    State(i64),
    /// Those with one reason, by date.
    Reason(&'a str),
    /// Those of one person, by date.
    Person(Uuid),
    /// Those of `person`, one of a list, by date; up to the date in `reach`, when it is given how they compare.
    EachPerson(Option<&'static str>),
    /// Those of one message, which is known to be wanted, by person's id.
    Message(i64, Uuid),
    /// All, by person's name, then by date.
    ByPerson,
    /// Those of some messages, which are known to be wanted; all read and then sorted.
    Messages(&'a [Uuid]),
    /// Those of the wanted times, all read and then sorted.
    Times,
    /// Those of the wanted people, all read and then sorted.
    People,
    /// Those in the wanted states, all read and then sorted.
    States,
    /// Those with the wanted reasons, all read and then sorted.
    Reasons,
}

impl Way<'_> {
    fn tables(self) -> &'static str {
        match self {
            Self::ByDate | Self::Message(..) | Self::Times => "delivery d indexed by delivery_date",
            Self::State(_) | Self::States => "delivery d indexed by delivery_state",
            Self::Reason(_) | Self::Reasons => "delivery d indexed by delivery_reason",
            Self::Person(_) | Self::EachPerson(_) | Self::People => "delivery d indexed by delivery_employee",
            // The primary key.
            Self::Messages(_) => "delivery d indexed by sqlite_autoindex_delivery_1",
            Self::ByPerson => {
                "employee e indexed by employee_sort
                 cross join delivery d on d.client_id = e.client_id and d.employee_id = e.id"
            }
        }
    }

    fn is_sorted_afterwards(self) -> bool {
        matches!(self, Self::Messages(_) | Self::Times | Self::People | Self::States | Self::Reasons)
    }

    fn push(self, sql: &mut Sql, wanted: &Wanted) -> Said {
        let mut said = Said::default();
        match self {
            Self::State(state) => {
                sql.push(" and d.state = ").bind(state);
                said.states = true;
            }
            Self::Reason(code) => {
                sql.push(" and d.reason = ").bind(code.to_owned());
                said.reasons = true;
            }
            Self::Person(id) => {
                sql.push(" and d.employee_id = ").bind(id);
                said.people = true;
            }
            Self::EachPerson(sign) => {
                sql.push(" and d.employee_id = person.id");
                if let Some(sign) = sign {
                    sql.push(format_args!(" and d.accepted_at {sign} (select accepted_at from reach)"));
                }
                said.people = true;
            }
            Self::Message(accepted_at, id) => {
                sql.push(" and d.accepted_at = ").bind(accepted_at);
                sql.push(" and d.message_id = ").bind(id);
            }
            Self::ByPerson => {
                wanted.push_people(sql, "e.id");
                said.people = true;
            }
            Self::Messages(ids) => {
                sql.push(" and d.message_id in ").ids(ids);
            }
            Self::ByDate | Self::Times | Self::People | Self::States | Self::Reasons => {}
        }
        said
    }
}

impl Wanted {
    /// The next deliveries by this way, in the order of the sort, after the cursor.
    pub(super) async fn scan(
        &self,
        conn: &mut Conn,
        way: Way<'_>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        self.statement(way, order, after, limit).rows(conn).await
    }

    /// The next deliveries by date of so many people that one statement for each would take too long.
    pub(super) async fn scan_people(
        &self,
        conn: &mut Conn,
        people: &BTreeSet<Uuid>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        if conn.engine() == Engine::Sqlite {
            // It leaves a person as soon as his next delivery lies behind all that it holds for the page.
            return self.scan(conn, Way::People, order, after, limit).await;
        }
        // PostgreSQL would sort all that they ever received, or walk along everybody's until the page is full. The nearest
        // delivery of each, as many as fill the page, says how far it reaches at most.
        let (dates, sign, farthest) =
            if order.descending_dates { ("desc", ">=", i64::MIN) } else { ("asc", "<=", i64::MAX) };
        let mut sql = Sql::new("with person (id) as (values ");
        for (number, id) in people.iter().enumerate() {
            sql.push(if number == 0 { "(" } else { ", (" }).bind(*id).push(")");
        }
        sql.push("), nearest as (select w.accepted_at from person cross join lateral (");
        self.push_statement(&mut sql, Way::EachPerson(None), order, after, 1);
        sql.push(format_args!(
            ") w), reach as (select coalesce((select accepted_at from nearest order by accepted_at {dates} limit 1 offset "
        ));
        sql.bind(limit as i64 - 1).push("), cast(").bind(farthest);
        sql.push(" as integer)) as accepted_at) select w.accepted_at, w.message_id, w.employee_id");
        sql.push(" from person cross join lateral (");
        self.push_statement(&mut sql, Way::EachPerson(Some(sign)), order, after, limit);
        sql.push(format_args!(
            ") w order by w.accepted_at {dates}, w.message_id {dates}, w.employee_id {dates} limit "
        ));
        sql.bind(limit as i64);
        sql.rows(conn).await
    }

    /// The statement of [`Wanted::scan`].
    pub(super) fn statement(&self, way: Way<'_>, order: Order, after: Option<&Cursor>, limit: usize) -> Sql {
        let mut sql = Sql::new("");
        self.push_statement(&mut sql, way, order, after, limit);
        sql
    }

    fn push_statement(
        &self,
        sql: &mut Sql,
        way: Way<'_>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) {
        sql.push("select d.accepted_at, d.message_id, d.employee_id from ");
        sql.push(way.tables());
        let of_messages = self.asks_of_messages() && !matches!(way, Way::Message(..) | Way::Messages(_));
        if of_messages {
            sql.push(" cross join message m indexed by message_id on m.client_id = d.client_id and m.id = d.message_id");
        }
        let of_names = way.is_sorted_afterwards() && order.key == SortKey::Employee;
        if of_names {
            sql.push(" cross join employee e on e.client_id = d.client_id and e.id = d.employee_id");
        }
        let owner = if matches!(way, Way::ByPerson) { "e" } else { "d" };
        sql.push(format!(" where {owner}.client_id = ")).bind(self.client_id);
        let said = way.push(sql, self);
        let dated = if order.descending_dates { (true, after.is_none()) } else { (after.is_none(), true) };
        let (from, to) = match way {
            Way::ByDate | Way::State(_) | Way::Reason(_) | Way::Person(_) | Way::EachPerson(_) => dated,
            _ => (true, true),
        };
        self.push_times(sql, "d", from, to);
        self.push_delivery(sql, said);
        if of_messages {
            self.push_message(sql);
            self.push_words(sql);
        }
        if let Some(after) = after {
            push_after(sql, way, order, after);
        }
        let dates = if order.descending_dates { "desc" } else { "asc" };
        let by_date = format!("d.accepted_at {dates}, d.message_id {dates}, d.employee_id {dates}");
        let first = if order.descending { "desc" } else { "asc" };
        match (way, order.key) {
            (Way::ByPerson, _) => {
                sql.push(format!(
                    " order by e.sort_key {first}, d.accepted_at {dates}, d.message_id {dates}"
                ));
            }
            (_, SortKey::Employee) if of_names => {
                sql.push(format!(" order by e.sort_key {first}, {by_date}"));
            }
            (_, SortKey::State) if way.is_sorted_afterwards() => {
                sql.push(format!(" order by d.state {first}, {by_date}"));
            }
            _ => {
                sql.push(format!(" order by {by_date}"));
            }
        }
        sql.push(" limit ").bind(limit as i64);
    }

    /// How many deliveries lie on this way within the wanted times, counted up to `most`.
    pub(super) async fn count(&self, conn: &mut Conn, way: Way<'_>, most: usize) -> Result<usize> {
        let mut sql = Sql::new("select count(*) from (select 1 from ");
        sql.push(way.tables());
        sql.push(" where d.client_id = ").bind(self.client_id);
        match way {
            Way::States => {
                sql.push(" and d.state in ").list(&self.listed_states().unwrap_or_default());
            }
            Way::Reasons => {
                sql.push(" and d.reason in ").list(self.reasons.only().into_iter().flatten());
            }
            Way::People => {
                sql.push(" and d.employee_id in ").ids(self.people.only().into_iter().flatten());
            }
            _ => {}
        }
        self.push_times(&mut sql, "d", true, true);
        sql.push(" limit ").bind(most as i64).push(") counted");
        Ok(sql.scalars::<i64>(conn).await?.first().copied().unwrap_or(0) as usize)
    }
}

/// The condition that a row comes after the cursor.
fn push_after(sql: &mut Sql, way: Way<'_>, order: Order, after: &Cursor) {
    let date_sign = if order.descending_dates { "<" } else { ">" };
    let first_sign = if order.descending { "<" } else { ">" };
    let by_date = |sql: &mut Sql| {
        sql.push(format!("(d.accepted_at, d.message_id, d.employee_id) {date_sign} ("));
        sql.bind(after.accepted_at).push(", ").bind(after.message_id);
        sql.push(", ").bind(after.employee_id).push(")");
    };
    match (way, order.key) {
        (Way::ByPerson, _) => {
            sql.push(format!(" and e.sort_key {first_sign} ")).bind(after.name());
        }
        (Way::Message(_, id), _) => {
            if id == after.message_id {
                sql.push(format!(" and d.employee_id {date_sign} ")).bind(after.employee_id);
            }
        }
        (_, SortKey::State) if way.is_sorted_afterwards() => {
            sql.push(format!(" and (d.state {first_sign} ")).bind(after.state);
            sql.push(" or d.state = ").bind(after.state).push(" and ");
            by_date(sql);
            sql.push(")");
        }
        (_, SortKey::Employee) if way.is_sorted_afterwards() => {
            sql.push(format!(" and (e.sort_key {first_sign} ")).bind(after.name());
            sql.push(" or e.sort_key = ").bind(after.name()).push(" and ");
            by_date(sql);
            sql.push(")");
        }
        _ => {
            sql.push(" and ");
            by_date(sql);
        }
    }
}
