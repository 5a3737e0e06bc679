//! Slow and idle peers.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use simo_tests::{
    Plant, Simod, eventually,
    plant::{post, to_employees},
    raw,
    simod::Setup,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: f64 = 0.4;

async fn impatient() -> Simod {
    Setup::new()
        .set("http.head_timeout_seconds", PATIENCE)
        .set("http.body_timeout_seconds", PATIENCE)
        .set("http.write_timeout_seconds", PATIENCE)
        .start()
        .await
}

#[tokio::test]
async fn a_refusal_over_http2_leaves_when_a_small_body_is_there() {
    let simod = Simod::start().await;
    let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let (body, parts) = tokio::sync::mpsc::channel::<&str>(1);
    let parts = futures_util::stream::unfold(parts, |mut parts| async {
        let part = parts.recv().await?;
        Some((Ok::<_, std::io::Error>(part), parts))
    });
    let answer = raw::ask_with(&http, http::Method::POST, &simod.api("/messages"))
        .json_text(reqwest::Body::wrap_stream(parts))
        .send();
    let mut answer = std::pin::pin!(answer);
    body.send("{").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), answer.as_mut()).await;
    assert!(early.is_err(), "the stream would be reset, and curl lose the answer");
    drop(body);
    assert_eq!(answer.await.status, http::StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_says_no_whole_request_is_cut_and_who_streams_is_not() {
    let simod = impatient().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();

    let whole = "GET /healthz HTTP/1.1\r\nhost: simo\r\n\r\n";
    for (begun, answers) in [
        ("", 0),
        // Also the beginning of the HTTP/2 preface.
        ("P", 0),
        ("GET /healthz HTTP/1.1\r\nhost: si", 0),
        (whole, 1),
        (&format!("{whole}GET "), 1),
    ] {
        let mut connection = raw::connect(&simod).await;
        connection.write_all(begun.as_bytes()).await.unwrap();
        let started = Instant::now();
        let said = raw::until_closed(&mut connection).await;
        assert_eq!(said.matches("200 OK").count(), answers, "{begun:?}: {said}");
        assert!(started.elapsed() >= Duration::from_secs_f64(PATIENCE / 2.0), "{begun:?} was cut at once");
    }

    // The phone's stream has been silent for longer than all of these.
    let posted = post(&plant.acs(&simod, "1c").await, &to_employees("Привет", &["001"])).await;
    let event = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    let event = event.unwrap().unwrap().unwrap();
    assert_eq!(event.id, posted.id);
}

#[tokio::test]
async fn an_http2_peer_that_asks_or_takes_nothing_is_cut() {
    let simod = impatient().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2): the peer accepts one byte of each answer, or none.
    let window = |bytes: u8| [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, bytes];
    // `GET /` on stream 1, with entries of HPACK's static table.
    let request = [0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84];
    for (what, said) in [
        ("nothing is asked", [&preface[..], &settings].concat()),
        ("no answer is taken", [&preface[..], &window(0), &request].concat()),
        ("a byte is taken", [&preface[..], &window(1), &request].concat()),
    ] {
        let mut connection = raw::connect(&simod).await;
        connection.write_all(&said).await.unwrap();
        let started = Instant::now();
        let _answer = raw::until_closed(&mut connection).await;
        assert!(started.elapsed() >= Duration::from_secs_f64(PATIENCE / 2.0), "{what}: it was cut at once");
    }
}

#[tokio::test]
async fn when_no_more_files_may_be_open_what_is_posted_is_still_stored() {
    let simod = Setup::new().embedded().ulimit("-n 128").set("http.head_timeout_seconds", 5).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    let body = r#"{"title":"a","recipients":{"employees":["001"]}}"#;
    let request = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: simo\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut open = raw::connect(&simod).await;
    let mut said = [0; 4096];
    let mut held = Vec::new();
    for connections in [0, 120] {
        for _ in 0..connections {
            held.push(raw::connect(&simod).await);
        }
        open.write_all(request.as_bytes()).await.unwrap();
        let read = open.read(&mut said).await.unwrap();
        let said = String::from_utf8_lossy(&said[..read]);
        assert!(said.starts_with("HTTP/1.1 202"), "{connections}: {said}");
    }
    simod.owner().whoami().await.unwrap();
    // A new connection waits until idle ones are cut.
    post(&simod.caller(&token), &to_employees("После", &["001"])).await;
    assert!(simod.log().contains("LimitNOFILE"), "{}", simod.log());
    assert_eq!(simod.log().matches("new ones wait").count(), 1, "the log is not flooded: {}", simod.log());
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let simod = impatient().await;
    let token = Plant::new(&simod, "zavod").await.token("1c").await;
    for path in ["/messages", "/messages/batch"] {
        let (mut read, mut write) = raw::connect(&simod).await.into_split();
        let head = format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: simo\r\nauthorization: Bearer {token}\r\n\
             accept-language: ru\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await.unwrap();
        let dripping = tokio::spawn(async move {
            while write.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut said = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), read.read(&mut said)).await;
        let said = String::from_utf8_lossy(&said[..read.unwrap().unwrap()]).into_owned();
        assert!(said.starts_with("HTTP/1.1 408"), "{path}: {said}");
        assert!(said.contains("too_slow") && said.contains("медленно"), "{said}");
        dripping.abort();
    }
}

#[tokio::test]
async fn who_takes_nothing_of_his_answers_is_cut() {
    let simod = impatient().await;
    let mut connection = raw::connect(&simod).await;
    let request = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: simo\r\n\r\n";
    // More than any socket's buffers hold: if the connection were not cut, this would never end.
    eventually("the connection is cut", || {
        let written = connection.try_write(request.repeat(50).as_bytes());
        std::future::ready(match written {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Some(()),
            _ => None,
        })
    })
    .await;
    let _rest = raw::until_closed(&mut connection).await;
    assert!(simod.anyone().readiness().await.is_ok(), "and simod serves on");
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served_at_once() {
    let simod = Setup::new().set("http.connections", 2).start().await;
    let whole = b"GET /healthz HTTP/1.1\r\nhost: simo\r\n\r\n";
    let mut said = [0; 4096];
    let mut held = Vec::new();
    // The harness's readiness check may still hold a connection.
    let served = loop {
        let mut connection = raw::connect(&simod).await;
        connection.write_all(whole).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(1), connection.read(&mut said)).await;
        held.push(connection);
        if answer.is_err() {
            break held.len() - 1;
        }
    };
    assert!((1..=2).contains(&served), "{served}");
    // The socket for administration has its own places.
    simod.owner().whoami().await.unwrap();
    let mut waiting = held.pop().unwrap();
    drop(held);
    let read = tokio::time::timeout(Duration::from_secs(20), waiting.read(&mut said)).await;
    assert!(read.unwrap().unwrap() > 0, "a free place is taken by who waits");
    assert!(simod.log().contains("http.connections"), "{}", simod.log());
}
