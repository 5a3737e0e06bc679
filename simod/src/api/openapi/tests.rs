//! The document is complete, matches the router, and is the one committed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use http::{Method, StatusCode};
use serde_json::Value;
use simo_common::{api::PREFIX, message::limits};

use super::document;
use crate::testing::{Plant, call};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn parsed() -> Value {
    serde_json::from_str(&document()).unwrap()
}

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document = document();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "docs/openapi.json is stale; run: UPDATE_OPENAPI=1 cargo test --workspace committed_document"
    );
}

#[tokio::test]
async fn every_described_operation_is_routed() {
    let plant = Plant::new().await;
    let app = plant.app();
    for (method, path, _) in operations(&parsed()) {
        let Some(path) = path.strip_prefix(PREFIX) else {
            continue;
        };
        let path = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, answer) = call(&app, method.clone(), &path, None, None).await;
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_ne!(answer["code"], "no_such_route", "{method} {path}");
    }
}

/// `routes!` takes routes from their descriptions; only axum's own `route` could bypass it.
#[test]
fn every_routed_operation_is_described() {
    fn search(folder: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                search(path, found);
            } else if std::fs::read_to_string(&path).unwrap().contains(concat!(".", "route(")) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    // These serve files, which are no operations.
    let files = ["own_ca.rs", "web_app.rs"].map(|name| api.join(name));
    search(api, &mut found);
    found.sort();
    assert_eq!(found, files);
}

#[test]
fn every_operation_has_a_name_of_its_own_a_title_and_a_declared_tag() {
    let document = parsed();
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    let all = operations(&document);
    for (method, path, operation) in &all {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{method} {path}: {name} is taken");
        assert!(operation["summary"].is_string(), "{method} {path}");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(tag.as_str().unwrap()), "{method} {path}: {tag}");
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let parameters: Vec<_> = parameters.iter().map(|p| p["name"].clone()).collect();
        let distinct: BTreeSet<_> = parameters.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), parameters.len(), "{method} {path}: {parameters:?}");
    }
    assert!(all.len() > 50);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let document = parsed();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
}

#[test]
fn every_error_is_a_problem_by_its_media_type() {
    let document = parsed();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if !status.starts_with(['4', '5', 'd']) || path == "/readyz" {
                continue;
            }
            let response = match response["$ref"].as_str() {
                Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
                None => response,
            };
            let kinds: Vec<_> = response["content"].as_object().unwrap().keys().collect();
            assert_eq!(kinds, ["application/problem+json"], "{method} {path} {status}");
        }
    }
}

#[test]
fn what_a_caller_may_be_answered_stands_where_it_happens() {
    for (method, path, operation) in operations(&parsed()) {
        let is_open = operation.get("security").is_some();
        let has = |status: &str| operation["responses"].get(status).is_some();
        assert!(is_open || (has("401") && has("403") && has("429")), "{method} {path}");
        assert_eq!(path.contains('{'), has("404"), "{method} {path}");
    }
}

#[test]
fn the_bounds_of_a_message_are_those_that_are_checked() {
    let document = parsed();
    let of = |schema: &str, field: &str, bound: &str| {
        let value = &document["components"]["schemas"][schema]["properties"][field][bound];
        value.as_u64().unwrap_or_else(|| panic!("{schema}.{field} has no {bound}"))
    };
    for (schema, field, bound, expected) in [
        ("PostMessage", "title", "minLength", 1),
        ("PostMessage", "title", "maxLength", limits::TITLE_CHARS),
        ("PostMessage", "body", "maxLength", limits::BODY_BYTES),
        ("PostMessage", "external_id", "maxLength", limits::KEY_CHARS),
        ("PostMessage", "ttl", "minimum", 1),
        ("PostMessage", "ttl", "maximum", limits::TTL_SECONDS as usize),
        ("Recipients", "employees", "maxItems", limits::RECIPIENTS_NAMED),
        ("Recipients", "groups", "maxItems", limits::RECIPIENTS_NAMED),
        ("NewToken", "rate_limit", "minimum", 1),
    ] {
        assert_eq!(of(schema, field, bound), expected as u64, "{schema}.{field} {bound}");
    }
    let pattern = &document["components"]["schemas"]["PostMessage"]["properties"]["topic"]["pattern"];
    assert_eq!(pattern.as_str().unwrap(), format!("^[a-z0-9][a-z0-9._-]{{0,{}}}$", limits::SLUG_CHARS - 1));
}
