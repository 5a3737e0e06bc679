//! `simoctl message watch`: the live feed. It survives the server being down without missing events. Events carry only ids; to
//! show them to people or to apply a query, their deliveries are fetched in batches.

use std::{collections::HashMap, time::Duration};

use clap::Args;
use futures_util::{Stream, StreamExt as _};
use simo_common::{
    api::{
        event::{Event, EventKind},
        history::{Delivery, Sort},
    },
    client::{self, ListQuery},
    query::{Filter, Query, Term},
};
use uuid::Uuid;

use super::pointed;
use crate::{
    failure::Failure,
    live::{Backoff, may_pass, stopped},
    output::{
        Column, Record, Value,
        value::{local, named},
        write_text,
    },
    session::Session,
    terminal::one_line,
};

/// How long events are collected before they are shown.
const GATHERED: Duration = Duration::from_millis(150);
/// Events per batch, at most: the query must fit all their employees' numbers.
const TOGETHER: usize = 25;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only deliveries that match this query, as in `message list`
    query: Vec<String>,
}

/// Identifies a delivery: the message and the personnel number.
type Place = (Uuid, String);

struct Watcher<'s> {
    session: &'s Session,
    query: Option<String>,
    last_id: Option<String>,
    shown: u64,
}

pub(super) async fn run(session: &Session, args: &Watch) -> Result<(), Failure> {
    let watcher = Watcher {
        session,
        query: (!args.query.is_empty()).then(|| args.query.join(" ")),
        last_id: None,
        shown: 0,
    };
    tokio::select! {
        done = watcher.watch() => done,
        () = stopped() => Ok(()),
    }
}

impl Watcher<'_> {
    async fn watch(mut self) -> Result<(), Failure> {
        let api = self.session.client()?;
        // Reports a malformed query now, not at the first event.
        let first = self.matching(String::new(), 1).await;
        first.map_err(|failure| pointed(self.session, failure, self.query.as_deref().unwrap_or_default()))?;
        let mut backoff = Backoff::default();
        let mut events = Some(api.follow_events(None).await?);
        self.session
            .talk(self.session.say("Watching; Ctrl-C ends.", "Слежу за событиями; Ctrl-C завершает."));
        loop {
            if let Some(events) = events.take() {
                backoff.reset();
                self.follow(events).await?;
            }
            if backoff.is_fresh() {
                self.session.talk(
                    self.session.say("The server went away; trying again.", "Сервер пропал; пробую снова."),
                );
            }
            let wait = backoff.next();
            tokio::time::sleep(wait).await;
            match api.follow_events(self.last_id.as_deref()).await {
                Ok(again) => events = Some(again),
                Err(error) if may_pass(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows events until the connection ends.
    async fn follow(
        &mut self,
        mut events: impl Stream<Item = client::Result<(String, Event)>> + Unpin,
    ) -> Result<(), Failure> {
        while let Some(first) = events.next().await {
            let mut batch = Vec::new();
            let mut next = Some(first);
            let mut last_id = None;
            let until = tokio::time::Instant::now() + GATHERED;
            while let Some(Ok((id, event))) = next {
                if !id.is_empty() {
                    last_id = Some(id);
                }
                batch.push(event);
                if batch.len() == TOGETHER {
                    break;
                }
                next = tokio::time::timeout_at(until, events.next()).await.ok().flatten();
            }
            if batch.is_empty() {
                return Ok(());
            }
            match self.show(&batch).await {
                // The next connection sends these events again.
                Err(Failure::Call(error)) if may_pass(&error) => return Ok(()),
                shown => shown?,
            }
            self.last_id = last_id.or(self.last_id.take());
        }
        Ok(())
    }

    async fn show(&mut self, events: &[Event]) -> Result<(), Failure> {
        let people = self.session.out.is_for_people();
        let deliveries =
            if people || self.query.is_some() { self.look_up(events).await? } else { HashMap::new() };
        for event in events {
            if event.kind == EventKind::Reset {
                self.session.talk(self.session.say(
                    "Some events were missed: see `simoctl message list`.",
                    "Часть событий пропущена: см. `simoctl message list`.",
                ));
                continue;
            }
            let delivery = place(event).and_then(|place| deliveries.get(&place));
            if self.query.is_some() && delivery.is_none() && !self.is_about_a_match(event).await? {
                continue;
            }
            if people {
                let line = self.line(event, delivery).await?;
                write_text(&line)?;
            } else {
                self.session.out.live(event, self.shown == 0)?;
            }
            self.shown += 1;
        }
        Ok(())
    }

    /// The deliveries of these events that match the query.
    async fn look_up(&self, events: &[Event]) -> Result<HashMap<Place, Delivery>, Failure> {
        let (mut messages, mut employees) = (Vec::new(), Vec::new());
        for (message, employee) in events.iter().filter_map(place) {
            messages.push(message);
            employees.push(employee);
        }
        if messages.is_empty() {
            return Ok(HashMap::new());
        }
        messages.dedup();
        let named = Query {
            terms: [Filter::Message(messages), Filter::Employee(employees)]
                .map(|filter| Term { negated: false, filter, span: 0..0 })
                .into(),
        };
        let found = self.matching(named.to_string(), 1_000).await?;
        let placed = found.into_iter().map(|d| ((d.message_id, d.personnel_no.clone()), d));
        Ok(placed.collect())
    }

    /// Whether an event about a whole message (such as accepted) concerns a delivery that matches the query.
    async fn is_about_a_match(&self, event: &Event) -> Result<bool, Failure> {
        if event.personnel_no.is_some() {
            return Ok(false);
        }
        let found = self.matching(format!("message:{}", event.message_id), 1).await?;
        Ok(!found.is_empty())
    }

    async fn matching(&self, named: String, limit: u32) -> Result<Vec<Delivery>, Failure> {
        let words = self.query.iter().cloned().chain(Some(named)).collect::<Vec<_>>().join(" ");
        let list = ListQuery { query: Some(words), limit: Some(limit), ..ListQuery::default() };
        let api = self.session.client()?;
        Ok(api.deliveries(&list, Sort::default()).await?.items)
    }

    async fn line(&self, event: &Event, delivery: Option<&Delivery>) -> Result<String, Failure> {
        let out = &self.session.out;
        let at = local(event.at, out.zone());
        let what = match event.state {
            Some(state) => out.painted(&state.into()),
            None => out.painted(&kind(event.kind)),
        };
        let (title, whom) = if let Some(d) = delivery {
            (d.title.clone(), format!("  {} {}", d.personnel_no, d.employee))
        } else {
            let title = self.session.client()?.message(event.message_id).await?.title;
            let whom = event.personnel_no.as_ref().map(|no| format!("  {no}"));
            (title, whom.unwrap_or_default())
        };
        Ok(format!("{at}  {what}{}  {}  ({})", one_line(&whom), one_line(&title), event.acs))
    }
}

fn place(event: &Event) -> Option<Place> {
    event.personnel_no.clone().map(|no| (event.message_id, no))
}

fn kind(kind: EventKind) -> Value {
    let russian = match kind {
        EventKind::Accepted => "принято",
        EventKind::Delivery => "доставка",
        EventKind::Canceled => "отменено",
        EventKind::Reset => "заново",
    };
    named(kind.as_str(), kind.as_str(), russian)
}

impl Record for Event {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("at", "When", "Когда", |e| e.at.into()),
        Column::new("kind", "What", "Что", |e| kind(e.kind)),
        Column::new("message_id", "Message", "Сообщение", |e| e.message_id.into()),
        Column::new("acs", "ACS", "АСУ", |e| (&e.acs).into()),
        Column::alone("external_id", "External id", "Внешний номер", |e| {
            e.external_id.as_deref().into()
        }),
        Column::new("personnel_no", "No.", "Таб. №", |e| e.personnel_no.as_deref().into()),
        Column::new("state", "State", "Состояние", |e| e.state.into()),
        Column::alone("client", "Client", "Клиент", |e| (&e.client).into()),
    ];
}
