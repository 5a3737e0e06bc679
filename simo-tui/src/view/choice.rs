//! A choice from a short list: of an order or of a client.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{fit::pad, popup, style::Palette};
use crate::{
    action::Client,
    model::{Model, SORTS},
    text,
};

/// A list to choose from.
pub(crate) struct Choice {
    title: &'static str,
    items: Vec<String>,
    /// The current choice.
    current: Option<usize>,
    /// Position of the bar.
    bar: usize,
}

/// The choice of an order.
pub(crate) fn orders(model: &Model) -> Choice {
    Choice {
        title: text::order(model.lang),
        items: SORTS.map(|sort| text::sort(sort, model.lang).to_owned()).to_vec(),
        current: SORTS.iter().position(|sort| *sort == model.wanted.sort),
        bar: model.sort_at,
    }
}

/// The choice of a client.
pub(crate) fn clients(model: &Model) -> Choice {
    let known = model.clients.known.as_deref().unwrap_or_default();
    Choice {
        title: text::clients(model.lang),
        items: known.iter().map(named).collect(),
        current: known.iter().position(|client| model.client.as_ref() == Some(&client.slug)),
        bar: model.clients.at,
    }
}

fn named(client: &Client) -> String {
    if client.name == client.slug {
        client.slug.clone()
    } else {
        format!("{} · {}", client.slug, client.name)
    }
}

impl Choice {
    fn place(&self, area: Rect) -> Rect {
        let widest = self.items.iter().map(|item| item.width()).max().unwrap_or(0) + 2;
        popup::place(area, widest as u16, self.items.len() as u16)
    }

    /// Items scrolled away above, so that the bar is visible.
    fn scroll(&self, place: Rect) -> usize {
        (self.bar + 1).saturating_sub(usize::from(place.height.saturating_sub(2)).max(1))
    }

    /// The item at a position on the screen.
    pub(crate) fn at(&self, model: &Model, at: Position) -> Option<usize> {
        let place = self.place(Rect::new(0, 0, model.size.0, model.size.1));
        let inside = place.contains(at) && at.y > place.y && at.y + 1 < place.bottom();
        inside
            .then(|| usize::from(at.y - place.y - 1) + self.scroll(place))
            .filter(|index| *index < self.items.len())
    }

    pub(crate) fn draw(&self, model: &Model, frame: &mut Frame<'_>) {
        let palette = Palette::new(model.colour);
        let place = self.place(frame.area());
        let width = usize::from(place.width.saturating_sub(popup::SIDES));
        let lines = self
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let mark = if self.current == Some(index) { "• " } else { "  " };
                let line = pad(&format!("{mark}{item}"), width);
                if index == self.bar {
                    Line::from(Span::styled(line, palette.bar(true)))
                } else {
                    Line::from(line)
                }
            })
            .collect();
        popup::draw(frame, place, self.title, lines, self.scroll(place), palette);
    }
}
