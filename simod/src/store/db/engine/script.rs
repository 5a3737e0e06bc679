//! Scripts of several statements, sent to SQLite's thread together.

use futures_util::{TryStreamExt as _, stream::BoxStream};
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Executor as _, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// Statements with their values, run in order; the rows of the last one are read.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    arguments: SqliteArguments,
    /// Whether the text is used repeatedly, so that it is worth preparing.
    kept: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { text: String::new(), arguments: SqliteArguments::default(), kept: true }
    }
}

impl Script {
    /// A statement without values.
    pub(super) fn of(statement: &str) -> Self {
        let mut script = Self::default();
        script.push(statement);
        script
    }

    /// Adds a statement, whose values are still to be bound.
    pub(super) fn push(&mut self, statement: &str) {
        if !self.text.is_empty() {
            self.text.push(';');
        }
        self.text.push_str(statement);
    }

    /// The values of the last statement.
    pub(super) fn values(&mut self) -> &mut SqliteArguments {
        &mut self.arguments
    }

    /// The text is seldom used twice.
    pub(super) fn unprepared(&mut self) {
        self.kept = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn has_values(&self) -> bool {
        self.arguments.len() > 0
    }

    /// Statements without values, then this script.
    pub(super) fn after(mut self, mut before: Self) -> Self {
        before.push(&self.text);
        self.text = before.text;
        self
    }

    fn query(self) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments).persistent(self.kept)
    }

    /// Runs it; returns how many rows its last statement changed.
    pub(super) async fn execute(self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut changed = 0;
        let mut results = connection.fetch_many(self.query());
        while let Some(result) = results.try_next().await? {
            if let Either::Left(done) = result {
                changed = done.rows_affected();
            }
        }
        Ok(changed)
    }

    pub(super) fn fetch(self, connection: &mut SqliteConnection) -> BoxStream<'_, sqlx::Result<SqliteRow>> {
        self.query().fetch(connection)
    }

    pub(super) async fn fetch_all(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<SqliteRow>> {
        self.query().fetch_all(connection).await
    }

    pub(super) async fn fetch_optional(
        self,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<Option<SqliteRow>> {
        self.query().fetch_optional(connection).await
    }
}
