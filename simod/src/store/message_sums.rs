//! The number of a message's deliveries in each state. Triggers maintain it (`message_sum`); on PostgreSQL changes add
//! rows, which are added up here.

use super::{
    Result, Store,
    db::engine::{Engine, query},
};

/// Rows that one step adds up.
const AT_ONCE: i64 = 1_000;

const ADD_UP: &str = "with changes as (
         delete from message_sum where (client_no, message_no, change_no) in (
             select client_no, message_no, change_no from message_sum where change_no > 0 order by change_no limit $1
             for update skip locked)
         returning *)
     insert into message_sum (client_no, message_no, changed_at, queued, sent, delivered, read, acknowledged, failed,
         expired, canceled, denied)
     select client_no, message_no, max(changed_at), sum(queued), sum(sent), sum(delivered), sum(read),
         sum(acknowledged), sum(failed), sum(expired), sum(canceled), sum(denied)
     from changes group by client_no, message_no order by client_no, message_no
     on conflict (client_no, message_no, change_no) do update set
         changed_at = greatest(message_sum.changed_at, excluded.changed_at),
         queued = message_sum.queued + excluded.queued,
         sent = message_sum.sent + excluded.sent,
         delivered = message_sum.delivered + excluded.delivered,
         read = message_sum.read + excluded.read,
         acknowledged = message_sum.acknowledged + excluded.acknowledged,
         failed = message_sum.failed + excluded.failed,
         expired = message_sum.expired + excluded.expired,
         canceled = message_sum.canceled + excluded.canceled,
         denied = message_sum.denied + excluded.denied
     returning 1";

impl Store {
    /// Adds up some of the changes. Returns whether there may be more.
    pub async fn add_up_sums(&self) -> Result<bool> {
        if self.engine() == Engine::Sqlite {
            return Ok(false);
        }
        let mut tx = self.write().await?;
        let changed = query(ADD_UP).bind(AT_ONCE).fetch_all(&mut tx).await?.len() as i64;
        tx.commit().await?;
        Ok(changed > 0)
    }
}
