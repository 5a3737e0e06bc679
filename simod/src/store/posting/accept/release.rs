//! Scheduled messages: their audience is decided when they come due, as that of others is when they are posted. An
//! archived topic cannot be sent to, so its messages are canceled.

use simo_common::{api::message::Recipients, delivery::Reason};
use uuid::Uuid;

use super::{
    decide::{self, Decided},
    insert::{MessageSource, insert_audiences, recipients_json},
    load::{Question, TopicName},
};
use crate::store::{
    MessageNo, Result, Store, TopicNo,
    db::{
        engine::{Engine, query, query_scalar},
        rows_as_json::json,
    },
    message_spans::next_numbers,
    queue::cancel::{self, Which},
};

/// Scheduled messages that one transaction releases.
const RELEASED_AT_ONCE: i64 = 64;

/// The condition that a message is scheduled.
macro_rules! waits {
    () => {
        "no < 0 and canceled_at is null"
    };
}

/// A scheduled message that is due.
struct Due {
    origin: MessageSource,
    /// Its number while it waits.
    waiting: MessageNo,
    id: Uuid,
    topic_no: Option<TopicNo>,
    recipients: Option<Recipients>,
}

impl Store {
    /// Releases scheduled messages that are due: decides their audiences now, or cancels them where their topic or
    /// client is archived. Returns how many; zero: none is due.
    pub async fn release_due(&self) -> Result<usize> {
        let now = self.clock.now();
        let waiting: Option<i64> =
            query_scalar(concat!("select min(send_at) from message indexed by message_due where ", waits!()))
                .fetch_one(&mut *self.read().await?)
                .await?;
        if waiting.is_none_or(|send_at| send_at > now) {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let skip = tx.skip_locked("message");
        let rows = query(format!(
            "select client_no, no, id, topic_no, recipients, priority, expires_at, exists (
                 select 1 from client c where c.no = message.client_no and c.archived_at is not null) as client_gone,
                 exists (
                 select 1 from topic t where t.client_no = message.client_no and t.no = message.topic_no
                 and t.archived_at is not null) as topic_gone
             from message indexed by message_due where {} and send_at <= $1 order by send_at limit $2{skip}",
            waits!()
        ))
        .bind(now)
        .bind(RELEASED_AT_ONCE)
        .fetch_all(&mut tx)
        .await?;
        let count = rows.len();
        let mut due = Vec::with_capacity(count);
        for (row, message_no) in rows.into_iter().zip(next_numbers(&mut tx, count).await?) {
            let message = Due {
                origin: MessageSource {
                    client_no: row.try_get("client_no")?,
                    message_no,
                    expires_at: row.try_get("expires_at")?,
                    urgency: row.try_get("priority")?,
                },
                waiting: row.try_get("no")?,
                id: row.try_get("id")?,
                topic_no: row.try_get("topic_no")?,
                recipients: row.json("recipients")?,
            };
            let why = match (row.try_get("client_gone")?, row.try_get("topic_gone")?) {
                (true, _) => Some(Reason::ClientArchived),
                (false, true) => Some(Reason::TopicArchived),
                (false, false) => None,
            };
            if why.is_some() {
                let which =
                    Which { client_no: message.origin.client_no, no: message.waiting, id: message.id };
                cancel::end(&mut tx, &which, why, now).await?;
            } else {
                due.push(message);
            }
        }
        let questions: Vec<Question<'_>> = due
            .iter()
            .map(|due| Question {
                client_no: due.origin.client_no,
                topic: due.topic_no.map(TopicName::No),
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
                "update message set no = $9, waited_as = no, accepted_at = $3, accepted = $4, without_device = $5,
                     denied = $6, unknown = $7, recipients = coalesce(recipients, $8)
                 where client_no = $1 and no = $2",
            )
            .bind(due.origin.client_no)
            .bind(due.waiting)
            .bind(now)
            .bind(decided.audience.accepted as i64)
            .bind(decided.audience.without_device as i64)
            .bind(decided.audience.denied as i64)
            .bind((!decided.unknown.is_empty()).then(|| json(&decided.unknown)))
            .bind(decided.usual.as_ref().map(recipients_json))
            .bind(due.origin.message_no)
            .execute(&mut tx)
            .await?;
            if tx.engine() == Engine::Postgres {
                query("insert into message_unworded (client_no, no) values ($1, $2)")
                    .bind(due.origin.client_no)
                    .bind(due.origin.message_no)
                    .execute(&mut tx)
                    .await?;
            }
        }
        let audiences = decided.iter().map(|(due, decided)| (due.origin, &decided.audience));
        insert_audiences(&mut tx, audiences, now).await?;
        tx.commit_messages_unsynced().await?;
        self.on_disk().await?;
        Ok(count)
    }
}
