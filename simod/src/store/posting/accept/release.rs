//! Scheduled messages: their audience is decided when they come due, as that of the others when they are posted. To an
//! archived topic nothing can be sent, so those on one are canceled.

use simo_common::{api::message::Recipients, delivery::reason};
use uuid::Uuid;

use super::{
    decide::{self, Decided},
    insert::{Origin, insert_audiences, recipients_json},
    load::{Question, TopicName},
};
use crate::store::{
    Result, Store,
    db::{
        engine::{query, query_scalar},
        rows_as_json::json,
    },
    queue::cancel,
};

/// Scheduled messages that one transaction releases.
const RELEASED_AT_ONCE: i64 = 64;

/// A scheduled message that is due.
struct Due {
    origin: Origin,
    acs_id: Option<Uuid>,
    topic_id: Option<Uuid>,
    recipients: Option<Recipients>,
}

impl Store {
    /// Releases scheduled messages that are due: decides their audiences now, or cancels them where their topic or client is
    /// archived.
    /// Returns how many; zero: none is due.
    pub async fn release_due(&self) -> Result<usize> {
        let now = self.clock.now();
        let waiting: Option<i64> = query_scalar("select min(due_at) from message where due_at is not null")
            .fetch_one(&mut *self.read().await?)
            .await?;
        if waiting.is_none_or(|due_at| due_at > now) {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let skip = tx.skip_locked("message");
        let rows = query(format!(
            "select client_id, id, acs_id, topic_id, recipients, priority, expires_at, exists (
                 select 1 from client c where c.id = message.client_id and c.archived_at is not null) as client_gone,
                 exists (
                 select 1 from topic t where t.client_id = message.client_id and t.id = message.topic_id
                 and t.archived_at is not null) as topic_gone
             from message where due_at is not null and due_at <= $1 order by due_at limit $2{skip}"
        ))
        .bind(now)
        .bind(RELEASED_AT_ONCE)
        .fetch_all(&mut tx)
        .await?;
        let count = rows.len();
        let mut due = Vec::with_capacity(count);
        for row in rows {
            let message = Due {
                origin: Origin {
                    client_id: row.try_get("client_id")?,
                    message_id: row.try_get("id")?,
                    accepted_at: now,
                    expires_at: row.try_get("expires_at")?,
                    urgency: row.try_get("priority")?,
                },
                acs_id: row.try_get("acs_id")?,
                topic_id: row.try_get("topic_id")?,
                recipients: row.json("recipients")?,
            };
            let why = match (row.try_get("client_gone")?, row.try_get("topic_gone")?) {
                (true, _) => Some(reason::CLIENT_ARCHIVED),
                (false, true) => Some(reason::TOPIC_ARCHIVED),
                (false, false) => None,
            };
            if why.is_some() {
                let Origin { client_id, message_id, .. } = message.origin;
                cancel::end(&mut tx, client_id, message.acs_id, message_id, why, now).await?;
            } else {
                due.push(message);
            }
        }
        let questions: Vec<Question<'_>> = due
            .iter()
            .map(|due| Question {
                client_id: due.origin.client_id,
                topic: due.topic_id.map(TopicName::Id),
                recipients: due.recipients.as_ref(),
            })
            .collect();
        let decided: Vec<(&Due, Decided)> = due
            .iter()
            .zip(decide::audiences(&mut tx, &questions, now).await?)
            .filter_map(|(due, answer)| Some((due, answer.ok()?)))
            .collect();
        for (due, decided) in &decided {
            query(
                "update message set due_at = null, accepted_at = $3, accepted = $4, without_device = $5, denied = $6,
                     unknown = $7, recipients = coalesce(recipients, $8)
                 where client_id = $1 and id = $2",
            )
            .bind(due.origin.client_id)
            .bind(due.origin.message_id)
            .bind(now)
            .bind(decided.audience.accepted as i64)
            .bind(decided.audience.without_device as i64)
            .bind(decided.audience.denied as i64)
            .bind((!decided.unknown.is_empty()).then(|| json(&decided.unknown)))
            .bind(decided.usual.as_ref().map(recipients_json))
            .execute(&mut tx)
            .await?;
        }
        let audiences = decided.iter().map(|(due, decided)| (due.origin, &decided.audience));
        insert_audiences(&mut tx, audiences, now).await?;
        tx.commit_messages_unsynced().await?;
        self.on_disk().await?;
        Ok(count)
    }
}
