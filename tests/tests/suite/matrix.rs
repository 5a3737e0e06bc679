//! Who may call what: every route of the OpenAPI document, by every kind of caller, against the real daemon over TCP and
//! its socket. The expected answers are in `matrix/table.txt`, for people to read.

mod requests;
mod table;
mod world;

use std::{collections::BTreeMap, fmt::Write as _};

use http::Method;
use serde_json::Value;
use simo_common::api::problem::Problem;
use simo_tests::{Simod, raw, simod::Setup};

use self::{
    requests::{Operation, Request},
    table::{Row, TABLE},
    world::{Caller, World},
};

/// A daemon that does not limit failures: a thousand wrong tokens come from one address.
async fn simod() -> Simod {
    Setup::new().start().await
}

/// The operations of the OpenAPI document that simod serves.
async fn operations(simod: &Simod) -> Vec<Operation> {
    let document = raw::ask(Method::GET, &simod.api("/openapi.json")).send().await;
    Operation::all(&document.value())
}

/// The word for a status in the table.
fn class(status: u16) -> String {
    match status {
        200..300 => "ok".to_owned(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names() {
    let simod = simod().await;
    let world = World::new(&simod).await;
    let rows = table::rows();
    let callers: Vec<&str> = world.callers().iter().map(|caller| caller.name).collect();
    assert_eq!(table::callers(), callers, "the table's columns are not the callers");
    let operations = operations(&simod).await;
    let mut wrong = String::new();
    for row in &rows {
        if !operations.iter().any(|operation| operation.is(row)) {
            writeln!(wrong, "{} {}: the table has it, simod has not", row.method, row.path).unwrap();
        }
    }
    for operation in &operations {
        let mut found = Vec::new();
        let mut request = world.request(operation).await;
        for caller in world.callers() {
            let (status, _) = world.call(caller, &request, caller.client).await;
            found.push(class(status));
            if request.method != Method::GET && status < 300 {
                // The object it named is changed or gone.
                request = world.request(operation).await;
            }
        }
        let expected = rows.iter().find(|row| operation.is(row)).map(|row| &row.cells);
        if expected != Some(&found) {
            let row =
                Row { method: operation.method.to_string(), path: operation.path.clone(), cells: found };
            writeln!(wrong, "{row}").unwrap();
        }
    }
    assert!(
        wrong.is_empty(),
        "matrix/table.txt says otherwise of these; as simod answers they would read:\n\n{}\n{wrong}",
        TABLE.lines().find(|line| line.starts_with("METHOD")).unwrap()
    );
}

/// A problem without the requested names, the only part that may differ.
fn told(problem: &Problem, names: &BTreeMap<String, String>) -> Value {
    let mut text = serde_json::to_string(problem).unwrap();
    for (parameter, name) in names {
        text = text.replace(name.as_str(), &format!("{{{parameter}}}"));
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_is_anothers_answers_like_what_does_not_exist() {
    let simod = simod().await;
    let world = World::new(&simod).await;
    let strangers: Vec<&Caller> = world.callers().iter().filter(|caller| caller.stranger).collect();
    let mut compared = 0;
    for operation in operations(&simod).await {
        let there = world.request(&operation).await;
        if there.names.is_empty() {
            continue;
        }
        let missing = there.with_other_names();
        for caller in &strangers {
            let (status, answer) = world.call(caller, &there, None).await;
            let (_, none) = world.call(caller, &missing, None).await;
            let place = format!("{} {} by {}", operation.method, operation.path, caller.name);
            let (Some(answer), Some(none)) = (answer, none) else {
                panic!("{place}: {status}, where a stranger must be refused");
            };
            assert_eq!(told(&answer, &there.names), told(&none, &missing.names), "{place}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

#[tokio::test]
async fn naming_anothers_client_answers_like_naming_none_that_exists() {
    let simod = simod().await;
    let world = World::new(&simod).await;
    let stranger = world.caller("other");
    let mut compared = 0;
    for operation in operations(&simod).await {
        let request = world.request(&operation).await;
        if request.names.values().any(|name| name == world::MINE) {
            // Here the path names the client.
            continue;
        }
        let named = |slug: &str| BTreeMap::from([("client".to_owned(), slug.to_owned())]);
        let (status, answer) = world.call(stranger, &request, Some(world::MINE)).await;
        let (nowhere, none) = world.call(stranger, &request, Some("no-such")).await;
        let place = format!("{} {}", operation.method, operation.path);
        if let (Some(answer), Some(none)) = (answer, none) {
            assert_eq!(status, nowhere, "{place}");
            assert_eq!(told(&answer, &named(world::MINE)), told(&none, &named("no-such")), "{place}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
}

/// The body or a second name refers to another client's object, while the path is the caller's own.
#[tokio::test]
async fn a_reference_to_anothers_answers_like_one_to_nothing() {
    let simod = simod().await;
    let world = World::new(&simod).await;
    let stranger = world.caller("other");
    let (employee, group, topic) =
        (world.new_employee().await, world.new_group().await, world.new_topic().await);
    let operator = world.new_operator().await;
    for (mine, requests) in [
        (&employee, requests::of_employee as fn(&str) -> Vec<Request>),
        (&group, requests::of_group),
        (&topic, requests::of_topic),
        (&operator, requests::of_operator),
    ] {
        for (there, missing) in requests(mine).iter().zip(requests("none-such")) {
            let (status, answer) = world.call(stranger, there, None).await;
            let (_, none) = world.call(stranger, &missing, None).await;
            let (Some(answer), Some(none)) = (answer, none) else {
                panic!("{} {} with {mine}: {status}", there.method, there.path);
            };
            assert_eq!(told(&answer, &there.names), told(&none, &missing.names));
        }
    }
}

#[tokio::test]
async fn every_body_has_a_limit() {
    let simod = simod().await;
    let world = World::new(&simod).await;
    for operation in operations(&simod).await {
        let mut request = world.request(&operation).await;
        if request.body.is_none() {
            continue;
        }
        let (limit, caller) = match operation.path.as_str() {
            "/messages/batch" | "/employees/import" | "/site/plan" | "/site/apply" => (64 << 20, "owner"),
            "/messages" => (256 << 10, "owner"),
            path if path.starts_with("/device/") => (256 << 10, "phone"),
            _ => (2 << 20, "owner"),
        };
        request.body = Some(Value::String("x".repeat(limit)));
        let (status, _) = world.call(world.caller(caller), &request, Some(world::MINE)).await;
        assert_eq!(status, 413, "{} {}", operation.method, operation.path);
    }
}
