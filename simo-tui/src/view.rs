//! The screen, drawn from the model alone.

pub(crate) mod choice;
pub(crate) mod detail;
mod fit;
pub(crate) mod help;
pub(crate) mod layout;
mod popup;
mod query;
mod status;
mod style;
pub(crate) mod table;

use ratatui::Frame;

use crate::model::{Focus, Model};

/// Draws the whole screen.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let screen = layout::screen_of(model, frame.area());
    status::title(model, screen.title, frame.buffer_mut());
    table::draw(model, &screen, frame.buffer_mut());
    detail::draw(model, screen.detail, frame.buffer_mut());
    status::draw(model, screen.status, frame.buffer_mut());
    query::draw(model, &screen, frame);
    match model.focus {
        Focus::Sort => choice::orders(model).draw(model, frame),
        Focus::Client => choice::clients(model).draw(model, frame),
        Focus::Help => help::draw(model, frame),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
