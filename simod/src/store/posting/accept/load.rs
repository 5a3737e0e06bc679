//! The live rows that decide: tokens, topics, grants, employees, groups. Each is read once per batch, whatever the
//! number of messages that need it.

mod groups;
mod topics;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::tz::TimeZone;
use simo_common::api::message::Recipients;
use uuid::Uuid;

pub(super) use self::{
    groups::{Groups, everyone, group_ids, groups_of},
    topics::{Holders, Topic, topics},
};
use super::{Incoming, Poster};
use crate::store::{
    Result,
    callers::limits::TokenLimits,
    db::{
        engine::{Conn, query, query_scalar},
        rows_as_json::{hex, json},
    },
};

/// Who posts, and what his client's settings say.
#[derive(Debug)]
pub(super) struct Sender {
    pub client_id: Uuid,
    pub acs_id: Option<Uuid>,
    pub operator_id: Option<Uuid>,
    /// Whether he may send without a topic.
    pub personal: bool,
    /// What else he may do with his token.
    pub limits: TokenLimits,
    pub timezone: TimeZone,
    /// Seconds.
    pub default_ttl: i64,
}

/// Whom a message is for, as it says.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Question<'a> {
    pub client_id: Uuid,
    pub topic: Option<TopicName<'a>>,
    pub recipients: Option<&'a Recipients>,
}

/// How a message names its topic: an ACS by slug, a stored one by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum TopicName<'a> {
    Slug(&'a str),
    Id(Uuid),
}

/// The posters of a batch who are let in.
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
                    "select c.id, a.id as acs_id, t.personal, t.scopes, t.topics, t.networks, t.rate_limit, t.rate_limit_as_503, t.fit, c.timezone,
                            c.default_ttl
                     from token t
                     join client c on c.id = t.client_id
                     join acs a on a.client_id = t.client_id and a.id = t.holder_id
                     where t.hash = $1 and t.kind = 'acs' and t.revoked_at is null
                       and (t.expires_at is null or t.expires_at > $2)
                       and c.archived_at is null and a.archived_at is null",
                )
                .bind(hash.to_vec())
                .bind(now)
                .fetch_optional(tx)
                .await?
            }
            Poster::Operator { client_id, .. } => {
                query("select id, timezone, default_ttl from client where id = $1 and archived_at is null")
                    .bind(client_id)
                    .fetch_optional(tx)
                    .await?
            }
        };
        if let Some(row) = found {
            let (acs_id, operator_id, personal, limits) = match poster {
                Poster::Token(_) => {
                    (row.try_get("acs_id")?, None, row.try_get("personal")?, TokenLimits::read(&row)?)
                }
                Poster::Operator { operator_id, .. } => (None, operator_id, true, TokenLimits::default()),
            };
            let zone: String = row.try_get("timezone")?;
            senders.insert(
                poster,
                Arc::new(Sender {
                    client_id: row.try_get("id")?,
                    acs_id,
                    operator_id,
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

/// An employee who was named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub id: Uuid,
    pub ordinal: u32,
    pub blocked: bool,
    pub has_device: bool,
}

/// The employees that questions name; archived ones are not found.
pub(super) async fn named<'a>(
    tx: &mut Conn,
    questions: &[Question<'a>],
) -> Result<HashMap<(Uuid, String), Named>> {
    let mut names: HashSet<(Uuid, &'a str)> = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(recipients.employees.iter().map(|no| (question.client_id, no.as_str())));
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<(Uuid, &str)> = names.into_iter().collect();
    let asked: Vec<_> = names.iter().map(|(client_id, no)| (hex(*client_id), no)).collect();
    // They come as one text: a row for each would cross from SQLite's thread by itself, for 11 instead of 4 µs a message.
    let found: Option<String> = query_scalar(
        "select string_agg(cast(j.key as text) || ' ' || hex(e.id) || ' ' || cast(e.ordinal as text)
             || case when e.blocked_at is not null then ' blocked' else ' ' end
             || case when e.devices > 0 then ' has_device' else ' ' end, ',')
         from jsonb_each($1) j cross join employee e
         where e.client_id = unhex(j.value->>0) and e.personnel_no = j.value->>1 and e.archived_at is null",
    )
    .bind(json(&asked))
    .fetch_one(tx)
    .await?;
    read_list(found.as_deref(), |employee| {
        let mut parts = employee.split(' ');
        let (client_id, no) = names.get(parts.next()?.parse::<usize>().ok()?)?;
        let named = Named {
            id: Uuid::try_parse(parts.next()?).ok()?,
            ordinal: parts.next()?.parse().ok()?,
            blocked: !parts.next()?.is_empty(),
            has_device: !parts.next()?.is_empty(),
        };
        Some(((*client_id, (*no).to_owned()), named))
    })
}

/// What `string_agg` has made one text of, with commas between.
fn read_list<T, L: FromIterator<T>>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<L> {
    let pieces = text.into_iter().flat_map(|text| text.split(','));
    // A piece that is left out would be a person who is not found.
    let read = |piece| read(piece).ok_or_else(|| sqlx::Error::Decode(format!("`{piece}` in a list").into()));
    Ok(pieces.map(read).collect::<sqlx::Result<L>>()?)
}
