//! Tables to copy, their order and their columns.

use std::collections::BTreeMap;

use super::{CopyError, Result};

/// The table that is copied last, with the end of the copy.
pub(super) const CLIENT: &str = "client";

/// The table of installation-wide settings. Without clients nothing depends on its rows.
pub(super) const INSTALLATION: &str = "installation";

/// The tables that are copied, in order.
pub(super) const CARRIED: [&str; 38] = [
    INSTALLATION,
    "operator",
    "login_code",
    "acs",
    "token",
    // Past periods are copied before the current rows, so that the server's triggers find them.
    "group_member_period",
    "group_inclusion_period",
    "employee_bar",
    "topic_grant_period",
    "client_zone_period",
    "employee",
    "group",
    "group_member",
    "group_inclusion",
    "topic",
    "topic_grant",
    "device",
    "way",
    "invite",
    "invite_batch",
    "pairing_failure",
    "audit",
    "audit_payload",
    "audit_head",
    "refusal",
    "refused_post",
    "message",
    "message_span",
    "idempotency",
    "audience",
    "delivery",
    "receipt_name",
    "push",
    "try",
    "hold",
    "duty",
    "clock_step",
    CLIENT,
];

/// The tables that are not copied.
#[cfg(test)]
pub(super) const LEFT_OUT: [&str; 9] = [
    // The server counts the deliveries as they arrive.
    "message_sum",
    // Each database has its own.
    "_sqlx_migrations",
    // An FTS5 index without contents cannot be read back. The indexer rebuilds the words after the start: while a copy
    // runs nothing is delivered, and only a search for words has to wait.
    "message_word",
    // Lists messages missing from the word index: all of them (`Target::add`).
    "message_unworded",
    // Belongs to the old disk.
    "disk_free",
    // Covers only the last minutes, which have passed.
    "attempt",
    // Each instance makes its own.
    "commit_proof",
    // Nothing can resume in the file's feed: positions differ on the server (`Target::finish`).
    "event",
    "event_floor",
];

/// Columns that only PostgreSQL has, and that start with their defaults.
pub(super) const ONLY_ON_POSTGRES: [(&str, &str); 2] = [
    // Claims of a process that has ended.
    ("push", "claim"),
    ("push", "held_until"),
];

/// A database's own description of its tables, by name.
pub(super) type Schema = BTreeMap<String, Vec<Described>>;

/// A database's own description of a column.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) name: String,
    /// The name of its type.
    pub(super) kind: String,
    /// Its place in the primary key, from 1; 0: none. Only read from SQLite.
    pub(super) key: i64,
    /// Whether the database computes it.
    pub(super) is_generated: bool,
    /// Whether it is numbered by a sequence, on PostgreSQL.
    pub(super) is_numbered: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<Column>,
    /// The primary key's columns, in order.
    pub(super) key: Vec<Column>,
    /// The column that a sequence numbers.
    pub(super) numbered: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
}

/// The server's type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// A blob of 16 bytes in SQLite.
    Id,
    /// 0 or 1 in SQLite.
    Truth,
    Whole,
    Text,
    Bytes,
}

impl Table {
    /// Its quoted name: `group` is an SQL keyword.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.name)
    }

    /// Its columns in a statement.
    pub(super) fn list(&self) -> String {
        list(&self.columns)
    }

    /// The columns of its key in a statement.
    pub(super) fn key_list(&self) -> String {
        list(&self.key)
    }

    /// Its key on a server in descending order, in SQLite's order of texts whatever the column's collation is.
    pub(super) fn key_backwards(&self) -> String {
        let backwards = |column: &Column| match column.kind {
            ColumnKind::Text => format!("\"{}\" collate \"C\" desc", column.name),
            _ => format!("\"{}\" desc", column.name),
        };
        self.key.iter().map(backwards).collect::<Vec<_>>().join(", ")
    }
}

fn list(columns: &[Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    names.join(", ")
}

/// Matches the tables of both databases.
///
/// # Errors
/// The file has a table or column that would be left behind, or the server one that would stay empty.
pub(super) fn plan(sqlite: &Schema, postgres: &Schema) -> Result<Vec<Table>> {
    let name = |name: &'static str| {
        let (Some(ours), Some(theirs)) = (sqlite.get(name), postgres.get(name)) else {
            return Err(CopyError::Tables(format!("`{name}` is missing on one side")));
        };
        table(name, ours, theirs)
    };
    CARRIED.into_iter().map(name).collect()
}

fn table(name: &'static str, sqlite: &[Described], postgres: &[Described]) -> Result<Table> {
    let mut columns = Vec::new();
    for theirs in postgres.iter().filter(|column| !column.is_generated) {
        if sqlite.iter().any(|ours| ours.name == theirs.name) {
            columns.push(column(name, theirs)?);
        } else if !ONLY_ON_POSTGRES.contains(&(name, &theirs.name)) {
            return Err(only_on_one_side(name, &theirs.name));
        }
    }
    let is_known = |ours: &&Described| postgres.iter().any(|theirs| theirs.name == ours.name);
    if let Some(stray) = sqlite.iter().find(|ours| !is_known(ours)) {
        return Err(only_on_one_side(name, &stray.name));
    }
    let mut key: Vec<&Described> = sqlite.iter().filter(|column| column.key > 0).collect();
    key.sort_by_key(|column| column.key);
    let of_key = |part: &Described| columns.iter().find(|column| column.name == part.name).cloned();
    Ok(Table {
        name,
        key: key.into_iter().filter_map(of_key).collect(),
        numbered: postgres.iter().find(|column| column.is_numbered).map(|column| column.name.clone()),
        columns,
    })
}

fn only_on_one_side(table: &str, column: &str) -> CopyError {
    CopyError::Tables(format!("`{table}.{column}` is on one side only"))
}

fn column(table: &'static str, described: &Described) -> Result<Column> {
    let kind = match described.kind.as_str() {
        "uuid" => ColumnKind::Id,
        "bool" => ColumnKind::Truth,
        "int8" => ColumnKind::Whole,
        "text" => ColumnKind::Text,
        "bytea" => ColumnKind::Bytes,
        other => {
            return Err(CopyError::Value {
                table,
                column: described.name.clone(),
                why: format!("nothing is known of the type {other}"),
            });
        }
    };
    Ok(Column { name: described.name.clone(), kind })
}
