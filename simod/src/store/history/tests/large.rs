//! A history large enough for both engines to choose their plans as in production.

use std::time::Duration;

use simo_common::{
    delivery::{DeliveryState, Outcome, Reason},
    id,
    people::{fold_name, sort_key},
    time,
};
use tempfile::TempDir;

use super::sample::{NOW, SPANS};
use crate::{
    clock::Clock,
    store::{
        self, ClientNo, Store,
        db::engine::{
            self, Engine,
            Kind::{Bytes, Id, Text, Whole},
            Named, Value,
        },
    },
};

const MESSAGES: usize = 12_000;
const EMPLOYEES: usize = 1_600;
/// Members of a crew; every second one gets a message.
const CREW: usize = 10;
const SURNAMES: [&str; 8] = ["Белов", "Громов", "Ёлкин", "Зайцев", "Иванов", "Козлов", "Орлов", "Титов"];
/// Values for the placeholders of the named queries.
pub(super) const VALUES: [(&str, &str); 6] = [
    ("{no}", "100131"),
    ("{surname}", "иванов"),
    ("{shift}", "shift-b"),
    ("{crew}", "crew-7"),
    ("{from}", "2026-11-02T00:00:00Z"),
    ("{to}", "2026-11-02T04:00:00Z"),
];
/// The first client's messages between two of the second one's, and the time between acceptances.
const BETWEEN: usize = 20;
const APART: i64 = 10 * time::SECOND;

/// Plans depend on what was vacuumed, so vacuum runs once, at a known point.
const NO_AUTOVACUUM: &str = "do $$ declare name text; begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('alter table %I set (autovacuum_enabled = off)', name);
    end loop; end $$";

/// Tables that are not entirely marked all-visible: only then can an index alone be read.
const UNMARKED: &str = "select count(*) from pg_class
    where relnamespace = 'public'::regnamespace and relkind = 'r' and relallvisible < relpages";

/// Two clients, the first of which is queried.
pub(super) struct Large {
    pub(super) store: Store,
    pub(super) client: ClientNo,
    _directory: TempDir,
}

impl Large {
    pub(super) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = crate::testing::empty_database(&directory).await;
        let store = Store::open(&url, Clock::manual(NOW)).await.unwrap();
        let mut tx = store.write().await.unwrap();
        if tx.engine() == Engine::Postgres {
            tx.run(NO_AUTOVACUUM).await.unwrap();
        }
        let of_first = |i| i + i / BETWEEN + 1;
        let client = fill(&mut tx, 1, &(0..MESSAGES).map(of_first).collect::<Vec<_>>(), "давление").await;
        let of_second = |i| (i + 1) * (BETWEEN + 1);
        fill(&mut tx, 2, &(0..MESSAGES / BETWEEN).map(of_second).collect::<Vec<_>>(), "мука").await;
        tx.run(SPANS).await.unwrap();
        if tx.engine() == Engine::Postgres {
            tx.run("insert into message_unworded select no, client_no from message").await.unwrap();
        }
        tx.commit().await.unwrap();
        store.index_all_words().await.unwrap();
        if store.engine() == Engine::Postgres {
            let mut conn = store.read().await.unwrap();
            // From all rows, so that the statistics do not depend on a sample.
            conn.run("set default_statistics_target = 10000").await.unwrap();
            // Rows that another transaction on the server might still see are not marked: then repeat.
            let marked = async {
                let mut unmarked = 1_i64;
                while unmarked > 0 {
                    conn.run("vacuum analyze").await.unwrap();
                    unmarked = engine::query_scalar(UNMARKED).fetch_one(&mut conn).await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_mins(3), marked).await.unwrap();
        }
        Self { store, client, _directory: directory }
    }
}

/// Rows of a client, in pieces.
async fn insert<const N: usize>(
    tx: &mut store::Write,
    client: ClientNo,
    statement: &'static str,
    columns: [Named; N],
    rows: &[[Value<'_>; N]],
) {
    for rows in rows.chunks(20_000) {
        let insert = engine::query(statement).bind(client).over(columns, rows.iter().cloned());
        insert.execute(tx).await.unwrap();
    }
}

const NAMED: [Named; 2] = [("no", Whole), ("name", Text)];

/// The numbers of named rows, each client's beyond those of the one before.
fn number(client: ClientNo, place: usize) -> i64 {
    client.0 * 1_000 + place as i64
}

/// `numbers`: the client's messages.
async fn fill(tx: &mut store::Write, place: i64, numbers: &[usize], word: &str) -> ClientNo {
    let client = ClientNo(place);
    engine::query(
        "insert into client (no, slug, name, timezone, default_ttl, created_at)
         values ($1, $2, 'Завод', 'Europe/Moscow', 259200, 0)",
    )
    .bind(client)
    .bind(format!("plant-{place}"))
    .execute(tx)
    .await
    .unwrap();
    let named = |names: &[String]| -> Vec<[Value<'static>; 2]> {
        let names = names.iter().enumerate();
        names.map(|(i, name)| [number(client, i).into(), name.clone().into()]).collect()
    };
    let texts = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let topics = named(&texts(&["boiler", "payroll", "fire"]));
    insert(
        tx,
        client,
        "insert into topic (client_no, no, slug, name, created_at)
         select $1, {no}, {name}, '', 0 from {rows}",
        NAMED,
        &topics,
    )
    .await;
    let acs = named(&texts(&["1c", "monitor"]));
    insert(
        tx,
        client,
        "insert into acs (client_no, no, name, created_at)
         select $1, {no}, {name}, 0 from {rows}",
        NAMED,
        &acs,
    )
    .await;
    let crews = EMPLOYEES / CREW;
    let mut groups: Vec<String> = (0..crews).map(|crew| format!("crew-{crew}")).collect();
    groups.extend(["shift-a", "shift-b", "shift-c", "shift-d"].map(str::to_owned));
    insert(
        tx,
        client,
        "insert into \"group\" (client_no, no, slug, name, created_at)
         select $1, {no}, {name}, '', 0 from {rows}",
        NAMED,
        &named(&groups),
    )
    .await;
    let people: Vec<_> = (0..EMPLOYEES)
        .map(|i| {
            let name = format!("{} Иван", SURNAMES[i % SURNAMES.len()]);
            let personnel_no = format!("{:06}", 100_000 + i);
            let (folded, key) = (fold_name(&name), sort_key(&name, &personnel_no));
            [(i as i64 + 1).into(), personnel_no.into(), folded.into(), key.into(), name.into()]
        })
        .collect();
    insert(
        tx,
        client,
        "insert into employee (client_no, no, personnel_no, folded_name, sort_key, full_name, created_at)
         select $1, {no}, {personnel_no}, {folded}, {key}, {name}, 0 from {rows}",
        [("no", Whole), ("personnel_no", Text), ("folded", Text), ("key", Bytes), ("name", Text)],
        &people,
    )
    .await;
    let members: Vec<_> = (0..EMPLOYEES)
        .flat_map(|i| [(i / CREW, i), (crews + i % 4, i)])
        .map(|(group, i)| [number(client, group).into(), (i as i64 + 1).into()])
        .collect();
    insert(
        tx,
        client,
        "insert into group_member (client_no, group_no, employee_no)
         select $1, {group}, {employee} from {rows}",
        [("group", Whole), ("employee", Whole)],
        &members,
    )
    .await;
    insert_messages(tx, client, numbers, word).await;
    insert_deliveries(tx, client, numbers).await;
    client
}

fn accepted_at(no: usize) -> i64 {
    NOW - (MESSAGES + MESSAGES / BETWEEN + 1 - no) as i64 * APART
}

async fn insert_messages(tx: &mut store::Write, client: ClientNo, numbers: &[usize], word: &str) {
    let rows: Vec<_> = numbers
        .iter()
        .enumerate()
        .map(|(i, no)| {
            // Percentages, mixed; the system `monitor` posts nothing about `payroll`.
            let topic = match i * 37 % 100 {
                _ if i % 1_500 == 7 => Some(2),
                0..=29 => Some(0),
                30..=54 => Some(1),
                _ => None,
            };
            let acs = usize::from(topic != Some(1) && i % 3 == 0);
            let rare = if i % 2_500 == 11 { "Авария! " } else { "" };
            let text = if i % 5 < 2 { word } else { "насос" };
            let priority: i64 = match i * 7 % 100 {
                0 => 3,
                1..=15 => 2,
                _ => 1,
            };
            let at = accepted_at(*no);
            [
                (*no as i64).into(),
                id::new(at).into(),
                number(client, acs).into(),
                topic.map(|topic| number(client, topic)).into(),
                format!("{rare}Наряд № {i}").into(),
                format!("Цех {}, {text}", i % 40).into(),
                priority.into(),
                at.into(),
            ]
        })
        .collect();
    insert(
        tx,
        client,
        "insert into message (client_no, no, id, acs_no, topic_no, title, body, priority, require_ack, accepted_at,
             expires_at, accepted)
         select $1, {no}, {id}, {acs}, {topic}, {title}, {body}, {priority}, false, {at}, 0, 5 from {rows}",
        [
            ("no", Whole),
            ("id", Id),
            ("acs", Whole),
            ("topic", Whole),
            ("title", Text),
            ("body", Text),
            ("priority", Whole),
            ("at", Whole),
        ],
        &rows,
    )
    .await;
}

async fn insert_deliveries(tx: &mut store::Write, client: ClientNo, numbers: &[usize]) {
    let rows: Vec<_> = numbers
        .iter()
        .enumerate()
        .flat_map(|(i, no)| (0..CREW / 2).map(move |member| (i, *no, member)))
        .map(|(i, no, member)| {
            let crew = i * 31 % (EMPLOYEES / CREW);
            let person = crew * CREW + member * 2 + i / 160 % 2;
            let state = match (i * 5 + member) * 61 % 200 {
                0 => DeliveryState::Failed,
                1..=3 => DeliveryState::Expired,
                4..=33 => DeliveryState::Sent,
                34..=43 => DeliveryState::Read,
                44..=59 => DeliveryState::Acknowledged,
                _ => DeliveryState::Queued,
            };
            let at = accepted_at(no) + time::SECOND;
            let reached = |wanted: DeliveryState| (state == wanted).then_some(at);
            let outcome = match state {
                DeliveryState::Failed => Some((Outcome::Failed, Reason::Rejected)),
                DeliveryState::Expired => Some((Outcome::Expired, Reason::NoDevice)),
                _ => None,
            };
            [
                (no as i64).into(),
                (person as i64 + 1).into(),
                reached(DeliveryState::Sent).into(),
                reached(DeliveryState::Read).into(),
                reached(DeliveryState::Acknowledged).into(),
                outcome.map(|(outcome, _)| outcome.number()).into(),
                outcome.map(|(_, reason)| reason.number()).into(),
            ]
        })
        .collect();
    insert(
        tx,
        client,
        "insert into delivery (client_no, message_no, employee_no, expires_at, sent_at, read_at, acknowledged_at,
             outcome, reason, target)
         select $1, {message}, {employee}, 0, {sent}, {read}, {acknowledged}, {outcome}, {reason}, 2 from {rows}",
        [
            ("message", Whole),
            ("employee", Whole),
            ("sent", Whole),
            ("read", Whole),
            ("acknowledged", Whole),
            ("outcome", Whole),
            ("reason", Whole),
        ],
        &rows,
    )
    .await;
}
