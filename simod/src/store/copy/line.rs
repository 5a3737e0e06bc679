//! A row as one line, as PostgreSQL's `COPY` reads and writes it: the form in which rows are copied and compared.
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.2>

use futures_util::{Stream, TryStreamExt as _};
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    CopyError, Result,
    digest::Digest,
    tables::{Column, ColumnKind, Table},
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Rows that are copied together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// One line per row, with its end.
    pub(super) lines: Vec<u8>,
    pub(super) rows: u64,
}

impl Chunk {
    /// Takes the next rows of a table, up to this many rows or bytes (a single row may be larger). Empty: no row is
    /// left.
    pub(super) async fn fill(
        table: &Table,
        rows: &mut (impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin),
        most_rows: u64,
        most_bytes: usize,
    ) -> Result<Self> {
        let mut chunk = Self::default();
        while chunk.rows < most_rows && chunk.lines.len() < most_bytes {
            let Some(row) = rows.try_next().await? else { break };
            add_line(&mut chunk.lines, table, &row)?;
            chunk.rows += 1;
        }
        Ok(chunk)
    }

    pub(super) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        digest.add_lines(&self.lines);
        digest
    }
}

fn add_line(line: &mut Vec<u8>, table: &Table, row: &SqliteRow) -> Result<()> {
    for (place, column) in table.columns.iter().enumerate() {
        if place > 0 {
            line.push(b'\t');
        }
        add_value(line, column.kind, row, place).map_err(|why| misfit(table, column, why))?;
    }
    line.push(b'\n');
    Ok(())
}

fn misfit(table: &Table, column: &Column, why: String) -> CopyError {
    CopyError::Value { table: table.name, column: column.name.clone(), why }
}

fn add_value(
    line: &mut Vec<u8>,
    kind: ColumnKind,
    row: &SqliteRow,
    place: usize,
) -> std::result::Result<(), String> {
    // SQLite accepts any type in any column.
    let other = |error: sqlx::Error| error.to_string();
    let written = match kind {
        ColumnKind::Id => match row.try_get::<Option<&[u8]>, _>(place).map_err(other)? {
            Some(bytes) => {
                let id = Uuid::from_slice(bytes).map_err(|error| error.to_string())?;
                line.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
                true
            }
            None => false,
        },
        ColumnKind::Truth => match row.try_get::<Option<i64>, _>(place).map_err(other)? {
            Some(value @ (0 | 1)) => {
                line.push(if value == 1 { b't' } else { b'f' });
                true
            }
            Some(value) => return Err(format!("{value} is neither true nor false")),
            None => false,
        },
        ColumnKind::Whole => match row.try_get::<Option<i64>, _>(place).map_err(other)? {
            Some(value) => {
                line.extend_from_slice(value.to_string().as_bytes());
                true
            }
            None => false,
        },
        ColumnKind::Text => match row.try_get::<Option<&str>, _>(place).map_err(other)? {
            Some(text) => {
                add_text(line, text)?;
                true
            }
            None => false,
        },
        ColumnKind::Bytes => match row.try_get::<Option<&[u8]>, _>(place).map_err(other)? {
            Some(bytes) => {
                line.extend_from_slice(br"\\x");
                for byte in bytes {
                    line.push(DIGITS[usize::from(byte >> 4)]);
                    line.push(DIGITS[usize::from(byte & 15)]);
                }
                true
            }
            None => false,
        },
    };
    if !written {
        line.extend_from_slice(br"\N");
    }
    Ok(())
}

/// Escapes a text exactly as the server does; otherwise the comparison would fail.
fn add_text(line: &mut Vec<u8>, text: &str) -> std::result::Result<(), String> {
    for byte in text.bytes() {
        let letter = match byte {
            0 => return Err("a text has a NUL character, which PostgreSQL does not store".to_owned()),
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            b'\\' => b'\\',
            plain => {
                line.push(plain);
                continue;
            }
        };
        line.extend_from_slice(&[b'\\', letter]);
    }
    Ok(())
}
