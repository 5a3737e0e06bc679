//! The numbers of messages: how they are given out, and how they are found by time.
//!
//! Numbers ascend in order of acceptance, but times may not: a clock is set back, or on PostgreSQL a transaction takes
//! its time when it begins and stores its messages when it gets their locks. So the time range of every thousand
//! numbers is noted once no transaction can use them any more, whatever the clock did. Numbers not noted yet may have
//! any time.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    ClientNo, MessageNo, Result, Store, Write,
    db::engine::{Conn, Engine, query, query_as, query_scalar},
    history::apart,
};

/// Numbers per row of `message_span`.
const SPAN: i64 = 1_000;

/// Spans that one transaction notes.
const AT_ONCE: i64 = 100;

/// A transaction that has taken message numbers writes something within this time, and from then on has an id at the
/// server.
const WRITES_WITHIN: Duration = Duration::from_mins(1);

impl MessageNo {
    /// The number of a scheduled message.
    pub(super) fn waiting(self) -> Self {
        Self(-self.0)
    }
}

/// Takes this many unused message numbers.
pub(super) async fn next_numbers(tx: &mut Write, count: usize) -> Result<Vec<MessageNo>> {
    match tx.engine() {
        // SQLite's own record of the last number, so that it never gives one out twice.
        Engine::Sqlite => {
            let count = count as i64;
            let last: Option<i64> = query_scalar(
                "update sqlite_sequence set seq = seq + $1 where name = 'message' returning seq",
            )
            .bind(count)
            .fetch_optional(tx)
            .await?;
            if last.is_none() {
                query("insert into sqlite_sequence (name, seq) values ('message', $1)")
                    .bind(count)
                    .execute(tx)
                    .await?;
            }
            let last = last.unwrap_or(count);
            Ok((last - count + 1..=last).map(MessageNo).collect())
        }
        Engine::Postgres => {
            let numbers = query_scalar("select nextval('message_no_seq') from generate_series(1, $1)");
            Ok(numbers.bind(count as i64).fetch_all(tx).await?)
        }
    }
}

/// The ranges of numbers, ascending and apart, that contain all messages of the client accepted at these times.
pub(super) async fn within(
    conn: &mut Conn,
    client_no: ClientNo,
    times: &[Range<i64>],
) -> Result<Vec<Range<i64>>> {
    if matches!(times, [all] if *all == (i64::MIN..i64::MAX)) {
        return Ok(std::iter::once(1..i64::MAX).collect());
    }
    let mut ranges = Vec::new();
    for time in times {
        for range in noted(conn, time).await? {
            ranges.extend(tightened(conn, client_no, range, time).await?);
        }
    }
    Ok(apart(ranges))
}

/// The numbers whose messages may have been accepted at this time, by the noted spans.
async fn noted(conn: &mut Conn, time: &Range<i64>) -> Result<Vec<Range<i64>>> {
    // Neighbours have the same distance from their ranks among the spans found.
    let mut ranges: Vec<(i64, i64)> = query_as(
        "select min(first_no), max(first_no) + $3 from (
             select first_no, first_no - $3 * row_number() over (order by first_no) as run from message_span
             where latest_at >= $1 and earliest_at < $2) spans
         group by run order by 1",
    )
    .bind(time.start)
    .bind(time.end)
    .bind(SPAN)
    .fetch_all(&mut *conn)
    .await?;
    let rest: Option<i64> =
        query_scalar("select max(first_no) + $1 from message_span").bind(SPAN).fetch_one(conn).await?;
    ranges.push((rest.unwrap_or(1), i64::MAX));
    Ok(apart(ranges.into_iter().map(|(first, end)| first..end).collect()))
}

/// A range without the messages at its ends that are too early or too late.
async fn tightened(
    conn: &mut Conn,
    client_no: ClientNo,
    range: Range<i64>,
    time: &Range<i64>,
) -> Result<Option<Range<i64>>> {
    let mut ends = Vec::with_capacity(2);
    for direction in ["asc", "desc"] {
        let end: Option<i64> = query_scalar(format!(
            "select no from message where client_no = $1 and no >= $2 and no < $3
             and accepted_at >= $4 and accepted_at < $5 order by no {direction} limit 1"
        ))
        .bind(client_no)
        .bind(range.start)
        .bind(range.end)
        .bind(time.start)
        .bind(time.end)
        .fetch_optional(&mut *conn)
        .await?;
        ends.extend(end);
    }
    Ok(match ends[..] {
        [first, last] => Some(first..last + 1),
        _ => None,
    })
}

/// Every message accepted at this time or later has this number or a later one.
pub(super) async fn first_since(conn: &mut Conn, at: i64) -> Result<MessageNo> {
    let first: Option<i64> = query_scalar(
        "select coalesce(
             (select min(first_no) from message_span indexed by message_span_latest where latest_at >= $1),
             (select max(first_no) + $2 from message_span))",
    )
    .bind(at)
    .bind(SPAN)
    .fetch_one(conn)
    .await?;
    Ok(MessageNo(first.unwrap_or(1)))
}

impl Store {
    /// Notes the times of numbers that no transaction can use any more. Returns whether there may be more to note.
    pub async fn note_message_spans(&self) -> Result<bool> {
        let mut reader = self.read().await?;
        let (from, given): (i64, i64) = query_as(match self.engine() {
            Engine::Sqlite => {
                "select coalesce((select max(first_no) + $1 from message_span), 1),
                     coalesce((select seq from sqlite_sequence where name = 'message'), 0)"
            }
            Engine::Postgres => {
                "select coalesce((select max(first_no) + $1 from message_span), 1), last_value from message_no_seq"
            }
        })
        .bind(SPAN)
        .fetch_one(&mut reader)
        .await?;
        drop(reader);
        let over = match self.engine() {
            Engine::Sqlite => given,
            Engine::Postgres => self.numbers_over(given).await?,
        };
        let spans = ((over + 1 - from) / SPAN).min(AT_ONCE);
        if spans < 1 {
            return Ok(false);
        }
        self.note_spans(from, spans).await?;
        Ok(spans == AT_ONCE)
    }

    async fn note_spans(&self, from: i64, spans: i64) -> Result<()> {
        let last = from + (spans - 1) * SPAN;
        let mut tx = self.write().await?;
        let messages = match self.engine() {
            Engine::Sqlite => "message m",
            // Its key begins with the client.
            Engine::Postgres => "client c join message m on m.client_no = c.no",
        };
        query(format!(
            "insert into message_span (first_no, earliest_at, latest_at)
             select m.no - (m.no - 1) % $3, min(m.accepted_at), max(m.accepted_at) from {messages}
             where m.no >= $1 and m.no < $2 group by 1 on conflict do nothing"
        ))
        .bind(from)
        .bind(last + SPAN)
        .bind(SPAN)
        .execute(&mut tx)
        .await?;
        // Also where nothing was stored, or the same numbers would be checked for ever.
        query("insert into message_span (first_no, earliest_at, latest_at) values ($1, $2, $3) on conflict do nothing")
            .bind(last)
            .bind(i64::MAX)
            .bind(i64::MIN)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}

/// On PostgreSQL, the numbers given out some time ago.
#[derive(Debug, Default)]
pub(super) struct NumbersGiven(Mutex<Given>);

#[derive(Debug, Default, Clone, Copy)]
struct Given {
    /// The last number up to which no transaction can store a message any more.
    over: i64,
    /// The last number given out at the last check, and the time of that.
    seen: Option<(i64, Instant)>,
    /// The transaction before which all must end that may have taken one of these.
    before: Option<i64>,
}

impl Store {
    /// The number up to which no transaction can store a message any more.
    async fn numbers_over(&self, given: i64) -> Result<i64> {
        let (next, oldest) = (self.next_transaction().await?, self.oldest_transaction().await?);
        let mut state = self.numbers_given.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            Given { seen: Some((seen, _)), before: Some(before), .. } if oldest >= before => {
                *state = Given { over: seen, seen: Some((given, Instant::now())), before: None };
            }
            Given { before: Some(_), .. } => {}
            Given { seen: Some((_, at)), .. } if at.elapsed() >= WRITES_WITHIN => state.before = Some(next),
            Given { seen: Some(_), .. } => {}
            Given { seen: None, .. } => state.seen = Some((given, Instant::now())),
        }
        Ok(state.over)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        store::db::engine::Kind::{Id, Whole},
        testing::Plant,
    };

    /// An event of messages or of the clock.
    #[derive(Debug, Clone)]
    enum Event {
        /// This many are accepted, one a second.
        Accept(u16),
        /// The clock is set by this many seconds.
        Set(i32),
        /// An instance takes numbers and a time, and then waits for a lock.
        Begin(u16),
        /// The one that has waited longest stores its messages, at most 9 s after it began.
        Store,
        /// Times are noted, as far as no instance waits with a number.
        Note,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (1..1_500_u16).prop_map(Event::Accept),
            1 => (-3_000..3_000_i32).prop_map(Event::Set),
            2 => (1..30_u16).prop_map(Event::Begin),
            2 => Just(Event::Store),
            2 => Just(Event::Note),
        ]
    }

    /// The messages of two clients in turn: number and time.
    struct Course {
        clock: i64,
        next: i64,
        waiting: Vec<(i64, u16, i64)>,
        noted_to: i64,
    }

    impl Course {
        async fn go(&mut self, plant: &Plant, event: &Event) {
            match *event {
                Event::Accept(count) => {
                    insert(plant, self.next, count, self.clock, 1).await;
                    self.next += i64::from(count);
                    self.clock += i64::from(count);
                }
                Event::Set(by) => self.clock += i64::from(by),
                Event::Begin(count) => {
                    self.waiting.push((self.next, count, self.clock));
                    self.next += i64::from(count);
                    self.clock += 2;
                }
                Event::Store if self.waiting.is_empty() => {}
                Event::Store => {
                    let (first, count, at) = self.waiting.remove(0);
                    insert(plant, first, count, at, 0).await;
                }
                Event::Note => {
                    let over = self.waiting.first().map_or(self.next, |(first, ..)| *first);
                    let spans = (over - self.noted_to) / SPAN;
                    if spans > 0 {
                        plant.store.note_spans(self.noted_to, spans).await.unwrap();
                        self.noted_to += spans * SPAN;
                    }
                }
            }
        }
    }

    async fn insert(plant: &Plant, first: i64, count: u16, at: i64, every: i64) {
        let mut tx = plant.store.write().await.unwrap();
        let rows = (0..i64::from(count)).map(|place| {
            let no = first + place;
            let client_no = plant.client_no.0 + no % 2;
            [client_no.into(), no.into(), Uuid::from_u128(no as u128).into(), (at + place * every).into()]
        });
        query(
            "insert into message (client_no, no, id, title, body, priority, require_ack, accepted_at, expires_at)
             select {client}, {no}, {id}, '', '', 1, false, {at}, 0 from {rows}",
        )
        .over([("client", Whole), ("no", Whole), ("id", Id), ("at", Whole)], rows)
        .execute(&mut tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    async fn numbers(plant: &Plant, condition: &str) -> Vec<i64> {
        let mut reader = plant.store.read().await.unwrap();
        query_scalar(format!(
            "select no from message where client_no = $1 and no > 0 and ({condition}) order by no"
        ))
        .bind(plant.client_no)
        .fetch_all(&mut reader)
        .await
        .unwrap()
    }

    async fn check(events: Vec<Event>, times: Vec<(i64, i64)>) {
        let plant = Plant::new().await;
        let mut course = Course { clock: 10_000, next: 1, waiting: Vec::new(), noted_to: 1 };
        for event in &events {
            course.go(&plant, event).await;
        }
        for &(from, to) in &times {
            let time = from..to.max(from + 1);
            let exact = format!("accepted_at >= {} and accepted_at < {}", time.start, time.end);
            let mut reader = plant.store.read().await.unwrap();
            let ranges = within(&mut reader, plant.client_no, std::slice::from_ref(&time)).await.unwrap();
            drop(reader);
            let bounds = ranges.iter().map(|range| format!("no >= {} and no < {}", range.start, range.end));
            let bounds = bounds.collect::<Vec<_>>().join(" or ");
            let bounds = if bounds.is_empty() { "false".to_owned() } else { bounds };
            let by_times = numbers(&plant, &exact).await;
            assert_eq!(
                numbers(&plant, &format!("({bounds}) and {exact}")).await,
                by_times,
                "{events:?} {times:?}"
            );
            // Each range begins and ends with a wanted message.
            for range in &ranges {
                assert!(by_times.contains(&range.start) && by_times.contains(&(range.end - 1)));
            }
            let mut reader = plant.store.read().await.unwrap();
            let first = first_since(&mut reader, from).await.unwrap();
            drop(reader);
            let since = numbers(&plant, &format!("accepted_at >= {from}")).await;
            assert!(since.first().is_none_or(|no| *no >= first.0), "{events:?} {from}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, ..ProptestConfig::default() })]

        #[test]
        fn numbers_find_what_times_find_whatever_the_clock_does_and_whoever_waits(
            events in prop::collection::vec(event(), 1..30),
            times in prop::collection::vec((7_000..40_000_i64, 7_000..40_000_i64), 6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(check(events, times));
        }
    }
}
