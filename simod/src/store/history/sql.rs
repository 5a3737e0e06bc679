//! A statement under construction.

use std::fmt::Write as _;

use crate::store::{
    Result,
    db::engine::{Column, Conn, FromRow, Query, Value, query},
};

/// More numbers than these become a table of their own. PostgreSQL looks rows up by a list; from a table it prefers to
/// start, and sorts everything that follows.
const LISTED: usize = 1_000;

pub(super) struct Sql {
    text: String,
    values: Vec<Value<'static>>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, text: impl std::fmt::Display) -> &mut Self {
        // Writing to a string does not fail.
        let _written = write!(self.text, "{text}");
        self
    }

    pub(super) fn bind(&mut self, value: impl Into<Value<'static>>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len();
        self.push(format_args!("${number}"))
    }

    /// `(v, v, …)`; nothing matches the empty list.
    pub(super) fn list<'a, T>(&mut self, values: impl IntoIterator<Item = &'a T>) -> &mut Self
    where
        T: Clone + Into<Value<'static>> + 'a,
    {
        self.push("(");
        let mut empty = true;
        for value in values {
            self.push(if empty { "" } else { ", " }).bind(value.clone());
            empty = false;
        }
        self.push(if empty { "null)" } else { ")" })
    }

    /// Numbers as a list, however many.
    pub(super) fn numbers<'a, T>(&mut self, numbers: impl IntoIterator<Item = &'a T>) -> &mut Self
    where
        T: Copy + Into<i64> + 'a,
    {
        let numbers: Vec<i64> = numbers.into_iter().map(|number| (*number).into()).collect();
        let (begin, between, end) = match numbers.len() {
            0 => ("(select 0 where false", "", ")"),
            1..=LISTED => ("(", ", ", ")"),
            _ => ("(values (", "), (", "))"),
        };
        self.push(begin);
        for (place, number) in numbers.iter().enumerate() {
            self.push(if place == 0 { "" } else { between }).push(number);
        }
        self.push(end)
    }

    pub(super) async fn rows<T: FromRow>(self, conn: &mut Conn) -> Result<Vec<T>> {
        // Its text is seldom the same twice.
        Ok(self.query().unprepared().read_as().fetch_all(conn).await?)
    }

    pub(super) async fn scalars<T: Column>(self, conn: &mut Conn) -> Result<Vec<T>> {
        let rows: Vec<(T,)> = self.rows(conn).await?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }

    fn query(self) -> Query<'static> {
        let values = self.values.into_iter();
        values.fold(query(self.text), Query::bind)
    }
}

#[cfg(test)]
impl Sql {
    /// SQLite's plan for it.
    pub(super) async fn plan(mut self, conn: &mut Conn) -> Vec<String> {
        self.text.insert_str(0, "explain query plan ");
        let rows = self.query().unprepared().fetch_all(conn).await.unwrap();
        rows.iter().map(|row| row.try_get("detail").unwrap()).collect()
    }
}
