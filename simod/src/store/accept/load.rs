//! The live rows that decide: tokens, topics, grants, employees, groups. Each is read once per batch, whatever the
//! number of messages that need it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::tz::TimeZone;
use roaring::RoaringBitmap;
use simo_common::api::message::Recipients;
use uuid::Uuid;

use super::{Incoming, Poster};
use crate::store::{
    Result, Write,
    audience::People,
    bind::{hex, json},
    engine::{Row, query, query_as, query_scalar},
};

/// Who posts, and what his client's settings say.
#[derive(Debug)]
pub(super) struct Sender {
    pub client_id: Uuid,
    pub acs_id: Option<Uuid>,
    pub operator_id: Option<Uuid>,
    /// Whether he may send without a topic.
    pub personal: bool,
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
    tx: &mut Write,
    batch: &[Incoming],
    now: i64,
) -> Result<HashMap<Poster, Arc<Sender>>> {
    let posters: HashSet<Poster> = batch.iter().map(|incoming| incoming.poster).collect();
    let mut senders = HashMap::with_capacity(posters.len());
    for poster in posters {
        let found = match poster {
            Poster::Token(hash) => {
                query(
                    "select c.id, a.id as acs_id, t.personal, c.timezone, c.default_ttl
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
            let (acs_id, operator_id, personal) = match poster {
                Poster::Token(_) => (row.try_get("acs_id")?, None, row.try_get("personal")?),
                Poster::Operator { operator_id, .. } => (None, operator_id, true),
            };
            let zone: String = row.try_get("timezone")?;
            senders.insert(
                poster,
                Arc::new(Sender {
                    client_id: row.try_get("id")?,
                    acs_id,
                    operator_id,
                    personal,
                    timezone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
                    default_ttl: row.try_get("default_ttl")?,
                }),
            );
        }
    }
    Ok(senders)
}

/// A topic, and who holds its grants.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub id: Uuid,
    /// The grant to everyone.
    pub everyone: Option<Uuid>,
    /// Grants to groups: grant and group.
    pub groups: Vec<(Uuid, Uuid)>,
    /// Grants to employees: grant and ordinal.
    pub employees: Vec<(Uuid, u32)>,
}

/// The topics that questions name.
pub(super) async fn topics<'a>(
    tx: &mut Write,
    questions: &[Question<'a>],
) -> Result<HashMap<(Uuid, TopicName<'a>), Arc<Topic>>> {
    let mut names = HashSet::new();
    for question in questions {
        names.extend(question.topic.map(|topic| (question.client_id, topic)));
    }
    let mut topics = HashMap::new();
    for (client_id, name) in names {
        let id: Option<Uuid> = match name {
            TopicName::Slug(slug) => {
                query_scalar(
                    "select id from topic where client_id = $1 and slug = $2 and archived_at is null",
                )
                .bind(client_id)
                .bind(slug)
                .fetch_optional(tx)
                .await?
            }
            // A stored message's topic was checked when it was posted.
            TopicName::Id(id) => Some(id),
        };
        let Some(id) = id else { continue };
        let mut topic = Topic {
            id,
            ..Topic::default()
        };
        let grants = query(
            "select g.id, g.employee_id is not null as personal, g.group_id, e.ordinal
             from topic_grant g indexed by topic_grant_once
             left join employee e on e.client_id = g.client_id and e.id = g.employee_id and e.archived_at is null
             left join \"group\" r on r.client_id = g.client_id and r.id = g.group_id
             where g.client_id = $1 and g.topic_id = $2 and r.archived_at is null",
        )
        .bind(client_id)
        .bind(id)
        .fetch_all(tx)
        .await?;
        for row in grants {
            let grant_id: Uuid = row.try_get("id")?;
            let group_id: Option<Uuid> = row.try_get("group_id")?;
            let ordinal: Option<u32> = row.try_get("ordinal")?;
            match (row.try_get::<bool, _>("personal")?, group_id, ordinal) {
                (true, _, Some(ordinal)) => topic.employees.push((grant_id, ordinal)),
                (true, ..) => {}
                (false, Some(group_id), _) => topic.groups.push((grant_id, group_id)),
                (false, None, _) => topic.everyone = Some(grant_id),
            }
        }
        topics.insert((client_id, name), Arc::new(topic));
    }
    Ok(topics)
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
    tx: &mut Write,
    questions: &[Question<'a>],
) -> Result<HashMap<(Uuid, String), Named>> {
    let mut names: HashSet<(Uuid, &'a str)> = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(
            recipients
                .employees
                .iter()
                .map(|no| (question.client_id, no.as_str())),
        );
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = names
        .into_iter()
        .map(|(client_id, no)| (hex(client_id), no))
        .collect();
    let rows = query(
        "select e.client_id, e.personnel_no, e.id, e.ordinal, e.blocked_at is not null, e.devices > 0
         from jsonb_each($1) j cross join employee e
         where e.client_id = unhex(j.value->>0) and e.personnel_no = j.value->>1 and e.archived_at is null",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?;
    let mut named = HashMap::with_capacity(rows.len());
    for row in rows {
        named.insert(
            (row.try_get(0)?, row.try_get(1)?),
            Named {
                id: row.try_get(2)?,
                ordinal: row.try_get(3)?,
                blocked: row.try_get(4)?,
                has_device: row.try_get(5)?,
            },
        );
    }
    Ok(named)
}

/// Of each group, which of these employees are in it: for grants, when only named employees matter.
pub(super) async fn groups_of(
    tx: &mut Write,
    employees: &HashSet<(Uuid, Uuid, u32)>,
) -> Result<HashMap<(Uuid, Uuid), Arc<RoaringBitmap>>> {
    let rows: Vec<_> = employees
        .iter()
        .map(|(client, id, ordinal)| (hex(*client), hex(*id), ordinal))
        .collect();
    let rows = query(
        "select m.client_id, m.group_id, cast(j.value->>2 as integer) as ordinal
         from jsonb_each($1) j cross join group_member m
         where m.client_id = unhex(j.value->>0) and m.employee_id = unhex(j.value->>1)",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?;
    let mut groups: HashMap<(Uuid, Uuid), RoaringBitmap> = HashMap::new();
    for row in rows {
        groups
            .entry((row.try_get(0)?, row.try_get(1)?))
            .or_default()
            .insert(row.try_get(2)?);
    }
    Ok(groups
        .into_iter()
        .map(|(group, members)| (group, Arc::new(members)))
        .collect())
}

/// The groups that questions name: by client and slug.
pub(super) async fn group_ids(
    tx: &mut Write,
    questions: &[Question<'_>],
) -> Result<HashMap<(Uuid, String), Uuid>> {
    let mut names = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(
            recipients
                .groups
                .iter()
                .map(|slug| (hex(question.client_id), slug)),
        );
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<_> = names.into_iter().collect();
    let rows: Vec<(Uuid, String, Uuid)> = query_as(
        "select g.client_id, g.slug, g.id from jsonb_each($1) j cross join \"group\" g
         where g.client_id = unhex(j.value->>0) and g.slug = j.value->>1 and g.archived_at is null",
    )
    .bind(json(&names))
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(client_id, slug, id)| ((client_id, slug), id))
        .collect())
}

/// The members of one group. The sets come as one text each: a row per member would be ten times slower.
pub(super) async fn group_people(tx: &mut Write, client_id: Uuid, group_id: Uuid) -> Result<People> {
    let row = query(
        "select string_agg(cast(e.ordinal as text), ','),
                string_agg(case when e.blocked_at is not null then cast(e.ordinal as text) end, ','),
                string_agg(case when e.devices = 0 then cast(e.ordinal as text) end, ',')
         from group_member m
         join employee e on e.client_id = m.client_id and e.id = m.employee_id
         where m.client_id = $1 and m.group_id = $2 and e.archived_at is null",
    )
    .bind(client_id)
    .bind(group_id)
    .fetch_one(tx)
    .await?;
    read_people(&row)
}

/// Everyone of one client: one scan of a narrow index.
pub(super) async fn everyone(tx: &mut Write, client_id: Uuid) -> Result<People> {
    let row = query(
        "select string_agg(cast(ordinal as text), ','),
                string_agg(case when blocked_at is not null then cast(ordinal as text) end, ','),
                string_agg(case when devices = 0 then cast(ordinal as text) end, ',')
         from employee indexed by employee_ordinal where client_id = $1 and archived_at is null",
    )
    .bind(client_id)
    .fetch_one(tx)
    .await?;
    read_people(&row)
}

fn read_people(row: &Row) -> Result<People> {
    let set = |column: usize| -> Result<RoaringBitmap> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text
            .unwrap_or_default()
            .split(',')
            .filter_map(|ordinal| ordinal.parse::<u32>().ok())
            .collect())
    };
    Ok(People {
        members: set(0)?,
        blocked: set(1)?,
        without_device: set(2)?,
    })
}
