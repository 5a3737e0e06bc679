//! The whole way at once: four ACS, thousands of phones, a provider that fails a tenth of the calls, dead addresses,
//! and a daemon that is killed five times meanwhile. Nothing accepted is lost, nobody gets what is not his.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics where it stands"
)]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use simo_common::{
    api::{access::Grantee, history::Sort},
    client::{Client, ListQuery},
};
use simo_tests::{
    FakeFcm, Plant, Simod,
    checker::{self, Evidence, Posted, World},
    fcm::{Answer, Mixture},
    programs, raw,
    simod::Setup,
    wait::within,
};
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::JoinSet;

const MESSAGES: usize = 10_000;
const SYSTEMS: [&str; 4] = ["1c", "erp", "scada-1", "scada-2"];
const KILLS: usize = 5;
const CONNECTIONS: usize = 2;
const STREAMS: usize = 40;
/// How many people work together.
const BRIGADE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_and_nobody_gets_what_is_not_his() {
    let fcm = FakeFcm::start();
    let mut simod = Setup::new()
        .embedded()
        .fcm(&fcm)
        .set("fcm.connections", CONNECTIONS as i64)
        .set("fcm.streams_per_connection", STREAMS as i64)
        .set("fcm.timeout_seconds", 1.0)
        .start()
        .await;
    let plant = Plant::new(&simod, "zavod").await;
    let world = populate(&simod, &plant).await;
    let mut numbers: Vec<String> = world.people.union(&world.blocked).cloned().collect();
    numbers.sort_unstable();
    let numbers: Arc<[String]> = numbers.into();
    for address in &world.dead {
        fcm.script().address(address, Answer::Unregistered);
    }
    // A dropped connection is not among them: the stand-in took pushes whose answers it tears away, which would count
    // as repeats beyond the kills. `delivery::what_may_pass_by_itself_is_tried_again` has it.
    fcm.script().mixture(Some(Mixture {
        rate: 0.1,
        answers: vec![
            Answer::Unavailable(None),
            Answer::Unavailable(Some(1)),
            Answer::QuotaDevice(Some(1)),
            Answer::Internal,
            Answer::Html,
            Answer::ResetStream,
            Answer::Hang,
        ],
        seed: 2,
    }));

    let posted = Arc::new(Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let mut systems = JoinSet::new();
    for (place, name) in SYSTEMS.into_iter().enumerate() {
        let acs = System {
            name,
            token: plant.token(name).await,
            url: simod.api("/messages"),
            http: reqwest::Client::new(),
            numbers: Arc::clone(&numbers),
            posted: Arc::clone(&posted),
            count: Arc::clone(&count),
        };
        systems.spawn(async move { acs.post_all(place).await });
    }
    for kill in 1..=KILLS {
        let enough = MESSAGES * kill / (KILLS + 1);
        let look = || async { (count.load(Ordering::Relaxed) >= enough).then_some(()) };
        within(Duration::from_mins(5), "the systems go on posting", look).await;
        simod.kill9();
        simod.restart().await;
    }
    systems.join_all().await;
    until_nothing_is_left(simod.database()).await;

    let api = counts_of_api(&plant.admin).await;
    let cli = counts_of_cli(&simod);
    simod.terminate().await;
    let taken: Vec<checker::Taken> = fcm
        .journal()
        .calls()
        .into_iter()
        .filter(|call| call.accepted)
        .map(|call| (call.address, call.message_id.unwrap_or_default()))
        .collect();
    let posted = std::mem::take(&mut *posted.lock().unwrap());
    assert_eq!(posted.len(), MESSAGES);
    let (faults, census) = checker::check(&Evidence {
        world: &world,
        posted: &posted,
        taken: &taken,
        repeats_allowed: KILLS * CONNECTIONS * STREAMS,
        database: simod.database(),
    })
    .await;
    faults.assert_none();
    assert_eq!(census.messages, MESSAGES);
    assert_eq!(api, census.states, "the API counts otherwise");
    assert_eq!(cli, census.states, "simoctl counts otherwise");
}

/// People from the sample file or a list of its shape, brigades and topics, phones by invitation and pairing.
async fn populate(simod: &Simod, plant: &Plant) -> World {
    let file = people_file(simod);
    let (head, mut rows) = read_csv(&file);
    import(simod, &file);
    // The same people again, each in a brigade besides.
    let column = head
        .iter()
        .position(|name| name == "groups")
        .expect("the file has groups");
    for (number, row) in rows.iter_mut().enumerate() {
        let groups = format!("{}|brigada-{}", row[column], number / BRIGADE);
        groups.trim_matches('|').clone_into(&mut row[column]);
    }
    let with_brigades = simod.database().with_file_name("brigades.csv");
    write_csv(&with_brigades, &head, &rows);
    import(simod, &with_brigades);

    let mut world = World::default();
    for row in &rows {
        let number = &row[0];
        world.people.insert(number.clone());
        for group in row[column].split('|') {
            world
                .groups
                .entry(group.to_owned())
                .or_default()
                .push(number.clone());
        }
    }
    let brigades = rows.len().div_ceil(BRIGADE);
    for topic in 0..40 {
        let slug = format!("tema-{topic}");
        let brigade = format!("brigada-{}", topic * 7 % brigades);
        let person = rows[topic * 31 % rows.len()][0].clone();
        let grants = [Grantee::Group(brigade.clone()), Grantee::Employee(person.clone())];
        plant.topic(&slug, &grants).await;
        let mut holders = world.groups[&brigade].clone();
        if !holders.contains(&person) {
            holders.push(person);
        }
        world.topics.insert(slug, holders);
    }
    // Two thirds have a phone, some have two; a hundredth of the phones is dead.
    let mut phones = Vec::new();
    for (place, row) in rows.iter().enumerate().filter(|(place, _)| place % 3 != 2) {
        let number = &row[0];
        for phone in 0..if place % 10 == 0 { 2 } else { 1 } {
            phones.push((number.clone(), format!("phone-{number}-{phone}")));
        }
    }
    stream::iter(&phones)
        .for_each_concurrent(32, async |(number, address)| {
            plant.fcm_phone(simod, number, address).await;
        })
        .await;
    for (place, (number, address)) in phones.into_iter().enumerate() {
        if place % 100 == 50 {
            world.dead.insert(address.clone());
        }
        world.phones.entry(number).or_default().push(address);
    }
    for row in rows.iter().skip(3).step_by(rows.len() / 7) {
        plant.admin.block_employee(&row[0]).await.unwrap();
        world.people.remove(&row[0]);
        world.blocked.insert(row[0].clone());
    }
    world
}

fn people_file(simod: &Simod) -> PathBuf {
    let sample = programs::workspace().join("../shared/data/employees.csv");
    if sample.exists() {
        return sample;
    }
    let head = [
        "personnel_no",
        "full_name",
        "email",
        "phone",
        "groups",
        "locale",
        "timezone",
    ];
    let head: Vec<String> = head.into_iter().map(str::to_owned).collect();
    let departments = [
        "sklad",
        "it",
        "kotelnaya",
        "buhgalteriya|smena-a",
        "cex-1|smena-b",
        "cex-2|smena-v",
    ];
    let rows: Vec<Vec<String>> = (0..5_000)
        .map(|n| {
            let number = 100_001 + n;
            [
                number.to_string(),
                format!("Ёлкина Прасковья Егоровна {n}"),
                format!("e{number}@example.org"),
                format!("+79{number:09}"),
                departments[n % departments.len()].to_owned(),
                "ru".to_owned(),
                "Asia/Krasnoyarsk".to_owned(),
            ]
            .into()
        })
        .collect();
    let file = simod.database().with_file_name("employees.csv");
    write_csv(&file, &head, &rows);
    file
}

fn read_csv(file: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let head = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    (head, rows)
}

fn write_csv(file: &Path, head: &[String], rows: &[Vec<String>]) {
    let mut writer = csv::Writer::from_path(file).unwrap();
    writer.write_record(head).unwrap();
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.flush().unwrap();
}

fn simoctl(simod: &Simod, words: &[&str]) -> String {
    let output = Command::new(programs::program("simoctl"))
        .arg("--socket")
        .arg(simod.socket())
        .args(["--client", "zavod"])
        .args(words)
        .env_remove("SIMO_URL")
        .env_remove("SIMO_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "simoctl {words:?}: {}\n{said}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

fn import(simod: &Simod, file: &Path) {
    simoctl(simod, &["--yes", "employee", "import", file.to_str().unwrap()]);
}

/// One ACS: posts its share, and keeps a journal of what was accepted.
struct System {
    name: &'static str,
    token: String,
    url: String,
    http: reqwest::Client,
    /// Everyone's personnel number.
    numbers: Arc<[String]>,
    posted: Arc<Mutex<Vec<Posted>>>,
    count: Arc<AtomicUsize>,
}

impl System {
    async fn post_all(&self, place: usize) {
        let mine = (place..MESSAGES).step_by(SYSTEMS.len());
        stream::iter(mine)
            .for_each_concurrent(16, |number| self.post(number))
            .await;
    }

    /// Posts until there is an answer: a broken connection says nothing about whether it was accepted.
    async fn post(&self, number: usize) {
        let request = self.message(number);
        let body = request.to_string();
        let answer = loop {
            let mut ask = raw::ask_with(&self.http, Method::POST, &self.url)
                .token(&self.token)
                .json_text(body.clone());
            if number.is_multiple_of(2) {
                ask = ask.header("idempotency-key", &format!("key-{number}"));
            }
            match ask.try_send().await {
                Ok(answer) if answer.status == StatusCode::ACCEPTED => break answer.value(),
                Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {}
                Ok(answer) => panic!("{}: {} for {body}", answer.status, answer.text),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let acs = self.name.to_owned();
        self.posted.lock().unwrap().push(Posted { acs, request, answer });
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Mostly to one or two people, some to a brigade or a topic, a few to a whole shift.
    fn message(&self, number: usize) -> Value {
        let numbers = &self.numbers;
        let person = |salt: usize| &numbers[(number * 7919 + salt * 104_729) % numbers.len()];
        let mut message = json!({
            "title": format!("Наряд № {number}"),
            "body": "Насос ПН-2, котельная: давление 7,4 бар при норме 6,0. Проверить клапан, доложить мастеру.",
            "external_id": format!("{}-{number}", self.name),
            "priority": (["low", "normal", "high", "critical"][number % 4]),
            "allow_empty": true,
        });
        let brigade = |salt: usize| format!("brigada-{}", (number * 31 + salt) % (numbers.len() / BRIGADE));
        let topic = format!("tema-{}", number % 40);
        match number % 20 {
            0..=2 => message["recipients"] = json!({"groups": [brigade(0)]}),
            3 => message["topic"] = json!(topic),
            // Named people, most of whom hold no grant for it.
            4 => {
                message["topic"] = json!(topic);
                message["recipients"] = json!({"employees": [person(0)], "groups": [brigade(1)]});
            }
            5 => {
                message["recipients"] = json!({"employees": [person(0), person(0), person(1), "net-takogo"]});
            }
            6 if number % 2_000 == 6 => message["recipients"] = json!({"groups": ["smena-a"]}),
            _ => message["recipients"] = json!({"employees": [person(0)]}),
        }
        message
    }
}

/// Waits until nothing can be pushed or expanded any more.
async fn until_nothing_is_left(database: &Path) {
    let url = format!("sqlite:{}", database.display());
    let look = || async {
        let mut connection = SqliteConnection::connect(&url).await.ok()?;
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from push where done_at is null) + (select count(*) from audience)",
        )
        .fetch_one(&mut connection)
        .await
        .ok()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (left == 0).then_some(())
    };
    within(Duration::from_mins(10), "every push ends", look).await;
}

async fn counts_of_api(admin: &Client) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut list = ListQuery {
        limit: Some(1000),
        ..ListQuery::default()
    };
    loop {
        let page = admin.deliveries(&list, Sort::default()).await.unwrap();
        for delivery in page.items {
            *counts.entry(delivery.state.as_str().to_owned()).or_default() += 1;
        }
        list.cursor = page.next;
        if list.cursor.is_none() {
            return counts;
        }
    }
}

fn counts_of_cli(simod: &Simod) -> HashMap<String, usize> {
    let lines = simoctl(simod, &["-o", "ndjson", "message", "list", "--all"]);
    let mut counts = HashMap::new();
    for line in lines.lines() {
        let delivery: Value = serde_json::from_str(line).unwrap();
        *counts
            .entry(delivery["state"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}
