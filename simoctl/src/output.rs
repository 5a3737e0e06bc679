//! Data on stdout: tables for people on a terminal, tab-separated text in a pipe, and JSON, NDJSON or CSV on demand. JSON is
//! exactly the API's; all formats but tables show exact values (codes, RFC 3339).

mod table;
pub(crate) mod value;

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, Color};
use jiff::tz::TimeZone;
use serde::Serialize;
use simo_common::lang::Lang;

use self::table::Heading;
pub(crate) use self::value::{Column, Record, Shown, Value};
use crate::terminal::{self, harmless, one_line};

/// What `--output` names. (Its variants have no help of their own, which keeps `--help` on one line per flag.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Table,
    /// Tab-separated, without a header.
    Plain,
    Json,
    Ndjson,
    Csv,
}

/// Writes data in the requested format.
#[derive(Debug)]
pub(crate) struct Printer {
    shape: Shape,
    lang: Lang,
    zone: TimeZone,
    paints: bool,
}

impl Printer {
    /// A printer for the format, or for the kind of stdout if none is given.
    pub(crate) fn new(format: Option<Format>, lang: Lang) -> Self {
        let shape = match format {
            Some(Format::Table) => Shape::Table,
            Some(Format::Json) => Shape::Json,
            Some(Format::Ndjson) => Shape::Ndjson,
            Some(Format::Csv) => Shape::Csv,
            None if terminal::shows_data() => Shape::Table,
            None => Shape::Plain,
        };
        Self { shape, lang, zone: TimeZone::system(), paints: terminal::paints() }
    }

    /// Whether the output is for people.
    pub(crate) fn is_for_people(&self) -> bool {
        self.shape == Shape::Table
    }

    /// Whether the output is for programs that read objects (JSON, NDJSON, CSV).
    pub(crate) fn is_structured(&self) -> bool {
        matches!(self.shape, Shape::Json | Shape::Ndjson | Shape::Csv)
    }

    /// Whether the output is JSON or NDJSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.shape, Shape::Json | Shape::Ndjson)
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Writes an object as JSON, whatever the format: on one line unless the format is JSON on a terminal.
    pub(crate) fn json(&self, object: &impl Serialize) -> io::Result<()> {
        let text = if self.shape == Shape::Json && terminal::shows_data() {
            serde_json::to_string_pretty(object)?
        } else {
            serde_json::to_string(object)?
        };
        write_text(&text)
    }

    /// Writes one record with all its columns.
    pub(crate) fn record<T: Record>(&self, record: &T) -> io::Result<()> {
        match self.shape {
            Shape::Json | Shape::Ndjson => self.json(record),
            Shape::Csv => write_text(&format!("{}{}", csv_header::<T>(), csv_row(record))),
            Shape::Plain => {
                let line = |column: &Column<T>| {
                    format!("{}\t{}\n", column.field, one_line(&(column.value)(record).exact()))
                };
                write_text(&T::COLUMNS.iter().map(line).collect::<String>())
            }
            Shape::Table => {
                let titles: Vec<_> = T::COLUMNS.iter().map(|column| column.title(self.lang)).collect();
                let values: Vec<_> = T::COLUMNS.iter().map(|column| (column.value)(record)).collect();
                write_text(&table::record(self, &titles, &values))
            }
        }
    }

    /// Starts a list that is written row by row.
    pub(crate) fn rows<T: Record>(&self) -> ListOutput<'_, T> {
        ListOutput {
            printer: self,
            for_people: Vec::new(),
            columns: listed::<T>(),
            count: 0,
            out: io::BufWriter::new(io::stdout()),
        }
    }

    /// Writes a list that is complete already.
    pub(crate) fn list<T: Record>(&self, records: &[T]) -> io::Result<()> {
        let mut rows = self.rows();
        for record in records {
            rows.push(record)?;
        }
        rows.finish()
    }

    /// Writes one row of an endless list at once.
    pub(crate) fn live<T: Record>(&self, record: &T, first: bool) -> io::Result<()> {
        match self.shape {
            Shape::Json | Shape::Ndjson => write_text(&serde_json::to_string(record)?),
            Shape::Csv => {
                let header = if first { csv_header::<T>() } else { String::new() };
                write_text(&format!("{header}{}", csv_row(record)))
            }
            Shape::Plain => write_text(&plain_row(record, &listed::<T>())),
            Shape::Table => {
                let words: Vec<_> = listed::<T>()
                    .iter()
                    .map(|column| (column.value)(record))
                    .filter(|value| *value != Value::Nothing)
                    .map(|value| self.painted(&value))
                    .collect();
                write_text(&words.join("  "))
            }
        }
    }

    /// A value for people, coloured.
    pub(crate) fn painted(&self, value: &Value) -> String {
        let text = value.readable(self.lang, &self.zone);
        match value.color() {
            Some(color) if self.paints => terminal::styled(color.on_default(), &text),
            _ => text,
        }
    }

    fn title(&self, title: &str) -> Cell {
        let cell = Cell::new(title);
        if self.paints { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn cell(&self, value: &Value, alone: bool) -> Cell {
        let text = match value {
            Value::Text(text) if alone => harmless(text),
            value => value.readable(self.lang, &self.zone),
        };
        let cell = Cell::new(text);
        match value.color().filter(|_| self.paints) {
            Some(color) => cell.fg(comfy(color)),
            None => cell,
        }
    }
}

/// The rows of a list being written; [`ListOutput::finish`] completes the table or array.
pub(crate) struct ListOutput<'p, T: Record> {
    printer: &'p Printer,
    columns: Vec<&'static Column<T>>,
    /// The values of all rows: a table's layout needs the last one.
    for_people: Vec<Vec<Value>>,
    count: usize,
    out: io::BufWriter<io::Stdout>,
}

impl<T: Record> ListOutput<'_, T> {
    pub(crate) fn push(&mut self, record: &T) -> io::Result<()> {
        let first = self.count == 0;
        self.count += 1;
        match self.printer.shape {
            Shape::Table => {
                let values = self.columns.iter().map(|column| (column.value)(record));
                self.for_people.push(values.collect());
            }
            Shape::Plain => self.out.write_all(plain_row(record, &self.columns).as_bytes())?,
            Shape::Json => {
                self.out.write_all(if first { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, record)?;
            }
            Shape::Ndjson => {
                serde_json::to_writer(&mut self.out, record)?;
                self.out.write_all(b"\n")?;
            }
            Shape::Csv => {
                if first {
                    self.out.write_all(csv_header::<T>().as_bytes())?;
                }
                self.out.write_all(csv_row(record).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes the rest of the list.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.printer.shape {
            Shape::Table if self.count == 0 => {
                terminal::talk(self.printer.lang.pick("Nothing found.", "Ничего не найдено."));
            }
            Shape::Table => {
                let lang = self.printer.lang;
                let headings = self.columns.iter().map(|column| Heading {
                    title: column.title(lang),
                    is_wide: column.shown == Shown::Wide,
                });
                let headings: Vec<_> = headings.collect();
                let list = table::list(self.printer, &headings, &self.for_people);
                writeln!(self.out, "{list}")?;
            }
            Shape::Json => self.out.write_all(if self.count == 0 { b"[]\n" } else { b"\n]\n" })?,
            Shape::Csv if self.count == 0 => self.out.write_all(csv_header::<T>().as_bytes())?,
            Shape::Plain | Shape::Ndjson | Shape::Csv => {}
        }
        self.out.flush()
    }
}

/// Writes text that is not a record.
pub(crate) fn write_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn listed<T: Record>() -> Vec<&'static Column<T>> {
    T::COLUMNS.iter().filter(|column| column.shown != Shown::Alone).collect()
}

fn plain_row<T>(record: &T, columns: &[&Column<T>]) -> String {
    let cells: Vec<_> = columns.iter().map(|column| one_line(&(column.value)(record).exact())).collect();
    cells.join("\t") + "\n"
}

fn csv_header<T: Record>() -> String {
    csv_line(T::COLUMNS.iter().map(|column| column.field.to_owned()))
}

fn csv_row<T: Record>(record: &T) -> String {
    csv_line(T::COLUMNS.iter().map(|column| (column.value)(record).exact()))
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail, and the bytes are UTF-8.
    let _ = writer.write_record(cells.collect::<Vec<_>>());
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn comfy(color: anstyle::AnsiColor) -> Color {
    match color {
        anstyle::AnsiColor::Red => Color::Red,
        anstyle::AnsiColor::Green => Color::Green,
        anstyle::AnsiColor::Yellow => Color::Yellow,
        _ => Color::Cyan,
    }
}
