//! A statement under construction: `sqlx`'s builder with what history needs of it.

use sqlx::{Encode, FromRow, QueryBuilder, Sqlite, SqliteConnection, Type, sqlite::SqliteRow};
use uuid::Uuid;

use crate::store::{
    Result,
    bind::{hex, json},
};

/// Values beyond this number are passed as one JSON array, not as parameters.
const MOST_PARAMETERS: usize = 200;

/// A statement under construction.
pub(super) struct Sql(QueryBuilder<Sqlite>);

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(QueryBuilder::new(text))
    }

    pub(super) fn push(&mut self, text: impl std::fmt::Display) -> &mut Self {
        self.0.push(text);
        self
    }

    pub(super) fn bind<T>(&mut self, value: T) -> &mut Self
    where
        T: for<'t> Encode<'t, Sqlite> + Type<Sqlite>,
    {
        self.0.push_bind(value);
        self
    }

    /// `(v, v, …)`; the empty list is one that nothing is in.
    pub(super) fn list<'a, T>(&mut self, values: impl IntoIterator<Item = &'a T>) -> &mut Self
    where
        T: Clone + for<'t> Encode<'t, Sqlite> + Type<Sqlite> + 'a,
    {
        self.push("(");
        let mut empty = true;
        for value in values {
            self.push(if empty { "" } else { ", " }).bind(value.clone());
            empty = false;
        }
        self.push(if empty { "select null where false)" } else { ")" })
    }

    /// Ids as a list, however many.
    pub(super) fn ids<'a>(&mut self, ids: impl IntoIterator<Item = &'a Uuid>) -> &mut Self {
        let ids: Vec<&Uuid> = ids.into_iter().collect();
        if ids.len() <= MOST_PARAMETERS {
            return self.list(ids);
        }
        let ids: Vec<_> = ids.into_iter().map(|id| hex(*id)).collect();
        self.push("(select unhex(value) from jsonb_each(")
            .bind(json(&ids))
            .push("))")
    }

    pub(super) async fn rows<T>(mut self, conn: &mut SqliteConnection) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        // Its text is seldom the same twice, so that it would only crowd out others from the cache.
        Ok(self.0.build_query_as().persistent(false).fetch_all(conn).await?)
    }

    pub(super) async fn scalars<T>(self, conn: &mut SqliteConnection) -> Result<Vec<T>>
    where
        T: Type<Sqlite> + for<'r> sqlx::Decode<'r, Sqlite> + Send + Unpin,
    {
        let rows: Vec<(T,)> = self.rows(conn).await?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }
}

#[cfg(test)]
impl Sql {
    /// How SQLite would go about it.
    pub(super) async fn plan(mut self, conn: &mut SqliteConnection) -> Vec<String> {
        use sqlx::Row as _;
        let text = format!("explain query plan {}", self.0.sql().as_str());
        let arguments = self.0.build().persistent(false);
        let arguments = sqlx::Execute::take_arguments(&mut { arguments })
            .unwrap()
            .unwrap_or_default();
        let rows = sqlx::query_with(sqlx::AssertSqlSafe(text), arguments)
            .fetch_all(conn)
            .await
            .unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }
}
