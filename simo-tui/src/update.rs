//! Applies actions to the model. Pure: requests to the outside are returned as effects.

mod aside;
mod live;
mod query;

use simo_common::{api::history::Sort, lang::Lang};

use crate::{
    action::{Action, Command, Effect},
    history::RowKey,
    model::{Detail, Focus, Model, SORTS},
    view::{self, layout},
};

/// Applies an action.
pub(crate) fn update(model: &mut Model, action: Action) -> Vec<Effect> {
    let mut effects = Vec::new();
    match action {
        Action::Tick(now) => model.now = now,
        Action::Resize(columns, lines) => model.size = (columns, lines),
        Action::Command(wanted) => command(model, wanted, &mut effects),
        Action::Paste(text) => query::paste(model, &text),
        Action::Click { column, row } => click(model, column, row, &mut effects),
        Action::Wheel { column, row, lines } => wheel(model, column, row, lines),
        Action::Loaded(ticket, result) => live::loaded(model, ticket, result),
        Action::Story(key, result) => live::story(model, &key, result),
        Action::Answer(question, result) => aside::answered(model, &question, result),
        Action::Names(names) => {
            model.names = names;
            query::complete(model);
        }
        Action::Clients(result) => live::clients(model, result),
        Action::Feed(feed) => live::feed(model, feed),
    }
    let height = rows_in_sight(model);
    model.history.fit(height);
    clamp_scrolls(model);
    live::ask(model, height, &mut effects);
    effects
}

fn rows_in_sight(model: &Model) -> usize {
    usize::from(layout::screen(model).rows.height)
}

fn clamp_scrolls(model: &mut Model) {
    let most = view::detail::scrollable(model);
    if let Some(detail) = &mut model.detail {
        detail.scroll = detail.scroll.min(most);
    }
    model.help_scroll = model.help_scroll.min(view::help::scrollable(model));
}

fn command(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    model.remark = None;
    match command {
        Command::Quit => effects.push(Effect::Quit),
        Command::Repaint => effects.push(Effect::Repaint),
        Command::Language => {
            model.lang = model.lang.pick(Lang::Ru, Lang::En);
            effects.push(Effect::Speak(model.lang));
            if let Some(detail) = &mut model.detail {
                detail.stale = true;
            }
            aside::ask_again(model, effects);
        }
        Command::Reload => {
            live::read_anew(model);
            aside::ask_again(model, effects);
            effects.push(Effect::Reconnect);
        }
        _ => match model.focus {
            Focus::Table => in_table(model, command, effects),
            Focus::Query => query::command(model, command),
            Focus::Sort => in_sort(model, command),
            Focus::Client => in_clients(model, command, effects),
            Focus::Detail => in_detail(model, command, effects),
            Focus::Help => in_help(model, command),
        },
    }
}

fn in_table(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let height = rows_in_sight(model);
    let page = height.saturating_sub(1).max(1) as isize;
    match command {
        Command::Up => model.history.move_by(-1, height),
        Command::Down => model.history.move_by(1, height),
        Command::PageUp => model.history.move_by(-page, height),
        Command::PageDown => model.history.move_by(page, height),
        Command::Home => model.history.select(0, height),
        Command::End => model.history.select(usize::MAX, height),
        Command::Enter => open(model, effects),
        Command::Escape if !model.wanted.query.is_empty() => query::apply(model, String::new()),
        Command::EditQuery => query::open(model, effects),
        Command::ChooseSort => {
            model.sort_at = place_of(model.wanted.sort);
            model.focus = Focus::Sort;
        }
        Command::FlipSort | Command::SortBy(_) => sort(model, command),
        Command::ChooseClient => model.clients.wanted = true,
        Command::Help => model.focus = Focus::Help,
        _ => return,
    }
    if model.history.gap() && model.history.top() == 0 {
        live::read_anew(model);
    }
}

fn in_detail(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let page = usize::from(layout::screen(model).detail.height).saturating_sub(3).max(1);
    let Some(detail) = &mut model.detail else {
        model.focus = Focus::Table;
        return;
    };
    match command {
        Command::Up => detail.scroll = detail.scroll.saturating_sub(1),
        Command::Down => detail.scroll += 1,
        Command::PageUp => detail.scroll = detail.scroll.saturating_sub(page),
        Command::PageDown => detail.scroll += page,
        Command::Home => detail.scroll = 0,
        Command::End => detail.scroll = usize::MAX,
        Command::Previous => step(model, -1, effects),
        Command::Next => step(model, 1, effects),
        Command::Receivers | Command::Access => aside::turn(model, command, effects),
        Command::Escape | Command::Enter if detail.aside.is_some() => aside::close(detail),
        Command::Escape | Command::Enter => {
            model.detail = None;
            model.focus = Focus::Table;
            model.history.release();
        }
        Command::EditQuery => query::open(model, effects),
        Command::Help => model.focus = Focus::Help,
        _ => {}
    }
}

fn in_sort(model: &mut Model, command: Command) {
    match command {
        Command::Up => model.sort_at = (model.sort_at + SORTS.len() - 1) % SORTS.len(),
        Command::Down | Command::ChooseSort => model.sort_at = (model.sort_at + 1) % SORTS.len(),
        Command::Home => model.sort_at = 0,
        Command::End => model.sort_at = SORTS.len() - 1,
        Command::Enter => {
            let chosen = SORTS[model.sort_at % SORTS.len()];
            model.focus = model.base_focus();
            live::want(model, model.wanted.query.clone(), chosen);
        }
        Command::FlipSort | Command::SortBy(_) => {
            sort(model, command);
            model.focus = model.base_focus();
        }
        Command::Escape => model.focus = model.base_focus(),
        _ => {}
    }
}

fn in_clients(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let Some(known) = &model.clients.known else {
        model.focus = model.base_focus();
        return;
    };
    let last = known.len().saturating_sub(1);
    match command {
        Command::Up => model.clients.at = model.clients.at.saturating_sub(1),
        Command::Down => model.clients.at = (model.clients.at + 1).min(last),
        Command::Home | Command::PageUp => model.clients.at = 0,
        Command::End | Command::PageDown => model.clients.at = last,
        Command::Enter => {
            if let Some(client) = known.get(model.clients.at) {
                let slug = client.slug.clone();
                model.client = Some(slug.clone());
                live::look_elsewhere(model);
                effects.push(Effect::LookAt(slug));
            }
        }
        Command::Escape => model.focus = model.base_focus(),
        _ => {}
    }
}

fn in_help(model: &mut Model, command: Command) {
    match command {
        Command::Up => model.help_scroll = model.help_scroll.saturating_sub(1),
        Command::Down => model.help_scroll += 1,
        Command::PageUp => model.help_scroll = model.help_scroll.saturating_sub(10),
        Command::PageDown => model.help_scroll += 10,
        Command::Home => model.help_scroll = 0,
        Command::End => model.help_scroll = usize::MAX,
        Command::Escape | Command::Help | Command::Enter => {
            model.help_scroll = 0;
            model.focus = model.base_focus();
        }
        _ => {}
    }
}

/// Sorts by a key (newest first, А to Я, in the order of a delivery's life), or reverses the order.
fn sort(model: &mut Model, command: Command) {
    let now = model.wanted.sort;
    let flipped = Sort { descending: !now.descending, ..now };
    let wanted = match command {
        Command::SortBy(key) if key != now.key => {
            SORTS.into_iter().find(|sort| sort.key == key).unwrap_or_default()
        }
        _ => flipped,
    };
    live::want(model, model.wanted.query.clone(), wanted);
}

fn place_of(sort: Sort) -> usize {
    SORTS.iter().position(|s| *s == sort).unwrap_or(0)
}

/// Opens the story of the delivery under the bar. The bar stays on it while new rows arrive above.
fn open(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(row) = model.history.current() else {
        return;
    };
    let key = RowKey::of(row);
    model.history.hold();
    model.detail = Some(Detail::of(key.clone()));
    model.focus = Focus::Detail;
    effects.push(Effect::Story(key));
}

fn step(model: &mut Model, rows: isize, effects: &mut Vec<Effect>) {
    let before = model.history.selected();
    let height = rows_in_sight(model);
    model.history.move_by(rows, height);
    if model.history.selected() != before {
        open(model, effects);
    }
}

fn click(model: &mut Model, column: u16, row: u16, effects: &mut Vec<Effect>) {
    let screen = layout::screen(model);
    let at = (column, row).into();
    match model.focus {
        Focus::Help => in_help(model, Command::Escape),
        Focus::Sort => {
            if let Some(index) = view::choice::orders(model).at(model, at) {
                model.sort_at = index;
                in_sort(model, Command::Enter);
            } else {
                in_sort(model, Command::Escape);
            }
        }
        Focus::Client => {
            if let Some(index) = view::choice::clients(model).at(model, at) {
                model.clients.at = index;
                in_clients(model, Command::Enter, effects);
            } else {
                in_clients(model, Command::Escape, effects);
            }
        }
        Focus::Query if screen.query.contains(at) => {}
        Focus::Query => query::command(model, Command::Escape),
        _ if screen.query.contains(at) => query::open(model, effects),
        _ if screen.detail.contains(at) => {}
        _ if screen.header.contains(at) => {
            if let Some(key) = view::table::sort_key_at(model, column) {
                sort(model, Command::SortBy(key));
            }
        }
        _ if screen.rows.contains(at) => {
            let index = model.history.top() + usize::from(row - screen.rows.y);
            if index >= model.history.rows().len() {
                return;
            }
            let again = index == model.history.selected();
            model.history.select(index, usize::from(screen.rows.height));
            if again || model.detail.is_some() {
                open(model, effects);
            }
        }
        _ => {}
    }
}

fn wheel(model: &mut Model, column: u16, row: u16, lines: isize) {
    let screen = layout::screen(model);
    match model.focus {
        Focus::Help => model.help_scroll = model.help_scroll.saturating_add_signed(lines),
        Focus::Sort | Focus::Client | Focus::Query => {}
        Focus::Detail if screen.detail.contains((column, row).into()) => {
            if let Some(detail) = &mut model.detail {
                detail.scroll = detail.scroll.saturating_add_signed(lines);
            }
        }
        Focus::Detail | Focus::Table => {
            model.history.scroll_by(lines, usize::from(screen.rows.height));
        }
    }
}

#[cfg(test)]
mod tests;
