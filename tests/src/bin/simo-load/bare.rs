//! The bare handler: axum parses the same JSON and answers 202 in the same shape, nothing more.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use axum::{Json, Router, http::StatusCode, routing::post};
use simo_common::api::message::{BatchAnswer, BatchItem, PostMessage, PostedMessage, RecipientCounts};
use uuid::Uuid;

/// A running bare handler in its own process, as simod is.
pub(crate) struct Bare {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Bare {
    /// Starts the process.
    pub(crate) fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this executable has a path"))
            .arg("bare")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bare handler starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).expect("it says where it listens");
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until killed.
pub(crate) async fn serve() {
    let routes = Router::new()
        .route("/api/v1/messages", post(one))
        .route("/api/v1/messages/batch", post(batch))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    axum::serve(listener, routes).await.expect("it serves until it is killed");
}

async fn one(Json(message): Json<PostMessage>) -> (StatusCode, Json<PostedMessage>) {
    (StatusCode::ACCEPTED, Json(answer(&message)))
}

async fn batch(Json(messages): Json<Vec<PostMessage>>) -> Json<BatchAnswer> {
    let items: Vec<BatchItem> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| BatchItem {
            index,
            status: 202,
            message: Some(answer(message)),
            problem: None,
        })
        .collect();
    Json(BatchAnswer { accepted: items.len(), refused: 0, items })
}

fn answer(message: &PostMessage) -> PostedMessage {
    PostedMessage {
        id: Uuid::new_v4(),
        duplicate: false,
        recipients: RecipientCounts {
            accepted: message.recipients.as_ref().map_or(0, |named| named.employees.len() as u64),
            ..RecipientCounts::default()
        },
        fitted: Vec::new(),
    }
}
