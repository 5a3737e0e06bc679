//! Where everything is. Pure, so that the mouse finds what the eye sees.

use ratatui::layout::Rect;

use crate::model::{Focus, Model};

/// From this width on, the detail pane stands beside the table.
const BESIDE: u16 = 130;
/// From this height of table and pane together, the pane stands below the table; else it covers it.
const BELOW: u16 = 18;

/// The places on the screen; what has no room is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    /// The title bar.
    pub(crate) title: Rect,
    /// The query line.
    pub(crate) query: Rect,
    /// The column headings.
    pub(crate) header: Rect,
    /// The rows.
    pub(crate) rows: Rect,
    /// The detail pane.
    pub(crate) detail: Rect,
    /// The status bar.
    pub(crate) status: Rect,
}

/// The places on the terminal that the model knows of.
pub(crate) fn screen(model: &Model) -> Screen {
    screen_of(model, Rect::new(0, 0, model.size.0, model.size.1))
}

/// The places on a terminal.
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
