//! Chromium's remote control: the `DevTools` protocol over one WebSocket, with sessions told apart by their ids.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::{
    connect_async_with_config, tungstenite::Message, tungstenite::protocol::WebSocketConfig,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

type Calls = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// One connection to a browser.
pub struct Cdp {
    out: mpsc::UnboundedSender<Value>,
    next: AtomicU64,
    calls: Calls,
    events: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Cdp {
    /// Connects to the address that the browser printed.
    ///
    /// # Errors
    /// The browser does not listen yet.
    pub async fn connect(url: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        // Screenshots and traces are large.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (mut socket, _) = connect_async_with_config(url, Some(config), true).await?;
        let (out, mut outgoing) = mpsc::unbounded_channel::<Value>();
        let (calls, events) = (Calls::default(), Arc::<Mutex<Vec<Value>>>::default());
        let task = {
            let (calls, events) = (Arc::clone(&calls), Arc::clone(&events));
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        call = outgoing.recv() => {
                            let Some(call) = call else { return };
                            if socket.send(Message::text(call.to_string())).await.is_err() {
                                break;
                            }
                        }
                        message = socket.next() => match message {
                            Some(Ok(Message::Text(text))) => hear(&calls, &events, &text),
                            Some(Ok(_)) => {}
                            Some(Err(_)) | None => break,
                        },
                    }
                }
                // The browser is gone; fail the pending calls.
                calls.lock().expect("nobody panicked").clear();
            })
        };
        Ok(Self { out, next: AtomicU64::new(1), calls, events, task })
    }

    /// Calls a method in a session, or in the browser itself.
    ///
    /// # Errors
    /// The browser's error message, or that the browser is gone.
    pub async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.calls.lock().expect("nobody panicked").insert(id, answered);
        let mut call = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            call["sessionId"] = json!(session);
        }
        self.out.send(call).map_err(|_| format!("{method}: the browser is gone"))?;
        let answer = tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| format!("{method}: no answer in {PATIENCE:?}"))?
            .map_err(|_| format!("{method}: the browser is gone"))?;
        match answer.get("error") {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(format!("{method}: {}", error["message"])),
        }
    }

    /// Takes the parameters of all events of this method so far.
    pub fn take(&self, method: &str) -> Vec<Value> {
        let mut events = self.events.lock().expect("nobody panicked");
        events
            .extract_if(.., |event| event["method"] == method)
            .map(|mut event| event["params"].take())
            .collect()
    }
}

impl Drop for Cdp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn hear(calls: &Calls, events: &Mutex<Vec<Value>>, text: &str) {
    let message: Value = serde_json::from_str(text).expect("Chromium speaks JSON");
    match message["id"].as_u64() {
        Some(id) => {
            let call = calls.lock().expect("nobody panicked").remove(&id);
            if let Some(call) = call {
                let _nobody_waits = call.send(message);
            }
        }
        None => events.lock().expect("nobody panicked").push(message),
    }
}
