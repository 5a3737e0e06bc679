//! A small history of two clients that are alike, which the tests know row by row.

use std::sync::Arc;

use simo_common::{
    api::history::Sort,
    delivery::DeliveryState,
    id,
    people::{fold_name, sort_key},
    query::{self, Query},
    time,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::{Ask, Order, Wanted, rows, wanted::Effort};
use crate::{
    clock::Clock,
    store::{Store, db::engine},
};

pub(super) const NOW: i64 = 1_793_700_000_000_000;
pub(super) const HOUR: i64 = time::HOUR;

/// A numbers game that gives every run the same history.
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
    pub(super) reason: Option<&'static str>,
    pub(super) pushed: bool,
}

#[derive(Debug)]
pub(super) struct Posted {
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
    pub(super) id: Uuid,
    pub(super) no: String,
    pub(super) name: &'static str,
    pub(super) groups: Vec<usize>,
    pub(super) device: Uuid,
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
pub(super) const TOPICS: [&str; 3] = ["boiler", "payroll", "it"];
pub(super) const ACS: [&str; 2] = ["1c", "scada-2"];
const TITLES: [&str; 5] =
    ["Давление в котле", "Котлы остановлены", "Boilers are hot", "Зарплата", "Ёлка и насос №3"];
const BODIES: [&str; 4] = ["Проверьте насосы.", "Точная фраза про давление", "", "Pump 3 failed"];

/// A database with the history of two clients that are alike, and the first one's as the test knows it.
pub(super) struct History {
    pub(super) store: Store,
    pub(super) client: Uuid,
    pub(super) people: Vec<Person>,
    pub(super) rows: Vec<Row>,
    pub(super) acs: Vec<Uuid>,
    _directory: TempDir,
}

impl History {
    pub(super) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let store = Store::open(&url, Clock::manual(NOW)).await.unwrap();
        let mut dice = Dice(7);
        let mut tx = store.write().await.unwrap();
        let (client, people, acs, rows) = fill(&mut tx, "first", &mut dice).await;
        fill(&mut tx, "second", &mut dice).await;
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
        Ask { client_id: self.client, acs_id: None, message_id: None, query, sort, limit, cursor }
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

    /// All rows at once, with so much effort for gathering.
    pub(super) async fn with_effort(&self, text: &str, sort: Sort, effort: Effort) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let mut conn = self.store.read().await.unwrap();
        let wanted = Wanted::resolve(&mut conn, self.client, &query, NOW, effort).await.unwrap();
        let keys = wanted.keys(&mut conn, Order::of(sort), None, 10_000).await.unwrap();
        let rows = rows::read(&mut conn, self.client, &keys).await.unwrap();
        rows.into_iter().map(|row| (row.message_id, row.personnel_no)).collect()
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

pub(super) async fn insert_message(
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

pub(super) async fn insert_delivery(
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
    let reason = outcome.map(|(_, reason)| reason).filter(|_| state >= DeliveryState::Failed);
    Row { message: message.clone(), employee, state, reason, pushed }
}
