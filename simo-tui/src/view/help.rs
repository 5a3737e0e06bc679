//! The list of all keys, from the table in `keys`.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    fit::{labelled, pad},
    popup,
    style::Palette,
};
use crate::{keys::HELP, model::Model, text};

const WIDEST: u16 = 76;

fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let palette = Palette::new(model.colour);
    let keys = HELP.iter().map(|(keys, ..)| keys.width()).max().unwrap_or(0) + 2;
    let mut lines = Vec::new();
    for (pressed, en, ru) in HELP {
        let what = model.lang.pick(*en, *ru);
        if pressed.is_empty() {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(Line::from(Span::styled(what, palette.heading())));
        } else {
            let label = Span::styled(pad(pressed, keys), palette.key());
            lines.extend(labelled(&label, what, ratatui::style::Style::new(), width));
        }
    }
    lines
}

fn place(area: Rect, model: &Model) -> (Rect, Vec<Line<'static>>) {
    let width = WIDEST.min(area.width.saturating_sub(popup::SIDES));
    let lines = lines(model, usize::from(width));
    (popup::place(area, width, lines.len() as u16), lines)
}

/// Maximum scroll position of the help.
pub(crate) fn scrollable(model: &Model) -> usize {
    let (place, lines) = place(Rect::new(0, 0, model.size.0, model.size.1), model);
    lines.len().saturating_sub(usize::from(place.height.saturating_sub(2)))
}

/// Draws the list of keys.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let (place, lines) = place(frame.area(), model);
    let palette = Palette::new(model.colour);
    popup::draw(frame, place, text::keys(model.lang), lines, model.help_scroll, palette);
}
