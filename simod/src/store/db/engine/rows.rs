//! Statements that take many rows at once.
//!
//! SQLite is given each value separately: extracting them from one JSON text, as PostgreSQL does, took a third of a
//! batch's time with the writer.

use std::{borrow::Cow, sync::OnceLock, vec};

use futures_util::future::join;

use super::{
    Conn, FromRow, Held, Row, Value,
    notation::{self, Named},
    query,
    script::Script,
};

/// How many rows SQLite's texts take; the last ones of a batch may stay empty. Each is prepared on first use.
const SIZES: [usize; 7] = [1, 4, 16, 32, 64, 128, 256];

/// Up to this many rows are not worth a trip to SQLite's thread: they are sent with the next statement.
const PUT_OFF: usize = 64;

/// A row, value by value.
pub(crate) type Values<'q, const N: usize> = [Value<'q>; N];

/// A statement over rows of `N` values, the first of which is never null. Its text, which begins with `insert`,
/// `update` or another verb in lower case, has `{rows}` and names, but no places and no other values.
#[derive(Debug)]
pub(crate) struct RowStatement<const N: usize> {
    columns: [Named; N],
    sqlite: Cow<'static, str>,
    postgres: Cow<'static, str>,
    made_for_sqlite: [OnceLock<String>; SIZES.len()],
}

impl<const N: usize> RowStatement<N> {
    /// The same text for both engines.
    pub(crate) fn new(columns: [Named; N], text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self::of_two(columns, text.clone(), text)
    }

    /// A text for each.
    pub(crate) fn of_two(
        columns: [Named; N],
        sqlite: impl Into<Cow<'static, str>>,
        postgres: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            columns,
            sqlite: sqlite.into(),
            postgres: postgres.into(),
            made_for_sqlite: [const { OnceLock::new() }; SIZES.len()],
        }
    }

    /// Inserts, updates or deletes all rows. On SQLite this may run only with the next statement or the commit.
    ///
    /// # Errors
    /// Errors of the rows may only surface there.
    pub(crate) async fn execute(
        &'static self,
        conn: &mut Conn,
        rows: Vec<Values<'_, N>>,
    ) -> sqlx::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        match conn {
            Conn::Sqlite(held) => self.execute_on_sqlite(held, rows.into_iter()).await,
            Conn::Postgres(_) => {
                let all = query(&*self.postgres).over(self.columns, rows);
                all.execute(conn).await.map(drop)
            }
        }
    }

    /// Runs the statement over all rows, and returns its results.
    pub(crate) async fn fetch_all<T: FromRow>(
        &'static self,
        conn: &mut Conn,
        rows: Vec<Values<'_, N>>,
    ) -> sqlx::Result<Vec<T>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let returned = match conn {
            Conn::Sqlite(held) => self.fetch_on_sqlite(held, rows.into_iter()).await?,
            Conn::Postgres(_) => {
                let all = query(&*self.postgres).over(self.columns, rows);
                all.fetch_all(conn).await?
            }
        };
        returned.iter().map(T::from_row).collect()
    }

    async fn execute_on_sqlite(
        &'static self,
        held: &mut Held,
        mut rows: vec::IntoIter<Values<'_, N>>,
    ) -> sqlx::Result<()> {
        #[cfg(test)]
        tests::refuse_scans(held, self, rows.len()).await?;
        // Further rows, and the caller's next steps, are prepared while SQLite works on these.
        while rows.len() > PUT_OFF {
            let script = self.next_on_sqlite(Script::default(), &mut rows)?;
            held.start(script).await?;
        }
        if rows.len() > 0 {
            held.put_off(|before| self.next_on_sqlite(before, &mut rows))?;
        }
        Ok(())
    }

    async fn fetch_on_sqlite(
        &'static self,
        held: &mut Held,
        mut rows: vec::IntoIter<Values<'_, N>>,
    ) -> sqlx::Result<Vec<Row>> {
        #[cfg(test)]
        tests::refuse_scans(held, self, rows.len()).await?;
        let mut returned = Vec::new();
        let mut next = self.next_on_sqlite(Script::default(), &mut rows)?;
        loop {
            let is_last = rows.len() == 0;
            // Further rows are prepared while SQLite works on these.
            let following = async { (!is_last).then(|| self.next_on_sqlite(Script::default(), &mut rows)) };
            let (found, following) = join(held.fetch_all(next), following).await;
            returned.extend(found?.into_iter().map(Row::Sqlite));
            let Some(following) = following else {
                return Ok(returned);
            };
            next = following?;
        }
    }

    /// The statement for the next rows, after the script.
    fn next_on_sqlite(
        &'static self,
        before: Script,
        rows: &mut vec::IntoIter<Values<'_, N>>,
    ) -> sqlx::Result<Script> {
        let (text, size) = self.for_sqlite(rows.len());
        // Otherwise the rest of the script would be bound in place of rows.
        let empty = size.saturating_sub(rows.len()) * N;
        query(text)
            .bind_all(rows.take(size).flatten())
            .bind_all(std::iter::repeat_n(Value::Whole(None), empty))
            .after(before)
    }

    /// The text for this many rows, or for the first of them, and how many it takes.
    fn for_sqlite(&'static self, rows: usize) -> (&'static str, usize) {
        let class = SIZES.iter().position(|size| *size >= rows).unwrap_or(SIZES.len() - 1);
        let size = SIZES[class];
        let text = self.made_for_sqlite[class].get_or_init(|| {
            let row = format!("({})", vec!["?"; N].join(","));
            // Named parameters would be looked up, from the first one on, for each value.
            let rows = format!(
                "(select * from (values {}) where column1 is not null) j",
                vec![&*row; size].join(",")
            );
            let value = |place, _| format!("j.column{}", place + 1);
            notation::fill(&or_fail(&self.sqlite), &self.columns, &rows, "{#}", value)
        });
        (text, size)
    }
}

/// A statement that SQLite need not be able to roll back by itself: for that it would first copy every page it changes.
/// When it fails, its whole transaction is given up.
fn or_fail(text: &str) -> Cow<'_, str> {
    for verb in ["insert", "update"] {
        if let Some(rest) = text.trim_start().strip_prefix(verb) {
            return format!("{verb} or fail{rest}").into();
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use futures_util::poll;

    use super::*;
    use crate::{
        store::{
            Write,
            db::engine::{Engine, Kind, plans, query_as, query_scalar},
        },
        testing::Plant,
    };

    static INSERT: LazyLock<RowStatement<3>> = LazyLock::new(|| {
        RowStatement::new(
            [("name", Kind::Text), ("hour", Kind::Whole), ("before", Kind::Text)],
            "insert into pairing_failure (address, hour, count)
             select {before} || {name}, {hour}, 1 from {rows} where true on conflict do nothing",
        )
    });

    static RETURN: LazyLock<RowStatement<2>> = LazyLock::new(|| {
        RowStatement::new(
            [("name", Kind::Text), ("count", Kind::Whole)],
            "update pairing_failure set count = {count} from {rows} where address = 'a' || {name} returning count",
        )
    });

    pub(super) async fn refuse_scans<const N: usize>(
        held: &mut Held,
        statement: &'static RowStatement<N>,
        mut rows: usize,
    ) -> sqlx::Result<()> {
        while rows > 0 {
            let (text, size) = statement.for_sqlite(rows);
            rows = rows.saturating_sub(size);
            plans::refuse_scans(held, text).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn every_row_arrives_however_many_there_are() {
        let plant = Plant::new().await;
        for count in [0, 1, 2, 17, 256, 257, 600] {
            let mut tx = plant.store.write().await.unwrap();
            let numbers: Vec<i64> = (0..count).collect();
            let name = |n: &i64| Value::from(n.to_string());
            let rows = numbers.iter().map(|n| [name(n), 7_i64.into(), "a".into()]);
            INSERT.execute(&mut tx, rows.collect()).await.unwrap();
            let rows = numbers.iter().map(|n| [name(n), (*n).into()]);
            let returned: Vec<(i64,)> = RETURN.fetch_all(&mut tx, rows.collect()).await.unwrap();
            let mut returned: Vec<i64> = returned.into_iter().map(|(count,)| count).collect();
            returned.sort_unstable();
            assert_eq!(returned, numbers);
            let stored: Vec<(i64, i64)> = query_as("select hour, count from pairing_failure order by count")
                .fetch_all(&mut tx)
                .await
                .unwrap();
            assert_eq!(stored, numbers.iter().map(|n| (7, *n)).collect::<Vec<_>>());
            tx.rollback().await.unwrap();
        }
    }

    async fn insert(plant: &Plant, count: usize) -> Write {
        let mut tx = plant.store.write().await.unwrap();
        let rows = (0..count).map(|number| [number.to_string().into(), 7_i64.into(), "a".into()]);
        INSERT.execute(&mut tx, rows.collect()).await.unwrap();
        tx
    }

    async fn stored(plant: &Plant) -> i64 {
        let mut reader = plant.store.read().await.unwrap();
        let count = query_scalar("select count(*) from pairing_failure");
        count.fetch_one(&mut reader).await.unwrap()
    }

    #[tokio::test]
    async fn rows_that_were_put_off_or_are_under_way_share_the_fate_of_their_transaction() {
        for count in [1, 3, 70, 300] {
            let plant = Plant::new().await;
            drop(insert(&plant, count).await);
            insert(&plant, count).await.rollback().await.unwrap();
            let mut seen = insert(&plant, count).await;
            let at =
                query_scalar::<i64>("select count(*) from pairing_failure where hour = $1 and count = $2")
                    .bind(7_i64)
                    .bind(1_i64);
            let at = at.fetch_one(&mut seen).await.unwrap();
            assert_eq!(at, count as i64, "by the next statement");
            drop(seen);
            assert_eq!(stored(&plant).await, 0);
            insert(&plant, count).await.commit().await.unwrap();
            assert_eq!(stored(&plant).await, count as i64);
            plant.store.write().await.unwrap().commit().await.unwrap();
            plant.store.write().await.unwrap().rollback().await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_rows_that_were_put_off_or_are_under_way_undoes_all() {
        static WRONG: LazyLock<RowStatement<2>> = LazyLock::new(|| {
            RowStatement::new(
                [("name", Kind::Text), ("count", Kind::Whole)],
                "insert into pairing_failure (address, hour, count) select {name}, 1, {count} from {rows}",
            )
        });
        let plant = Plant::new().await;
        for count in [2, 100, 300] {
            let mut tx = insert(&plant, 5).await;
            let rows =
                (0..count).map(|number| [format!("w{number}").into(), (number > 0).then_some(1_i64).into()]);
            let done = match WRONG.execute(&mut tx, rows.collect()).await {
                Ok(()) => tx.commit().await,
                Err(error) => Err(error.into()),
            };
            assert!(done.is_err(), "{count}");
            assert_eq!(stored(&plant).await, 0);
        }
        insert(&plant, 5).await.commit().await.unwrap();
        assert_eq!(stored(&plant).await, 5);
    }

    #[tokio::test]
    async fn tables_of_one_transaction_are_filled_together() {
        static OTHER: LazyLock<RowStatement<2>> = LazyLock::new(|| {
            RowStatement::new(
                [("hour", Kind::Whole), ("name", Kind::Text)],
                "insert into pairing_failure (address, hour, count) select {name}, {hour}, 2 from {rows}",
            )
        });
        let plant = Plant::new().await;
        // The second time nothing comes between them (`refuse_scans`).
        for _ in 0..2 {
            let mut tx = plant.store.write().await.unwrap();
            let mut expected = Vec::new();
            for (hour, count) in [3, 2, 70, 3, 300, 5, 1].into_iter().enumerate() {
                let hour = hour as i64 + 1;
                let numbers = 0..count;
                expected.extend(numbers.clone().map(|n| (format!("{hour}-{n}"), hour, hour % 2 + 1)));
                let done = if hour % 2 == 0 {
                    let rows =
                        numbers.map(|n| [n.to_string().into(), hour.into(), Value::from(format!("{hour}-"))]);
                    INSERT.execute(&mut tx, rows.collect()).await
                } else {
                    let rows = numbers.map(|n| [hour.into(), Value::from(format!("{hour}-{n}"))]);
                    OTHER.execute(&mut tx, rows.collect()).await
                };
                done.unwrap();
            }
            tx.commit().await.unwrap();
            let mut tx = plant.store.write().await.unwrap();
            let stored = query_as::<(String, i64, i64)>("select address, hour, count from pairing_failure");
            let mut stored = stored.fetch_all(&mut tx).await.unwrap();
            stored.sort();
            expected.sort();
            assert_eq!(stored, expected);
            query("delete from pairing_failure").execute(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_is_cut_short_leaves_nothing() {
        let plant = Plant::new().await;
        for count in [3, 70, 600] {
            for polls in 0..6 {
                let mut tx = plant.store.write().await.unwrap();
                let rows = (0..count).map(|n| [n.to_string().into(), 7_i64.into(), "a".into()]);
                let mut work = Box::pin(INSERT.execute(&mut tx, rows.collect()));
                for _ in 0..polls {
                    if poll!(&mut work).is_ready() {
                        break;
                    }
                }
                drop(work);
                drop(tx);
                assert_eq!(stored(&plant).await, 0);
                insert(&plant, 2).await.rollback().await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_transaction_in_which_a_statement_failed_can_only_be_undone() {
        let plant = Plant::new().await;
        let wrong = || query("insert into pairing_failure (address, hour, count) values ('a', 1, null)");
        let mut tx = insert(&plant, 5).await;
        assert!(wrong().execute(&mut tx).await.is_err());
        assert!(query("select 1").fetch_all(&mut tx).await.is_err());
        assert!(INSERT.execute(&mut tx, vec![["1".into(), 1_i64.into(), "b".into()]]).await.is_err());
        // PostgreSQL does so silently.
        assert!(tx.engine() == Engine::Postgres || tx.commit().await.is_err());
        assert_eq!(stored(&plant).await, 0);
        let mut tx = insert(&plant, 5).await;
        assert!(wrong().execute(&mut tx).await.is_err());
        tx.rollback().await.unwrap();
        assert_eq!(stored(&plant).await, 0);
    }

    #[test]
    fn sqlite_is_given_each_value_by_itself() {
        assert_eq!(
            RETURN.for_sqlite(3),
            (
                "update or fail pairing_failure set count = j.column2 from (select * from (values (?,?),(?,?),(?,?),(?,?)) \
                 where column1 is not null) j where address = 'a' || j.column1 returning count",
                4
            )
        );
    }
}
