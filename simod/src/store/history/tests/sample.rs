//! A small history of two similar clients, which the tests know row by row.

use std::sync::Arc;

use simo_common::{
    api::{history::Sort, message::Message},
    delivery::{DeliveryState, Outcome, Reason},
    id,
    people::{fold_name, sort_key},
    query::{self, Query},
    time,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::{Ask, AskMessages, Order, Wanted, rows, wanted::Effort};
use crate::{
    clock::Clock,
    store::{
        AcsNo, ClientNo, DeviceNo, EmployeeNo, MessageNo, Store, TopicNo, Write,
        db::engine::{self, Column, Value},
    },
};

pub(super) const NOW: i64 = 1_793_700_000_000_000;
pub(super) const HOUR: i64 = time::HOUR;

/// A random generator that gives every run the same history.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }
}

/// A delivery as the test knows it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) message: Arc<Posted>,
    pub(super) employee: usize,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<Reason>,
    pub(super) pushed: bool,
}

#[derive(Debug)]
pub(super) struct Posted {
    pub(super) no: MessageNo,
    pub(super) id: Uuid,
    pub(super) accepted_at: i64,
    pub(super) acs: Option<usize>,
    pub(super) topic: Option<usize>,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) priority: i64,
    pub(super) ack: bool,
    pub(super) external: Option<String>,
}

pub(super) struct Person {
    pub(super) no: EmployeeNo,
    pub(super) personnel_no: String,
    pub(super) name: &'static str,
    pub(super) groups: Vec<usize>,
    /// The first message from which on they are not in [`LEFT_LATER`] any more.
    pub(super) left_at: MessageNo,
    pub(super) device_no: DeviceNo,
    pub(super) device_id: Uuid,
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
pub(super) const GROUPS: [&str; 3] = ["smena-a", "smena-b", "office"];
/// The group that some leave in the middle of the history.
pub(super) const LEFT_LATER: usize = 2;
pub(super) const TOPICS: [&str; 3] = ["boiler", "payroll", "it"];
pub(super) const ACS: [&str; 2] = ["1c", "scada-2"];
/// When the messages of each thousand numbers were accepted, as [`Store::note_message_spans`] notes it.
pub(super) const SPANS: &str = "insert into message_span
    select no - (no - 1) % 1000, min(accepted_at), max(accepted_at) from message
    where no <= (select max(no) / 1000 * 1000 from message) group by 1";
const TITLES: [&str; 5] =
    ["Давление в котле", "Котлы остановлены", "Boilers are hot", "Зарплата", "Ёлка и насос №3"];
const BODIES: [&str; 4] = ["Проверьте насосы.", "Точная фраза про давление", "", "Pump 3 failed"];

/// A database with the history of two similar clients, and the first one's rows as the test knows them.
pub(super) struct History {
    pub(super) store: Store,
    pub(super) client: ClientNo,
    pub(super) people: Vec<Person>,
    pub(super) rows: Vec<Row>,
    pub(super) acs: Vec<AcsNo>,
    _directory: TempDir,
}

impl History {
    pub(super) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let store = Store::open(&url, Clock::manual(NOW)).await.unwrap();
        let mut dice = Dice(7);
        let mut tx = store.write().await.unwrap();
        let (client, people, acs, rows) = fill(&mut tx, "first", 0, &mut dice).await;
        fill(&mut tx, "second", 1, &mut dice).await;
        tx.run(SPANS).await.unwrap();
        tx.commit().await.unwrap();
        store.index_all_words().await.unwrap();
        Self { store, client, people, rows, acs, _directory: directory }
    }

    pub(super) fn ask<'a>(
        &self,
        query: &'a Query,
        sort: Sort,
        limit: u32,
        cursor: Option<&'a str>,
    ) -> Ask<'a> {
        Ask { client_no: self.client, acs_no: None, message_id: None, query, sort, limit, cursor }
    }

    /// All rows through pages.
    pub(super) async fn paged(&self, text: &str, sort: Sort, limit: u32) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let ask = self.ask(&query, sort, limit, cursor.as_deref());
            let page = self.store.deliveries(&ask).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            rows.extend(page.items.into_iter().map(|row| (row.message_id, row.personnel_no)));
            cursor = page.next;
            if cursor.is_none() {
                return rows;
            }
        }
    }

    /// The messages that are found, through small pages.
    pub(super) async fn messages(&self, text: &str, external_id: Option<&str>) -> Vec<Message> {
        let query = query::parse(text).unwrap();
        let (mut messages, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let ask = AskMessages {
                client_no: self.client,
                acs_no: None,
                external_id,
                query: &query,
                limit: 4,
                cursor: cursor.as_deref(),
            };
            let page = self.store.messages(&ask).await.unwrap();
            messages.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return messages;
            }
        }
    }

    /// All rows at once, with this effort for gathering.
    pub(super) async fn with_effort(&self, text: &str, sort: Sort, effort: Effort) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let mut conn = self.store.read().await.unwrap();
        let wanted = Wanted::resolve(&mut conn, self.client, &query, NOW, effort).await.unwrap();
        let keys = wanted.keys(&mut conn, Order::of(sort), None, 10_000).await.unwrap();
        let rows = rows::read(&mut conn, self.client, &keys).await.unwrap();
        rows.into_iter().map(|row| (row.message_id, row.personnel_no)).collect()
    }
}

/// Inserts a row, and returns its number.
async fn made<N: Column>(tx: &mut Write, insert: &str, values: Vec<Value<'_>>) -> N {
    let insert = engine::query(format!("insert into {insert} returning no")).bind_all(values);
    insert.fetch_one(tx).await.unwrap().try_get("no").unwrap()
}

/// Inserts rows by name.
async fn named<N: Column>(tx: &mut Write, client: ClientNo, table: &str, names: &[&str]) -> Vec<N> {
    let mut numbers = Vec::new();
    for name in names {
        let insert = format!("{table} values ($1, $2, '', 0)");
        numbers.push(made(tx, &insert, vec![client.into(), (*name).into()]).await);
    }
    numbers
}

/// `place` keeps the numbers of two clients apart.
async fn fill(
    tx: &mut Write,
    slug: &str,
    place: i64,
    dice: &mut Dice,
) -> (ClientNo, Vec<Person>, Vec<AcsNo>, Vec<Row>) {
    let client: ClientNo = made(
        tx,
        "client (slug, name, timezone, default_ttl, created_at)
         values ($1, 'Завод', 'Asia/Krasnoyarsk', 259200, 0)",
        vec![slug.into()],
    )
    .await;
    let groups: Vec<i64> = named(tx, client, "\"group\" (client_no, slug, name, created_at)", &GROUPS).await;
    let topics: Vec<TopicNo> = named(tx, client, "topic (client_no, slug, name, created_at)", &TOPICS).await;
    let mut acs = Vec::new();
    for name in ACS {
        let insert = "acs (client_no, name, created_at) values ($1, $2, 0)";
        acs.push(made(tx, insert, vec![client.into(), name.into()]).await);
    }
    let mut people = Vec::new();
    if tx.engine() == engine::Engine::Postgres {
        tx.run("set constraints all immediate").await.unwrap();
    }
    for (i, name) in (0..).zip(NAMES) {
        let (no, personnel_no) = (EmployeeNo::from(i + 1), format!("00{i}"));
        engine::query(
            "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, created_at)
             values ($1, $2, $3, $4, $5, $6, 0)",
        )
        .bind(client)
        .bind(no)
        .bind(&personnel_no)
        .bind(name)
        .bind(fold_name(name))
        .bind(sort_key(name, &personnel_no))
        .execute(tx)
        .await
        .unwrap();
        let in_groups: Vec<usize> =
            (0..GROUPS.len()).filter(|g| (i as usize).is_multiple_of(g + 2)).collect();
        for group in &in_groups {
            engine::query("insert into group_member values ($1, $2, $3)")
                .bind(client)
                .bind(groups[*group])
                .bind(no)
                .execute(tx)
                .await
                .unwrap();
        }
        let device_id = id::new(NOW);
        let device_no = made(
            tx,
            "device (client_no, id, employee_no, channel, name, platform, paired_at)
             values ($1, $2, $3, 1, $4, 'android', 0)",
            vec![client.into(), device_id.into(), no.into(), format!("Телефон {personnel_no}").into()],
        )
        .await;
        let left_at = MessageNo::NEXT;
        let person = Person { no, personnel_no, name, groups: in_groups, left_at, device_no, device_id };
        people.push(person);
    }
    let mut rows = Vec::new();
    for number in (0..40).rev() {
        // Some share their moment. For a while the clock was ahead.
        let ahead = if (20..25).contains(&number) { 40 * HOUR } else { 0 };
        let accepted_at = NOW - (number / 3) * 7 * HOUR + ahead;
        let message = Arc::new(Posted {
            no: MessageNo((40 - number) * 100 + place),
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
        if number == 20 {
            if tx.engine() == engine::Engine::Postgres {
                let numbered = format!("select setval('message_no_seq', {})", message.no.0);
                engine::query(numbered).fetch_one(tx).await.unwrap();
            }
            let person = &mut people[4];
            person.left_at = MessageNo(message.no.0 + 1);
            engine::query(
                "delete from group_member where client_no = $1 and group_no = $2 and employee_no = $3",
            )
            .bind(client)
            .bind(groups[LEFT_LATER])
            .bind(person.no)
            .execute(tx)
            .await
            .unwrap();
        }
    }
    (client, people, acs, rows)
}

pub(super) async fn insert_message(
    tx: &mut Write,
    client: ClientNo,
    message: &Posted,
    acs: &[AcsNo],
    topics: &[TopicNo],
    recipients: usize,
) {
    engine::query(
        "insert into message (client_no, no, id, acs_no, topic_no, title, body, priority, require_ack, external_id,
             accepted_at, expires_at, accepted)
         values ($1, $13, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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
    .bind(message.no)
    .execute(tx)
    .await
    .unwrap();
    if tx.engine() == engine::Engine::Postgres {
        let unworded = "insert into message_unworded select no, client_no from message where no > 0 on conflict do nothing";
        tx.run(unworded).await.unwrap();
    }
}

pub(super) async fn insert_delivery(
    tx: &mut Write,
    client: ClientNo,
    message: &Arc<Posted>,
    employee: usize,
    person: &Person,
    dice: &mut Dice,
) -> Row {
    let state = dice.pick(&DeliveryState::ALL);
    // A late receipt leaves the outcome as it is.
    let outcome = match state {
        DeliveryState::Failed => Some((Outcome::Failed, Reason::DeadAddress)),
        DeliveryState::Expired => Some((Outcome::Expired, Reason::NoDevice)),
        DeliveryState::Canceled => Some((Outcome::Canceled, Reason::Canceled)),
        DeliveryState::Denied => Some((Outcome::Denied, Reason::NoGrant)),
        DeliveryState::Read if dice.roll(2) == 0 => Some((Outcome::Failed, Reason::DeadAddress)),
        _ => None,
    };
    let at = |reached: DeliveryState| (state == reached).then_some(message.accepted_at + 60 * time::SECOND);
    let pushed = dice.roll(2) == 0;
    engine::query(
        "insert into delivery (client_no, message_no, employee_no, expires_at, sent_at, delivered_at, read_at,
             acknowledged_at, outcome, reason, target)
         values ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, 1)",
    )
    .bind(client)
    .bind(message.no)
    .bind(person.no)
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
            "insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
             values ($1, $2, $3, $4, 1, 1, 0)",
        )
        .bind(client)
        .bind(message.no)
        .bind(person.no)
        .bind(person.device_no)
        .execute(tx)
        .await
        .unwrap();
    }
    let reason = outcome.map(|(_, reason)| reason).filter(|_| state >= DeliveryState::Failed);
    Row { message: message.clone(), employee, state, reason, pushed }
}
