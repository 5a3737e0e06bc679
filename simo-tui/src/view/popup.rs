//! A framed box over the rest of the screen.

use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, BorderType, Clear, Padding, Paragraph, Widget as _},
};

use super::style::Palette;

/// Columns taken by the frame and its padding.
pub(crate) const SIDES: u16 = 4;

/// A box in the middle, sized to its content and at most to the screen.
pub(crate) fn place(area: Rect, width: u16, lines: u16) -> Rect {
    let width = width.saturating_add(SIDES).min(area.width);
    let height = lines.saturating_add(2).min(area.height);
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    place: Rect,
    title: &str,
    lines: Vec<Line<'static>>,
    scroll: usize,
    palette: Palette,
) {
    let buffer = frame.buffer_mut();
    Clear.render(place, buffer);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(palette.frame(true))
        .padding(Padding::horizontal(1))
        .title(format!(" {title} "));
    Paragraph::new(lines).scroll((scroll as u16, 0)).block(block).render(place, buffer);
}
