//! Data from the server, and the requests for it.

use std::time::Duration;

use simo_common::{
    api::{
        event::{Event, EventKind},
        history::{Delivery, Sort},
        problem::Problem,
    },
    page::Page,
};

use crate::{
    action::{Client, Effect, Failure, Feed, Load, Story},
    complete::Names,
    history::{History, RowKey},
    model::{Detail, FRESH, Focus, Link, Model, PAGE, QueryError, Selection},
};

/// Minimum time between two reloads of the rows while events arrive.
const SPACING: Duration = Duration::from_millis(500);
/// Pause after a failed request.
const PAUSE: Duration = Duration::from_secs(2);
/// Wait after an accepted message until its deliveries exist for certain.
const EXPANSION: Duration = Duration::from_secs(1);

/// Requests another selection or order.
pub(super) fn want(model: &mut Model, query: String, sort: Sort) {
    let wanted = Selection { query, sort };
    model.paused_until = model.now;
    if model.wanted != wanted {
        // Even if these rows are on the screen now: pending pages are for another selection.
        model.wanted = wanted;
        forget_loads(model);
    }
}

/// Requests a reload from the top.
pub(super) fn read_anew(model: &mut Model) {
    model.shown = None;
    model.notice = None;
    model.paused_until = model.now;
    forget_loads(model);
    if let Some(detail) = &mut model.detail {
        detail.stale = true;
    }
}

/// Requests the rows of the chosen client; the previous client's rows are removed at once.
pub(super) fn look_elsewhere(model: &mut Model) {
    read_anew(model);
    model.history = History::default();
    model.names = Names::default();
    model.names_asked = false;
    model.clients.asked = false;
    model.detail = None;
    model.focus = Focus::Table;
    model.link = Link::Connecting;
}

/// The list of clients arrived, or failed.
pub(super) fn clients(model: &mut Model, result: Result<Vec<Client>, Failure>) {
    let wanted = std::mem::take(&mut model.clients.wanted);
    model.clients.asked = false;
    match result {
        Ok(known) => {
            let current = |client: &Client| model.client.as_ref() == Some(&client.slug);
            model.clients.at = known.iter().position(current).unwrap_or(0);
            if wanted && !known.is_empty() && model.focus != Focus::Query {
                model.focus = Focus::Client;
            }
            model.clients.known = Some(known);
        }
        Err(failure) => model.notice = Some(failure.detail(model.lang).to_owned()),
    }
}

fn forget_loads(model: &mut Model) {
    model.loads.first = None;
    model.loads.more = None;
    model.loads.fresh = None;
    model.freshness.read = None;
}

/// Requests whatever the model wants and lacks, within the limits on request rates.
pub(super) fn ask(model: &mut Model, height: usize, effects: &mut Vec<Effect>) {
    if let Some(detail) = &mut model.detail
        && detail.stale
        && !detail.asked
        && matches!(model.link, Link::Live)
    {
        detail.asked = true;
        detail.stale = false;
        effects.push(Effect::Story(detail.key.clone()));
    }
    if model.link == Link::ClientNeeded && has_no_clients(model) && model.paused_until <= model.now {
        // No client exists yet: keep asking, one may be added at any moment.
        model.clients.wanted = true;
        model.paused_until = later(model, PAUSE);
    }
    if model.clients.wanted && !model.clients.asked {
        model.clients.asked = true;
        effects.push(Effect::Clients);
    }
    if model.loads.first.is_some() || matches!(model.link, Link::Away { .. } | Link::ClientNeeded) {
        return;
    }
    if model.freshness.again_at.is_some_and(|at| at <= model.now) {
        model.freshness.again_at = None;
        model.freshness.stale = true;
    }
    if model.paused_until > model.now {
        return;
    }
    if !model.is_current() {
        model.freshness.stale = false;
        let load = load(model, None, PAGE);
        model.loads.first = Some(load.ticket);
        effects.push(Effect::Load(load));
    } else if model.loads.more.is_none() && model.loads.fresh.is_none() {
        let cursor = model.freshness.read.as_ref().map(|read| read.next.clone());
        if let Some(cursor) = cursor {
            let load = load(model, cursor, FRESH);
            model.loads.fresh = Some(load.ticket);
            effects.push(Effect::Load(load));
        } else if model.freshness.stale && model.freshness.not_before <= model.now {
            model.freshness.stale = false;
            let rows = (model.history.rows().len() as u32).max(PAGE);
            let read = if reads_all(model) { rows } else { rows.min(FRESH) };
            model.freshness.not_before = later(model, SPACING * read.div_ceil(PAGE));
            let load = load(model, None, rows.min(FRESH));
            model.loads.fresh = Some(load.ticket);
            effects.push(Effect::Load(load));
        } else if model.history.wants_more(height) {
            let cursor = model.history.next().map(str::to_owned);
            let load = load(model, cursor, PAGE);
            model.loads.more = Some(load.ticket);
            effects.push(Effect::Load(load));
        }
    }
}

/// Whether all rows are reloaded, not only the first ones. Sorted newest first, new rows are at the top, and events report
/// changes of the others; in any other order, new rows may be anywhere.
fn reads_all(model: &Model) -> bool {
    model.freshness.missed || model.wanted.sort != Sort::default()
}

fn load(model: &mut Model, cursor: Option<String>, limit: u32) -> Load {
    model.loads.last += 1;
    Load {
        ticket: model.loads.last,
        query: model.wanted.query.clone(),
        sort: model.wanted.sort,
        cursor,
        limit,
    }
}

fn later(model: &Model, by: Duration) -> jiff::Timestamp {
    model.now.saturating_add(by).unwrap_or(model.now)
}

/// A page arrived, or failed. It is dropped if its ticket is outdated.
pub(super) fn loaded(model: &mut Model, ticket: u64, result: Result<Page<Delivery>, Failure>) {
    let loads = &mut model.loads;
    let awaited = |slot: &mut Option<u64>| slot.take_if(|t| *t == ticket).is_some();
    let first = awaited(&mut loads.first);
    let more = awaited(&mut loads.more);
    let fresh = awaited(&mut loads.fresh);
    if !(first || more || fresh) {
        return;
    }
    match result {
        Ok(page) => {
            model.notice = None;
            if first {
                if model.shown.is_none() {
                    model.history.reread(page);
                } else {
                    model.history.replace(page);
                }
                model.shown = Some(model.wanted.clone());
                model.freshness.missed = false;
            } else if more {
                model.history.append(page);
            } else {
                refresh(model, page);
            }
        }
        Err(Failure::Refused(problem)) if first && names_query(&problem) => refused_query(model, &problem),
        Err(failure) if needs_client(model, &failure) => want_client(model),
        Err(failure) => {
            model.paused_until = later(model, PAUSE);
            if fresh {
                model.freshness.stale = true;
                model.freshness.read = None;
            }
            model.notice = Some(failure.detail(model.lang).to_owned());
        }
    }
}

/// Reloaded rows arrived, the first or the next ones: they are merged once all are here.
fn refresh(model: &mut Model, page: Page<Delivery>) {
    let read = match model.freshness.read.take() {
        None => page,
        Some(mut read) => {
            read.items.extend(page.items);
            read.next = page.next;
            read
        }
    };
    if read.next.is_some() && reads_all(model) && read.items.len() < model.history.rows().len() {
        model.freshness.read = Some(read);
        return;
    }
    model.history.refresh(read, reads_all(model));
    if std::mem::take(&mut model.freshness.missed) && model.history.gap() {
        // None of the old rows was found again, so their state is unknown.
        read_anew(model);
    }
}

/// Whether the server needs a client, and none was chosen.
fn needs_client(model: &Model, failure: &Failure) -> bool {
    failure.wants_client() && model.client.is_none()
}

/// Offers the choice of a client; until one is chosen, nothing is requested.
fn want_client(model: &mut Model) {
    model.link = Link::ClientNeeded;
    model.notice = None;
    forget_loads(model);
    if model.clients.known.is_none() {
        model.clients.wanted = true;
    }
}

fn has_no_clients(model: &Model) -> bool {
    model.clients.known.as_ref().is_some_and(Vec::is_empty)
}

fn names_query(problem: &Problem) -> bool {
    problem.errors.iter().any(|error| error.field.starts_with("query"))
}

/// Returns to the query line and shows the server's error there; the rows stay.
fn refused_query(model: &mut Model, problem: &Problem) {
    let error = problem.errors.iter().find(|e| e.field.starts_with("query"));
    model.line.input = model.wanted.query.clone().into();
    model.line.completion = crate::complete::Completion::default();
    model.line.error = Some(QueryError {
        column: error
            .and_then(|e| e.field.strip_prefix("query:"))
            .and_then(|column| column.parse::<usize>().ok())
            .map(|column| column.saturating_sub(1)),
        detail: error.map_or(&problem.detail, |e| &e.detail).clone(),
    });
    model.focus = Focus::Query;
    model.wanted = model.shown.clone().unwrap_or(Selection { query: String::new(), sort: model.wanted.sort });
}

/// A story arrived, or failed.
pub(super) fn story(model: &mut Model, key: &RowKey, result: Result<Box<Story>, Failure>) {
    let Some(detail) = model.detail.as_mut().filter(|detail| &detail.key == key) else {
        return;
    };
    detail.asked = false;
    match result {
        Ok(story) => {
            detail.story = Some(story);
            detail.failure = None;
        }
        Err(failure) => detail.failure = Some(failure),
    }
}

/// Handles news from the live feed.
pub(super) fn feed(model: &mut Model, feed: Feed) {
    match feed {
        Feed::Open => {
            model.link = Link::Live;
            model.notice = None;
            model.freshness.stale = true;
            model.paused_until = model.now;
            model.freshness.not_before = model.now;
            if let Some(detail) = &mut model.detail {
                detail.stale = true;
            }
        }
        Feed::Event(event) => happened(model, &event),
        Feed::Lost { failure, .. } if needs_client(model, &failure) => want_client(model),
        Feed::Lost { failure, retry_in } => {
            // Pending pages will hardly arrive; they are requested again later.
            forget_loads(model);
            model.freshness.stale = true;
            let since = match model.link {
                Link::Away { since, .. } => since,
                _ => model.now,
            };
            model.link = Link::Away {
                since,
                retry_at: later(model, retry_in),
                why: failure.detail(model.lang).to_owned(),
                hint: failure.hint(model.lang).map(str::to_owned),
                refused: matches!(failure, Failure::Refused(_)),
            };
        }
    }
}

fn happened(model: &mut Model, event: &Event) {
    model.history.patch(event);
    model.freshness.stale = true;
    match event.kind {
        EventKind::Accepted => model.freshness.again_at = Some(later(model, EXPANSION)),
        EventKind::Reset if model.history.following() => read_anew(model),
        EventKind::Reset => model.freshness.missed = true,
        _ => {}
    }
    if let Some(detail) = &mut model.detail
        && concerns(detail, event)
    {
        detail.stale = true;
    }
}

fn concerns(detail: &Detail, event: &Event) -> bool {
    event.kind == EventKind::Reset
        || (event.message_id == detail.key.message_id
            && event.personnel_no.as_ref().is_none_or(|no| no == &detail.key.personnel_no))
}

#[cfg(test)]
mod tests;
