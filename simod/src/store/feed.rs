//! The live feed: events of messages and deliveries, in commit order.

mod states;

use std::{sync::LazyLock, time::Duration};

use serde::{Deserialize, Serialize};
use simo_common::{
    api::event::{Event, EventKind},
    delivery::DeliveryState,
    message::OPERATOR,
    time::from_us,
};

use super::{
    AcsNo, ClientNo, EmployeeNo, MessageNo, Result, Store, Write,
    db::engine::{Conn, Engine, Kind::Whole, Row, RowStatement, query, query_as, query_scalar},
    queue::close::Delivery,
};

/// Events that are read at once.
const AT_ONCE: usize = 500;

/// How often, and with what pauses, to check whether older transactions have ended.
const OLDER_LOOKS: u32 = 20;
const OLDER_PAUSE: Duration = Duration::from_millis(10);

/// Whose events: a client's, or only those of one ACS's messages.
#[derive(Debug, Clone, Copy)]
pub struct FeedScope {
    /// The client.
    pub client_no: ClientNo,
    /// The ACS that it is limited to.
    pub acs_no: Option<AcsNo>,
}

/// Position of an event in the feed. Events are ordered by it, and a later commit never comes before a position that
/// was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedPosition {
    /// On PostgreSQL the transaction that wrote it: numbers are not committed in order, but finished transactions are
    /// ordered. On SQLite always 0.
    xact: i64,
    seq: i64,
}

/// The next piece of the feed.
#[derive(Debug)]
pub struct FeedPiece {
    /// Events with their positions.
    pub events: Vec<(FeedPosition, Event)>,
    /// The position that was read up to, other subscribers' events included.
    pub read_to: FeedPosition,
    /// Whether there may be more.
    pub more: bool,
}

impl Store {
    /// The position of the newest event: everything after it is live.
    pub async fn feed_end(&self) -> Result<FeedPosition> {
        let newest = match self.engine() {
            Engine::Sqlite => query_as(MADE_ON_SQLITE),
            // Running transactions may come before committed ones.
            Engine::Postgres => query_as(
                "select cast(xact::text as integer), seq from (
                     (select xact, seq from event where xact < $1::text::xid8 order by xact desc, seq desc limit 1)
                     union all select xact, seq from event_floor) newest
                 order by xact desc, seq desc limit 1",
            )
            .bind(self.older_transactions_end().await?),
        };
        let (xact, seq) = newest.fetch_one(&mut *self.read().await?).await?;
        Ok(FeedPosition { xact, seq })
    }

    /// Waits briefly until the transactions running now have ended, so that earlier commits are not taken for new;
    /// returns the oldest one still running.
    async fn older_transactions_end(&self) -> Result<i64> {
        let next = self.next_transaction().await?;
        let mut oldest = self.oldest_transaction().await?;
        for _ in 0..OLDER_LOOKS {
            if oldest >= next {
                break;
            }
            tokio::time::sleep(OLDER_PAUSE).await;
            oldest = self.oldest_transaction().await?;
        }
        Ok(oldest)
    }

    /// The id of the next transaction to write.
    pub(super) async fn next_transaction(&self) -> Result<i64> {
        let next = query_scalar("select cast(pg_snapshot_xmax(pg_current_snapshot())::text as integer)");
        Ok(next.fetch_one(&mut *self.read().await?).await?)
    }

    /// The oldest transaction of this database that may still write, or the next one: reads after this has returned see
    /// all that older ones have written. Transactions of other databases on the same server, which may run for hours,
    /// do not count.
    pub(super) async fn oldest_transaction(&self) -> Result<i64> {
        // Every role may see these numbers. Transactions have 32 bits there; one that is "older" by more than half of
        // them began meanwhile.
        let oldest = query_scalar(
            "select n.next - coalesce((
                 select max(r.age) from (
                     select (n.next - cast(backend_xid::text as integer)) & 4294967295 as age from pg_stat_activity
                     where datname = current_database() and backend_xid is not null) r
                 where r.age < 2147483648), 0)
             from (select cast(pg_snapshot_xmax(pg_current_snapshot())::text as integer) as next) n",
        );
        Ok(oldest.fetch_one(&mut *self.read().await?).await?)
    }

    /// The events after the position `after`; `None` when some of them are no longer kept, or the position was never
    /// reached.
    pub async fn feed_after(&self, scope: FeedScope, after: FeedPosition) -> Result<Option<FeedPiece>> {
        let (text, oldest, seen) = match self.engine() {
            Engine::Sqlite => (&*AFTER_ON_SQLITE, None, self.feed_end().await?),
            Engine::Postgres => {
                // Before the reader, which must see the writes of transactions that have ended.
                let oldest = self.oldest_transaction().await?;
                let before = FeedPosition { xact: oldest - 1, seq: i64::MAX };
                (&*AFTER_ON_POSTGRES, Some(oldest), before)
            }
        };
        let mut reader = self.read().await?;
        let mut rows =
            query(text).bind(scope.client_no).bind(after.xact).bind(after.seq).bind(AT_ONCE as i64);
        if let Some(oldest) = oldest {
            rows = rows.bind(oldest);
        }
        let rows = rows.fetch_all(&mut reader).await?;
        // Checked last, so that nothing can be swept away between the two.
        if !is_kept(&mut reader, after).await? {
            return Ok(None);
        }
        if !rows.is_empty() {
            // A power failure must not undo an event that was read, and reuse its number.
            self.on_disk().await?;
        }
        // Without events of this client up to here, none will come; a position left behind would fall out of the feed
        // when others' events are dropped.
        let read_to = match rows.last() {
            Some(last) => position(last)?,
            None => after.max(seen),
        };
        let mut events = Vec::new();
        for row in &rows {
            let acs_no: Option<AcsNo> = row.try_get("acs_no")?;
            if scope.acs_no.is_none() || scope.acs_no == acs_no {
                events.push((position(row)?, read_event(row)?));
            }
        }
        Ok(Some(FeedPiece { events, read_to, more: rows.len() == AT_ONCE }))
    }
}

/// The newest position ever given out. SQLite's own table has it even when everything was swept since.
const MADE_ON_SQLITE: &str = "select 0, coalesce((select seq from sqlite_sequence where name = 'event'), 0)";

/// The events after a position, with all their fields. `{}` is replaced by the wanted rows of `event`.
const AFTER: &str = "select e.xact, e.seq, e.at, e.kind, m.id as message_id, m.acs_no, c.slug as client, a.name as acs,
            m.external_id, p.personnel_no, d.state
     from ({}) e
     cross join client c on c.no = e.client_no
     cross join message m on m.client_no = e.client_no and m.no = e.message_no
     left join acs a on a.client_no = e.client_no and a.no = m.acs_no
     left join employee p on p.client_no = e.client_no and p.no = e.employee_no
     left join delivery d on d.client_no = e.client_no and d.message_no = e.message_no and d.employee_no = e.employee_no
     order by e.xact, e.seq";

/// The columns of `event` that [`AFTER`] uses. A message that has waited got another number since.
macro_rules! of_event {
    () => {
        "seq, at, kind, client_no, employee_no, coalesce(
             (select w.no from message w where w.client_no = event.client_no and w.waited_as = event.message_no),
             message_no) as message_no
         from event where client_no = $1"
    };
}

static AFTER_ON_SQLITE: LazyLock<String> = LazyLock::new(|| {
    let rows =
        concat!("select 0 as xact, ", of_event!(), " and $2 is not null and seq > $3 order by seq limit $4");
    AFTER.replace("{}", rows)
});

static AFTER_ON_POSTGRES: LazyLock<String> = LazyLock::new(|| {
    let rows = concat!(
        "select cast(xact::text as integer) as xact, ",
        of_event!(),
        " and xact < $5::text::xid8 and (xact, seq) > ($2::text::xid8, $3) order by event.xact, seq limit $4"
    );
    AFTER.replace("{}", rows)
});

fn position(row: &Row) -> sqlx::Result<FeedPosition> {
    Ok(FeedPosition { xact: row.try_get("xact")?, seq: row.try_get("seq")? })
}

/// Whether everything after a position is still kept, and the position was reached.
async fn is_kept(conn: &mut Conn, after: FeedPosition) -> Result<bool> {
    let text = match conn.engine() {
        Engine::Sqlite => {
            "select $1 = 0 and $2 <= s.last and $2 >= coalesce((select min(seq) from event), s.last + 1) - 1
             from (select coalesce((select seq from sqlite_sequence where name = 'event'), 0) as last) s"
        }
        Engine::Postgres => {
            "select ($1::text::xid8, $2) >= (xact, seq) and $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())
             from event_floor"
        }
    };
    Ok(query_scalar(text).bind(after.xact).bind(after.seq).fetch_one(conn).await?)
}

fn read_event(row: &Row) -> Result<Event> {
    let state: Option<i64> = row.try_get("state")?;
    Ok(Event {
        kind: match row.try_get("kind")? {
            Happened::Accepted => EventKind::Accepted,
            Happened::Delivery => EventKind::Delivery,
            Happened::Canceled => EventKind::Canceled,
        },
        at: from_us(row.try_get("at")?),
        client: row.try_get("client")?,
        message_id: row.try_get("message_id")?,
        acs: row.try_get::<Option<String>, _>("acs")?.unwrap_or_else(|| OPERATOR.to_owned()),
        external_id: row.try_get("external_id")?,
        personnel_no: row.try_get("personnel_no")?,
        state: state.and_then(DeliveryState::from_rank),
    })
}

/// Kinds of events. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum Happened {
    Accepted = 1,
    Delivery = 2,
    Canceled = 3,
}

impl Happened {
    /// The stored number.
    pub(super) fn number(self) -> i64 {
        self as i64
    }

    /// The kind stored as `number`.
    pub(super) fn from_number(number: i64) -> Option<Self> {
        [Self::Accepted, Self::Delivery, Self::Canceled].into_iter().find(|kind| kind.number() == number)
    }
}

static INSERT_EVENTS: LazyLock<RowStatement<5>> = LazyLock::new(|| {
    RowStatement::new(
        [("client", Whole), ("at", Whole), ("kind", Whole), ("message", Whole), ("employee", Whole)],
        "insert into event (client_no, at, kind, message_no, employee_no)
         select {client}, {at}, {kind}, {message}, {employee} from {rows}",
    )
});

pub(super) async fn add_delivery_events(tx: &mut Write, changed: &[Delivery], at: i64) -> Result<()> {
    let rows = changed.iter().map(|&(client, message, employee)| {
        [client.into(), at.into(), Happened::Delivery.into(), message.into(), employee.into()]
    });
    Ok(INSERT_EVENTS.execute(tx, rows.collect()).await?)
}

pub(super) async fn add_message_events(
    tx: &mut Write,
    messages: impl Iterator<Item = (ClientNo, MessageNo)>,
    happened: Happened,
    at: i64,
) -> Result<()> {
    let rows = messages.map(|(client, message)| {
        [client.into(), at.into(), happened.into(), message.into(), None::<EmployeeNo>.into()]
    });
    Ok(INSERT_EVENTS.execute(tx, rows.collect()).await?)
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, PgConnection};

    use super::*;
    use crate::testing::{Plant, TestMessage};

    async fn add(plant: &Plant, message: TestMessage) {
        plant
            .run(&format!(
                "insert into event (client_no, at, kind, message_no, employee_no)
                 select {}, 1, 2, {}, no from employee",
                plant.client_no.0, message.no.0
            ))
            .await;
    }

    fn scope(plant: &Plant, acs_no: Option<AcsNo>) -> FeedScope {
        FeedScope { client_no: plant.client_no, acs_no }
    }

    const START: FeedPosition = FeedPosition { xact: 0, seq: 0 };

    /// The positions of all events, once there are `count`: an event shows when every older transaction has ended.
    async fn all(plant: &Plant, count: usize) -> Vec<FeedPosition> {
        loop {
            let piece = plant.store.feed_after(scope(plant, None), START).await;
            let events = piece.unwrap().unwrap().events;
            if events.len() >= count {
                return events.into_iter().map(|(position, _)| position).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn an_acs_reads_its_own_messages_events_and_an_operator_all() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        add(&plant, message).await;
        let of_an_operator = plant.message("o", &[employee]).await;
        plant.run(&format!("update message set acs_no = null where no = {}", of_an_operator.no.0)).await;
        add(&plant, of_an_operator).await;
        let both = all(&plant, 2).await;
        let own = plant.store.feed_after(scope(&plant, Some(plant.acs_no)), START).await.unwrap().unwrap();
        let (first, last) = (both[0], both[1]);
        assert_eq!((own.events.len(), own.read_to), (1, last));
        let (position, event) = &own.events[0];
        assert_eq!(
            (*position, event.personnel_no.as_deref(), event.state),
            (first, Some("0001"), Some(DeliveryState::Queued))
        );
        assert_eq!(event.external_id.as_deref(), Some("m"));
        let foreign = FeedScope { client_no: ClientNo(i64::MAX), acs_no: None };
        let none = plant.store.feed_after(foreign, START).await.unwrap().unwrap();
        assert!(none.events.is_empty());
    }

    #[tokio::test]
    async fn a_position_that_is_no_longer_kept_or_was_never_reached_is_refused() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        for _ in 0..3 {
            add(&plant, message).await;
        }
        let scope = scope(&plant, None);
        let known = async |after| plant.store.feed_after(scope, after).await.unwrap().is_some();
        let [first, second, third] = all(&plant, 3).await[..] else { panic!("three events") };
        let never = FeedPosition { xact: third.xact + 1_000_000, seq: third.seq + 1_000_000 };
        assert!(known(START).await && known(third).await && !known(never).await);
        let forget = async |keep: usize| {
            plant.store.forget_events(i64::MAX, 3 - keep as i64).await.unwrap();
        };
        forget(1).await;
        assert!(!known(START).await && !known(first).await && known(second).await);
        forget(0).await;
        assert!(!known(second).await && known(third).await);
        assert_eq!(plant.store.feed_end().await.unwrap(), third);
    }

    /// A transaction that is held open while later ones commit.
    #[tokio::test]
    async fn what_is_committed_late_is_not_skipped() {
        let plant = Plant::new().await;
        if !plant.is_shared() {
            return; // SQLite has one writer.
        }
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        let event = format!(
            "insert into event (client_no, at, kind, message_no) values ({}, 1, 2, {})",
            plant.client_no.0, message.no.0
        );
        let mut late = plant.store.write().await.unwrap();
        late.run(&event).await.unwrap();
        add(&plant, message).await;
        let scope = scope(&plant, None);
        let early = plant.store.feed_after(scope, START).await.unwrap().unwrap();
        late.commit().await.unwrap();
        all(&plant, 2).await;
        let rest = plant.store.feed_after(scope, early.read_to).await;
        assert_eq!((early.events.len(), rest.unwrap().unwrap().events.len()), (0, 2));
    }

    /// Work in other databases of the server may take hours.
    #[tokio::test]
    async fn transactions_of_other_databases_do_not_hold_the_feed_back() {
        let plant = Plant::new().await;
        let Ok(server) = std::env::var("SIMO_TEST_POSTGRES") else {
            return;
        };
        let mut foreign = PgConnection::connect(&server).await.unwrap();
        let mut writing = foreign.begin().await.unwrap();
        let number = sqlx::raw_sql("select pg_current_xact_id()");
        number.execute(&mut *writing).await.unwrap();
        let employee = plant.employee(1).await;
        let message = plant.message("m", &[employee]).await;
        add(&plant, message).await;
        let seen = tokio::time::timeout(Duration::from_secs(20), all(&plant, 1)).await;
        assert_eq!(seen.unwrap().len(), 1);
        writing.rollback().await.unwrap();
    }
}
