//! A client with thousands of people, in brigades, with topics and phones, and the ACS that post to it: used by the long tests.

mod acs;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use simo_common::{
    api::{access::Grantee, history::Sort},
    client::{Client, ListQuery},
};

pub use self::acs::{Journal, start_acs};
use crate::{
    Plant, Simod,
    checker::World,
    database,
    fcm::{Answer, Mixture},
    programs,
    wait::within,
};

/// People in a brigade.
const BRIGADE: usize = 8;

/// A provider that fails a tenth of the calls. Dropped connections are left out: the stand-in counts pushes as taken although
/// their answers are lost, and their repeats would exceed what the kills allow. They are tested in
/// `delivery::what_may_pass_by_itself_is_tried_again`.
pub fn bad_day() -> Mixture {
    Mixture {
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
    }
}

/// Personnel numbers of everyone, blocked or not.
pub fn numbers(world: &World) -> Arc<[String]> {
    let mut numbers: Vec<String> = world.people.union(&world.blocked).cloned().collect();
    numbers.sort_unstable();
    numbers.into()
}

/// Imports people from the sample file or a list of its shape, makes brigades and topics, and pairs phones by invitation.
pub async fn populate(simod: &Simod, plant: &Plant) -> World {
    let file = people_file(simod);
    let (head, mut rows) = read_csv(&file);
    import(simod, &file);
    // The same people again, now each in a brigade too.
    let column = head.iter().position(|name| name == "groups").expect("the file has groups");
    for (number, row) in rows.iter_mut().enumerate() {
        let groups = format!("{}|brigada-{}", row[column], number / BRIGADE);
        groups.trim_matches('|').clone_into(&mut row[column]);
    }
    let with_brigades = simod.directory().join("brigades.csv");
    write_csv(&with_brigades, &head, &rows);
    import(simod, &with_brigades);

    let mut world = World::default();
    for row in &rows {
        let number = &row[0];
        world.people.insert(number.clone());
        for group in row[column].split('|') {
            world.groups.entry(group.to_owned()).or_default().push(number.clone());
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
    // Two thirds have a phone, some have two; one phone in a hundred is dead.
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
    let head = ["personnel_no", "full_name", "email", "phone", "groups", "locale", "timezone"];
    let head: Vec<String> = head.into_iter().map(str::to_owned).collect();
    let departments = ["sklad", "it", "kotelnaya", "buhgalteriya|smena-a", "cex-1|smena-b", "cex-2|smena-v"];
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
    let file = simod.directory().join("employees.csv");
    write_csv(&file, &head, &rows);
    file
}

fn read_csv(file: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let head = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
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
    assert!(output.status.success(), "simoctl {words:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn import(simod: &Simod, file: &Path) {
    simoctl(simod, &["--yes", "employee", "import", file.to_str().unwrap()]);
}

/// Waits until no push or expansion is left to do.
pub async fn until_nothing_is_left(url: &str) {
    let look = || async {
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from push where done_at is null) + (select count(*) from audience)",
        )
        .fetch_one(&mut database::connect(url).await)
        .await
        .ok()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (left == 0).then_some(())
    };
    within(Duration::from_mins(10), "every push ends", look).await;
}

/// Deliveries by state, as the API lists them.
pub async fn counts_of_api(admin: &Client) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut list = ListQuery { limit: Some(1000), ..ListQuery::default() };
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

/// Deliveries by state, as simoctl lists them.
pub fn counts_of_cli(simod: &Simod) -> HashMap<String, usize> {
    let lines = simoctl(simod, &["-o", "ndjson", "message", "list", "--all"]);
    let mut counts = HashMap::new();
    for line in lines.lines() {
        let delivery: Value = serde_json::from_str(line).unwrap();
        *counts.entry(delivery["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}
