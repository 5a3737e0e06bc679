//! Reads employees from CSV as Excel, 1C and databases write it, and finds what is wrong with the file and its rows.

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

/// What stands in a file.
#[derive(Debug)]
pub(super) struct Table {
    /// The rows in which nothing is wrong, as far as can be seen here.
    pub(super) rows: Vec<ImportRow>,
    /// What is wrong with the others, in the order of the lines.
    pub(super) mistakes: Vec<Mistake>,
    /// Whether groups are named otherwise than by their short names, and unknown.
    pub(super) lacks_groups: bool,
    /// How it is encoded.
    pub(super) encoding: &'static str,
    /// What separates its columns, in words.
    pub(super) delimiter: &'static str,
    header: Header,
}

/// Short names of groups by their names for people, folded. A name that several have means none of them.
pub(super) type GroupNames = HashMap<String, Vec<String>>;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    line: u64,
    /// From 1, and what the file calls it.
    column: Option<(usize, String)>,
    text: String,
    /// Whether it has to be said who is meant.
    is_doubt: bool,
}

impl Mistake {
    fn of_line(line: u64, text: impl Into<String>) -> Self {
        Self { line, column: None, text: text.into(), is_doubt: false }
    }

    /// Of the header.
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

    /// Where it is: line and column.
    pub(super) fn place(&self) -> (u64, usize) {
        let column = self.column.as_ref();
        (self.line, column.map_or(0, |(column, _)| *column))
    }

    /// Whether it has to be said who is meant on this line.
    pub(super) fn doubts(&self, line: u64) -> bool {
        self.is_doubt && self.line == line
    }

    /// In a person's language.
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
    /// What the server says of a row: it names the field `line 7: email`.
    pub(super) fn mistake_of_server(&self, error: &FieldError) -> Option<Mistake> {
        let (line, field) = error.field.strip_prefix("line ")?.split_once(": ")?;
        let line = line.parse().ok()?;
        let is_doubt = field == "person";
        let field = field.split('[').next().unwrap_or(field);
        let field = if is_doubt { "full_name" } else { field };
        Some(Mistake { is_doubt, ..Mistake::of_field(line, &self.header, field, &error.detail) })
    }
}

/// Reads the whole file. Its encoding and its delimiter are found out; `groups` says which group a name means that is no
/// short name.
///
/// # Errors
/// What is wrong with the encoding or the header, so that no row can be read.
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
