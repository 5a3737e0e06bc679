//! Checks a finished run against the promises, from outside: it reads the raw database with its own SQL and knows the
//! API only as JSON. It shares no code with the project's crates, so that it does not share their mistakes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write as _,
};

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use crate::database;

/// The people, groups, topics and phones, as provisioned; they do not change during the run.
#[derive(Default)]
pub struct World {
    /// Personnel numbers of everyone not blocked.
    pub people: HashSet<String>,
    /// Personnel numbers of blocked people.
    pub blocked: HashSet<String>,
    /// Groups with their members.
    pub groups: HashMap<String, Vec<String>>,
    /// Topics with the people who hold a grant.
    pub topics: HashMap<String, Vec<String>>,
    /// Addresses of each person's phones.
    pub phones: HashMap<String, Vec<String>>,
    /// Addresses that are permanently dead.
    pub dead: HashSet<String>,
}

/// One message that was answered 202.
pub struct Posted {
    /// The ACS that posted it.
    pub acs: String,
    /// The request.
    pub request: Value,
    /// The answer.
    pub answer: Value,
}

/// The evidence that the checker is given.
pub struct Evidence<'a> {
    /// The provisioned world.
    pub world: &'a World,
    /// The accepted messages.
    pub posted: &'a [Posted],
    /// How many times the provider took each push, by address and message.
    pub arrivals: &'a HashMap<(String, String), usize>,
    /// How many duplicate pushes are allowed.
    pub repeats_allowed: usize,
    /// The database's URL.
    pub database: &'a str,
}

/// Counts from the raw database, to compare with what the programs report.
#[derive(Debug, Default)]
pub struct Census {
    /// Number of messages.
    pub messages: usize,
    /// Deliveries by state.
    pub states: HashMap<String, usize>,
    /// Pushes beyond the first of each message to each phone.
    pub repeats: usize,
}

struct Delivery {
    state: i64,
    sent: bool,
    received: Option<&'static str>,
    outcome: Option<&'static str>,
    grant: bool,
    pushes: Vec<Push>,
}

struct Push {
    address: String,
    sent: bool,
    done: bool,
    outcome: Option<&'static str>,
}

/// Indexed by the number in the database; deliveries' outcomes use the same numbers.
const STATES: [&str; 9] =
    ["queued", "sent", "delivered", "read", "acknowledged", "failed", "expired", "canceled", "denied"];
/// Outcomes of pushes, indexed likewise.
const PUSH_OUTCOMES: [&str; 8] = ["", "accepted", "received", "", "", "failed", "expired", "canceled"];

/// Broken promises; empty when all are kept.
#[derive(Default)]
pub struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: String) {
        self.0.push(fault);
    }

    /// Panics with the first faults, if there are any.
    pub fn assert_none(&self) {
        let mut text = String::new();
        for fault in self.0.iter().take(30) {
            let _ = writeln!(text, "  {fault}");
        }
        assert!(self.0.is_empty(), "{} promises are broken:\n{text}", self.0.len());
    }
}

/// Checks everything; returns the faults and the counts.
pub async fn check(evidence: &Evidence<'_>) -> (Faults, Census) {
    let mut database = Database {
        is_on_server: database::is_on_server(evidence.database),
        connection: database::connect(evidence.database).await,
    };
    let mut faults = Faults::default();
    if !database.is_on_server {
        let rows = database.rows("pragma integrity_check").await;
        let integrity: String = rows[0].get(0);
        if integrity != "ok" {
            faults.add(format!("the database is broken: {integrity}"));
        }
    }
    let messages = messages(&mut database).await;
    let mut deliveries = deliveries(&mut database).await;
    let mut census = Census { messages: messages.len(), ..Census::default() };
    for delivery in deliveries.values() {
        *census.states.entry(STATES[delivery.state as usize].to_owned()).or_default() += 1;
    }
    // simod itself posts a message about a new phone; no ACS posted it.
    let own = own_messages(&mut database).await;
    deliveries.retain(|(message, _), _| !own.contains(message));
    let sums = sums(&mut database).await;
    accepted_messages_are_there(evidence, &messages, &mut faults);
    audiences_are_right(evidence, &deliveries, &mut faults);
    states_follow_facts(&deliveries, &mut faults);
    sums_are_what_counting_finds(&sums, &messages, &deliveries, &mut faults);
    pushes_ended_as_they_must(evidence, &deliveries, &mut faults);
    census.repeats = phones_got_theirs_and_no_more(evidence, &own, &mut faults);
    (faults, census)
}

/// The raw database.
struct Database {
    is_on_server: bool,
    connection: AnyConnection,
}

impl Database {
    /// The rows of a query, in which `{column}` is rendered as hexadecimal.
    async fn rows(&mut self, query: &str) -> Vec<AnyRow> {
        let query = if self.is_on_server {
            query.replace('{', "replace(cast(").replace('}', " as text), '-', '')")
        } else {
            query.replace('{', "lower(hex(").replace('}', "))")
        };
        sqlx::query(AssertSqlSafe(query))
            .fetch_all(&mut self.connection)
            .await
            .expect("the database can be read")
    }
}

/// A boolean, selected as a number because the engines' boolean types differ.
fn yes(row: &AnyRow, column: usize) -> bool {
    row.get::<i64, _>(column) != 0
}

/// The name for an outcome's number.
fn outcome(row: &AnyRow, column: usize, names: &[&'static str]) -> Option<&'static str> {
    let number: Option<i64> = row.get(column);
    number.map(|number| names.get(number as usize).copied().unwrap_or("?"))
}

/// Id → (ACS, external id) of every message.
async fn messages(database: &mut Database) -> HashMap<String, (String, String)> {
    let rows = database
        .rows(
            "select {m.id}, a.name, m.external_id
             from message m join acs a on a.client_no = m.client_no and a.no = m.acs_no",
        )
        .await;
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

/// Ids of messages that simod itself posted.
async fn own_messages(database: &mut Database) -> HashSet<String> {
    let rows = database.rows("select {m.id} from message m where m.acs_no is null").await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Every delivery, by message id and personnel number.
async fn deliveries(database: &mut Database) -> HashMap<(String, String), Delivery> {
    let rows = database
        .rows(
            "select {m.id}, e.personnel_no, cast(d.state as bigint), count(d.sent_at), count(d.delivered_at),
                    count(d.read_at), count(d.acknowledged_at), d.outcome, count(d.let_in)
             from delivery d
             join message m on m.client_no = d.client_no and m.no = d.message_no
             join employee e on e.client_no = d.client_no and e.no = d.employee_no
             group by m.id, e.personnel_no, d.state, d.outcome",
        )
        .await;
    let mut deliveries: HashMap<(String, String), Delivery> = rows
        .iter()
        .map(|row| {
            let received = [(6, "acknowledged"), (5, "read"), (4, "delivered")];
            let received = received.into_iter().find(|(column, _)| yes(row, *column)).map(|(_, state)| state);
            let delivery = Delivery {
                state: row.get(2),
                sent: yes(row, 3),
                received,
                outcome: outcome(row, 7, &STATES),
                grant: yes(row, 8),
                pushes: Vec::new(),
            };
            ((row.get(0), row.get(1)), delivery)
        })
        .collect();
    let rows = database
        .rows(
            "select {m.id}, e.personnel_no, substr(d.address, 7), count(p.sent_at), count(p.done_at), p.outcome
             from push p
             join message m on m.client_no = p.client_no and m.no = p.message_no
             join employee e on e.client_no = p.client_no and e.no = p.employee_no
             join device d on d.client_no = p.client_no and d.no = p.device_no
             group by m.id, e.personnel_no, d.address, p.outcome",
        )
        .await;
    for row in &rows {
        let push = Push {
            address: row.get(2),
            sent: yes(row, 3),
            done: yes(row, 4),
            outcome: outcome(row, 5, &PUSH_OUTCOMES),
        };
        let delivery = deliveries.get_mut(&(row.get(0), row.get(1)));
        delivery.expect("a push belongs to a delivery").pushes.push(push);
    }
    deliveries
}

/// The stored count of each message's deliveries by state.
async fn sums(database: &mut Database) -> HashMap<String, [i64; 9]> {
    let sums = STATES.map(|state| format!("cast(sum(s.{state}) as bigint)")).join(", ");
    let rows = database
        .rows(&format!(
            "select {{m.id}}, {sums}
             from message_sum s join message m on m.client_no = s.client_no and m.no = s.message_no
             group by m.id"
        ))
        .await;
    rows.iter().map(|row| (row.get(0), std::array::from_fn(|state| row.get(state + 1)))).collect()
}

/// A UUID in the database's hexadecimal form.
fn hex(id: &str) -> String {
    id.replace('-', "")
}

fn id_of(posted: &Posted) -> String {
    hex(posted.answer["id"].as_str().unwrap_or_default())
}

/// Every message answered 202 is stored under its key, and each key made only one.
fn accepted_messages_are_there(
    evidence: &Evidence<'_>,
    messages: &HashMap<String, (String, String)>,
    faults: &mut Faults,
) {
    for posted in evidence.posted {
        let key = (posted.acs.clone(), posted.request["external_id"].as_str().unwrap_or_default().to_owned());
        match messages.get(&id_of(posted)) {
            None => faults.add(format!("{key:?} was accepted and is gone")),
            Some(stored) if *stored != key => faults.add(format!("{key:?} is stored as {stored:?}")),
            Some(_) => {}
        }
    }
    let keys: HashSet<&(String, String)> = messages.values().collect();
    if keys.len() != messages.len() || messages.len() != evidence.posted.len() {
        faults.add(format!(
            "{} messages under {} keys, {} were posted",
            messages.len(),
            keys.len(),
            evidence.posted.len()
        ));
    }
}

/// The expected recipients of a message, and the named people who must be denied it.
fn audience(world: &World, request: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let recipients = &request["recipients"];
    let mut named: BTreeSet<String> = strings(&recipients["employees"]).into_iter().collect();
    for group in strings(&recipients["groups"]) {
        named.extend(world.groups.get(&group).into_iter().flatten().cloned());
    }
    named.retain(|number| world.people.contains(number) || world.blocked.contains(number));
    let may: Option<HashSet<&String>> =
        request["topic"].as_str().map(|topic| world.topics[topic].iter().collect());
    if recipients.is_null() {
        named = may.iter().flatten().map(|&number| number.clone()).collect();
    }
    named.into_iter().partition(|number| {
        world.people.contains(number) && may.as_ref().is_none_or(|holders| holders.contains(number))
    })
}

/// Deliveries match the audience exactly, and so do the counts in the answer.
fn audiences_are_right(
    evidence: &Evidence<'_>,
    deliveries: &HashMap<(String, String), Delivery>,
    faults: &mut Faults,
) {
    let mut by_message: HashMap<&str, Vec<(&String, &Delivery)>> = HashMap::new();
    for ((message, number), delivery) in deliveries {
        by_message.entry(message).or_default().push((number, delivery));
    }
    for posted in evidence.posted {
        let id = id_of(posted);
        let (accepted, denied) = audience(evidence.world, &posted.request);
        let rows = by_message.remove(id.as_str()).unwrap_or_default();
        let of = |refused: bool| -> BTreeSet<String> {
            rows.iter()
                .filter(|(_, delivery)| (delivery.outcome == Some("denied")) == refused)
                .map(|(number, _)| (*number).clone())
                .collect()
        };
        let (stored, stored_denied) = (of(false), of(true));
        if stored != accepted {
            faults.add(format!("{id}: delivered to {stored:?} instead of {accepted:?}"));
        }
        // Blocked grant holders who were not named get no delivery row.
        if !posted.request["recipients"].is_null() && stored_denied != denied {
            faults.add(format!("{id}: denied to {stored_denied:?} instead of {denied:?}"));
        }
        if posted.answer["recipients"]["accepted"] != accepted.len() {
            faults.add(format!("{id}: answered {} instead of {}", posted.answer, accepted.len()));
        }
        let topical = posted.request["topic"].is_string();
        if rows.iter().any(|(_, d)| d.outcome != Some("denied") && d.grant != topical) {
            faults.add(format!("{id}: a delivery without its grant, or a grant without a topic"));
        }
    }
    for message in by_message.keys() {
        faults.add(format!("{message} has deliveries and was never posted"));
    }
}

/// A kill of simod never leaves the sums different from the deliveries.
fn sums_are_what_counting_finds(
    sums: &HashMap<String, [i64; 9]>,
    messages: &HashMap<String, (String, String)>,
    deliveries: &HashMap<(String, String), Delivery>,
    faults: &mut Faults,
) {
    let mut counted: HashMap<&str, [i64; 9]> = HashMap::new();
    for ((message, _), delivery) in deliveries {
        counted.entry(message).or_default()[delivery.state as usize] += 1;
    }
    for id in messages.keys() {
        let kept = sums.get(id).copied().unwrap_or_default();
        let counted = counted.get(id.as_str()).copied().unwrap_or_default();
        if kept != counted {
            faults.add(format!("{id}: its sums are {kept:?}, counting finds {counted:?} of {STATES:?}"));
        }
    }
}

fn states_follow_facts(deliveries: &HashMap<(String, String), Delivery>, faults: &mut Faults) {
    for (key, delivery) in deliveries {
        let follows =
            delivery.received.or(delivery.outcome).unwrap_or(if delivery.sent { "sent" } else { "queued" });
        let state = STATES.get(delivery.state as usize).copied().unwrap_or("?");
        if state != follows {
            faults.add(format!("{key:?} is {state}, its facts say {follows}"));
        }
        if delivery.sent != delivery.pushes.iter().any(|push| push.sent) {
            faults.add(format!("{key:?}: sent is {}, its pushes say otherwise", delivery.sent));
        }
        let all_failed =
            !delivery.pushes.is_empty() && delivery.pushes.iter().all(|push| push.outcome == Some("failed"));
        if (state == "failed") != all_failed {
            faults.add(format!("{key:?} is {state}, of its pushes all have failed: {all_failed}"));
        }
    }
}

/// No work is left, and exactly the pushes to dead addresses failed.
fn pushes_ended_as_they_must(
    evidence: &Evidence<'_>,
    deliveries: &HashMap<(String, String), Delivery>,
    faults: &mut Faults,
) {
    for (key, delivery) in deliveries {
        for push in &delivery.pushes {
            let wanted = if evidence.world.dead.contains(&push.address) { "failed" } else { "accepted" };
            let outcome = push.outcome.unwrap_or("none");
            if !push.done || outcome != wanted {
                faults.add(format!("{key:?} to {}: ended {outcome}, not {wanted}", push.address));
            }
        }
    }
}

/// Every live phone got each of its messages and no others, and repeats are few; returns how many repeats.
fn phones_got_theirs_and_no_more(
    evidence: &Evidence<'_>,
    own: &HashSet<String>,
    faults: &mut Faults,
) -> usize {
    let arrivals = evidence.arrivals.iter();
    let mut arrivals: HashMap<(String, String), usize> =
        arrivals.map(|((address, message), times)| ((address.clone(), hex(message)), *times)).collect();
    let repeats: usize = arrivals.values().map(|times| times - 1).sum();
    if repeats > evidence.repeats_allowed {
        faults.add(format!("{repeats} repeats after an accepted push, {} allowed", evidence.repeats_allowed));
    }
    for posted in evidence.posted {
        let id = id_of(posted);
        let (accepted, _) = audience(evidence.world, &posted.request);
        for address in accepted.iter().filter_map(|number| evidence.world.phones.get(number)).flatten() {
            let arrived = arrivals.remove(&(address.clone(), id.clone())).is_some();
            if arrived == evidence.world.dead.contains(address) {
                faults.add(format!("{id} at {address}: arrived is {arrived}"));
            }
        }
    }
    for (address, message) in arrivals.keys().filter(|(_, message)| !own.contains(message)) {
        faults.add(format!("{address} got {message}, which is not for it"));
    }
    repeats
}
