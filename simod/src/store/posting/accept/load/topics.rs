//! The topics of messages, and their grants' holders.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Question, TopicName};
use crate::store::{
    ClientNo, EmployeeNo, GroupNo, Result, TopicNo,
    db::engine::{Conn, query},
    directory::grants::{GrantTerms, zone},
};
use simo_common::{api::message::Recipients, message::Priority};

/// A topic, and the holders of its grants.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Topic {
    pub no: TopicNo,
    /// Default priority of its messages.
    pub priority: Option<Priority>,
    /// Default recipients of messages that name none; `None`: all holders of a grant.
    pub recipients: Option<Recipients>,
    /// The grants in effect now.
    pub grants: Holders,
    /// The others.
    pub dormant: Holders,
}

/// Holders of grants.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Holders {
    /// Everyone.
    pub everyone: bool,
    /// Groups.
    pub groups: Vec<GroupNo>,
    /// Employees who are not archived.
    pub employees: Vec<Holder>,
}

/// An employee with a personal grant.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::posting::accept) struct Holder {
    pub no: EmployeeNo,
    pub blocked: bool,
    pub has_device: bool,
}

/// The topics that questions name, with their grants as of a moment.
pub(in crate::store::posting::accept) async fn topics<'a>(
    tx: &mut Conn,
    questions: &[Question<'a>],
    now: i64,
) -> Result<HashMap<(ClientNo, TopicName<'a>), Arc<Topic>>> {
    let mut names = HashSet::new();
    for question in questions {
        names.extend(question.topic.map(|topic| (question.client_no, topic)));
    }
    let mut topics = HashMap::new();
    for (client_no, name) in names {
        if let Some(topic) = topic(tx, client_no, name, now).await? {
            topics.insert((client_no, name), Arc::new(topic));
        }
    }
    Ok(topics)
}

async fn topic(tx: &mut Conn, client_no: ClientNo, name: TopicName<'_>, now: i64) -> Result<Option<Topic>> {
    // A stored message's topic was checked when it was posted.
    let found = match name {
        TopicName::Slug(slug) => {
            query(
                "select no, priority, recipients from topic
                 where client_no = $1 and slug = $2 and archived_at is null",
            )
            .bind(client_no)
            .bind(slug)
            .fetch_optional(tx)
            .await?
        }
        TopicName::No(no) => {
            query("select no, priority, recipients from topic where client_no = $1 and no = $2")
                .bind(client_no)
                .bind(no)
                .fetch_optional(tx)
                .await?
        }
    };
    let Some(found) = found else { return Ok(None) };
    let mut topic = Topic {
        no: found.try_get("no")?,
        priority: found.try_get::<Option<i64>, _>("priority")?.map(Priority::from_rank),
        recipients: found.json("recipients")?,
        ..Topic::default()
    };
    let grants = query(
        "select g.employee_no is not null as personal, g.group_no, e.no as holder_no, e.blocked_at is not null as blocked,
                e.devices > 0 as has_device, g.starts_at, g.ends_at, g.hours, c.timezone
         from topic_grant g indexed by topic_grant_once
         cross join client c on c.no = g.client_no
         left join employee e on e.client_no = g.client_no and e.no = g.employee_no and e.archived_at is null
         left join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
         where g.client_no = $1 and g.topic_no = $2 and r.archived_at is null
         order by r.slug",
    )
    .bind(client_no)
    .bind(topic.no)
    .fetch_all(tx)
    .await?;
    for row in grants {
        let group_no: Option<GroupNo> = row.try_get("group_no")?;
        let holder_no: Option<EmployeeNo> = row.try_get("holder_no")?;
        let counts = GrantTerms::read(&row)?.count(now, || zone(&row))?;
        let holders = if counts { &mut topic.grants } else { &mut topic.dormant };
        match (row.try_get::<bool, _>("personal")?, group_no, holder_no) {
            (true, _, Some(no)) => {
                let holder =
                    Holder { no, blocked: row.try_get("blocked")?, has_device: row.try_get("has_device")? };
                holders.employees.push(holder);
            }
            (true, ..) => {}
            (false, Some(group_no), _) => holders.groups.push(group_no),
            (false, None, _) => holders.everyone = true,
        }
    }
    Ok(Some(topic))
}
