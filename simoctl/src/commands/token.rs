//! `simoctl token`: tokens of ACS and operators. A secret is shown once, alone on stdout, so that a script can capture it.

use std::cell::Cell;

use clap::{Args, Subcommand};
use simo_common::api::access::{IssuedToken, NewToken, Token};
use uuid::Uuid;

use super::ListArgs;
use crate::{
    clock,
    failure::Failure,
    output::{
        Column, Record, Value,
        value::{local, named},
        write_text,
    },
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issue a token; it is shown this once
    #[command(after_help = ISSUE_EXAMPLES)]
    Issue(Issue),
    /// List tokens
    List(ListArgs),
    /// Show a token, without its secret
    Show {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
    /// Issue a successor; the token is out at once, or works on for a while
    Rotate {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
        /// How long the old one goes on working: 30m, 24h, 7d (30 days at most)
        #[arg(long, value_name = "TIME", value_parser = super::message::seconds)]
        grace: Option<i64>,
    },
    /// Revoke a token: it is out at once
    Revoke {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
}

const ISSUE_EXAMPLES: &str = "\
Examples:
  simoctl --client romashka token issue --acs 1c
  TOKEN=$(simoctl --client romashka token issue --acs scada-2 --scope send --topic boiler --network 10.0.0.0/8)
  simoctl --client romashka token rotate ID --grace 24h
  simoctl --client romashka -o json token issue --operator anna --expires-at 2027-01-01";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Issue {
    #[command(flatten)]
    holder: Holder,
    /// What it is for; shown in lists
    #[arg(long)]
    name: Option<String>,
    /// When it stops working: 2027-01-01, 2027-01-01T08:00, with or without an offset
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The ACS may send with it to a topic only, never to people by name
    #[arg(long, conflicts_with = "operator")]
    no_personal: bool,
    /// The ACS may send with it to people by name too, although it has topics
    #[arg(long, conflicts_with_all = ["operator", "no_personal"])]
    personal: bool,
    /// What the ACS may use it for: send, read; everything unless given
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', conflicts_with = "operator")]
    scopes: Vec<String>,
    /// The topics that the ACS may post to; all unless given
    #[arg(long = "topic", value_name = "SLUG", value_delimiter = ',', conflicts_with = "operator")]
    topics: Vec<String>,
    /// The networks that it may be used from, such as 10.0.0.0/8; all unless given
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',', conflicts_with = "operator")]
    networks: Vec<String>,
    /// Requests a minute, such as 600
    #[arg(long, value_name = "N", conflicts_with = "operator")]
    rate_limit: Option<u32>,
    /// Answer 503 instead of 429, for a system that repeats only what failed with 5xx, such as Alertmanager
    #[arg(long, conflicts_with = "operator")]
    rate_limit_as_503: bool,
    /// Cut messages to their limits instead of refusing them, for a system that cannot correct what it posts
    #[arg(long, conflicts_with = "operator")]
    fit: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Holder {
    /// For this ACS; it is made if it is new
    #[arg(long, value_name = "NAME")]
    acs: Option<String>,
    /// For this operator
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

/// A flag's list; `None` if the flag was not given.
fn given(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Issue(issue) => {
            let wanted = NewToken {
                acs: issue.holder.acs,
                operator: issue.holder.operator,
                name: issue.name,
                expires_at: issue.expires_at,
                personal: match (issue.personal, issue.no_personal) {
                    (true, _) => Some(true),
                    (_, true) => Some(false),
                    _ => None,
                },
                scopes: given(issue.scopes),
                topics: given(issue.topics),
                networks: given(issue.networks),
                rate_limit: issue.rate_limit,
                rate_limit_as_503: issue.rate_limit_as_503.then_some(true),
                fit: issue.fit.then_some(true),
            };
            show_secret(session, &api.issue_token(&wanted).await?)
        }
        Verb::List(list) => {
            let key = |token: &Token| token.id.to_string();
            let soon = Cell::new(0_u64);
            let fetch = async |query: &_| {
                let page = api.tokens(query).await?;
                let expiring = page.items.iter().filter(|token| token.expires_soon);
                soon.set(soon.get() + expiring.count() as u64);
                Ok(page)
            };
            session.list(list.query(), list.limit, key, fetch).await?;
            if soon.get() > 0 {
                warn_of_end(session, soon.get());
            }
            Ok(())
        }
        Verb::Show { id } => {
            let token = api.token(id).await?;
            session.out.record(&token)?;
            if token.expires_soon {
                warn_of_end(session, 1);
            }
            Ok(())
        }
        Verb::Rotate { id, grace } => {
            if grace.is_none() {
                let holder = api.token(id).await?.holder;
                session.confirm(&session.say(
                    format!(
                        "Rotate this token of {holder}? The old one stops working at once (see --grace)."
                    ),
                    format!("Сменить этот токен ({holder})? Старый сразу перестанет работать (см. --grace)."),
                ))?;
            }
            show_secret(session, &api.rotate_token(id, grace).await?)
        }
        Verb::Revoke { id } => {
            let holder = api.token(id).await?.holder;
            session.confirm(&session.say(
                format!("Revoke this token of {holder}? It stops working at once."),
                format!("Отозвать этот токен ({holder})? Он сразу перестанет работать."),
            ))?;
            api.revoke_token(id).await?;
            session.done(session.say("Token revoked.", "Токен отозван."));
            Ok(())
        }
    }
}

fn warn_of_end(session: &Session, count: u64) {
    session.talk(&session.say(
        format!("Tokens that stop working within two weeks: {count}. Next: simoctl token rotate ID --grace 24h"),
        format!("Токенов, которые перестанут работать за две недели: {count}. Дальше: simoctl token rotate ID --grace 24h"),
    ));
}

fn show_secret(session: &Session, issued: &IssuedToken) -> Result<(), Failure> {
    if session.out.is_structured() {
        session.out.record(issued)?;
        return Ok(());
    }
    write_text(&issued.token)?;
    let (id, holder) = (issued.id, &issued.holder);
    let until = issued.expires_at.map_or_else(String::new, |at| {
        let at = local(at, session.out.zone());
        session.say(format!(", until {at}"), format!(", до {at}"))
    });
    session.done(&session.say(
        format!("Token for {holder}{until}. It is shown this once: keep it now. Its id: {id}"),
        format!("Токен для {holder}{until}. Он показан один раз: сохраните сейчас. Его id: {id}"),
    ));
    Ok(())
}

impl Record for Token {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |t| t.id.into()),
        Column::new("kind", "Kind", "Вид", |t| t.kind.into()),
        Column::new("holder", "Holder", "Чей", |t| (&t.holder).into()),
        Column::new("name", "For", "Для чего", |t| (&t.name).into()),
        Column::wide("shown", "Token", "Токен", |t| (&t.shown).into()),
        Column::alone("personal", "Personal", "Личные сообщения", |t| t.personal.into()),
        Column::wide("scopes", "Scopes", "Права", |t| {
            Value::List(t.scopes.iter().map(ToString::to_string).collect())
        }),
        Column::wide("topics", "Topics", "Темы", |t| Value::List(t.topics.clone())),
        Column::wide("networks", "Networks", "Сети", |t| Value::List(t.networks.clone())),
        Column::new("rate_limit", "Requests a minute", "Запросов в минуту", |t| {
            t.rate_limit.map_or(Value::Nothing, Into::into)
        }),
        Column::alone("rate_limit_as_503", "503 instead of 429", "503 вместо 429", |t| {
            t.rate_limit_as_503.into()
        }),
        Column::alone("fit", "Cut to fit", "Сокращать до предела", |t| t.fit.into()),
        Column::new("used_at", "Last used", "Последнее использование", |t| {
            t.used_at.into()
        }),
        Column::wide("used_from", "From", "Откуда", |t| {
            t.used_from.as_deref().map_or(Value::Nothing, Into::into)
        }),
        Column::alone("successor", "Successor", "Замена", |t| {
            t.successor.map_or(Value::Nothing, Into::into)
        }),
        Column::wide("created_at", "Issued", "Выпущен", |t| t.created_at.into()),
        Column::new("expires_at", "Expires", "Истекает", |t| t.expires_at.into()),
        Column::new("expires_soon", "Soon", "Скоро", |t| {
            let has_ended = t.expires_at.is_some_and(|end| end <= clock::now());
            match (t.expires_soon, has_ended) {
                (true, _) => true.into(),
                (false, true) => named("expired", "expired", "истёк"),
                (false, false) => Value::Nothing,
            }
        }),
        Column::new("revoked_at", "Revoked", "Отозван", |t| t.revoked_at.into()),
    ];
}

impl Record for IssuedToken {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |t| t.id.into()),
        Column::new("token", "Token", "Токен", |t| (&t.token).into()),
        Column::new("kind", "Kind", "Вид", |t| t.kind.into()),
        Column::new("holder", "Holder", "Чей", |t| (&t.holder).into()),
        Column::new("expires_at", "Expires", "Истекает", |t| t.expires_at.into()),
    ];
}
