//! `simoctl message`: sending, history, and the story of one delivery.

mod send;
mod view;
mod watch;

use clap::{Args, Subcommand};
pub(crate) use simo_common::command_line::seconds;
use simo_common::{
    api::{
        history::{Delivery, Sort},
        problem::FieldError,
    },
    client::{Error, ListQuery},
};
use uuid::Uuid;

use crate::{failure::Failure, session::Session};

/// Default number of history rows.
const HISTORY: u64 = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Send a message
    #[command(after_help = send::EXAMPLES)]
    Send(Box<send::Send>),
    /// Search the history: who got what
    #[command(after_help = LIST_EXAMPLES)]
    List(List),
    /// Show a message: its text, and where its deliveries stand
    Show {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
    /// List a message's deliveries
    Deliveries {
        /// The message's id
        #[arg(value_parser = super::id)]
        id: Uuid,
        /// At most so many rows
        #[arg(long, value_name = "N", value_parser = super::rows)]
        limit: Option<u64>,
    },
    /// Tell the whole way of a message to one employee, or why there was none
    Explain {
        /// The message's id
        #[arg(value_parser = super::id)]
        id: Uuid,
        /// Whose delivery: a personnel number
        #[arg(long, value_name = "NO")]
        employee: String,
    },
    /// Cancel a message: stops what no provider has taken yet
    Cancel {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
    /// Follow what happens, live, until Ctrl-C
    Watch(watch::Watch),
}

const LIST_EXAMPLES: &str = "\
Examples:
  simoctl message list
  simoctl message list state:failed,expired after:today
  simoctl message list employee:иванов topic:boiler -state:read
  simoctl message list '\"утечка газа\"' --sort employee --all -o csv
  simoctl message list --scheduled";

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to look for: words, and state: employee: group: group-now: acs: topic: device: priority:
    /// reason: ack: message: external: after: before: date:
    pub(crate) query: Vec<String>,
    /// Instead: the messages that wait for their time, the next one first
    #[arg(long, conflicts_with_all = ["query", "sort"])]
    scheduled: bool,
    /// The order: date, employee or state; a minus in front turns it round (--sort=-state)
    #[arg(long, value_name = "KEY", default_value = "-date", allow_hyphen_values = true)]
    sort: Sort,
    /// At most so many rows
    #[arg(long, value_name = "N", value_parser = super::rows, default_value_t = HISTORY)]
    limit: u64,
    /// All rows, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Send(message) => send::run(session, *message).await,
        Verb::List(list) => self::list(session, list).await,
        Verb::Show { id } => view::message(session, id).await,
        Verb::Deliveries { id, limit } => {
            let api = session.client()?;
            let fetch = async |query: &_| api.message_deliveries(id, query).await;
            session.list(ListQuery::default(), limit, key, fetch).await
        }
        Verb::Explain { id, employee } => view::explanation(session, id, &employee).await,
        Verb::Cancel { id } => cancel(session, id).await,
        Verb::Watch(watch) => watch::run(session, &watch).await,
    }
}

async fn list(session: &Session, list: List) -> Result<(), Failure> {
    let api = session.client()?;
    if list.scheduled {
        let limit = (!list.all).then_some(list.limit);
        let fetch = async |query: &_| Ok(view::scheduled(api.scheduled_messages(query).await?));
        return session.list(ListQuery::default(), limit, view::Scheduled::key, fetch).await;
    }
    let query =
        ListQuery { query: (!list.query.is_empty()).then(|| list.query.join(" ")), ..ListQuery::default() };
    let limit = (!list.all).then_some(list.limit);
    let fetch = async |query: &_| api.deliveries(query, list.sort).await;
    let listed = session.list(query, limit, key, fetch).await;
    listed.map_err(|failure| pointed(session, failure, &list.query.join(" ")))
}

/// Marks the mistakes that the server found in a query, by their columns.
fn pointed(session: &Session, failure: Failure, query: &str) -> Failure {
    let Failure::Call(Error::Problem(problem)) = &failure else {
        return failure;
    };
    let place = |error: &FieldError| {
        let column = error.field.strip_prefix("query:")?.parse::<usize>().ok()?;
        Some(format!("{}^ {}", " ".repeat(column.saturating_sub(1)), error.detail))
    };
    let places: Vec<_> = problem.errors.iter().filter_map(place).collect();
    if places.is_empty() {
        return failure;
    }
    let details = std::iter::once(query.to_owned()).chain(places).collect();
    let what = session.say("The query is not understood.", "Запрос непонятен.");
    let hint = session.say("All keys: docs/query-language.en.md", "Все ключи: docs/query-language.ru.md");
    Failure::failed(what).details(details).hint(hint)
}

fn key(delivery: &Delivery) -> String {
    format!("{} {}", delivery.message_id, delivery.personnel_no)
}

async fn cancel(session: &Session, id: Uuid) -> Result<(), Failure> {
    let api = session.client()?;
    let message = api.message(id).await?;
    let (title, count) = (&message.title, message.counts.accepted);
    // Canceling again changes nothing, so do not ask.
    if message.canceled_at.is_none() {
        let about = if message.scheduled {
            session.say(
                format!("Cancel “{title}”? It is scheduled and will not be sent."),
                format!("Отменить «{title}»? Оно запланировано и не будет отправлено."),
            )
        } else {
            session.say(
                format!("Cancel “{title}” ({count} recipients)?"),
                format!("Отменить «{title}» (получателей: {count})?"),
            )
        };
        session.confirm(&about)?;
    }
    let done = api.cancel_message(id).await?;
    if session.out.is_structured() {
        session.out.record(&done)?;
    }
    let (canceled, late) = (done.canceled, done.too_late);
    let text = if message.canceled_at.is_some() {
        session.say(
            format!("It was canceled already; deliveries stopped: {canceled}, too late for: {late}."),
            format!("Оно уже было отменено; остановлено доставок: {canceled}, поздно для: {late}."),
        )
    } else if done.scheduled {
        session
            .say("Canceled: it will not be sent.".to_owned(), "Отменено: оно не будет отправлено.".to_owned())
    } else {
        session.say(
            format!("Canceled; deliveries stopped: {canceled}, too late for: {late}."),
            format!("Отменено; остановлено доставок: {canceled}, поздно для: {late}."),
        )
    };
    session.done(&text);
    Ok(())
}
