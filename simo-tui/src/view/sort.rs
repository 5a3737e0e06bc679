//! The choice of an order.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{fit::pad, popup, style::Palette};
use crate::{
    model::{Model, SORTS},
    text,
};

fn place(model: &Model, area: Rect) -> Rect {
    let width = SORTS
        .iter()
        .map(|s| text::sort(*s, model.lang).width())
        .max()
        .unwrap_or(0)
        + 2;
    popup::place(area, width as u16, SORTS.len() as u16)
}

/// Which order is at a place on the screen.
pub(crate) fn choice_at(model: &Model, at: Position) -> Option<usize> {
    let place = place(model, Rect::new(0, 0, model.size.0, model.size.1));
    let inside = place.contains(at) && at.y > place.y && at.y + 1 < place.bottom();
    inside
        .then(|| usize::from(at.y - place.y - 1))
        .filter(|index| *index < SORTS.len())
}

/// Draws the choice.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let palette = Palette::new(model.colour);
    let place = place(model, frame.area());
    let width = usize::from(place.width.saturating_sub(popup::SIDES));
    let lines = SORTS
        .iter()
        .enumerate()
        .map(|(index, sort)| {
            let mark = if *sort == model.wanted.sort { "• " } else { "  " };
            let line = pad(&format!("{mark}{}", text::sort(*sort, model.lang)), width);
            if index == model.sort_at {
                Line::from(Span::styled(line, palette.bar(true)))
            } else {
                Line::from(line)
            }
        })
        .collect();
    popup::draw(frame, place, text::order(model.lang), lines, 0, palette);
}
