//! Editing the query line.

use simo_common::query::parse;
use tui_input::{Input, InputRequest};

use super::live;
use crate::{
    action::{Command, Effect},
    complete::Completion,
    model::{Focus, Model, QueryError},
};

/// Maximum number of remembered queries.
const PAST: usize = 100;

/// Opens the line with the current query.
pub(super) fn open(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.names_asked {
        model.names_asked = true;
        effects.push(Effect::Names);
    }
    show(model, model.wanted.query.clone());
    model.line.past_at = None;
    model.focus = Focus::Query;
}

fn show(model: &mut Model, query: String) {
    // Operators more often add a new word than extend the last one.
    let query = if query.is_empty() || query.ends_with(' ') { query } else { query + " " };
    model.line.input = Input::new(query);
    changed(model);
}

fn changed(model: &mut Model) {
    let cursor = model.line.input.cursor();
    // A word still being typed is not reported as a mistake.
    let mistake = mistakes(model).into_iter().find(|mistake| {
        let from = mistake.column - 1;
        cursor < from || cursor > from + mistake.length
    });
    model.line.error = mistake.map(|mistake| told(model, &mistake));
    complete(model);
}

fn mistakes(model: &Model) -> Vec<simo_common::query::QueryError> {
    parse(model.line.input.value()).err().unwrap_or_default()
}

fn told(model: &Model, mistake: &simo_common::query::QueryError) -> QueryError {
    QueryError { column: Some(mistake.column - 1), detail: mistake.message(model.lang) }
}

/// Recomputes the candidates at the cursor.
pub(super) fn complete(model: &mut Model) {
    let mut names = model.names.clone();
    for row in model.history.rows() {
        names.employees.push(row.employee.clone());
        names.acs.push(row.acs.clone());
        names.topics.extend(row.topic.clone());
    }
    for list in [&mut names.employees, &mut names.acs, &mut names.topics] {
        list.sort();
        list.dedup();
    }
    let input = &model.line.input;
    model.line.completion = Completion::at(input.value(), input.cursor(), &names, model.lang);
}

/// Handles a key in the query line.
pub(super) fn command(model: &mut Model, command: Command) {
    match command {
        Command::Edit(request) => edit(model, request),
        Command::Complete => step(model, false),
        Command::CompleteBack => step(model, true),
        Command::Up => recall(model, true),
        Command::Down => recall(model, false),
        Command::Enter => {
            if let Some(mistake) = mistakes(model).first() {
                model.line.error = Some(told(model, mistake));
                return;
            }
            let query = model.line.input.value().trim().to_owned();
            model.detail = None;
            model.focus = Focus::Table;
            apply(model, query);
        }
        Command::Escape => {
            model.focus = model.base_focus();
            model.line.error = None;
        }
        _ => {}
    }
}

fn edit(model: &mut Model, request: InputRequest) {
    let effect = model.line.input.handle(request);
    if effect.is_some_and(|effect| effect.value || effect.cursor) {
        model.line.past_at = None;
        changed(model);
    }
}

/// Requests the deliveries of a query, and remembers it.
pub(super) fn apply(model: &mut Model, query: String) {
    let past = &mut model.line.past;
    if !query.is_empty() {
        past.retain(|before| before != &query);
        past.push(query.clone());
        if past.len() > PAST {
            past.remove(0);
        }
    }
    model.line.error = None;
    live::want(model, query, model.wanted.sort);
}

/// Pasted text, as one line.
pub(super) fn paste(model: &mut Model, text: &str) {
    if model.focus != Focus::Query {
        return;
    }
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        model.line.input.handle(InputRequest::InsertChar(c));
    }
    changed(model);
}

fn step(model: &mut Model, back: bool) {
    let line = &mut model.line;
    let start = line.completion.start;
    let Some(item) = line.completion.step(back).map(str::to_owned) else {
        return;
    };
    let cursor = line.input.cursor();
    let (value, end) = replaced(line.input.value(), start, cursor, &item);
    line.input = Input::new(value).with_cursor(end);
    line.error = None;
    // A key alone is incomplete: if it is the single candidate, its values come next.
    if line.completion.items.len() == 1 {
        changed(model);
    }
}

/// The text with the characters from `start` to `cursor` replaced, and the new cursor position.
fn replaced(text: &str, start: usize, cursor: usize, item: &str) -> (String, usize) {
    let head: String = text.chars().take(start).collect();
    let tail: String = text.chars().skip(cursor).collect();
    (format!("{head}{item}{tail}"), start + item.chars().count())
}

fn recall(model: &mut Model, older: bool) {
    let count = model.line.past.len();
    let at = match (model.line.past_at, older) {
        (None, true) => count.checked_sub(1),
        (None, false) => None,
        (Some(at), true) => Some(at.saturating_sub(1)),
        (Some(at), false) => (at + 1 < count).then_some(at + 1),
    };
    if at == model.line.past_at {
        return;
    }
    let query =
        at.and_then(|at| model.line.past.get(at).cloned()).unwrap_or_else(|| model.wanted.query.clone());
    show(model, query);
    model.line.past_at = at;
}
