//! The ACS: each repeats a message until it is accepted, and keeps a journal.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::BRIGADE;
use crate::{Plant, checker::Posted, raw};

const NAMES: [&str; 4] = ["1c", "erp", "scada-1", "scada-2"];

/// The accepted messages.
#[derive(Default)]
pub struct Journal {
    posted: Mutex<Vec<Posted>>,
    count: AtomicUsize,
}

impl Journal {
    /// How many messages.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The messages, taken out.
    pub fn take(&self) -> Vec<Posted> {
        std::mem::take(&mut *self.posted.lock().expect("nobody panics within"))
    }

    fn add(&self, posted: Posted) {
        self.posted.lock().expect("nobody panics within").push(posted);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts four ACS that together post `messages` messages to this URL; all are accepted when the tasks have ended.
pub async fn start_acs(
    plant: &Plant,
    url: &str,
    messages: usize,
    numbers: &Arc<[String]>,
    journal: &Arc<Journal>,
) -> JoinSet<()> {
    let mut running = JoinSet::new();
    for (place, name) in NAMES.into_iter().enumerate() {
        let acs = Acs {
            name,
            token: plant.token(name).await,
            url: url.to_owned(),
            http: reqwest::Client::new(),
            numbers: Arc::clone(numbers),
            journal: Arc::clone(journal),
        };
        running.spawn(async move {
            stream::iter((place..messages).step_by(NAMES.len()))
                .for_each_concurrent(16, |number| acs.post(number))
                .await;
        });
    }
    running
}

struct Acs {
    name: &'static str,
    token: String,
    url: String,
    http: reqwest::Client,
    /// Personnel numbers of everyone.
    numbers: Arc<[String]>,
    journal: Arc<Journal>,
}

impl Acs {
    /// Posts until an answer arrives: after a broken connection the message may or may not have been accepted.
    async fn post(&self, number: usize) {
        let request = self.message(number);
        let body = request.to_string();
        let answer = loop {
            let mut ask =
                raw::ask_with(&self.http, Method::POST, &self.url).token(&self.token).json_text(body.clone());
            if number.is_multiple_of(2) {
                ask = ask.header("idempotency-key", format!("key-{number}"));
            }
            match ask.try_send().await {
                Ok(answer) if answer.status == StatusCode::ACCEPTED => break answer.value(),
                // 502 comes from a load balancer whose instance has just gone away.
                Ok(answer)
                    if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]
                        .contains(&answer.status) => {}
                Ok(answer) => panic!("{}: {} for {body}", answer.status, answer.text),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let acs = self.name.to_owned();
        self.journal.add(Posted { acs, request, answer });
    }

    /// Mostly to one or two people, some to a brigade or a topic, a few to a whole shift.
    fn message(&self, number: usize) -> Value {
        let numbers = &self.numbers;
        let person = |salt: usize| &numbers[(number * 7919 + salt * 104_729) % numbers.len()];
        let mut message = json!({
            "title": format!("Наряд № {number}"),
            "body": "Насос ПН-2, котельная: давление 7,4 бар при норме 6,0. Проверить клапан, доложить мастеру.",
            "external_id": format!("{}-{number}", self.name),
            "priority": (["low", "normal", "high", "critical"][number % 4]),
            "allow_empty": true,
        });
        let brigade = |salt: usize| format!("brigada-{}", (number * 31 + salt) % (numbers.len() / BRIGADE));
        let topic = format!("tema-{}", number % 40);
        match number % 20 {
            0..=2 => message["recipients"] = json!({"groups": [brigade(0)]}),
            3 => message["topic"] = json!(topic),
            // Named people, most of whom hold no grant for it.
            4 => {
                message["topic"] = json!(topic);
                message["recipients"] = json!({"employees": [person(0)], "groups": [brigade(1)]});
            }
            5 => {
                message["recipients"] = json!({"employees": [person(0), person(0), person(1), "net-takogo"]});
            }
            6 if number % 2_000 == 6 => message["recipients"] = json!({"groups": ["smena-a"]}),
            _ => message["recipients"] = json!({"employees": [person(0)]}),
        }
        message
    }
}
