//! One statement that finds deliveries through one index, in one order.
//!
//! SQLite's planner has no statistics here and picks plans that cost a thousand times more, so every route names its
//! index, even the primary key (`sqlite_autoindex_delivery_1`). `indexed by` is the one piece of text that another
//! engine does not accept.

use std::collections::BTreeSet;

use simo_common::{api::history::SortKey, delivery::Reason};

use super::{Cursor, Order, filter::Said, sql::Sql, wanted::Wanted};
use crate::store::{
    EmployeeNo, MessageNo, Result,
    db::engine::{Conn, Engine, FromRow, Row},
};

/// Identifies a delivery; its order is by date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeliveryKey {
    pub(super) message_no: MessageNo,
    pub(super) employee_no: EmployeeNo,
}

impl FromRow for DeliveryKey {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { message_no: row.try_get("message_no")?, employee_no: row.try_get("employee_no")? })
    }
}

/// A route to the deliveries. The first ones walk an index in the order of a sort, and stop when a page is full.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route<'a> {
    /// All, by date.
    ByDate,
    /// Those in one state, by date.
    State(i64),
    /// Those with one reason, by date.
    Reason(Reason),
    /// Those of one person, by date.
    Person(EmployeeNo),
    /// Those of `person`, one of a list, by date; up to the message in `reach`, if a comparison is given.
    EachPerson(Option<&'static str>),
    /// Those of one message that is known to be wanted, by person's number.
    Message(MessageNo),
    /// All, by person's name, then by date.
    ByPerson,
    /// Those of some messages that are known to be wanted; all read and then sorted.
    Messages(&'a [MessageNo]),
    /// Those of the wanted times, all read and then sorted.
    Times,
    /// Those of the wanted people, all read and then sorted.
    People,
    /// Those in the wanted states, all read and then sorted.
    States,
    /// Those with the wanted reasons, all read and then sorted.
    Reasons,
}

impl Route<'_> {
    fn tables(self) -> &'static str {
        match self {
            Self::ByDate | Self::Message(_) | Self::Messages(_) | Self::Times => {
                "delivery d indexed by sqlite_autoindex_delivery_1"
            }
            Self::State(_) | Self::States => "delivery d indexed by delivery_state",
            Self::Reason(_) | Self::Reasons => "delivery d indexed by delivery_reason",
            Self::Person(_) | Self::EachPerson(_) | Self::People => "delivery d indexed by delivery_employee",
            Self::ByPerson => {
                "employee e indexed by employee_sort
                 cross join delivery d indexed by delivery_employee on d.client_no = e.client_no
                     and d.employee_no = e.no"
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
            Self::Reason(reason) => {
                sql.push(" and d.reason = ").bind(reason);
                said.reasons = true;
            }
            Self::Person(no) => {
                sql.push(" and d.employee_no = ").bind(no);
                said.people = true;
            }
            Self::EachPerson(sign) => {
                sql.push(" and d.employee_no = person.no");
                if let Some(sign) = sign {
                    sql.push(format_args!(" and d.message_no {sign} (select message_no from reach)"));
                }
                said.people = true;
            }
            Self::Message(no) => {
                sql.push(" and d.message_no = ").bind(no);
            }
            Self::ByPerson => {
                wanted.push_people(sql, "e.no");
                said.people = true;
            }
            Self::Messages(numbers) => {
                sql.push(" and d.message_no in ").numbers(numbers);
            }
            Self::ByDate | Self::Times | Self::People | Self::States | Self::Reasons => {}
        }
        said
    }
}

impl Wanted {
    /// The next deliveries by this route, in the order of the sort, after the cursor.
    pub(super) async fn scan(
        &self,
        conn: &mut Conn,
        route: Route<'_>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        self.statement(route, order, after, limit).rows(conn).await
    }

    /// The next deliveries by date of too many people for one statement each.
    pub(super) async fn scan_people(
        &self,
        conn: &mut Conn,
        people: &BTreeSet<EmployeeNo>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        if conn.engine() == Engine::Sqlite {
            // It leaves a person as soon as their next delivery lies behind everything gathered for the page.
            return self.scan(conn, Route::People, order, after, limit).await;
        }
        // PostgreSQL would sort everything they ever received, or walk all deliveries until the page is full. The
        // nearest deliveries, one of each person, as many as fill the page, bound how far it reaches.
        let (dates, sign, farthest) =
            if order.descending_dates { ("desc", ">=", i64::MIN) } else { ("asc", "<=", i64::MAX) };
        let mut sql = Sql::new("with person (no) as (values ");
        for (place, no) in people.iter().enumerate() {
            sql.push(if place == 0 { "(" } else { ", (" }).bind(*no).push(")");
        }
        sql.push("), nearest as (select w.message_no from person cross join lateral (");
        self.push_statement(&mut sql, Route::EachPerson(None), order, after, 1);
        sql.push(format_args!(
            ") w), reach as (select coalesce((select message_no from nearest order by message_no {dates} limit 1 offset "
        ));
        sql.bind(limit as i64 - 1).push("), cast(").bind(farthest);
        sql.push(" as integer)) as message_no) select w.message_no, w.employee_no");
        sql.push(" from person cross join lateral (");
        self.push_statement(&mut sql, Route::EachPerson(Some(sign)), order, after, limit);
        sql.push(format_args!(") w order by w.message_no {dates}, w.employee_no {dates} limit "));
        sql.bind(limit as i64);
        sql.rows(conn).await
    }

    pub(super) fn statement(
        &self,
        route: Route<'_>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Sql {
        let mut sql = Sql::new("");
        self.push_statement(&mut sql, route, order, after, limit);
        sql
    }

    fn push_statement(
        &self,
        sql: &mut Sql,
        route: Route<'_>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) {
        sql.push("select d.message_no, d.employee_no from ");
        sql.push(route.tables());
        let is_of_known_messages = matches!(route, Route::Message(_) | Route::Messages(_));
        let of_messages = (self.asks_of_messages() || self.asks_for_times()) && !is_of_known_messages;
        if of_messages {
            sql.push(" cross join message m on m.client_no = d.client_no and m.no = d.message_no");
        }
        let of_names = route.is_sorted_afterwards() && order.key == SortKey::Employee;
        if of_names {
            sql.push(" cross join employee e on e.client_no = d.client_no and e.no = d.employee_no");
        }
        let owner = if matches!(route, Route::ByPerson) { "e" } else { "d" };
        sql.push(format!(" where {owner}.client_no = ")).bind(self.client_no);
        let said = route.push(sql, self);
        let dated = if order.descending_dates { (true, after.is_none()) } else { (after.is_none(), true) };
        let (from, to) = match route {
            Route::ByDate | Route::State(_) | Route::Reason(_) | Route::Person(_) | Route::EachPerson(_) => {
                dated
            }
            _ => (true, true),
        };
        if !is_of_known_messages {
            self.push_numbers(sql, "d.message_no", from, to);
        }
        self.push_delivery(sql, said);
        if of_messages {
            if self.reorders {
                self.push_numbers(sql, "m.no", from, to);
            }
            self.push_message(sql);
            self.push_words(sql);
        }
        if let Some(after) = after {
            push_after(sql, route, order, after, of_messages && self.reorders);
        }
        let dates = if order.descending_dates { "desc" } else { "asc" };
        let by_date = format!("d.message_no {dates}, d.employee_no {dates}");
        let first = if order.descending { "desc" } else { "asc" };
        match (route, order.key) {
            (Route::ByPerson, _) => {
                sql.push(format!(" order by e.sort_key {first}, d.message_no {dates}"));
            }
            (_, SortKey::Employee) if of_names => {
                sql.push(format!(" order by e.sort_key {first}, {by_date}"));
            }
            (_, SortKey::State) if route.is_sorted_afterwards() => {
                sql.push(format!(" order by d.state {first}, {by_date}"));
            }
            _ => {
                sql.push(format!(" order by {by_date}"));
            }
        }
        sql.push(" limit ").bind(limit as i64);
    }

    /// How many deliveries lie on this route between the wanted numbers, counted up to `most`.
    pub(super) async fn count(&self, conn: &mut Conn, route: Route<'_>, most: usize) -> Result<usize> {
        let mut sql = Sql::new("select count(*) from (select 1 from ");
        sql.push(route.tables());
        sql.push(" where d.client_no = ").bind(self.client_no);
        match route {
            Route::States => {
                sql.push(" and d.state in ").list(&self.listed_states().unwrap_or_default());
            }
            Route::Reasons => {
                sql.push(" and d.reason in ").list(self.reasons.only().into_iter().flatten());
            }
            Route::People => {
                sql.push(" and d.employee_no in ").numbers(self.people.only().into_iter().flatten());
            }
            _ => {}
        }
        self.push_numbers(&mut sql, "d.message_no", true, true);
        sql.push(" limit ").bind(most as i64).push(") counted");
        Ok(sql.scalars::<i64>(conn).await?.first().copied().unwrap_or(0) as usize)
    }
}

/// The condition that a row comes after the cursor; by date, it also applies to the messages.
fn push_after(sql: &mut Sql, route: Route<'_>, order: Order, after: &Cursor, for_messages: bool) {
    let date_sign = if order.descending_dates { "<" } else { ">" };
    let first_sign = if order.descending { "<" } else { ">" };
    let by_date = |sql: &mut Sql| {
        sql.push(format!("(d.message_no, d.employee_no) {date_sign} ("));
        sql.bind(after.message_no).push(", ").bind(after.employee_no).push(")");
    };
    match (route, order.key) {
        (Route::ByPerson, _) => {
            sql.push(format!(" and e.sort_key {first_sign} ")).bind(after.name());
        }
        (Route::Message(no), _) => {
            if no == after.message_no {
                sql.push(format!(" and d.employee_no {date_sign} ")).bind(after.employee_no);
            }
        }
        // None of them comes before the cursor's; a bound on their numbers would lead SQLite away from the list.
        (Route::Messages(_), SortKey::Date) => {
            sql.push(" and (d.message_no <> ").bind(after.message_no);
            sql.push(format!(" or d.employee_no {date_sign} ")).bind(after.employee_no).push(")");
        }
        (_, SortKey::State) if route.is_sorted_afterwards() => {
            sql.push(format!(" and (d.state {first_sign} ")).bind(after.state);
            sql.push(" or d.state = ").bind(after.state).push(" and ");
            by_date(sql);
            sql.push(")");
        }
        (_, SortKey::Employee) if route.is_sorted_afterwards() => {
            sql.push(format!(" and (e.sort_key {first_sign} ")).bind(after.name());
            sql.push(" or e.sort_key = ").bind(after.name()).push(" and ");
            by_date(sql);
            sql.push(")");
        }
        _ => {
            sql.push(" and ");
            by_date(sql);
            if for_messages {
                sql.push(format!(" and m.no {date_sign}= ")).bind(after.message_no);
            }
        }
    }
}
