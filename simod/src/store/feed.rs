//! The live feed: what happened to messages and deliveries, in the order of the commits.

use simo_common::{
    api::event::{Event, EventKind},
    delivery::DeliveryState,
    time::from_us,
};
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::{Uuid, fmt::Simple};

use super::{Result, Store, Write, bind::json};

/// Events that are read at once.
const AT_ONCE: usize = 500;

/// Whose events: a client's, or only those of one ACS's messages.
#[derive(Debug, Clone, Copy)]
pub struct FeedScope {
    /// The client.
    pub client_id: Uuid,
    /// The ACS to which it is limited.
    pub acs_id: Option<Uuid>,
}

/// The next piece of the feed.
#[derive(Debug)]
pub struct FeedPiece {
    /// Events with their positions.
    pub events: Vec<(i64, Event)>,
    /// The position that was read up to, others' events included.
    pub read_to: i64,
    /// Whether there may be more.
    pub more: bool,
}

impl Store {
    /// The position of the newest event: what follows it is live.
    pub async fn feed_end(&self) -> Result<i64> {
        let (_, last) = bounds(&mut *self.read().await?).await?;
        Ok(last)
    }

    /// What follows the position `after`; `None` when something that followed it is no longer kept, or the position was
    /// never reached.
    pub async fn feed_after(&self, scope: FeedScope, after: i64) -> Result<Option<FeedPiece>> {
        let mut reader = self.read().await?;
        let rows = sqlx::query(
            "select e.seq, e.at, e.kind, e.message_id, e.acs_id, c.slug as client, a.name as acs, m.external_id,
                    p.personnel_no, d.state
             from (select * from event where client_id = $1 and seq > $2 order by seq limit $3) e
             join client c on c.id = e.client_id
             left join message m on m.client_id = e.client_id and m.id = e.message_id
             left join acs a on a.client_id = e.client_id and a.id = e.acs_id
             left join employee p on p.client_id = e.client_id and p.id = e.employee_id
             left join delivery d on d.client_id = e.client_id and d.message_id = e.message_id
                  and d.employee_id = e.employee_id
             order by e.seq",
        )
        .bind(scope.client_id)
        .bind(after)
        .bind(AT_ONCE as i64)
        .fetch_all(&mut *reader)
        .await?;
        // Asked last, so that nothing can be swept away between the two.
        let (first, last) = bounds(&mut reader).await?;
        if after < first - 1 || after > last {
            return Ok(None);
        }
        let read_to = match rows.last() {
            Some(row) => row.try_get("seq")?,
            None => after,
        };
        let mut events = Vec::new();
        for row in &rows {
            let acs_id: Option<Uuid> = row.try_get("acs_id")?;
            if scope.acs_id.is_none() || scope.acs_id == acs_id {
                events.push((row.try_get("seq")?, read_event(row)?));
            }
        }
        Ok(Some(FeedPiece {
            events,
            read_to,
            more: rows.len() == AT_ONCE,
        }))
    }
}

/// The first position that is kept (or will be made, when none is), and the last that was made.
async fn bounds(connection: &mut sqlx::SqliteConnection) -> Result<(i64, i64)> {
    // SQLite's own table says what was made, also when everything was swept away since.
    Ok(sqlx::query_as(
        "select coalesce((select min(seq) from event), s.last + 1), s.last
         from (select coalesce((select seq from sqlite_sequence where name = 'event'), 0) as last) s",
    )
    .fetch_one(connection)
    .await?)
}

fn read_event(row: &SqliteRow) -> Result<Event> {
    let kind: String = row.try_get("kind")?;
    let state: Option<i64> = row.try_get("state")?;
    Ok(Event {
        kind: match kind.as_str() {
            "accepted" => EventKind::Accepted,
            "canceled" => EventKind::Canceled,
            _ => EventKind::Delivery,
        },
        at: from_us(row.try_get("at")?),
        client: row.try_get("client")?,
        message_id: row.try_get("message_id")?,
        acs: row
            .try_get::<Option<String>, _>("acs")?
            .unwrap_or_else(|| "operator".to_owned()),
        external_id: row.try_get("external_id")?,
        personnel_no: row.try_get("personnel_no")?,
        state: state.and_then(DeliveryState::from_rank),
    })
}

/// A delivery that changed: client, ACS, message, employee.
pub(super) type ChangedDelivery = (Simple, Option<Simple>, Simple, Simple);

/// Tells the feed that deliveries changed.
pub(super) async fn add_delivery_events(tx: &mut Write, changed: &[ChangedDelivery], at: i64) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into event (client_id, acs_id, at, kind, message_id, employee_id)
         select unhex(value->>0), unhex(value->>1), $2, 'delivery', unhex(value->>2), unhex(value->>3)
         from jsonb_each($1)",
    )
    .bind(json(changed))
    .bind(at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plant, sql};

    async fn add(plant: &Plant, message: Uuid, acs: Option<Uuid>) {
        let acs = acs.map_or("null".to_owned(), sql);
        let (client, message) = (sql(plant.client_id), sql(message));
        plant
            .run(&format!(
                "insert into event (client_id, acs_id, at, kind, message_id, employee_id)
                 select {client}, {acs}, 1, 'delivery', {message}, id from employee"
            ))
            .await;
    }

    fn scope(plant: &Plant, acs_id: Option<Uuid>) -> FeedScope {
        FeedScope {
            client_id: plant.client_id,
            acs_id,
        }
    }

    #[tokio::test]
    async fn an_acs_reads_its_own_messages_events_and_an_operator_all() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        add(&plant, message, Some(plant.acs_id)).await;
        add(&plant, message, None).await;
        let own = plant
            .store
            .feed_after(scope(&plant, Some(plant.acs_id)), 0)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((own.events.len(), own.read_to), (1, 2));
        let (position, event) = &own.events[0];
        assert_eq!(
            (*position, event.personnel_no.as_deref(), event.state),
            (1, Some("0001"), Some(DeliveryState::Queued))
        );
        assert_eq!(event.external_id.as_deref(), Some("m"));
        let all = plant
            .store
            .feed_after(scope(&plant, None), 0)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all.events.len(), 2);
        let foreign = FeedScope {
            client_id: Uuid::max(),
            acs_id: None,
        };
        let none = plant.store.feed_after(foreign, 0).await.unwrap().unwrap();
        assert!(none.events.is_empty());
    }

    #[tokio::test]
    async fn a_position_that_is_no_longer_kept_or_was_never_reached_is_refused() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        for _ in 0..3 {
            add(&plant, message, None).await;
        }
        let scope = scope(&plant, None);
        let known = async |after| plant.store.feed_after(scope, after).await.unwrap().is_some();
        assert!(known(0).await && known(3).await && !known(4).await && !known(-1).await);
        plant.run("delete from event where seq < 3").await;
        assert!(!known(1).await && known(2).await);
        plant.run("delete from event").await;
        assert!(!known(2).await && known(3).await);
        assert_eq!(plant.store.feed_end().await.unwrap(), 3);
    }
}
