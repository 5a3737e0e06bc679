//! Rows and the types they are read as.

use serde::de::DeserializeOwned;
use sqlx::{ColumnIndex, Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column, by name or place.
    pub(crate) fn try_get<T, I>(&self, index: I) -> sqlx::Result<T>
    where
        T: Column,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => T::of_sqlite(row, index),
            Self::Postgres(row) => T::of_postgres(row, index),
        }
    }

    /// A column that we wrote as JSON; `None` also if it is no longer readable.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> sqlx::Result<Option<T>> {
        let text: Option<String> = self.try_get(column)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self>;
    fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self>;
}

macro_rules! plain_columns {
    ($($kind:ty),*) => {
        $(impl Column for $kind {
            fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
                row.try_get(index)
            }

            fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
                row.try_get(index)
            }
        })*
    };
}

plain_columns!(i64, bool, String, Vec<u8>, Uuid);
plain_columns!(Option<i64>, Option<bool>, Option<String>, Option<Vec<u8>>, Option<Uuid>);

/// PostgreSQL has no unsigned numbers.
fn unsigned(number: i64) -> sqlx::Result<u32> {
    u32::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

impl Column for u32 {
    fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
        unsigned(row.try_get(index)?)
    }

    fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
        unsigned(row.try_get(index)?)
    }
}

impl Column for Option<u32> {
    fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
        row.try_get::<Option<i64>, _>(index)?.map(unsigned).transpose()
    }

    fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
        row.try_get::<Option<i64>, _>(index)?.map(unsigned).transpose()
    }
}

/// A type that a whole row can be read as.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> sqlx::Result<Self>;
}

macro_rules! tuples {
    ($($($name:ident $place:tt),+;)*) => {
        $(impl<$($name: Column),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row) -> sqlx::Result<Self> {
                Ok(($(row.try_get::<$name, _>($place)?,)+))
            }
        })*
    };
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}
