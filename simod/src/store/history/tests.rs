//! Every way through the indexes finds the same rows in the same order as a plain reading of all of them.

use std::sync::Arc;

use simo_common::{
    delivery::DeliveryState,
    id,
    lang::Lang,
    people::{fold_name, sort_key},
    query::{self, Filter, Match, When},
    text::{normal_words, stem},
    time::{self, from_us},
};
use tempfile::TempDir;

use super::{scan::Way, wanted::Effort, *};
use crate::{clock::Clock, store::engine};

const NOW: i64 = 1_793_700_000_000_000;
const HOUR: i64 = time::HOUR;

/// A numbers game that gives every run the same history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }
}

/// A delivery as the test knows it.
#[derive(Debug, Clone)]
struct Row {
    message: Arc<Posted>,
    employee: usize,
    state: DeliveryState,
    reason: Option<&'static str>,
    pushed: bool,
}

#[derive(Debug)]
struct Posted {
    id: Uuid,
    accepted_at: i64,
    acs: Option<usize>,
    topic: Option<usize>,
    title: String,
    body: String,
    priority: i64,
    ack: bool,
    external: Option<String>,
}

struct Person {
    id: Uuid,
    no: String,
    name: &'static str,
    groups: Vec<usize>,
    device: Uuid,
}

const NAMES: [&str; 8] = [
    "Иванов Иван",
    "Ёлкин Пётр",
    "Петрова Анна",
    "Иванова Мария",
    "Smith John",
    "Сидоров Олег",
    "Елкина Ольга",
    "Абрамов Ян",
];
const GROUPS: [&str; 3] = ["smena-a", "smena-b", "office"];
const TOPICS: [&str; 3] = ["boiler", "payroll", "it"];
const ACS: [&str; 2] = ["1c", "scada-2"];
const TITLES: [&str; 5] = [
    "Давление в котле",
    "Котлы остановлены",
    "Boilers are hot",
    "Зарплата",
    "Ёлка и насос №3",
];
const BODIES: [&str; 4] = [
    "Проверьте насосы.",
    "Точная фраза про давление",
    "",
    "Pump 3 failed",
];

/// A database with the history of two clients that are alike, and the first one's as the test knows it.
struct History {
    store: Store,
    client: Uuid,
    people: Vec<Person>,
    rows: Vec<Row>,
    acs: Vec<Uuid>,
    _directory: TempDir,
}

impl History {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let store = Store::open(&url, Clock::manual(NOW)).await.unwrap();
        let mut dice = Dice(7);
        let mut tx = store.write().await.unwrap();
        let (client, people, acs, rows) = fill(&mut tx, "first", &mut dice).await;
        fill(&mut tx, "second", &mut dice).await;
        tx.commit().await.unwrap();
        store.index_all_words().await.unwrap();
        Self {
            store,
            client,
            people,
            rows,
            acs,
            _directory: directory,
        }
    }

    /// All rows that satisfy a query, in the order of a sort, by reading every one.
    fn plainly(&self, text: &str, sort: Sort) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let mut found: Vec<&Row> = self.rows.iter().filter(|row| self.holds(&query, row)).collect();
        found.sort_by(|a, b| {
            let date = |row: &Row| {
                (
                    row.message.accepted_at,
                    row.message.id,
                    self.people[row.employee].id,
                )
            };
            let name = |row: &Row| sort_key(self.people[row.employee].name, &self.people[row.employee].no);
            let first = match sort.key {
                SortKey::Date => std::cmp::Ordering::Equal,
                SortKey::Employee => name(a).cmp(&name(b)),
                SortKey::State => a.state.cmp(&b.state),
            };
            let first = if sort.descending { first.reverse() } else { first };
            let by_date = date(a).cmp(&date(b));
            let ascends = sort.key == SortKey::Date && !sort.descending;
            first.then(if ascends { by_date } else { by_date.reverse() })
        });
        found
            .into_iter()
            .map(|row| (row.message.id, self.people[row.employee].no.clone()))
            .collect()
    }

    fn holds(&self, query: &Query, row: &Row) -> bool {
        query
            .terms
            .iter()
            .all(|term| self.filter_holds(&term.filter, row) != term.negated)
    }

    fn filter_holds(&self, filter: &Filter, row: &Row) -> bool {
        let (message, person) = (&row.message, &self.people[row.employee]);
        let now = from_us(NOW).to_zoned(jiff::tz::TimeZone::get("Asia/Krasnoyarsk").unwrap());
        let start = |time: &When| time.start(&now);
        let begins = |name: &str, value: &String| {
            format!(" {}", fold_name(name)).contains(&format!(" {}", fold_name(value)))
        };
        match filter {
            Filter::State(states) => states.contains(&row.state),
            Filter::Employee(values) => values.iter().any(|v| person.no == *v || begins(person.name, v)),
            Filter::Group(slugs) => person
                .groups
                .iter()
                .any(|g| slugs.iter().any(|slug| slug == GROUPS[*g])),
            Filter::Acs(names) => {
                let name = message.acs.map_or("operator", |acs| ACS[acs]);
                names.iter().any(|value| value == name)
            }
            Filter::Topic(slugs) => message
                .topic
                .is_some_and(|t| slugs.iter().any(|slug| slug == TOPICS[t])),
            Filter::Device(values) => {
                let name = format!("Телефон {}", person.no);
                row.pushed
                    && values
                        .iter()
                        .any(|v| v.parse() == Ok(person.device) || begins(&name, v))
            }
            Filter::Priority(priorities) => priorities.iter().any(|p| p.rank() == message.priority),
            Filter::After(times) => times.iter().any(|time| message.accepted_at >= start(time)),
            Filter::Before(times) => times.iter().any(|time| message.accepted_at < start(time)),
            Filter::Date(days) => days
                .iter()
                .any(|day| (start(day)..day.end(&now)).contains(&message.accepted_at)),
            Filter::Message(ids) => ids.contains(&message.id),
            Filter::External(ids) => message.external.as_ref().is_some_and(|id| ids.contains(id)),
            Filter::Reason(codes) => row
                .reason
                .is_some_and(|code| codes.iter().any(|value| value == code)),
            Filter::Ack(answers) => answers.contains(&message.ack),
            Filter::Text(text) => {
                let mut words = normal_words(&message.title);
                words.extend(normal_words(&message.body));
                words.windows(text.words.len()).any(|window| {
                    let last = window.len() - 1;
                    window
                        .iter()
                        .zip(&text.words)
                        .enumerate()
                        .all(|(i, (word, want))| match text.how {
                            Match::Forms => stem(word) == stem(want),
                            Match::Beginning if i == last => word.starts_with(want.as_str()),
                            _ => word == want,
                        })
                })
            }
        }
    }

    fn ask<'a>(&self, query: &'a Query, sort: Sort, limit: u32, cursor: Option<&'a str>) -> Ask<'a> {
        Ask {
            client_id: self.client,
            acs_id: None,
            message_id: None,
            query,
            sort,
            limit,
            cursor,
        }
    }

    /// All rows through pages.
    async fn paged(&self, text: &str, sort: Sort, limit: u32) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let ask = self.ask(&query, sort, limit, cursor.as_deref());
            let page = self.store.deliveries(&ask).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            rows.extend(
                page.items
                    .into_iter()
                    .map(|row| (row.message_id, row.personnel_no)),
            );
            cursor = page.next;
            if cursor.is_none() {
                return rows;
            }
        }
    }

    /// All rows at once, with so much effort for gathering.
    async fn with_effort(&self, text: &str, sort: Sort, effort: Effort) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let mut conn = self.store.read().await.unwrap();
        let wanted = Wanted::resolve(&mut conn, self.client, &query, NOW, effort)
            .await
            .unwrap();
        let keys = wanted
            .keys(&mut conn, Order::of(sort), None, 10_000)
            .await
            .unwrap();
        let rows = rows::read(&mut conn, self.client, &keys).await.unwrap();
        rows.into_iter()
            .map(|row| (row.message_id, row.personnel_no))
            .collect()
    }
}

async fn fill(
    tx: &mut crate::store::Write,
    slug: &str,
    dice: &mut Dice,
) -> (Uuid, Vec<Person>, Vec<Uuid>, Vec<Row>) {
    let client = id::new(NOW);
    engine::query(
        "insert into client (id, slug, name, timezone, default_ttl, created_at)
         values ($1, $2, 'Завод', 'Asia/Krasnoyarsk', 259200, 0)",
    )
    .bind(client)
    .bind(slug)
    .execute(tx)
    .await
    .unwrap();
    let named = async |tx: &mut crate::store::Write, table: &str, column: &str, names: &[&str]| {
        let mut ids = Vec::new();
        for name in names {
            let id = id::new(NOW);
            let text = if column == "name" { "" } else { ", name" };
            let value = if column == "name" { "" } else { ", ''" };
            let sql = format!(
                "insert into {table} (client_id, id, {column}, created_at{text}) values ($1, $2, $3, 0{value})"
            );
            let insert = engine::query(sql).bind(client).bind(id).bind(*name);
            insert.execute(tx).await.unwrap();
            ids.push(id);
        }
        ids
    };
    let groups = named(tx, "\"group\"", "slug", &GROUPS).await;
    let topics = named(tx, "topic", "slug", &TOPICS).await;
    let acs = named(tx, "acs", "name", &ACS).await;
    let mut people = Vec::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        let person = Person {
            id: id::new(NOW),
            no: format!("00{i}"),
            name,
            groups: (0..GROUPS.len()).filter(|g| i % (g + 2) == 0).collect(),
            device: id::new(NOW),
        };
        engine::query(
            "insert into employee (client_id, id, ordinal, personnel_no, full_name, folded_name, sort_key, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(client)
        .bind(person.id)
        .bind(i as i64)
        .bind(&person.no)
        .bind(name)
        .bind(fold_name(name))
        .bind(sort_key(name, &person.no))
        .execute(tx)
        .await
        .unwrap();
        for group in &person.groups {
            engine::query("insert into group_member values ($1, $2, $3)")
                .bind(client)
                .bind(groups[*group])
                .bind(person.id)
                .execute(tx)
                .await
                .unwrap();
        }
        engine::query(
            "insert into device (client_id, id, employee_id, channel, name, platform, paired_at)
             values ($1, $2, $3, 'fcm', $4, 'android', 0)",
        )
        .bind(client)
        .bind(person.device)
        .bind(person.id)
        .bind(format!("Телефон {}", person.no))
        .execute(tx)
        .await
        .unwrap();
        people.push(person);
    }
    let mut rows = Vec::new();
    for number in 0..40 {
        // Some share their moment, so that ids decide.
        let accepted_at = NOW - (number / 3) * 7 * HOUR;
        let message = Arc::new(Posted {
            id: id::new(accepted_at),
            accepted_at,
            acs: dice.pick(&[Some(0), Some(1), None]),
            topic: dice.pick(&[Some(0), Some(1), Some(2), None]),
            title: dice.pick(&TITLES).to_owned(),
            body: dice.pick(&BODIES).to_owned(),
            priority: dice.roll(4) as i64,
            ack: dice.roll(3) == 0,
            external: (dice.roll(2) == 0).then(|| format!("X-{number}")),
        });
        let recipients: Vec<usize> = (0..people.len()).filter(|_| dice.roll(3) > 0).collect();
        insert_message(tx, client, &message, &acs, &topics, recipients.len()).await;
        for employee in recipients {
            let row = insert_delivery(tx, client, &message, employee, &people[employee], dice).await;
            rows.push(row);
        }
    }
    (client, people, acs, rows)
}

async fn insert_message(
    tx: &mut crate::store::Write,
    client: Uuid,
    message: &Posted,
    acs: &[Uuid],
    topics: &[Uuid],
    recipients: usize,
) {
    engine::query(
        "insert into message (client_id, id, acs_id, topic_id, title, body, priority, require_ack, external_id,
             accepted_at, expires_at, accepted)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(client)
    .bind(message.id)
    .bind(message.acs.map(|i| acs[i]))
    .bind(message.topic.map(|i| topics[i]))
    .bind(&message.title)
    .bind(&message.body)
    .bind(message.priority)
    .bind(message.ack)
    .bind(&message.external)
    .bind(message.accepted_at)
    .bind(message.accepted_at + 72 * HOUR)
    .bind(recipients as i64)
    .execute(tx)
    .await
    .unwrap();
    if tx.engine() == engine::Engine::Postgres {
        let unworded = "insert into message_unworded select seq from message on conflict do nothing";
        tx.run(unworded).await.unwrap();
    }
}

async fn insert_delivery(
    tx: &mut crate::store::Write,
    client: Uuid,
    message: &Arc<Posted>,
    employee: usize,
    person: &Person,
    dice: &mut Dice,
) -> Row {
    let state = dice.pick(&DeliveryState::ALL);
    // A late receipt leaves the outcome where it is.
    let outcome = match state {
        DeliveryState::Failed => Some(("failed", "dead_address")),
        DeliveryState::Expired => Some(("expired", "no_device")),
        DeliveryState::Canceled => Some(("canceled", "canceled")),
        DeliveryState::Denied => Some(("denied", "no_grant")),
        DeliveryState::Read if dice.roll(2) == 0 => Some(("failed", "dead_address")),
        _ => None,
    };
    let at = |reached: DeliveryState| (state == reached).then_some(message.accepted_at + 60 * time::SECOND);
    let pushed = dice.roll(2) == 0;
    engine::query(
        "insert into delivery (client_id, message_id, employee_id, accepted_at, expires_at, sent_at, delivered_at,
             read_at, acknowledged_at, outcome, reason, target)
         values ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, 'employee')",
    )
    .bind(client)
    .bind(message.id)
    .bind(person.id)
    .bind(message.accepted_at)
    .bind(at(DeliveryState::Sent))
    .bind(at(DeliveryState::Delivered))
    .bind(at(DeliveryState::Read))
    .bind(at(DeliveryState::Acknowledged))
    .bind(outcome.map(|(outcome, _)| outcome))
    .bind(outcome.map(|(_, reason)| reason))
    .execute(tx)
    .await
    .unwrap();
    if pushed {
        engine::query(
            "insert into push (client_id, message_id, employee_id, device_id, channel, urgency, due_at)
             values ($1, $2, $3, $4, 'fcm', 1, 0)",
        )
        .bind(client)
        .bind(message.id)
        .bind(person.id)
        .bind(person.device)
        .execute(tx)
        .await
        .unwrap();
    }
    let reason = outcome
        .map(|(_, reason)| reason)
        .filter(|_| state >= DeliveryState::Failed);
    Row {
        message: message.clone(),
        employee,
        state,
        reason,
        pushed,
    }
}

const QUERIES: [&str; 40] = [
    "",
    "state:failed,expired",
    "-state:read,queued",
    "state:read -state:read",
    "employee:иванов",
    "employee:003",
    "employee:ел,smith",
    "-employee:иванов",
    "employee:ol%",
    "group:smena-a",
    "group:smena-a group:office",
    "-group:smena-b,office",
    "group:nowhere",
    "-group:nowhere",
    "acs:1c",
    "acs:operator",
    "-acs:operator",
    "-acs:1c",
    "acs:1c,operator",
    "topic:boiler",
    "topic:boiler,it -topic:it",
    "-topic:payroll",
    "device:телефон",
    "device:004 state:sent",
    "-device:002",
    "priority:>=high",
    "-priority:critical ack:yes",
    "after:-3d before:-1d",
    "date:yesterday",
    "-date:today state:failed",
    "external:X-1,X-2,X-3,X-4,X-5",
    "reason:dead_address",
    "-reason:no_device -reason:canceled",
    "котёл",
    "насос -давление",
    "-насос",
    "\"точная фраза\"",
    "\"фраза точная\"",
    "бой* котл* boiler",
    "state:queued topic:boiler acs:scada-2 priority:<=high котлы",
];

const SORTS: [&str; 6] = ["date", "-date", "employee", "-employee", "state", "-state"];

#[tokio::test]
async fn every_query_and_sort_finds_what_a_plain_reading_finds() {
    let history = History::new().await;
    let mut found = 0;
    for text in QUERIES {
        for sort in SORTS {
            let sort: Sort = sort.parse().unwrap();
            let plainly = history.plainly(text, sort);
            found += plainly.len();
            assert_eq!(
                history.paged(text, sort, 37).await,
                plainly,
                "`{text}` by {sort}, page by page"
            );
            for (messages, probes, deliveries, people, listed) in [
                (0, 0, 0, 0, 0),
                (0, 0, 0, 300, 1),
                (5_000, 0, 0, 2, 1_000),
                (5_000, 500, 5_000, 300, 1_000),
            ] {
                let effort = Effort {
                    messages,
                    probes,
                    deliveries,
                    people,
                    listed,
                };
                let rows = history.with_effort(text, sort, effort).await;
                assert_eq!(rows, plainly, "`{text}` by {sort} with {effort:?}");
            }
        }
    }
    assert!(found > 8_000, "the queries hardly find anything: {found}");
}

#[tokio::test]
async fn messages_are_found_by_what_holds_for_one_of_their_deliveries() {
    let history = History::new().await;
    for text in QUERIES {
        let query = query::parse(text).unwrap();
        let mut expected: Vec<(i64, Uuid)> = history
            .rows
            .iter()
            .filter(|row| history.holds(&query, row))
            .map(|row| (row.message.accepted_at, row.message.id))
            .collect();
        expected.sort_unstable();
        expected.dedup();
        expected.reverse();
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let ask = AskMessages {
                client_id: history.client,
                acs_id: None,
                external_id: None,
                query: &query,
                limit: 4,
                cursor: cursor.as_deref(),
            };
            let page = history.store.messages(&ask).await.unwrap();
            found.extend(
                page.items
                    .iter()
                    .map(|message| (message.accepted_at.as_microsecond(), message.id)),
            );
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "`{text}`");
    }
}

#[tokio::test]
async fn what_was_accepted_after_the_first_page_stays_out_of_the_next() {
    let history = History::new().await;
    let (query, sort) = (Query::default(), "state".parse().unwrap());
    let first = history
        .store
        .deliveries(&history.ask(&query, sort, 5, None))
        .await
        .unwrap();
    let mut dice = Dice(99);
    let mut tx = history.store.write().await.unwrap();
    let message = Arc::new(Posted {
        id: id::new(NOW + HOUR),
        accepted_at: NOW + HOUR,
        acs: None,
        topic: None,
        title: "Новое".to_owned(),
        body: String::new(),
        priority: 1,
        ack: false,
        external: None,
    });
    insert_message(&mut tx, history.client, &message, &[], &[], 1).await;
    insert_delivery(
        &mut tx,
        history.client,
        &message,
        0,
        &history.people[0],
        &mut dice,
    )
    .await;
    tx.commit().await.unwrap();
    history.store.clock().set(NOW + 2 * HOUR);
    let mut cursor = first.next;
    while let Some(text) = cursor {
        let page = history
            .store
            .deliveries(&history.ask(&query, sort, 100, Some(&text)))
            .await
            .unwrap();
        assert!(page.items.iter().all(|row| row.message_id != message.id));
        cursor = page.next;
    }
    let again = history
        .store
        .deliveries(&history.ask(&query, Sort::default(), 1, None))
        .await
        .unwrap();
    assert_eq!(again.items[0].message_id, message.id);
}

#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let history = History::new().await;
    let query = Query::default();
    let page = history
        .store
        .deliveries(&history.ask(&query, Sort::default(), 5, None))
        .await
        .unwrap();
    let next = page.next.unwrap();
    for (sort, cursor) in [("state", next.as_str()), ("-date", "AAAA"), ("-date", "")] {
        let ask = history.ask(&query, sort.parse().unwrap(), 5, Some(cursor));
        let error = history.store.deliveries(&ask).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(fields) if fields[0].0 == "cursor"));
    }
}

#[tokio::test]
async fn an_acs_sees_its_own_messages_only() {
    let history = History::new().await;
    let acs_id = Some(history.acs[0]);
    for row in &history.rows {
        let id = row.message.id;
        let seen = history.store.message(history.client, acs_id, id).await.unwrap();
        assert_eq!(seen.is_some(), row.message.acs == Some(0));
        assert!(
            history
                .store
                .message(Uuid::nil(), None, id)
                .await
                .unwrap()
                .is_none()
        );
    }
    let query = Query::default();
    let ask = Ask {
        acs_id,
        ..history.ask(&query, Sort::default(), 1_000, None)
    };
    let rows = history.store.deliveries(&ask).await.unwrap().items;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.acs == ACS[0]));
}

#[tokio::test]
async fn the_counts_of_a_message_add_up() {
    let history = History::new().await;
    for row in &history.rows {
        let message = history
            .store
            .message(history.client, None, row.message.id)
            .await
            .unwrap()
            .unwrap();
        let counted: u64 = message.states.iter().map(|count| count.count).sum();
        let of_state = message.states.iter().find(|count| count.state == row.state);
        assert!(of_state.is_some_and(|count| count.count > 0));
        assert_eq!(counted, message.counts.accepted);
    }
}

#[tokio::test]
async fn every_delivery_can_be_explained_in_both_languages() {
    let history = History::new().await;
    for row in &history.rows {
        for lang in [Lang::En, Lang::Ru] {
            let no = &history.people[row.employee].no;
            let story = history
                .store
                .explain(history.client, None, row.message.id, no, lang)
                .await
                .unwrap();
            assert_eq!(story.delivery.map(|delivery| delivery.state), Some(row.state));
            assert!(story.story.len() >= 2);
        }
    }
    let unknown = history
        .store
        .explain(
            history.client,
            None,
            history.rows[0].message.id,
            "nobody",
            Lang::En,
        )
        .await;
    assert!(matches!(unknown, Err(Error::NotFound { noun: "employee", .. })));
    let missing = history
        .store
        .explain(history.client, None, Uuid::nil(), "000", Lang::En)
        .await;
    assert!(matches!(missing, Err(Error::NotFound { noun: "message", .. })));
}

/// How SQLite goes about a walk: from its index alone, without sorting and without reading all rows of the client.
#[tokio::test]
async fn walks_never_sort() {
    use std::fmt::Write as _;
    let history = History::new().await;
    if history.store.engine() == engine::Engine::Postgres {
        return; // It has statistics, and is not told its way.
    }
    let query = query::parse("topic:boiler котёл").unwrap();
    let mut conn = history.store.read().await.unwrap();
    let wanted = Wanted::resolve(&mut conn, history.client, &query, NOW, Effort::default())
        .await
        .unwrap();
    let person = history.people[0].id;
    let mut plans = String::new();
    for sort in SORTS {
        let order = Order::of(sort.parse().unwrap());
        let cursor = Cursor::at_message(NOW, Uuid::nil());
        let mut statements = Vec::new();
        match order.key {
            SortKey::Date => {
                for way in [
                    Way::ByDate,
                    Way::State(5),
                    Way::Reason("no_device"),
                    Way::Person(person),
                    Way::Message(NOW, person),
                ] {
                    statements.push(wanted.statement(way, order, None, 10));
                    statements.push(wanted.statement(way, order, Some(&cursor), 10));
                }
                statements.push(wanted.next_messages_statement(order, Some(&cursor), 10));
            }
            SortKey::State => statements.push(wanted.statement(Way::State(5), order, Some(&cursor), 10)),
            SortKey::Employee => statements.push(wanted.statement(Way::ByPerson, order, Some(&cursor), 10)),
        }
        for statement in statements {
            for line in statement.plan(&mut conn).await {
                assert!(!line.contains("TEMP B-TREE"), "{line}");
                assert!(
                    !line.starts_with("SCAN") || line.contains("message_word"),
                    "{line}"
                );
                writeln!(plans, "{sort}: {line}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(plans);
}
