//! For tests: how the engine goes about each statement that runs meanwhile.

use std::cell::RefCell;

use super::{super::Engine, Conn, Query};

tokio::task_local! {
    /// The plans so far; none are wanted elsewhere.
    static PLANS: RefCell<Vec<Vec<String>>>;
}

/// Does `work`; returns the plans of the statements that it read many rows with, line by line.
pub(crate) async fn watch(work: impl Future<Output = ()>) -> Vec<Vec<String>> {
    let watched = async {
        work.await;
        PLANS.with(RefCell::take)
    };
    PLANS.scope(RefCell::default(), watched).await
}

/// Keeps the plan of a statement, if it is wanted.
pub(super) async fn note(query: &Query<'_>, conn: &mut Conn) -> sqlx::Result<()> {
    if PLANS.try_with(|_| ()).is_err() {
        return Ok(());
    }
    let (explain, column) = match conn.engine() {
        Engine::Sqlite => ("explain query plan ", 3),
        Engine::Postgres => ("explain (costs off) ", 0),
    };
    let explained =
        Query { text: format!("{explain}{}", query.text).into(), values: query.values.clone(), kept: false };
    let rows = explained.rows(conn).await?;
    let lines = rows.iter().map(|row| row.try_get(column)).collect::<sqlx::Result<_>>()?;
    PLANS.with(|plans| plans.borrow_mut().push(lines));
    Ok(())
}
