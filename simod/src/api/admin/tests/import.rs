//! Imports: all or nothing, and twice is once.

use http::Method;
use serde_json::{Value, json};

use super::{Office, wrong_fields};

const PATH: &str = "/employees/import";

fn row(line: u64, no: &str, name: &str, groups: &[&str]) -> Value {
    json!({"line": line, "employee": {"personnel_no": no, "full_name": name, "groups": groups,
           "email": "a@example.org", "timezone": "Asia/Omsk"}})
}

fn counts(report: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "groups_created"].map(|field| report[field].as_u64().unwrap())
}

#[tokio::test]
async fn an_import_makes_people_and_groups_once() {
    let office = Office::open().await;
    let rows = json!([row(2, "1", "Иванов", &["a", "b"]), row(3, "2", "Петров", &["b"])]);
    let rehearsal =
        office.admin(Method::POST, &format!("{PATH}?dry_run=true"), Some(rows.clone()), 200).await;
    assert_eq!(counts(&rehearsal), [2, 0, 0, 2]);
    assert_eq!(rehearsal["dry_run"], true);
    assert!(office.all("/employees", "personnel_no").await.is_empty());
    let report = office.admin(Method::POST, PATH, Some(rows.clone()), 200).await;
    assert_eq!(counts(&report), [2, 0, 0, 2]);
    assert_eq!(report["changes"].as_array().unwrap().len(), 4);
    let again = office.admin(Method::POST, PATH, Some(rows), 200).await;
    assert_eq!(counts(&again), [0, 0, 2, 0]);
    assert_eq!(again["changes"], json!([]));
    assert_eq!(office.all("/groups", "slug").await, ["a", "b"]);
    assert_eq!(office.all("/employees?group=b", "personnel_no").await, ["1", "2"]);
    let shown = office.admin(Method::GET, "/employees/1", None, 200).await;
    assert_eq!((&shown["timezone"], &shown["groups"]), (&json!("Asia/Omsk"), &json!(["a", "b"])));
    let plant = &office.plant;
    assert_eq!(plant.number("select count(distinct no) from employee").await, Some(2));
    // An employee made later gets the next number.
    office.employee("3", "Сидоров", &[]).await;
    assert_eq!(plant.number("select count(distinct no) from employee").await, Some(3));
}

#[tokio::test]
async fn an_import_changes_what_differs_and_brings_back_who_was_archived() {
    let office = Office::open().await;
    let rows = json!([row(2, "1", "Иванов", &["a"]), row(3, "2", "Петров", &["a"])]);
    office.admin(Method::POST, PATH, Some(rows), 200).await;
    office.admin(Method::DELETE, "/employees/2", None, 204).await;
    office.admin(Method::DELETE, "/groups/a", None, 204).await;
    let mut renamed = row(2, "1", "Иванова", &[]);
    renamed["person"] = json!("same");
    let rows = json!([renamed, row(3, "2", "Петров", &["a"]), row(4, "3", "Новый", &[])]);
    let report = office.admin(Method::POST, PATH, Some(rows.clone()), 200).await;
    assert_eq!(counts(&report), [1, 2, 0, 1]);
    assert_eq!(office.all("/employees", "full_name").await, ["Иванова", "Новый", "Петров"]);
    assert_eq!(office.all("/employees?group=a", "personnel_no").await, ["2"]);
    let again = office.admin(Method::POST, PATH, Some(rows), 200).await;
    assert_eq!(counts(&again), [0, 0, 3, 0]);
}

#[tokio::test]
async fn every_bad_line_is_named_and_nothing_is_stored() {
    let office = Office::open().await;
    let mut bad = row(9, "5", "", &["Смена"]);
    bad["employee"]["email"] = json!("nobody");
    let rows = json!([row(7, "1", "Иванов", &[]), row(8, "1", "Петров", &[]), bad]);
    let problem = office.admin(Method::POST, PATH, Some(rows), 422).await;
    assert_eq!(
        wrong_fields(&problem),
        ["line 8: personnel_no", "line 9: full_name", "line 9: email", "line 9: groups[0]"]
    );
    assert!(office.all("/employees?archived=true", "personnel_no").await.is_empty());
}

#[tokio::test]
async fn a_large_import_is_one_of_many_small_ones() {
    let office = Office::open().await;
    let rows: Vec<_> = (0..5_000_u64)
        .map(|n| row(n + 2, &format!("{n:06}"), &format!("Сотрудник {n}"), &["vse", "smena-a"]))
        .collect();
    let report = office.admin(Method::POST, PATH, Some(json!(rows)), 200).await;
    assert_eq!(counts(&report), [5_000, 0, 0, 2]);
    assert_eq!(report["changes"].as_array().unwrap().len(), 1_000);
    let group = office.admin(Method::GET, "/groups/vse", None, 200).await;
    assert_eq!(group["members"], 5_000);
}

#[tokio::test]
async fn a_number_under_another_name_is_imported_only_when_it_is_said_who_it_is() {
    let office = Office::open().await;
    let rows = json!([row(2, "1", "Исаева Анна Ильинична", &[]), row(3, "2", "Петров Пётр", &[])]);
    office.admin(Method::POST, PATH, Some(rows), 200).await;
    office.admin(Method::DELETE, "/employees/2", None, 204).await;
    let said = |persons: [Option<&str>; 2]| {
        let mut rows = [row(2, "1", "Котов Глеб Ильич", &[]), row(3, "2", "Новиков Олег", &[])];
        for (row, person) in rows.iter_mut().zip(persons) {
            row["person"] = json!(person);
        }
        Some(json!(rows))
    };
    let problem = office.admin(Method::POST, &format!("{PATH}?dry_run=true"), said([None, None]), 422).await;
    assert_eq!(wrong_fields(&problem), ["line 2: person", "line 3: person"]);
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("same")), "{problem}");
    let mixed = json!([row(2, "1", "Котов Глеб Ильич", &[]), row(3, "", "Новиков Олег", &[])]);
    let problem = office.admin(Method::POST, PATH, Some(mixed), 422).await;
    assert_eq!(wrong_fields(&problem), ["line 3: personnel_no", "line 2: person"]);
    let report = office.admin(Method::POST, PATH, said([Some("new"), Some("same")]), 200).await;
    assert_eq!(counts(&report), [1, 1, 0, 0]);
    assert_eq!(report["succeeded"], 1);
    let all = "/employees?archived=true";
    assert_eq!(
        office.all(all, "full_name").await,
        ["Исаева Анна Ильинична", "Котов Глеб Ильич", "Новиков Олег"]
    );
    assert_eq!(office.all(all, "personnel_no").await, ["1~2026-11-21", "1", "2"]);
    let again = office.admin(Method::POST, PATH, said([Some("new"), Some("same")]), 200).await;
    assert_eq!(counts(&again), [0, 0, 2, 0]);
}

#[tokio::test]
async fn thousands_are_invited_by_one_request_and_the_codes_are_withdrawn_together() {
    let office = Office::open().await;
    let rows: Vec<_> = (0..5_000_u64)
        .map(|n| row(n + 2, &format!("{n:06}"), &format!("Сотрудник {n}"), &["smena-a"]))
        .collect();
    office.admin(Method::POST, PATH, Some(json!(rows)), 200).await;
    let path = "/devices/invites";
    let made = office.admin(Method::POST, path, Some(json!({"groups": ["smena-a"]})), 201).await;
    assert_eq!(made["invites"].as_array().unwrap().len(), 5_000);
    assert!(made["invites"][0]["uri"].as_str().unwrap().contains("/app/#pair="));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(office.status(&office.viewer, Method::DELETE, &one).await, 403);
    assert_eq!(office.status(&office.stranger, Method::DELETE, &one).await, 404);
    let withdrawn = office.admin(Method::DELETE, &one, None, 200).await;
    assert_eq!(withdrawn["withdrawn"], 5_000);
    for (wrong, field) in [
        (json!({}), "groups"),
        (json!({"groups": ["smena-a"], "everyone": true}), "groups"),
        (json!({"everyone": true, "valid_for": 2_592_001}), "valid_for"),
        (json!({"everyone": true, "name": "a\nb"}), "name"),
        (json!({"groups": ["x"]}), "groups[0]"),
    ] {
        let problem = office.admin(Method::POST, path, Some(wrong), 422).await;
        assert_eq!(wrong_fields(&problem), [field]);
    }
}
