//! Any bad input is answered with a 4xx that names the field and the remedy, in the caller's language; never a 5xx, never
//! a half-stored message.

mod administration;
mod before_the_body;
mod tokens;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use simo_common::{
    api::{
        access::{NewOperator, NewToken, NewTopic},
        history::Sort,
        message::BatchAnswer,
        problem::Problem,
    },
    client::ListQuery,
    people::Role,
    token::{self, TokenKind},
};
use simo_tests::{Plant, Simod, clock, eventually, plant::to_employees, raw};

async fn plant(simod: &Simod) -> (Plant, String) {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &["smena-a"]).await;
    let token = plant.token("1c").await;
    (plant, token)
}

async fn nothing_is_stored(plant: &Plant) {
    let messages = plant.admin.messages(&ListQuery::default()).await.unwrap();
    assert!(messages.items.is_empty(), "{messages:?}");
    let deliveries = plant.admin.deliveries(&ListQuery::default(), Sort::default()).await.unwrap();
    assert!(deliveries.items.is_empty());
}

fn has_cyrillic(text: &str) -> bool {
    text.chars().any(|c| ('а'..='я').contains(&c) || c == 'ё')
}

/// Sends the same body in both languages; both must be refused alike, each with its own text.
async fn refused(simod: &Simod, token: &str, body: &[u8]) -> Problem {
    let send = async |lang: &str| {
        let answer = raw::post(&simod.api("/messages"), token, body.to_vec())
            .header("accept-language", lang)
            .send()
            .await;
        assert!(answer.status.is_client_error(), "{}: {}", answer.status, answer.text);
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let problem = answer.problem();
        assert_eq!(answer.headers["content-language"], lang, "{shown}");
        (problem, shown)
    };
    let (english, shown) = send("en").await;
    let (russian, _) = send("ru").await;
    assert_eq!(english.code, russian.code, "{shown}");
    assert!(!has_cyrillic(english.hint.as_deref().unwrap_or_default()), "{english:?}");
    assert!(has_cyrillic(&russian.detail), "{shown}: {russian:?}");
    for (en, ru) in english.errors.iter().zip(&russian.errors) {
        assert_eq!(en.field, ru.field);
        assert!(has_cyrillic(&ru.detail), "{shown}: {russian:?}");
    }
    english
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let good = json!({"title": "Проверка", "recipients": {"employees": ["001"]}});
    let with = |field: &str, value: Value| {
        let mut message = good.clone();
        message[field] = value;
        message
    };
    let long_list: Vec<String> = (0..10_001).map(|n| format!("{n}")).collect();
    let cases = [
        (with("title", json!(5)), "title"),
        (with("title", json!("")), "title"),
        (with("title", json!("   ")), "title"),
        (with("title", json!("ж".repeat(251))), "title"),
        (with("title", json!("a\u{0}b")), "title"),
        (with("body", json!("ж".repeat(8 * 1024 + 1))), "body"),
        (with("body", json!("\u{0}")), "body"),
        (with("body", json!(["a"])), "body"),
        (with("topic", json!("net-takoy-temy")), "topic"),
        (with("topic", json!("Тема")), "topic"),
        (with("priority", json!("urgent")), "priority"),
        (with("priority", json!(1)), "priority"),
        (with("priority", json!({"high": null})), "priority"),
        (with("recipients", json!("001")), "recipients"),
        (with("recipients", json!({})), "recipients"),
        (with("recipients", json!(["001"])), "recipients"),
        (with("recipients", json!([["001"], [], false])), "recipients"),
        (with("recipients", json!({"employees": [1]})), "recipients.employees[0]"),
        (with("recipients", json!({"employees": long_list})), "recipients.employees"),
        (with("recipients", json!({"everyone": "yes"})), "recipients.everyone"),
        (with("recipients", json!({"people": []})), "recipients.people"),
        (with("data", json!([1])), "data"),
        (json!(["Список", "вместо", "объекта"]), "(request)"),
        (json!([]), "(request)"),
        (with("data", json!({"k": "x".repeat(4096)})), "data"),
        (with("data", json!({"k": {"inner": "\u{0}"}})), "data.k.inner"),
        (with("ttl", json!(0)), "ttl"),
        (with("ttl", json!(-5)), "ttl"),
        (with("ttl", json!(28 * 24 * 3600 + 1)), "ttl"),
        (with("ttl", json!("60")), "ttl"),
        (with("ttl", json!(1e30)), "ttl"),
        (with("expires_at", json!("завтра")), "expires_at"),
        (with("expires_at", json!(clock::in_seconds(-60))), "expires_at"),
        (with("expires_at", json!(clock::in_seconds(29 * 24 * 3600))), "expires_at"),
        (with("send_at", json!("2026-13-45T00:00:00Z")), "send_at"),
        (with("send_at", json!(clock::in_seconds(367 * 24 * 3600))), "send_at"),
        (with("require_ack", json!("да")), "require_ack"),
        (with("external_id", json!("x".repeat(201))), "external_id"),
        (with("external_id", json!("")), "external_id"),
        (with("external_id", json!({})), "external_id"),
        (with("titel", json!("x")), "titel"),
        (json!({"recipients": {"employees": ["001"]}}), "title"),
        (json!({"title": "Без адресата"}), "recipients"),
    ];
    for (message, field) in cases {
        let problem = refused(&simod, &token, message.to_string().as_bytes()).await;
        let named = problem.errors.iter().any(|error| error.field.contains(field));
        assert!(named, "{field} is not named for {message}: {problem:?}");
    }
    let both = json!({"title": "a", "recipients": {"everyone": true}, "ttl": 60,
        "expires_at": clock::in_seconds(60)});
    let problem = refused(&simod, &token, both.to_string().as_bytes()).await;
    assert!(problem.errors.iter().any(|e| e.field == "ttl" || e.field == "expires_at"), "{problem:?}");

    // All wrong fields are reported at once.
    let many = json!({"title": "", "ttl": 0, "recipients": {"employees": ["001"]}});
    let problem = refused(&simod, &token, many.to_string().as_bytes()).await;
    assert!(problem.errors.len() >= 2, "{problem:?}");
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn what_is_not_json_is_refused_with_the_place() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"title\":\"a\"} trailing",
        b"title=a&body=b",
        b"{'title': 'a'}",
        b"{\"title\":\"\xff\xfe\",\"recipients\":{\"everyone\":true}}",
        b"{\"title\":\"\\ud800\",\"recipients\":{\"everyone\":true}}",
        b"{\"title\":\"a\",\"recipients\":{\"everyone\":true},\"data\":{\"a\":\"\\ud800\"}}",
        b"{\"title\":\"a\",\"recipients\":{\"everyone\":true},\"data\":{\"a\":01}}",
        b"{\"title\":\"a\",\"recipients\":{\"everyone\":true},\"data\":{\"a\":1e999,\"b\":\"\\u0000\"}}",
        b"{\"title\":\"a\",\"recipients\":{\"everyone\":true},\"data\":{\"$serde_json::private::RawValue\":\"\\u0000\"}}",
        b"\xff\xfe{\x00}\x00",
        b"{\"title\":\"a\",\"title\":\"b\",\"recipients\":{\"everyone\":true}}",
    ] {
        let problem = refused(&simod, &token, body).await;
        assert!(!problem.detail.is_empty());
    }
    // Deep nesting must not crash the process.
    let deep = format!(
        "{{\"title\":\"a\",\"recipients\":{{\"everyone\":true}},\"data\":{}1{}}}",
        "{\"a\":".repeat(600),
        "}".repeat(600)
    );
    refused(&simod, &token, deep.as_bytes()).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&simod, &token, deep.as_bytes()).await;
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_without_being_read_whole() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let huge = format!("{{\"title\":\"a\",\"body\":\"{}\"}}", "x".repeat(300 * 1024));
    let answer = raw::post(&simod.api("/messages"), &token, huge).send().await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text);
    let problem = answer.problem();
    assert!(problem.hint.is_some() || problem.detail.contains("256"), "does not say the limit: {problem:?}");

    let items = vec![r#"{"title":"a","recipients":{"everyone":true}}"#; 10_001].join(",");
    let answer = raw::post(&simod.api("/messages/batch"), &token, format!("[{items}]")).send().await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(answer.text.contains("10") && answer.text.contains("000"), "{}", answer.text);
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn a_batch_that_is_no_batch_is_refused_as_a_whole() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    for body in ["", "   ", "[", "[{]", "{\"items\":[]} []"] {
        let answer = raw::post(&simod.api("/messages/batch"), &token, body).send().await;
        let spoiled = answer.status == StatusCode::OK && answer.json::<BatchAnswer>().accepted == 0;
        assert!(spoiled || answer.status.is_client_error(), "{body:?}: {}: {}", answer.status, answer.text);
    }
    let key =
        raw::post(&simod.api("/messages/batch"), &token, "[]").header("idempotency-key", "1").send().await;
    assert!(key.status.is_client_error(), "a batch takes no Idempotency-Key: {}", key.text);
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn a_wrong_idempotency_key_is_named() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let body = r#"{"title":"a","recipients":{"everyone":true}}"#;
    let two = raw::post(&simod.api("/messages"), &token, body)
        .header("idempotency-key", "one")
        .header("idempotency-key", "two")
        .send()
        .await;
    assert_eq!(two.status, StatusCode::BAD_REQUEST, "{}", two.text);
    for key in ["", &"k".repeat(201)] {
        let answer =
            raw::post(&simod.api("/messages"), &token, body).header("idempotency-key", key).send().await;
        assert!(answer.status.is_client_error(), "{key:?}: {}", answer.text);
        assert!(answer.problem().errors[0].field.eq_ignore_ascii_case("idempotency-key"), "{}", answer.text);
    }
    // windows-1251, as a 1C may send it: decoded leniently as UTF-8, all keys of one length would be equal.
    let answer = raw::post(&simod.api("/messages"), &token, body)
        .header("idempotency-key", b"\xe0\xe2\xe0")
        .header("accept-language", "ru")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    assert!(answer.text.contains("UTF-8") && answer.text.contains("Idempotency-Key"));
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn queries_and_cursors_that_do_not_parse_are_named() {
    let simod = Simod::start().await;
    let (plant, _) = plant(&simod).await;
    let operator = NewOperator { name: "petrov".to_owned(), role: Role::Viewer };
    plant.admin.add_operator(&operator).await.unwrap();
    let token = NewToken { operator: Some("petrov".to_owned()), ..NewToken::default() };
    let token = plant.admin.issue_token(&token).await.unwrap().token;
    for (path, field) in [
        ("/deliveries?query=state:nosuch", "query"),
        ("/deliveries?query=after:yesterdayish", "query"),
        ("/deliveries?query=%22unclosed", "query"),
        ("/deliveries?query=nokey:", "query"),
        ("/deliveries?sort=colour", "sort"),
        ("/deliveries?limit=0", "limit"),
        ("/deliveries?limit=100000", "limit"),
        ("/deliveries?limit=many", "limit"),
        ("/deliveries?cursor=garbage", "cursor"),
        ("/deliveries?cursor=eyJ4IjoxfQ", "cursor"),
        ("/messages?cursor=%00", "cursor"),
        ("/messages?cursor=eyJ4IjoxfQ", "cursor"),
        ("/employees?cursor=zzz", "cursor"),
        ("/employees?limit=-1", "limit"),
    ] {
        for lang in ["en", "ru"] {
            let answer = raw::ask(Method::GET, &simod.api(path))
                .token(&token)
                .header("accept-language", lang)
                .send()
                .await;
            assert!(answer.status.is_client_error(), "{path}: {}: {}", answer.status, answer.text);
            let problem = answer.problem();
            let named = problem.errors.iter().any(|error| error.field.starts_with(field));
            assert!(named, "{path}: {problem:?}");
            assert_eq!(has_cyrillic(&problem.errors[0].detail), lang == "ru", "{path}: {problem:?}");
        }
    }
    for path in ["/messages/nonsense", "/messages/nonsense/deliveries", "/devices/17", "/tokens/x"] {
        let answer = raw::ask(Method::GET, &simod.api(path)).token(&token).send().await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.text);
        answer.problem();
    }
}

#[tokio::test]
async fn strange_requests_are_answered_with_a_problem() {
    let simod = Simod::start().await;
    let (_, token) = plant(&simod).await;
    let nowhere = raw::ask(Method::GET, &simod.api("/no/such/thing")).token(&token).send().await;
    assert_eq!((nowhere.status, nowhere.problem().code.as_str()), (StatusCode::NOT_FOUND, "no_such_route"));
    let method = raw::ask(Method::PUT, &simod.api("/messages")).token(&token).send().await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    method.problem();
    for parameter in ["dry_run=maybe", "dry_run=1&dry_run=2", "dryrun=true"] {
        let url = simod.api(&format!("/messages?{parameter}"));
        let answer =
            raw::post(&url, &token, "{\"title\":\"a\",\"recipients\":{\"everyone\":true}}").send().await;
        assert!(answer.status.is_client_error(), "{parameter}: {}: {}", answer.status, answer.text);
        answer.problem();
    }
    let id = raw::ask(Method::GET, &format!("{}/healthz", simod.url()))
        .header("x-request-id", "мой-1".escape_unicode().to_string().as_str());
    assert!(id.send().await.headers["x-request-id"].to_str().unwrap().starts_with("\\u"));
}
