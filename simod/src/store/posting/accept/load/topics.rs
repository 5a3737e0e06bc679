//! The topics that messages are on, and who holds their grants.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use simo_common::{api::message::Recipients, message::Priority};
use uuid::Uuid;

use super::{Question, TopicName};
use crate::store::{
    Result,
    db::engine::{Conn, query},
    directory::grants::{GrantTerms, zone},
};

/// A topic, and who holds its grants.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Topic {
    pub id: Uuid,
    /// How urgent messages are that say nothing of it.
    pub priority: Option<Priority>,
    /// Whom messages are for that say nothing of it; `None`: all who hold a grant.
    pub recipients: Option<Recipients>,
    /// The grants that count now.
    pub grants: Holders,
    /// Those that do not.
    pub dormant: Holders,
}

/// Who holds grants.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Holders {
    /// The grant to everyone.
    pub everyone: Option<Uuid>,
    /// Grants to groups: grant and group.
    pub groups: Vec<(Uuid, Uuid)>,
    /// Grants to employees who are not archived.
    pub employees: Vec<(Uuid, Holder)>,
}

/// An employee who holds a grant himself.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::posting::accept) struct Holder {
    pub ordinal: u32,
    pub blocked: bool,
    pub has_device: bool,
}

/// The topics that questions name, with their grants as they stand at a moment.
pub(in crate::store::posting::accept) async fn topics<'a>(
    tx: &mut Conn,
    questions: &[Question<'a>],
    now: i64,
) -> Result<HashMap<(Uuid, TopicName<'a>), Arc<Topic>>> {
    let mut names = HashSet::new();
    for question in questions {
        names.extend(question.topic.map(|topic| (question.client_id, topic)));
    }
    let mut topics = HashMap::new();
    for (client_id, name) in names {
        if let Some(topic) = topic(tx, client_id, name, now).await? {
            topics.insert((client_id, name), Arc::new(topic));
        }
    }
    Ok(topics)
}

async fn topic(tx: &mut Conn, client_id: Uuid, name: TopicName<'_>, now: i64) -> Result<Option<Topic>> {
    // A stored message's topic was checked when it was posted.
    let found = match name {
        TopicName::Slug(slug) => {
            query(
                "select id, priority, recipients from topic
                 where client_id = $1 and slug = $2 and archived_at is null",
            )
            .bind(client_id)
            .bind(slug)
            .fetch_optional(tx)
            .await?
        }
        TopicName::Id(id) => {
            query("select id, priority, recipients from topic where client_id = $1 and id = $2")
                .bind(client_id)
                .bind(id)
                .fetch_optional(tx)
                .await?
        }
    };
    let Some(found) = found else { return Ok(None) };
    let mut topic = Topic {
        id: found.try_get("id")?,
        priority: found.try_get::<Option<i64>, _>("priority")?.map(Priority::from_rank),
        recipients: found.json("recipients")?,
        ..Topic::default()
    };
    let grants = query(
        "select g.id, g.employee_id is not null as personal, g.group_id, e.ordinal, e.blocked_at is not null as blocked,
                e.devices > 0 as has_device, g.starts_at, g.ends_at, g.hours, c.timezone
         from topic_grant g indexed by topic_grant_once
         cross join client c on c.id = g.client_id
         left join employee e on e.client_id = g.client_id and e.id = g.employee_id and e.archived_at is null
         left join \"group\" r on r.client_id = g.client_id and r.id = g.group_id
         where g.client_id = $1 and g.topic_id = $2 and r.archived_at is null
         order by r.slug",
    )
    .bind(client_id)
    .bind(topic.id)
    .fetch_all(tx)
    .await?;
    for row in grants {
        let grant_id: Uuid = row.try_get("id")?;
        let group_id: Option<Uuid> = row.try_get("group_id")?;
        let ordinal: Option<u32> = row.try_get("ordinal")?;
        let counts = GrantTerms::read(&row)?.count(now, || zone(&row))?;
        let holders = if counts { &mut topic.grants } else { &mut topic.dormant };
        match (row.try_get::<bool, _>("personal")?, group_id, ordinal) {
            (true, _, Some(ordinal)) => {
                let holder = Holder {
                    ordinal,
                    blocked: row.try_get("blocked")?,
                    has_device: row.try_get("has_device")?,
                };
                holders.employees.push((grant_id, holder));
            }
            (true, ..) => {}
            (false, Some(group_id), _) => holders.groups.push((grant_id, group_id)),
            (false, None, _) => holders.everyone = Some(grant_id),
        }
    }
    Ok(Some(topic))
}
