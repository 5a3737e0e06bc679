//! Statements with their values.

#[cfg(test)]
pub(crate) mod plans;

use std::borrow::Cow;

use futures_util::{StreamExt as _, stream, stream::BoxStream};
use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Postgres, Type, postgres::PgArguments, query::Query as SqlxQuery,
};
use uuid::Uuid;

use super::{
    Column, Conn, Engine, FromRow, Row, RowSet, Session,
    notation::{self, Named},
    script::Script,
};
use crate::store::db::dialect;

#[derive(Debug, Clone)]
pub(crate) enum Value<'q> {
    Whole(Option<i64>),
    Truth(Option<bool>),
    Text(Option<Cow<'q, str>>),
    Bytes(Option<Cow<'q, [u8]>>),
    Id(Option<Uuid>),
}

macro_rules! values {
    ($($from:ty => |$value:ident| $make:expr),* $(,)?) => {
        $(impl<'q> From<$from> for Value<'q> {
            fn from($value: $from) -> Self {
                $make
            }
        })*
    };
}

values! {
    u64 => |value| Self::Whole(Some(value as i64)),
    i64 => |value| Self::Whole(Some(value)),
    u32 => |value| Self::Whole(Some(value.into())),
    Option<i64> => |value| Self::Whole(value),
    Option<u32> => |value| Self::Whole(value.map(i64::from)),
    bool => |value| Self::Truth(Some(value)),
    Option<bool> => |value| Self::Truth(value),
    &'q str => |value| Self::Text(Some(Cow::Borrowed(value))),
    Option<&'q str> => |value| Self::Text(value.map(Cow::Borrowed)),
    &'q String => |value| Self::Text(Some(Cow::Borrowed(value))),
    Option<&'q String> => |value| Self::Text(value.map(|text| Cow::Borrowed(text.as_str()))),
    &'q Option<String> => |value| Self::Text(value.as_deref().map(Cow::Borrowed)),
    String => |value| Self::Text(Some(Cow::Owned(value))),
    Option<String> => |value| Self::Text(value.map(Cow::Owned)),
    &'q [u8] => |value| Self::Bytes(Some(Cow::Borrowed(value))),
    Option<&'q [u8]> => |value| Self::Bytes(value.map(Cow::Borrowed)),
    Vec<u8> => |value| Self::Bytes(Some(Cow::Owned(value))),
    Option<Vec<u8>> => |value| Self::Bytes(value.map(Cow::Owned)),
    Uuid => |value| Self::Id(Some(value)),
    Option<Uuid> => |value| Self::Id(value),
}

impl Value<'_> {
    fn add_to<A>(self, arguments: &mut A) -> sqlx::Result<()>
    where
        A: sqlx::Arguments,
        for<'t> Option<i64>: Encode<'t, A::Database> + Type<A::Database>,
        for<'t> Option<bool>: Encode<'t, A::Database> + Type<A::Database>,
        for<'t> Option<String>: Encode<'t, A::Database> + Type<A::Database>,
        for<'t> Option<Vec<u8>>: Encode<'t, A::Database> + Type<A::Database>,
        for<'t> Option<Uuid>: Encode<'t, A::Database> + Type<A::Database>,
    {
        match self {
            Self::Whole(value) => arguments.add(value),
            Self::Truth(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value.map(Cow::into_owned)),
            Self::Bytes(value) => arguments.add(value.map(Cow::into_owned)),
            Self::Id(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)
    }
}

#[derive(Debug)]
#[must_use]
pub(crate) struct Query<'q> {
    text: Cow<'q, str>,
    values: Vec<Value<'q>>,
    /// The columns of its rows, and the number of the parameter they are passed in.
    rows: Option<(Vec<Named>, usize)>,
    /// Whether the text is used repeatedly, so that it is worth preparing.
    kept: bool,
}

/// A statement in the SQL of SQLite.
pub(crate) fn query<'q>(text: impl Into<Cow<'q, str>>) -> Query<'q> {
    Query { text: text.into(), values: Vec::new(), rows: None, kept: true }
}

/// A statement whose rows are read as tuples or structs.
pub(crate) fn query_as<'q, T: FromRow>(text: impl Into<Cow<'q, str>>) -> Mapped<'q, T> {
    query(text).read_as()
}

/// A statement of whose rows only the first column is read.
pub(crate) fn query_scalar<'q, T: Column>(text: impl Into<Cow<'q, str>>) -> Mapped<'q, T> {
    Mapped { query: query(text), read: |row| row.try_get(0) }
}

impl<'q> Query<'q> {
    /// Binds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) fn bind_all(mut self, values: impl IntoIterator<Item = Value<'q>>) -> Self {
        self.values.extend(values);
        self
    }

    /// Binds the rows that the text refers to ([`notation`]) as the next value.
    pub(crate) fn over<'v, const N: usize>(
        self,
        columns: [Named; N],
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Self {
        self.over_set(&RowSet::new(columns, rows))
    }

    /// The same, for one column.
    pub(crate) fn each<'v, V: Into<Value<'v>>>(
        self,
        column: Named,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.over_set(&RowSet::of(column, values))
    }

    /// The same, with rows that are already prepared.
    pub(crate) fn over_set(mut self, rows: &RowSet) -> Self {
        self = self.bind(rows.json.clone());
        self.rows = Some((rows.columns.clone(), self.values.len()));
        self
    }

    /// The engine's text, where it differs from SQLite's.
    fn text_for(&self, engine: Engine, text: &str) -> Option<String> {
        self.rows.as_ref().map(|(columns, number)| notation::of_json(text, engine, columns, *number))
    }

    /// For a text that is seldom used twice: it would crowd others out of the cache of prepared statements.
    pub(crate) fn unprepared(mut self) -> Self {
        self.kept = false;
        self
    }

    /// Reads the rows as tuples or structs.
    pub(crate) fn read_as<T: FromRow>(self) -> Mapped<'q, T> {
        Mapped { query: self, read: T::from_row }
    }

    /// The statement with its values in SQLite's form.
    pub(super) fn on_sqlite(self) -> sqlx::Result<Script> {
        self.after(Script::default())
    }

    /// The same after other statements, where the places of its values have no numbers.
    pub(super) fn after(self, mut script: Script) -> sqlx::Result<Script> {
        script.push(self.text_for(Engine::Sqlite, &self.text).as_deref().unwrap_or(&self.text));
        let values = script.values();
        values.reserve(self.values.len(), 0);
        for value in self.values {
            value.add_to(values)?;
        }
        if !self.kept {
            script.unprepared();
        }
        Ok(script)
    }

    fn on_postgres(self, session: &Session) -> sqlx::Result<SqlxQuery<'static, Postgres, PgArguments>> {
        let text =
            if self.kept { dialect::postgres_kept(&self.text) } else { dialect::postgres(&self.text).into() };
        let text = self.text_for(Engine::Postgres, &text).map_or(text, Into::into);
        let mut arguments = PgArguments::default();
        for value in self.values {
            value.add_to(&mut arguments)?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(text), arguments)
            .persistent(self.kept && session.keeps_statements()))
    }

    /// Runs it; returns how many rows it changed.
    pub(crate) async fn execute(self, conn: &mut Conn) -> sqlx::Result<Changed> {
        #[cfg(test)]
        plans::look_at(&self, conn).await?;
        let rows = match conn {
            Conn::Sqlite(held) => {
                let script = self.on_sqlite()?;
                held.execute(script).await?
            }
            Conn::Postgres(session) => {
                let query = self.on_postgres(session)?;
                let (connection, patience) = session.parts();
                patience.in_time(query.execute(connection)).await?.rows_affected()
            }
        };
        Ok(Changed(rows))
    }

    /// Its rows, one by one.
    pub(crate) fn fetch(self, conn: &mut Conn) -> BoxStream<'_, sqlx::Result<Row>> {
        match conn {
            Conn::Sqlite(held) => match self.on_sqlite() {
                Ok(script) => held.fetch(script).map(|row| row.map(Row::Sqlite)).boxed(),
                Err(error) => failed(error),
            },
            Conn::Postgres(session) => match self.on_postgres(session) {
                Ok(query) => {
                    let (connection, patience) = session.parts();
                    let rows = query.fetch(connection).map(|row| row.map(Row::Postgres));
                    stream::try_unfold(rows, async |mut rows| {
                        let row = patience.in_time(async { rows.next().await.transpose() }).await?;
                        Ok(row.map(|row| (row, rows)))
                    })
                    .boxed()
                }
                Err(error) => failed(error),
            },
        }
    }

    pub(crate) async fn fetch_all(self, conn: &mut Conn) -> sqlx::Result<Vec<Row>> {
        #[cfg(test)]
        plans::note(&self, conn).await?;
        self.rows(conn).await
    }

    async fn rows(self, conn: &mut Conn) -> sqlx::Result<Vec<Row>> {
        #[cfg(test)]
        plans::look_at(&self, conn).await?;
        Ok(match conn {
            Conn::Sqlite(held) => {
                let script = self.on_sqlite()?;
                let rows = held.fetch_all(script).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Conn::Postgres(session) => {
                let query = self.on_postgres(session)?;
                let (connection, patience) = session.parts();
                let rows = patience.in_time(query.fetch_all(connection)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Its first row, if there is one.
    pub(crate) async fn fetch_optional(self, conn: &mut Conn) -> sqlx::Result<Option<Row>> {
        #[cfg(test)]
        plans::look_at(&self, conn).await?;
        Ok(match conn {
            Conn::Sqlite(held) => {
                let script = self.on_sqlite()?;
                held.fetch_optional(script).await?.map(Row::Sqlite)
            }
            Conn::Postgres(session) => {
                let query = self.on_postgres(session)?;
                let (connection, patience) = session.parts();
                patience.in_time(query.fetch_optional(connection)).await?.map(Row::Postgres)
            }
        })
    }

    /// Its first row, which must exist.
    pub(crate) async fn fetch_one(self, conn: &mut Conn) -> sqlx::Result<Row> {
        self.fetch_optional(conn).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

fn failed<'a, T: Send + 'a>(error: sqlx::Error) -> BoxStream<'a, sqlx::Result<T>> {
    stream::once(std::future::ready(Err(error))).boxed()
}

/// How many rows a statement changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changed(u64);

impl Changed {
    pub(crate) fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A statement with the type of its rows.
#[must_use]
pub(crate) struct Mapped<'q, T> {
    query: Query<'q>,
    read: fn(&Row) -> sqlx::Result<T>,
}

impl<'q, T> Mapped<'q, T> {
    /// Binds the next value.
    pub(crate) fn bind(self, value: impl Into<Value<'q>>) -> Self {
        Self { query: self.query.bind(value), read: self.read }
    }

    /// Binds the rows that the text refers to as the next value.
    pub(crate) fn over<'v, const N: usize>(
        self,
        columns: [Named; N],
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Self {
        Self { query: self.query.over(columns, rows), read: self.read }
    }

    /// The same, for one column.
    pub(crate) fn each<'v, V: Into<Value<'v>>>(
        self,
        column: Named,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self { query: self.query.each(column, values), read: self.read }
    }

    /// The same, with rows that are already prepared.
    pub(crate) fn over_set(self, rows: &RowSet) -> Self {
        Self { query: self.query.over_set(rows), read: self.read }
    }

    pub(crate) async fn fetch_all(self, conn: &mut Conn) -> sqlx::Result<Vec<T>> {
        let rows = self.query.fetch_all(conn).await?;
        rows.iter().map(self.read).collect()
    }

    /// Its first row, if there is one.
    pub(crate) async fn fetch_optional(self, conn: &mut Conn) -> sqlx::Result<Option<T>> {
        let row = self.query.fetch_optional(conn).await?;
        row.as_ref().map(self.read).transpose()
    }

    /// Its first row, which must exist.
    pub(crate) async fn fetch_one(self, conn: &mut Conn) -> sqlx::Result<T> {
        (self.read)(&self.query.fetch_one(conn).await?)
    }
}
