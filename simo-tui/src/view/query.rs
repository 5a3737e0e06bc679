//! The query line, and under it the mistake and the completion candidates.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Clear, Widget as _},
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    fit::{cut, pad, wrap},
    layout::Screen,
    style::Palette,
};
use crate::{
    model::{Focus, Model},
    text,
};

/// Candidates visible at once.
const CANDIDATES: usize = 8;
const PROMPT: u16 = 3;

/// Draws the line, and while it is edited also the mistake and the candidates.
pub(crate) fn draw(model: &Model, screen: &Screen, frame: &mut Frame<'_>) {
    let area = screen.query;
    if area.is_empty() {
        return;
    }
    let palette = Palette::new(model.colour);
    let editing = model.focus == Focus::Query;
    let buffer = frame.buffer_mut();
    let prompt = if editing { palette.notice() } else { palette.key() };
    buffer.set_stringn(area.x, area.y, " / ", usize::from(area.width), prompt);
    let room = Rect { x: area.x + PROMPT.min(area.width), width: area.width.saturating_sub(PROMPT), ..area };
    if !editing {
        let line = if model.wanted.query.is_empty() {
            Line::from(Span::styled(text::all(model.lang), palette.quiet()))
        } else {
            coloured(&model.wanted.query, palette)
        };
        buffer.set_line(room.x, room.y, &line, room.width);
        order(model, room, line.width() as u16, palette, buffer);
        return;
    }
    let input = &model.line.input;
    let scroll = input.visual_scroll(usize::from(room.width.saturating_sub(1)));
    let line = behind(coloured(input.value(), palette), scroll);
    buffer.set_line(room.x, room.y, &line, room.width);
    let cursor = input.visual_cursor().saturating_sub(scroll) as u16;
    let below = frame.area().bottom().saturating_sub(area.bottom() + 1);
    under(model, area, below, scroll, palette, frame);
    if room.width > 0 {
        frame.set_cursor_position((room.x + cursor.min(room.width - 1), room.y));
    }
}

/// Draws the sort order at the right end, if it does not overlap the query.
fn order(model: &Model, room: Rect, used: u16, palette: Palette, buffer: &mut ratatui::buffer::Buffer) {
    let order = text::sort(model.wanted.sort, model.lang);
    let width = order.width() as u16 + 1;
    if used + width + 2 <= room.width {
        buffer.set_string(room.right() - width, room.y, order, palette.quiet());
    }
}

/// A query with its keys, negations and phrases coloured.
fn coloured(query: &str, palette: Palette) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut quoted = false;
    for word in query.split_inclusive(' ') {
        let bare = word.trim_start_matches('-');
        let starts_quoted = quoted;
        quoted ^= word.matches('"').count() % 2 == 1;
        if starts_quoted {
            spans.push(Span::styled(word.to_owned(), palette.good()));
            continue;
        }
        let negation = &word[..word.len() - bare.len()];
        if !negation.is_empty() {
            spans.push(Span::styled(negation.to_owned(), palette.wrong()));
        }
        let value = match bare.split_once(':') {
            Some((key, value)) if !key.is_empty() && !key.contains('"') => {
                spans.push(Span::styled(format!("{key}:"), palette.key()));
                value
            }
            _ => bare,
        };
        let style = if value.starts_with('"') { palette.good() } else { Style::new() };
        spans.push(Span::styled(value.to_owned(), style));
    }
    Line::from(spans)
}

/// The line with its first `columns` columns cut off.
fn behind(line: Line<'static>, columns: usize) -> Line<'static> {
    let mut left = columns;
    let mut spans = Vec::new();
    for span in line.spans {
        let mut rest = String::new();
        for c in span.content.chars() {
            if left > 0 {
                left = left.saturating_sub(c.width().unwrap_or(0).max(1));
            } else {
                rest.push(c);
            }
        }
        spans.push(Span::styled(rest, span.style));
    }
    Line::from(spans)
}

fn under(model: &Model, line: Rect, below: u16, scroll: usize, palette: Palette, frame: &mut Frame<'_>) {
    let mut lines: Vec<(u16, Line<'static>)> = Vec::new();
    let width = usize::from(line.width);
    let column_of = |characters: usize| {
        let before: String = model.line.input.value().chars().take(characters).collect();
        PROMPT + before.width().saturating_sub(scroll) as u16
    };
    if let Some(error) = &model.line.error {
        if let Some(column) = error.column {
            lines.push((column_of(column), Line::from(Span::styled("▲", palette.wrong()))));
        }
        for text in wrap(&error.detail, width.saturating_sub(usize::from(PROMPT) + 1)) {
            lines.push((PROMPT, Line::from(Span::styled(text, palette.wrong()))));
        }
    }
    for (number, (x, text)) in lines.iter().take(usize::from(below)).enumerate() {
        let place = Rect { y: line.bottom() + number as u16, height: 1, ..line };
        Clear.render(place, frame.buffer_mut());
        let x = line.x + (*x).min(line.width.saturating_sub(1));
        frame.buffer_mut().set_line(x, place.y, text, line.right().saturating_sub(x));
    }
    let top = line.bottom() + (lines.len() as u16).min(below);
    let left = column_of(model.line.completion.start);
    let room = frame.area().bottom().saturating_sub(top + 1);
    candidates(model, (left, top), room, palette, frame);
}

/// Draws the completion candidates in a box under the cursor.
fn candidates(model: &Model, (left, top): (u16, u16), room: u16, palette: Palette, frame: &mut Frame<'_>) {
    let completion = &model.line.completion;
    let most = CANDIDATES.min(usize::from(room));
    let first = completion.chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(most));
    let screen = frame.area();
    let widest = completion.items.iter().map(|item| item.width()).max().unwrap_or(0);
    let width = (widest + 2).min(usize::from(screen.width));
    let left = left.saturating_sub(1).min(screen.width.saturating_sub(width as u16));
    let shown = completion.items.iter().enumerate().skip(first).take(most);
    for (number, (index, item)) in shown.enumerate() {
        let text = pad(&format!(" {} ", cut(item, width.saturating_sub(2))), width);
        let style = if completion.chosen == Some(index) { palette.bar(true) } else { palette.choice() };
        let place = (screen.x + left, top + number as u16);
        Clear.render(Rect::new(place.0, place.1, width as u16, 1), frame.buffer_mut());
        frame.buffer_mut().set_stringn(place.0, place.1, text, width, style);
    }
}
