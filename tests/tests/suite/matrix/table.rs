//! The table: one row per route, one column per kind of caller.

use std::fmt;

/// The file's text.
pub(super) const TABLE: &str = include_str!("table.txt");

/// One route.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) method: String,
    pub(super) path: String,
    /// A status or `ok`, for each caller in the order of the columns.
    pub(super) cells: Vec<String>,
}

fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_whitespace().collect())
}

/// The kinds of caller that the columns stand for.
pub(super) fn callers() -> Vec<&'static str> {
    lines().next().unwrap()[2..].to_vec()
}

/// The routes.
pub(super) fn rows() -> Vec<Row> {
    let columns = callers().len();
    let rows: Vec<Row> = lines()
        .skip(1)
        .map(|words| {
            assert_eq!(words.len(), columns + 2, "a row of the table is not whole: {words:?}");
            let mut words = words.into_iter().map(str::to_owned);
            Row { method: words.next().unwrap(), path: words.next().unwrap(), cells: words.collect() }
        })
        .collect();
    for (number, row) in rows.iter().enumerate() {
        let again =
            rows[..number].iter().any(|other| (&other.method, &other.path) == (&row.method, &row.path));
        assert!(!again, "the table has {} {} twice", row.method, row.path);
    }
    rows
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6} {:<38}", self.method, self.path)?;
        for (cell, caller) in self.cells.iter().zip(callers()) {
            write!(f, " {cell:<width$}", width = caller.len().max(3))?;
        }
        Ok(())
    }
}
