//! The table of deliveries.

use jiff::Timestamp;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use simo_common::{
    api::history::{Delivery, SortKey},
    message::Priority,
    query::{Query, highlight, parse},
};
use unicode_width::UnicodeWidthStr;

use super::{
    fit::{cut, pad, wrap},
    layout::{self, Screen},
    style::Palette,
};
use crate::{
    model::{Focus, Link, Model},
    text::{self, Clock},
};

/// A column's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Employee,
    Topic,
    Title,
    State,
}

/// A column: its content, its left edge on the terminal, its width.
#[derive(Debug, Clone, Copy)]
struct Column {
    field: Field,
    x: u16,
    width: u16,
}

const GAP: u16 = 2;
/// Width of the longest sign, a space and the longest name in either language.
const STATE_WIDE: u16 = 16;
const STATE_SIGN: u16 = 2;

/// The columns that fit, from left to right. The least informative go first: topic, names of states, seconds, employee; time,
/// title and sign stay longest.
fn columns(model: &Model, area: Rect) -> Vec<Column> {
    let width = area.width.saturating_sub(2);
    let shown = visible(model);
    let today = shown.iter().all(|row| model.clock().is_today(row.accepted_at));
    let time = match (today, width) {
        (true, 64..) => 8,
        (true, _) => 5,
        (false, 98..) => 19,
        (false, _) => 14,
    };
    let mut fields = Vec::new();
    if width >= 24 {
        fields.push((Field::Time, time));
    }
    if width >= 44 {
        let share = if width >= 98 { 5 } else { 6 };
        fields.push((Field::Employee, (width / share).clamp(11, 30)));
    }
    if width >= 76 {
        fields.push((Field::Topic, (width / 9).clamp(8, 20)));
    }
    let state = if width >= 64 { STATE_WIDE } else { STATE_SIGN };
    let taken: u16 = fields.iter().map(|(_, width)| width + GAP).sum::<u16>() + GAP + state;
    fields.push((Field::Title, width.saturating_sub(taken)));
    fields.push((Field::State, state.min(width)));
    let mut x = area.x + u16::from(area.width > 2);
    fields
        .into_iter()
        .filter(|(_, width)| *width > 0)
        .map(|(field, width)| {
            let column = Column { field, x, width };
            x += width + GAP;
            column
        })
        .collect()
}

/// The visible rows.
fn visible(model: &Model) -> &[Delivery] {
    let rows = model.history.rows();
    let from = model.history.top().min(rows.len());
    let to = (from + usize::from(model.size.1)).min(rows.len());
    &rows[from..to]
}

/// The sort key of the heading at this column.
pub(crate) fn sort_key_at(model: &Model, x: u16) -> Option<SortKey> {
    let columns = columns(model, layout::screen(model).header);
    let column = columns.iter().rev().find(|column| column.x <= x)?;
    sort_key(column.field)
}

fn sort_key(field: Field) -> Option<SortKey> {
    match field {
        Field::Time => Some(SortKey::Date),
        Field::Employee => Some(SortKey::Employee),
        Field::State => Some(SortKey::State),
        Field::Topic | Field::Title => None,
    }
}

/// Draws headings and rows.
pub(crate) fn draw(model: &Model, screen: &Screen, buffer: &mut Buffer) {
    let columns = columns(model, screen.rows);
    headings(model, &columns, screen.header, buffer);
    if model.history.rows().is_empty() {
        nothing(model, screen.rows, buffer);
        return;
    }
    let palette = Palette::new(model.colour);
    let found = parse(&model.wanted.query).unwrap_or_default();
    for (line, row) in visible(model).iter().take(usize::from(screen.rows.height)).enumerate() {
        let area = Rect { y: screen.rows.y + line as u16, height: 1, ..screen.rows };
        let selected = model.history.top() + line == model.history.selected();
        for column in &columns {
            let cell = cell(model, &found, row, *column, palette);
            buffer.set_line(column.x, area.y, &cell, column.width);
        }
        if selected {
            buffer.set_style(area, palette.bar(model.focus == Focus::Table));
        } else if !model.is_current() {
            buffer.set_style(area, palette.quiet());
        }
    }
}

fn headings(model: &Model, columns: &[Column], area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let lang = model.lang;
    let palette = Palette::new(model.colour);
    let sort = model.wanted.sort;
    for column in columns {
        let name = match column.field {
            Field::Time => text::time(lang),
            Field::Employee => text::employee(lang),
            Field::Topic => text::topic(lang),
            Field::Title => text::title(lang),
            Field::State if column.width < STATE_WIDE => "",
            Field::State => text::state(lang),
        };
        let arrow = if sort_key(column.field) != Some(sort.key) {
            ""
        } else if sort.descending {
            "↓"
        } else {
            "↑"
        };
        let width = usize::from(column.width);
        // If both do not fit, keep the arrow: it cannot be guessed.
        let name = cut(name, width.saturating_sub(arrow.width()));
        let heading = pad(&format!("{name}{arrow}"), width);
        buffer.set_stringn(column.x, area.y, heading, width, palette.heading());
    }
}

fn cell(model: &Model, found: &Query, row: &Delivery, column: Column, palette: Palette) -> Line<'static> {
    let width = usize::from(column.width);
    let plain = |text: &str| Line::from(cut(text, width));
    match column.field {
        Field::Time => plain(&time(model, row.accepted_at, width)),
        Field::Employee => plain(&short_name(&row.employee, width)),
        Field::Topic => {
            Line::from(Span::styled(cut(row.topic.as_deref().unwrap_or("—"), width), palette.quiet()))
        }
        Field::Title => {
            let mark = match row.priority {
                Priority::Low | Priority::Normal => "",
                Priority::High => "! ",
                Priority::Critical => "!! ",
            };
            let style = palette.priority(row.priority);
            let title = cut(&row.title, width.saturating_sub(mark.width()));
            let weight = if row.priority == Priority::Critical { Style::new().bold() } else { Style::new() };
            let mut line = Line::from(Span::styled(mark, style));
            for (part, found) in parts(&title, found) {
                let style = if found { weight.patch(palette.found()) } else { weight };
                line.push_span(Span::styled(part, style));
            }
            line
        }
        Field::State => {
            let (sign, name) = text::state_of(row, model.lang);
            let name = if column.width < STATE_WIDE {
                sign.to_owned()
            } else {
                format!("{} {}", pad(sign, 2), name)
            };
            Line::from(Span::styled(cut(&name, width), palette.state(row.state)))
        }
    }
}

/// A title's parts, and whether each was found by the query.
fn parts(title: &str, query: &Query) -> Vec<(String, bool)> {
    let mut parts = Vec::new();
    let mut from = 0;
    for range in highlight(title, query) {
        parts.push((title[from..range.start].to_owned(), false));
        parts.push((title[range.clone()].to_owned(), true));
        from = range.end;
    }
    parts.push((title[from..].to_owned(), false));
    parts
}

/// A name shortened the Russian way if it does not fit: «Иванов Иван Иванович» is «Иванов И. И.».
fn short_name(name: &str, width: usize) -> String {
    let parts: Vec<&str> = name.split_whitespace().collect();
    let russian = name.chars().all(|c| matches!(c, 'А'..='я' | 'Ё' | 'ё' | ' ' | '-'));
    match parts.as_slice() {
        [family, rest @ ..] if name.width() > width && russian && rest.len() == 2 => {
            let initials = rest.iter().filter_map(|part| part.chars().next());
            initials.fold((*family).to_owned(), |name, c| format!("{name} {c}."))
        }
        _ => name.to_owned(),
    }
}

fn time(model: &Model, at: Timestamp, width: usize) -> String {
    let clock = model.clock();
    if width == 8 || width == 19 { clock.full(at) } else { clock.short(at) }
}

/// Explains why there are no rows.
fn nothing(model: &Model, area: Rect, buffer: &mut Buffer) {
    let lang = model.lang;
    let palette = Palette::new(model.colour);
    let quiet = palette.quiet();
    let said: Vec<(&str, Style)> = match &model.link {
        Link::ClientNeeded if model.clients.known.as_ref().is_some_and(Vec::is_empty) => {
            vec![(text::no_clients(lang), Style::new())]
        }
        Link::ClientNeeded => vec![(text::choose_client(lang), Style::new())],
        Link::Away { why, hint, refused: true, .. } => {
            let mut said = vec![(text::refuses(lang), palette.wrong()), (why, Style::new())];
            if let Some(hint) = hint {
                said.extend([(hint.as_str(), quiet), (text::refused_help(lang), quiet)]);
            }
            said
        }
        Link::Away { why, .. } => vec![
            (text::unreachable(lang), palette.wrong()),
            (why, Style::new()),
            (text::away_help(lang), quiet),
        ],
        _ => match &model.notice {
            Some(notice) => vec![(notice, palette.wrong())],
            None if model.shown.is_none() => vec![(text::loading(lang), quiet)],
            None if model.wanted.query.is_empty() => vec![(text::nothing_yet(lang), Style::new())],
            None => vec![(text::nothing_found(lang), Style::new()), (text::show_all(lang), quiet)],
        },
    };
    let width = usize::from(area.width.saturating_sub(4)).min(90);
    let lines: Vec<(String, Style)> = said
        .into_iter()
        .flat_map(|(what, style)| wrap(what, width).into_iter().map(move |line| (line, style)))
        .take(usize::from(area.height))
        .collect();
    let first = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    for (number, (line, style)) in lines.into_iter().enumerate() {
        let x = area.x + area.width.saturating_sub(line.width() as u16) / 2;
        buffer.set_stringn(x, first + number as u16, &line, usize::from(area.width), style);
    }
}

impl Model {
    /// The operator's wall clock.
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock { zone: &self.zone, now: self.now, lang: self.lang }
    }
}
