//! Reads employees from CSV as Excel, 1C and databases write it, and finds mistakes in the file and its rows.

mod decode;
mod header;
mod row;

use std::collections::HashMap;

use csv::{ReaderBuilder, Trim};
use simo_common::{
    api::{people::ImportRow, problem::FieldError},
    lang::Lang,
};

use self::{header::Header, row::Check};

/// The contents of a file.
#[derive(Debug)]
pub(super) struct Table {
    /// The rows without mistakes, as far as can be checked here.
    pub(super) rows: Vec<ImportRow>,
    /// The mistakes in the other rows, in the order of the lines.
    pub(super) mistakes: Vec<Mistake>,
    /// Whether a group's name is neither a short name nor known.
    pub(super) lacks_groups: bool,
    /// Its encoding.
    pub(super) encoding: &'static str,
    /// Its column separator, in words.
    pub(super) delimiter: &'static str,
    header: Header,
}

/// Short names of groups by their names for people, folded. A name shared by several groups stands for none of them.
pub(super) type GroupNames = HashMap<String, Vec<String>>;

/// One mistake, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    line: u64,
    /// The column, from 1, and its name in the file.
    column: Option<(usize, String)>,
    text: String,
    /// Whether the command line must tell which person is meant.
    is_doubt: bool,
}

impl Mistake {
    fn of_line(line: u64, text: impl Into<String>) -> Self {
        Self { line, column: None, text: text.into(), is_doubt: false }
    }

    /// A mistake in the header.
    fn of_column(place: usize, text: impl Into<String>) -> Self {
        Self { line: 1, column: Some((place + 1, String::new())), text: text.into(), is_doubt: false }
    }

    fn of_field(line: u64, header: &Header, field: &str, text: impl Into<String>) -> Self {
        Self {
            line,
            column: header.place(field).map(|(place, name)| (place + 1, name.to_owned())),
            text: text.into(),
            is_doubt: false,
        }
    }

    /// Line and column.
    pub(super) fn place(&self) -> (u64, usize) {
        let column = self.column.as_ref();
        (self.line, column.map_or(0, |(column, _)| *column))
    }

    /// Whether the person on this line is in doubt.
    pub(super) fn doubts(&self, line: u64) -> bool {
        self.is_doubt && self.line == line
    }

    /// The text shown to people.
    pub(super) fn in_words(&self, lang: Lang) -> String {
        let Self { line, column, text, .. } = self;
        let place = match column {
            None => lang.pick(format!("line {line}"), format!("строка {line}")),
            Some((column, _)) => {
                lang.pick(format!("line {line}, column {column}"), format!("строка {line}, столбец {column}"))
            }
        };
        match column {
            Some((_, name)) if !name.is_empty() => {
                lang.pick(format!("{place} ({name}): {text}"), format!("{place} («{name}»): {text}"))
            }
            _ => format!("{place}: {text}"),
        }
    }
}

impl Table {
    /// The server's error about a row; it names the field `line 7: email`.
    pub(super) fn mistake_of_server(&self, error: &FieldError) -> Option<Mistake> {
        let (line, field) = error.field.strip_prefix("line ")?.split_once(": ")?;
        let line = line.parse().ok()?;
        let is_doubt = field == "person";
        let field = field.split('[').next().unwrap_or(field);
        let field = if is_doubt { "full_name" } else { field };
        Some(Mistake { is_doubt, ..Mistake::of_field(line, &self.header, field, &error.detail) })
    }
}

/// Reads the whole file, detecting its encoding and delimiter; `groups` resolves group names that are not short names.
///
/// # Errors
/// Mistakes in the encoding or the header that keep all rows from being read.
pub(super) fn parse(bytes: &[u8], groups: &GroupNames, lang: Lang) -> Result<Table, Vec<Mistake>> {
    let (text, encoding) = decode::text(bytes, lang).map_err(|mistake| vec![mistake])?;
    let (text, said) = decode::unwrapped(text);
    let delimiter = said.unwrap_or_else(|| decode::delimiter(&text));
    if let Some(line) = decode::unclosed_quote(&text, delimiter) {
        let what = lang
            .pick("a quote that begins here is never closed", "кавычка, открытая здесь, нигде не закрыта");
        return Err(vec![Mistake::of_line(line, what)]);
    }
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).flexible(true).from_reader(text.as_bytes());
    let (header, wrong) = match reader.headers() {
        Ok(header) => Header::read(header, lang)?,
        Err(error) => return Err(vec![Mistake::of_line(1, error.to_string())]),
    };
    let mut check = Check::new(lang, &text, &header, groups);
    check.mistakes = wrong;
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.extend(check.row(&record)),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                check.mistakes.push(Mistake::of_line(line, error.to_string()));
            }
        }
    }
    let Check { mistakes, lacks_groups, .. } = check;
    Ok(Table { rows, mistakes, lacks_groups, encoding, delimiter: decode::named(delimiter, lang), header })
}

#[cfg(test)]
mod tests;
