//! Canceling a message: at once for what is not yet on its way, step by step for its deliveries.

use simo_common::{api::message::Canceled, delivery::reason};
use uuid::Uuid;

use super::UnderWay;
use crate::store::{
    Error, Result, Store, Write,
    audit::Change,
    db::{
        engine::{query, query_as, query_scalar},
        rows_as_json,
    },
    feed::add_delivery_events,
};

/// Deliveries that one transaction closes.
const CLOSED_AT_ONCE: i64 = 500;

impl Store {
    /// Cancels a message of a client (and, if given, of one ACS). From the moment this begins no push of it is claimed, and
    /// what was claimed before is waited for; canceling twice changes nothing more.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message.
    pub async fn cancel_message(&self, client_id: Uuid, acs_id: Option<Uuid>, id: Uuid) -> Result<Canceled> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let found: Option<(Option<Uuid>, bool)> = query_as(
            "select acs_id, canceled_at is not null from message
             where client_id = $1 and id = $2 and ($3 is null or acs_id = $3)",
        )
        .bind(client_id)
        .bind(id)
        .bind(acs_id)
        .fetch_optional(&mut tx)
        .await?;
        let Some((poster, was_canceled)) = found else {
            return Err(Error::not_found("message", id.to_string()));
        };
        if was_canceled {
            tx.confirm_what_was_read().await?;
        } else {
            end(&mut tx, client_id, poster, id, None, now).await?;
        }
        tx.commit().await?;
        // Also the second time: the first one may have been cut short. A step may find fewer than there are: what was sent
        // meanwhile does not count.
        while self.close_canceled(client_id, poster, id).await? > 0 {}
        self.settled(client_id, UnderWay::Message(id)).await?;
        self.canceled_counts(client_id, id).await
    }

    /// Closes some deliveries of a canceled message; returns how many.
    pub(super) async fn close_canceled(
        &self,
        client_id: Uuid,
        acs_id: Option<Uuid>,
        id: Uuid,
    ) -> Result<u64> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let closed: Vec<Uuid> = query_scalar(
            "update delivery set outcome = 'canceled', reason = $3, outcome_at = $4
             where client_id = $1 and message_id = $2 and employee_id in (
                 select employee_id from delivery where client_id = $1 and message_id = $2 and state = 0 limit $5)
             and state = 0
             returning employee_id",
        )
        .bind(client_id)
        .bind(id)
        .bind(reason::CANCELED)
        .bind(now)
        .bind(CLOSED_AT_ONCE)
        .fetch_all(&mut tx)
        .await?;
        query(
            "update push set done_at = $4, outcome = 'canceled', reason = $5 from jsonb_each($3) j
             where client_id = $1 and message_id = $2 and employee_id = unhex(j.atom) and done_at is null",
        )
        .bind(client_id)
        .bind(id)
        .bind(rows_as_json::ids(&closed))
        .bind(now)
        .bind(reason::CANCELED)
        .execute(&mut tx)
        .await?;
        let changed: Vec<_> =
            closed.iter().map(|employee_id| (client_id, acs_id, id, *employee_id)).collect();
        add_delivery_events(&mut tx, &changed, now).await?;
        tx.commit().await?;
        Ok(closed.len() as u64)
    }

    async fn canceled_counts(&self, client_id: Uuid, id: Uuid) -> Result<Canceled> {
        // Its recipients are decided when it is accepted, which for one that waited is when it came due.
        let (canceled, all, scheduled): (i64, i64, bool) = query_as(
            "select (select count(*) from delivery where client_id = $1 and message_id = $2 and outcome = 'canceled'),
                    accepted, coalesce(send_at > accepted_at, false)
             from message where client_id = $1 and id = $2",
        )
        .bind(client_id)
        .bind(id)
        .fetch_one(&mut *self.read().await?)
        .await?;
        // Deliveries of a large audience that are still to be made will be made canceled.
        let waiting: i64 = query_scalar(
            "select count(*) from audience where client_id = $1 and message_id = $2 and reason is null",
        )
        .bind(client_id)
        .bind(id)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let too_late: i64 = query_scalar(
            "select count(*) from delivery
             where client_id = $1 and message_id = $2 and state not in (0, 7, 8)",
        )
        .bind(client_id)
        .bind(id)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let canceled = if waiting > 0 { all - too_late } else { canceled };
        Ok(Canceled { canceled: canceled as u64, too_late: too_late as u64, scheduled })
    }
}

/// Writes down that a message of an ACS is canceled, and why when nobody asked for it; nothing when another instance
/// canceled it just now.
pub(in crate::store) async fn end(
    tx: &mut Write,
    client_id: Uuid,
    acs_id: Option<Uuid>,
    id: Uuid,
    reason: Option<&str>,
    now: i64,
) -> Result<()> {
    let first = query(
        "update message set canceled_at = $3, due_at = null, cancel_reason = $4
         where client_id = $1 and id = $2 and canceled_at is null",
    )
    .bind(client_id)
    .bind(id)
    .bind(now)
    .bind(reason)
    .execute(tx)
    .await?;
    if first.rows_affected() == 0 {
        return Ok(());
    }
    query("insert into event (client_id, acs_id, at, kind, message_id) values ($1, $2, $3, 'canceled', $4)")
        .bind(client_id)
        .bind(acs_id)
        .bind(now)
        .bind(id)
        .execute(tx)
        .await?;
    let change = Change::new("message.cancel", id.to_string());
    let change = match reason {
        Some(reason) => change.after(&serde_json::json!({ "reason": reason })),
        None => change,
    };
    tx.record(client_id, change);
    Ok(())
}
