//! Lists and records for people.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use unicode_width::UnicodeWidthStr;

use super::{Printer, Value};

/// Terminals narrower than this do not know their width (a serial line reports 0); then the usual one is assumed.
const NARROW: u16 = 20;
const USUAL: u16 = 80;

/// Words are not broken over lines unless they are longer than this.
const WORD: usize = 36;

/// Spaces between columns.
const APART: u16 = 2;

/// From this width on, lists show their wide columns.
const WIDE: u16 = 120;

pub(super) struct Heading {
    pub(super) title: &'static str,
    /// Whether it is shown only on wide terminals.
    pub(super) is_wide: bool,
}

/// A list: a table, or a block per row if the terminal is too narrow for the columns. Columns empty in all rows are left out.
pub(super) fn list(printer: &Printer, headings: &[Heading], rows: &[Vec<Value>]) -> String {
    list_within(empty().width(), printer, headings, rows)
}

fn list_within(width: Option<u16>, printer: &Printer, headings: &[Heading], rows: &[Vec<Value>]) -> String {
    let has_room = width.is_none_or(|columns| columns >= WIDE);
    let in_columns = |with_wide: bool| {
        let shown = (0..headings.len()).filter(|place| with_wide || !headings[*place].is_wide);
        let filled: Vec<usize> =
            shown.filter(|place| rows.iter().any(|row| !is_nothing(&row[*place]))).collect();
        columns(printer, headings, rows, &filled, width)
    };
    let table = if has_room { in_columns(true) } else { None };
    table.or_else(|| in_columns(false)).unwrap_or_else(|| blocks(printer, headings, rows))
}

/// The table of these columns, if they fit side by side.
fn columns(
    printer: &Printer,
    headings: &[Heading],
    rows: &[Vec<Value>],
    shown: &[usize],
    width: Option<u16>,
) -> Option<String> {
    let least = |place: &usize| {
        let of_values = rows.iter().map(|row| printer.least(&row[*place]));
        of_values.fold(longest_word(headings[*place].title), usize::max) as u16 + APART
    };
    let least: Vec<u16> = shown.iter().map(least).collect();
    if shown.len() > 1 && width.is_some_and(|columns| columns < least.iter().sum()) {
        return None;
    }
    let mut table = empty();
    table.set_header(shown.iter().map(|place| printer.title(headings[*place].title)));
    for row in rows {
        table.add_row(shown.iter().map(|place| printer.cell(&row[*place], false)));
    }
    for (column, least) in table.column_iter_mut().zip(least) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
    }
    Some(rendered(&mut table))
}

/// One record, a line per field.
pub(super) fn record(printer: &Printer, titles: &[&str], values: &[Value]) -> String {
    let mut table = empty();
    add_record(&mut table, printer, titles, values);
    rendered(&mut table)
}

fn blocks(printer: &Printer, headings: &[Heading], rows: &[Vec<Value>]) -> String {
    let titles: Vec<_> = headings.iter().map(|heading| heading.title).collect();
    let mut table = empty();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            table.add_row([""]);
        }
        add_record(&mut table, printer, &titles, row);
    }
    rendered(&mut table)
}

fn add_record(table: &mut Table, printer: &Printer, titles: &[&str], values: &[Value]) {
    for (title, value) in titles.iter().zip(values) {
        if !is_nothing(value) {
            table.add_row([printer.title(title), printer.cell(value, true)]);
        }
    }
    if let Some(titles) = table.column_mut(0) {
        titles.set_constraint(ColumnConstraint::ContentWidth);
    }
}

impl Printer {
    /// The minimum width of a column for a value in it.
    fn least(&self, value: &Value) -> usize {
        let text = value.readable(self.lang, &self.zone);
        match value {
            Value::Id(_) | Value::Time(_) | Value::Number(_) | Value::Flag(_) => text.width(),
            _ => longest_word(&text),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Nothing => true,
        Value::List(names) => names.is_empty(),
        _ => false,
    }
}

fn longest_word(text: &str) -> usize {
    let longest = text.split_whitespace().map(UnicodeWidthStr::width).max();
    longest.unwrap_or(0).min(WORD)
}

/// Renders without a left margin.
fn rendered(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, APART));
    }
    table.trim_fmt()
}

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_some_and(|columns| columns < NARROW) {
        let said = std::env::var("COLUMNS").ok();
        table.set_width(width_said(said.as_deref()));
    }
    table
}

/// Width of a terminal that does not report its own.
fn width_said(columns: Option<&str>) -> u16 {
    let said = columns.and_then(|columns| columns.trim().parse().ok());
    said.filter(|columns| *columns >= NARROW).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_does_not_know_its_width_is_as_wide_as_usual_or_as_the_shell_says() {
        assert_eq!(width_said(None), 80);
        assert_eq!(width_said(Some("132")), 132);
        assert_eq!(width_said(Some("0")), 80);
        assert_eq!(width_said(Some("wide")), 80);
    }

    #[test]
    fn where_columns_have_no_room_side_by_side_each_row_is_a_block() {
        let printer = Printer::new(Some(super::super::Format::Table), simo_common::lang::Lang::En);
        let headings =
            ["Id", "Name", "Topics", "Unused"].map(|title| Heading { title, is_wide: title == "Topics" });
        let row = |name: &str| {
            let topics = vec!["boiler".to_owned(), "it".to_owned()];
            vec![uuid::Uuid::nil().into(), name.into(), (&topics).into(), Value::Nothing]
        };
        let rows = [row("scada-2"), row("1c")];
        let lines = |width| -> Vec<String> {
            let list = list_within(Some(width), &printer, &headings, &rows);
            list.lines().map(|line| line.trim_end().to_owned()).collect()
        };
        let id = uuid::Uuid::nil();
        assert_eq!(lines(130)[0], format!("{:38}Name     Topics", "Id"));
        assert_eq!(lines(60)[1], format!("{id}  scada-2"));
        assert_eq!(
            lines(40),
            [
                &*format!("Id      {id}"),
                "Name    scada-2",
                "Topics  boiler, it",
                "",
                &*format!("Id      {id}"),
                "Name    1c",
                "Topics  boiler, it",
            ]
        );
    }
}
