//! Large bodies: what they may cost, and which requests wait for them.

use http::StatusCode;
use simo_common::api::message::BatchAnswer;
use simo_tests::{
    Plant, Simod,
    plant::{post, to_employees},
    raw,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The memory that one client may use.
const HALF: usize = 64 << 20;

/// Size of a body that counts as large.
const LARGE: usize = 100_000;

#[tokio::test]
async fn too_many_items_are_refused_before_any_is_parsed_and_in_little_memory() {
    let simod = Simod::start().await;
    let token = Plant::new(&simod, "zavod").await.token("1c").await;
    for (begin, item, end) in [("", "{}\n", "{"), ("[", "{},", "and this is no JSON")] {
        let body = format!("{begin}{}{end}", item.repeat((60 << 20) / item.len()));
        let answer = raw::post(&simod.api("/messages/batch"), &token, body).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        let problem = answer.problem();
        assert_eq!(problem.errors[0].field, "(request)");
        assert!(problem.detail.contains("more items than the 10000"), "{problem:?}");
    }
    let peak = simod.peak_mib();
    assert!(peak < 200.0, "{peak} MiB");
}

#[tokio::test]
async fn the_answer_to_a_batch_of_wrong_items_repeats_little_of_them() {
    let simod = Simod::start().await;
    let token = Plant::new(&simod, "zavod").await.token("1c").await;
    let lines = format!("{{\"{}\": 1}}\n", "x".repeat(100_000)).repeat(20);
    let answer = raw::post(&simod.api("/messages/batch"), &token, lines).send().await;
    assert!(answer.text.len() < 100_000, "{} bytes", answer.text.len());
    let answer: BatchAnswer = answer.json();
    assert_eq!((answer.accepted, answer.refused), (0, 20));
    assert!(answer.items[0].problem.as_ref().unwrap().errors[0].field.starts_with("xxx"));
}

#[tokio::test]
async fn an_item_has_a_limit_of_its_own_and_spoils_none_of_the_others() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    let good = r#"{"title":"a","recipients":{"employees":["001"]}}"#;
    let huge = format!("{{\"title\": \"{}\"}}", "x".repeat(4 << 20));
    let answer =
        raw::post(&simod.api("/messages/batch"), &token, format!("{good}\n{huge}\n{good}")).send().await;
    let answer: BatchAnswer = answer.json();
    assert_eq!(answer.items.iter().map(|item| item.status).collect::<Vec<_>>(), [202, 413, 202]);
}

/// Begins a batch of this many bytes, whose sender waits until simod asks for the body.
async fn announce(simod: &Simod, token: &str, bytes: usize) -> TcpStream {
    let mut connection = raw::connect(simod).await;
    let head = format!(
        "POST /api/v1/messages/batch HTTP/1.1\r\nhost: simo\r\nauthorization: Bearer {token}\r\n\
         expect: 100-continue\r\ncontent-length: {bytes}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

async fn said(connection: &mut TcpStream) -> String {
    let mut said = [0; 4096];
    let read = connection.read(&mut said).await.unwrap();
    String::from_utf8_lossy(&said[..read]).into_owned()
}

#[tokio::test]
async fn a_client_that_holds_its_half_waits_unread_and_keeps_nobody_else_waiting() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let (greedy, same_client) = (plant.token("1c").await, plant.token("scada").await);
    let other = Plant::new(&simod, "kombinat").await.token("1c").await;

    let mut first = announce(&simod, &greedy, HALF).await;
    assert!(said(&mut first).await.starts_with("HTTP/1.1 100"), "it is read");
    let mut second = announce(&simod, &same_client, LARGE).await;
    // Small bodies never wait, and another client's do not wait for this client's.
    post(&simod.caller(&same_client), &to_employees("Привет", &["001"])).await;
    let large = "{}\n".repeat(9_000) + &" ".repeat(LARGE);
    let large = raw::post(&simod.api("/messages/batch"), &other, large).send().await;
    assert_eq!(large.json::<BatchAnswer>().refused, 9_000);
    let refused = said(&mut second).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "it was never read: {refused}");
    assert!(refused.contains("retry-after: ") && refused.contains("\"busy\""), "{refused}");

    let mut third = announce(&simod, &greedy, LARGE).await;
    drop(first);
    assert!(said(&mut third).await.starts_with("HTTP/1.1 100"), "the room of a sender that is gone is free");
}

#[tokio::test]
async fn a_stranger_learns_that_he_is_one_before_his_large_body_is_read() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let token = plant.token("1c").await;
    let id = plant.admin.tokens(&simo_common::client::ListQuery::default()).await.unwrap().items[0].id;
    plant.admin.revoke_token(id).await.unwrap();
    let refused = said(&mut announce(&simod, &token, HALF).await).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_taken_as_well() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    let line = "{\"title\":\"a\",\"recipients\":{\"employees\":[\"001\"]}}\n";
    // Two of them would need all the room, if it were not given back after each.
    for lines in [1, 3_000, 3_000] {
        let parts: Vec<Result<String, std::io::Error>> = (0..lines).map(|_| Ok(line.to_owned())).collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let answer = raw::post(&simod.api("/messages/batch"), &token, body).send().await;
        assert_eq!(answer.json::<BatchAnswer>().accepted, lines);
    }
    let endless = (0..65).map(|_| Ok::<_, std::io::Error>("x".repeat(1 << 20)));
    let endless = reqwest::Body::wrap_stream(futures_util::stream::iter(endless));
    let answer = raw::post(&simod.api("/messages/batch"), &token, endless).send().await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text);
}
