//! The layout of the screen. Pure, so that mouse clicks match what is drawn.

use ratatui::layout::Rect;

use crate::model::{Focus, Model};

/// From this width on, the detail pane is beside the table.
const BESIDE: u16 = 130;
/// From this height of table and pane together, the pane is below the table; otherwise it covers it.
const BELOW: u16 = 18;

/// The areas of the screen; those without room are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) title: Rect,
    pub(crate) query: Rect,
    /// The column headings.
    pub(crate) header: Rect,
    pub(crate) rows: Rect,
    pub(crate) detail: Rect,
    pub(crate) status: Rect,
}

/// The areas for the terminal size in the model.
pub(crate) fn screen(model: &Model) -> Screen {
    screen_of(model, Rect::new(0, 0, model.size.0, model.size.1))
}

/// The areas for a given terminal area.
pub(crate) fn screen_of(model: &Model, area: Rect) -> Screen {
    let mut screen = Screen::default();
    let mut rest = area;
    if area.height >= 12 {
        screen.title = cut_top(&mut rest, 1);
    }
    if area.height >= 5 || (model.focus == Focus::Query && area.height > 0) {
        screen.query = cut_top(&mut rest, 1);
    }
    if rest.height >= 2 {
        screen.status = cut_bottom(&mut rest, 1);
    }
    if model.detail.is_some() {
        if rest.width >= BESIDE {
            let width = rest.width * 9 / 20;
            screen.detail = Rect { x: rest.right() - width, width, ..rest };
            rest.width -= width;
        } else if rest.height >= BELOW {
            let height = rest.height * 2 / 3;
            screen.detail = cut_bottom(&mut rest, height);
        } else {
            screen.detail = rest;
            return screen;
        }
    }
    if rest.height >= 3 {
        screen.header = cut_top(&mut rest, 1);
    }
    screen.rows = rest;
    screen
}

fn cut_top(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let cut = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    cut
}

fn cut_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect { y: rest.bottom(), height, ..*rest }
}
