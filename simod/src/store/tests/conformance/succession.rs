//! A number passes to another person, and nothing else does.

use simo_common::{
    api::people::{ImportRow, NewEmployee, Person},
    time::{HOUR as HOUR_US, Moment, SECOND},
};

use super::{Fixture, deliveries, pair, post};
use crate::store::Listing;

fn new(personnel_no: &str, full_name: &str) -> NewEmployee {
    NewEmployee {
        personnel_no: personnel_no.to_owned(),
        full_name: full_name.to_owned(),
        ..NewEmployee::default()
    }
}

/// Everyone, by name: number, former number, whether archived.
async fn everyone(f: &Fixture) -> Vec<String> {
    let listing = Listing { find: super::Find::default(), limit: 100, after: None, archived: true };
    let page = f.store.employees(f.client_no, None, &listing).await.unwrap();
    let said = |e: &simo_common::api::people::Employee| {
        format!(
            "{} {} {} {}",
            e.full_name,
            e.personnel_no,
            e.former_no.as_deref().unwrap_or("-"),
            e.archived_at.is_some()
        )
    };
    page.items.iter().map(said).collect()
}

#[tokio::test]
async fn a_successor_reads_nothing_of_his_predecessors() {
    let f = Fixture::new().await;
    let old = pair(&f, "1", None).await;
    post(&f, f.personal("старое", &["1"])).await;
    let mut later = f.personal("назначено", &["1"]);
    later.draft.send_at = Moment::parse("2026-11-01T13:00:00+03:00");
    later.draft.allow_empty = true;
    post(&f, later).await;

    let made = f.store.succeed_employee(f.client_no, &new("1", "Новиков Олег")).await;
    assert_eq!(made.unwrap().devices, 0);
    assert!(f.store.token_holder(&old.token_hash).await.unwrap().is_none(), "his predecessor's phone is out");
    let name = "Новиков Олег 1 - false";
    let was = "Сотрудник 1 1~2026-11-01 1 true";
    assert!(everyone(&f).await.iter().any(|e| e == name), "{:?}", everyone(&f).await);
    assert!(everyone(&f).await.iter().any(|e| e == was), "{:?}", everyone(&f).await);

    let phone = pair(&f, "1", None).await.caller;
    assert!(f.store.own_messages(&phone, None, 10).await.unwrap().is_empty());
    post(&f, f.personal("новое", &["1"])).await;
    let own = f.store.own_messages(&phone, None, 10).await.unwrap();
    assert_eq!(own.iter().map(|(_, m)| &*m.title).collect::<Vec<_>>(), ["новое"]);
    let found: Vec<_> = deliveries(&f, "employee:1")
        .await
        .iter()
        .map(|d| format!("{} {} {}", d.personnel_no, d.employee, d.title))
        .collect();
    assert_eq!(
        found,
        ["1 Новиков Олег новое", "1~2026-11-01 Сотрудник 1 старое"],
        "history finds both, each by his own name"
    );

    // Messages scheduled for the predecessor are not the successor's either.
    f.clock.set(f.clock.now() + HOUR_US + SECOND);
    f.store.release_due().await.unwrap();
    let own = f.store.own_messages(&phone, None, 10).await.unwrap();
    assert_eq!(own.len(), 1);
}

#[tokio::test]
async fn an_import_passes_numbers_on_and_twice_on_one_day_is_told_apart() {
    let f = Fixture::new().await;
    let import = async |name: &str| {
        let rows = ["1", "2"]
            .into_iter()
            .zip(2..)
            .map(|(no, line)| ImportRow {
                line,
                employee: new(no, &format!("{name} {no}")),
                person: Some(Person::New),
            })
            .collect();
        f.store.import_employees(f.client_no, rows, false).await.unwrap()
    };
    let first = import("Новиков").await;
    assert_eq!((first.created, first.succeeded, first.updated), (2, 2, 0));
    assert_eq!(import("Новиков").await.unchanged, 2);
    assert_eq!(import("Сидоров").await.succeeded, 2);
    assert_eq!(
        everyone(&f).await,
        [
            "Новиков 1 1~2026-11-01-2 1 true",
            "Новиков 2 2~2026-11-01-2 2 true",
            "Сидоров 1 1 - false",
            "Сидоров 2 2 - false",
            "Сотрудник 1 1~2026-11-01 1 true",
            "Сотрудник 2 2~2026-11-01 2 true",
            "Сотрудник 3 3 - false",
        ]
    );
    assert_eq!(f.rows("select count(*) from device where retired_at is null").await, ["1"]);
    assert_eq!(f.rows("select count(distinct no) from employee").await, ["7"]);
    // The number is unused: it is simply given.
    let made = f.store.succeed_employee(f.client_no, &new("77", "Первый")).await;
    assert_eq!(made.unwrap().personnel_no, "77");
}
