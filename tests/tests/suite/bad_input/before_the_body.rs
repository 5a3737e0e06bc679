//! Requests refused because they are not HTTP, or before their body is read.

use tokio::io::AsyncWriteExt as _;

use super::*;

/// The answer of simod to these bytes, until it closes the connection.
async fn said_to(simod: &Simod, bytes: &[u8]) -> String {
    let mut connection = raw::connect(simod).await;
    // simod may refuse before all is written.
    let _refused = connection.write_all(bytes).await;
    raw::until_closed(&mut connection).await
}

/// The status of an answer, and its body as a problem.
fn problem(said: &str) -> (&str, Problem) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {said}"));
    assert!(head.contains(&format!("content-length: {}", body.len())), "{said}");
    assert!(head.contains("content-type: application/problem+json"), "{said}");
    let status = head.split(' ').nth(1).unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}")))
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let simod = Simod::start().await;
    let long = "x".repeat(70_000);
    for (request, status) in [
        ("how do you do\r\n\r\n".to_owned(), "400"),
        ("POST /api/v1/messages HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), "400"),
        ("POST /api/v1/messages HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(), "400"),
        ("GET /healthz HTTP/1.1\r\nдата: 1\r\n\r\n".to_owned(), "400"),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nx-long: {long}"), "431"),
    ] {
        let said = said_to(&simod, request.as_bytes()).await;
        // hyper answers that by itself, without a body.
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
    }
    // Requests before it on the same connection are answered.
    let twice = "GET /nowhere HTTP/1.1\r\nhost: simo\r\n\r\nand then\r\n\r\n";
    let said = said_to(&simod, twice.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 404") && said.contains("no_such_route"), "{said}");
    assert!(said.contains("HTTP/1.1 400"), "{said}");
}

/// The head of a POST with a body of this many bytes.
fn head(path: &str, token: &str, length: u64, more: &str) -> String {
    format!(
        "POST /api/v1/{path} HTTP/1.1\r\nhost: simo\r\nauthorization: Bearer {token}\r\n{more}content-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_long_is_not_waited_for() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let waits = "expect: 100-continue\r\n";
    for (path, token, length, more) in [
        ("messages", &token, 300_000, waits),
        ("messages", &token, 1_000_000_000_000, ""),
        ("messages/batch", &token, 100_000_000, waits),
        ("device/receipts", &phone.token, 300_000, waits),
    ] {
        let said = said_to(&simod, head(path, token, length, more).as_bytes()).await;
        let (status, problem) = problem(&said);
        assert_eq!((status, problem.code.as_str()), ("413", "too_large"), "{path}: {said}");
    }
    nothing_is_stored(&plant).await;
}

/// Otherwise its sender would see only a closed connection.
#[tokio::test]
async fn a_body_that_is_on_its_way_is_taken_in() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let mut whole = head("messages", &token, 10_000_000, "connection: close\r\n").into_bytes();
    whole.resize(whole.len() + 10_000_000, b'x');
    let mut connection = raw::connect(&simod).await;
    connection.write_all(&whole).await.unwrap();
    let said = raw::until_closed(&mut connection).await;
    assert_eq!(problem(&said).0, "413", "{said}");
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_named() {
    let simod = Simod::start().await;
    Plant::new(&simod, "zavod").await;
    let http = reqwest::Client::builder().unix_socket(simod.socket()).build().unwrap();
    let answer = http
        .get("http://localhost/api/v1/topics/%ff?client=zavod")
        .header("accept-language", "ru")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.errors[0].field, "path");
    assert!(has_cyrillic(&problem.detail), "{problem:?}");
}

#[tokio::test]
async fn a_body_that_is_packed_is_refused_by_the_headers_name() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let packed = raw::post(&simod.api("/messages"), &token, &b"\x1f\x8b\x08"[..])
        .header("content-encoding", "gzip")
        .send()
        .await;
    assert_eq!(packed.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", packed.text);
    assert_eq!(packed.problem().errors[0].field, "Content-Encoding");
    nothing_is_stored(&plant).await;
}
