//! For tests: records the query plans of the statements that run meanwhile.

use std::{cell::RefCell, collections::BTreeSet, sync::Mutex};

use sqlx::Row as _;

use super::{
    super::{Engine, Held},
    Conn, Query, query,
};

/// Tables that may be scanned: given rows, those around or within some group, and a row per client.
const FEW: [&str; 7] =
    ["VALUES CLAUSE", "CONSTANT ROW", "(subquery", "VIRTUAL TABLE", "around", "within", "audit_head"];

const LOOKS_ALONG_KEYS: [&str; 3] = ["select", "update", "delete"];

static LOOKED_AT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

tokio::task_local! {
    /// The plans so far; not recorded elsewhere.
    static PLANS: RefCell<Vec<Vec<String>>>;
}

/// Runs `work`; returns the plans of the statements that read many rows, line by line.
pub(crate) async fn watch(work: impl Future<Output = ()>) -> Vec<Vec<String>> {
    let watched = async {
        work.await;
        PLANS.with(RefCell::take)
    };
    PLANS.scope(RefCell::default(), watched).await
}

/// Refuses scans in statements over rows, and walks in any.
pub(super) async fn look_at(query: &Query<'_>, conn: &mut Conn) -> sqlx::Result<()> {
    let Conn::Sqlite(held) = conn else { return Ok(()) };
    match query.text_for(Engine::Sqlite, &query.text) {
        Some(text) if !text.starts_with("explain") => refuse_scans(held, &text).await,
        None if LOOKS_ALONG_KEYS.iter().any(|word| query.text.starts_with(word)) => {
            refuse_walks(held, &query.text).await
        }
        _ => Ok(()),
    }
}

/// Whatever SQLite assumes about the tables, it must not walk all deliveries or pushes of a client.
async fn refuse_walks(held: &mut Held, text: &str) -> sqlx::Result<()> {
    for step in plan(held, text).await? {
        let walks = step.ends_with("PRIMARY KEY (client_no=?)")
            && ["delivery", "d", "push", "p", "try"].contains(&step.split(' ').nth(1).unwrap_or_default());
        assert!(!walks, "{step}: {text}");
    }
    Ok(())
}

/// A row must lead to others by a key, whatever SQLite assumes about the tables: it has no statistics.
pub(in super::super) async fn refuse_scans(held: &mut Held, text: &str) -> sqlx::Result<()> {
    for step in plan(held, text).await? {
        let is_few = FEW.iter().any(|rows| step.contains(rows));
        let looks_through = step.starts_with("SCAN") && !is_few;
        assert!(!looks_through && !step.contains("AUTOMATIC"), "{step}: {text}");
    }
    Ok(())
}

/// Each text is planned once: planning runs queued statements, and waits for work under way.
async fn plan(held: &mut Held, text: &str) -> sqlx::Result<Vec<String>> {
    if !LOOKED_AT.lock().unwrap().insert(text.to_owned()) {
        return Ok(Vec::new());
    }
    let plan = query(format!("explain query plan {text}")).unprepared();
    held.fetch_all(plan.on_sqlite()?).await?.iter().map(|row| row.try_get(3)).collect()
}

/// Records the plan of a statement, if wanted.
pub(super) async fn note(query: &Query<'_>, conn: &mut Conn) -> sqlx::Result<()> {
    if PLANS.try_with(|_| ()).is_err() {
        return Ok(());
    }
    let (explain, column) = match conn.engine() {
        Engine::Sqlite => ("explain query plan ", 3),
        Engine::Postgres => ("explain (costs off) ", 0),
    };
    let explained = Query {
        text: format!("{explain}{}", query.text).into(),
        values: query.values.clone(),
        rows: query.rows.clone(),
        kept: false,
    };
    let rows = explained.rows(conn).await?;
    let lines = rows.iter().map(|row| row.try_get(column)).collect::<sqlx::Result<_>>()?;
    PLANS.with(|plans| plans.borrow_mut().push(lines));
    Ok(())
}
