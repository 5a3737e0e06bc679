//! The live rows that decide: tokens, topics, grants, employees, groups. Each is read once per batch, however many
//! messages need it.

mod groups;
mod topics;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub(super) use self::{
    groups::{Groups, everyone, group_nos, groups_of},
    topics::{Holders, Topic, topics},
};
use super::{Incoming, Poster};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, OperatorNo, Result, TopicNo,
    callers::limits::TokenLimits,
    db::engine::{
        Conn,
        Kind::{Text, Whole},
        query, query_scalar,
    },
};
use jiff::tz::TimeZone;
use simo_common::api::message::Recipients;

/// The poster, and settings of their client.
#[derive(Debug)]
pub(super) struct Sender {
    pub client_no: ClientNo,
    pub acs_no: Option<AcsNo>,
    pub operator_no: Option<OperatorNo>,
    /// Whether they may send without a topic.
    pub personal: bool,
    /// Further limits of their token.
    pub limits: TokenLimits,
    pub timezone: TimeZone,
    /// Seconds.
    pub default_ttl: i64,
}

/// The part of a message that decides who receives it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Question<'a> {
    pub client_no: ClientNo,
    pub topic: Option<TopicName<'a>>,
    pub recipients: Option<&'a Recipients>,
}

/// How a message refers to its topic: a posted one by slug, a stored one by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum TopicName<'a> {
    Slug(&'a str),
    No(TopicNo),
}

/// The authenticated posters of a batch.
pub(super) async fn senders(
    tx: &mut Conn,
    batch: &[Incoming],
    now: i64,
) -> Result<HashMap<Poster, Arc<Sender>>> {
    let posters: HashSet<Poster> = batch.iter().map(|incoming| incoming.poster).collect();
    let mut senders = HashMap::with_capacity(posters.len());
    for poster in posters {
        let found = match poster {
            Poster::Token(hash) => {
                query(
                    "select c.no as client_no, a.no as acs_no, t.personal, t.scopes, t.topics, t.networks, t.rate_limit, t.rate_limit_as_503, t.fit, c.timezone,
                            c.default_ttl
                     from token t
                     join client c on c.no = t.client_no
                     join acs a on a.client_no = t.client_no and a.no = t.holder_no
                     where t.hash = $1 and t.kind = 'acs' and t.revoked_at is null
                       and (t.expires_at is null or t.expires_at > $2)
                       and c.archived_at is null and a.archived_at is null",
                )
                .bind(hash.to_vec())
                .bind(now)
                .fetch_optional(tx)
                .await?
            }
            Poster::Operator { client_no, .. } => {
                query(
                    "select no as client_no, timezone, default_ttl from client where no = $1 and archived_at is null",
                )
                    .bind(client_no)
                    .fetch_optional(tx)
                    .await?
            }
        };
        if let Some(row) = found {
            let (acs_no, operator_no, personal, limits) = match poster {
                Poster::Token(_) => {
                    (row.try_get("acs_no")?, None, row.try_get("personal")?, TokenLimits::read(&row)?)
                }
                Poster::Operator { operator_no, .. } => (None, operator_no, true, TokenLimits::default()),
            };
            let zone: String = row.try_get("timezone")?;
            senders.insert(
                poster,
                Arc::new(Sender {
                    client_no: row.try_get("client_no")?,
                    acs_no,
                    operator_no,
                    personal,
                    limits,
                    timezone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
                    default_ttl: row.try_get("default_ttl")?,
                }),
            );
        }
    }
    Ok(senders)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub no: EmployeeNo,
    pub blocked: bool,
    pub has_device: bool,
}

/// The employees that questions name; archived ones are not found.
pub(super) async fn named<'a>(
    tx: &mut Conn,
    questions: &[Question<'a>],
) -> Result<HashMap<(ClientNo, String), Named>> {
    let mut names: HashSet<(ClientNo, &'a str)> = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(recipients.employees.iter().map(|no| (question.client_no, no.as_str())));
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<(ClientNo, &str)> = names.into_iter().collect();
    // They come as one text: one row each would cross from SQLite's thread separately, for 11 instead of 4 µs a
    // message.
    let found: Option<String> = query_scalar(
        "select string_agg(cast({#} as text) || ' ' || cast(e.no as text)
             || case when e.blocked_at is not null then ' blocked' else ' ' end
             || case when e.devices > 0 then ' has_device' else ' ' end, ',')
         from {rows} cross join employee e
         where e.client_no = {client} and e.personnel_no = {no} and e.archived_at is null",
    )
    .over(
        [("client", Whole), ("no", Text)],
        names.iter().map(|(client_no, no)| [client_no.into(), (*no).into()]),
    )
    .fetch_one(tx)
    .await?;
    read_list(found.as_deref(), |employee| {
        let mut parts = employee.split(' ');
        let (client_no, no) = names.get(parts.next()?.parse::<usize>().ok()?)?;
        let named = Named {
            no: EmployeeNo(parts.next()?.parse().ok()?),
            blocked: !parts.next()?.is_empty(),
            has_device: !parts.next()?.is_empty(),
        };
        Some(((*client_no, (*no).to_owned()), named))
    })
}

/// Splits a text made by `string_agg` with commas.
fn read_list<T, L: FromIterator<T>>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<L> {
    let pieces = text.into_iter().flat_map(|text| text.split(','));
    // A piece left out would be a person who is not found.
    let read = |piece| read(piece).ok_or_else(|| sqlx::Error::Decode(format!("`{piece}` in a list").into()));
    Ok(pieces.map(read).collect::<sqlx::Result<L>>()?)
}
