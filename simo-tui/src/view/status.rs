//! The bars at the top and at the bottom: server and client, the state of the connection, the keys to press.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{fit::cut, style::Palette};
use crate::{
    model::{Focus, Link, Model},
    text,
};

pub(crate) fn title(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let palette = Palette::new(model.colour);
    let left = Line::from(vec![
        Span::styled(" SiMO ", palette.brand()),
        Span::raw(" "),
        Span::raw(text::history(model.lang)),
    ]);
    let (used, _) = buffer.set_line(area.x, area.y, &left, area.width);
    let room = usize::from(area.right().saturating_sub(used + 2));
    let place = match &model.client {
        Some(client) => format!("{client} · {}", model.server),
        None => model.server.clone(),
    };
    let right = cut(&place, room);
    let x = area.right().saturating_sub(right.width() as u16 + 1);
    buffer.set_stringn(x, area.y, right, room, palette.quiet());
}

/// Draws the status bar.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let palette = Palette::new(model.colour);
    let left = left(model, palette);
    if matches!(model.link, Link::Away { .. }) {
        buffer.set_style(area, palette.alarm());
    }
    let (used, _) = buffer.set_line(area.x + 1, area.y, &left, area.width.saturating_sub(2));
    let room = usize::from(area.right().saturating_sub(used + 3));
    let hints = hints(model, palette, room);
    let x = area.right().saturating_sub(hints.width() as u16 + 1);
    buffer.set_line(x, area.y, &hints, hints.width() as u16);
}

fn left(model: &Model, palette: Palette) -> Line<'static> {
    let lang = model.lang;
    let mut spans = match &model.link {
        Link::Connecting => vec![Span::styled(format!("○ {}", text::connecting(lang)), palette.notice())],
        Link::ClientNeeded => {
            let is_empty = model.clients.known.as_ref().is_some_and(Vec::is_empty);
            let what = if is_empty { text::no_client_yet(lang) } else { text::choose_client(lang) };
            vec![Span::styled(format!("○ {what}"), palette.notice())]
        }
        Link::Away { since, retry_at, refused, .. } => {
            let seconds = retry_at.duration_since(model.now).as_millis().max(0);
            let since = model.clock().short(*since);
            let text = text::away(*refused, &since, ((seconds + 999) / 1000) as i64, lang);
            return Line::from(format!("✗ {text}"));
        }
        Link::Live if model.history.unseen() > 0 => {
            let news = text::new_rows(model.history.unseen(), model.history.gap(), lang);
            vec![Span::styled(format!("▲ {news}"), palette.notice())]
        }
        Link::Live => vec![Span::styled(format!("● {}", text::live(lang)), palette.good())],
    };
    let remark = model.remark.map(|remark| remark(lang));
    if let Some(notice) = remark.or(model.notice.as_deref()) {
        spans.push(Span::styled(format!("  {}", cut(notice, 70)), palette.wrong()));
    } else if model.loads.first.is_some() && model.shown.is_some() {
        spans.push(Span::styled(format!("  {}", text::loading(lang)), palette.quiet()));
    }
    let count = model.history.rows().len();
    if count > 0 {
        let more = if model.history.next().is_some() { "+" } else { "" };
        let place = format!("  {}/{count}{more}", model.history.selected() + 1);
        spans.push(Span::styled(place, palette.quiet()));
    }
    Line::from(spans)
}

/// As many key hints as fit, the most useful first.
fn hints(model: &Model, palette: Palette, room: usize) -> Line<'static> {
    let lang = model.lang;
    let hints: &[(&str, &str)] = match model.focus {
        Focus::Table if model.link == Link::ClientNeeded => {
            &[("c", text::hint_client(lang)), ("?", text::hint_help(lang)), ("q", text::hint_quit(lang))]
        }
        Focus::Table => &[
            ("?", text::hint_help(lang)),
            ("/", text::hint_query(lang)),
            ("s", text::hint_order(lang)),
            ("q", text::hint_quit(lang)),
            ("Enter", text::hint_open(lang)),
        ],
        Focus::Query => &[
            ("Enter", text::hint_apply(lang)),
            ("Esc", text::hint_cancel(lang)),
            ("Tab", text::hint_complete(lang)),
            ("↑↓", text::hint_past(lang)),
        ],
        Focus::Detail => &[
            ("Esc", text::hint_close(lang)),
            ("↑↓", text::hint_scroll(lang)),
            ("←→", text::hint_neighbours(lang)),
            ("w", text::hint_receivers(lang)),
            ("a", text::hint_access(lang)),
            ("?", text::hint_help(lang)),
        ],
        Focus::Sort | Focus::Client => &[("Enter", text::hint_apply(lang)), ("Esc", text::hint_cancel(lang))],
        Focus::Help => &[("Esc", text::hint_close(lang)), ("↑↓", text::hint_scroll(lang))],
    };
    // On the alarm's background the keys keep its colour.
    let alarmed = matches!(model.link, Link::Away { .. });
    let (key_style, text_style) =
        if alarmed { (Style::new(), Style::new()) } else { (palette.key(), palette.quiet()) };
    let mut line = Line::default();
    for (key, what) in hints {
        let gap = if line.spans.is_empty() { "" } else { "  " };
        if line.width() + gap.len() + key.width() + 1 + what.width() > room {
            break;
        }
        line.push_span(gap);
        line.push_span(Span::styled(*key, key_style));
        line.push_span(Span::styled(format!(" {what}"), text_style));
    }
    line
}
