//! Firefox's side: autopush frames over a WebSocket.

use std::{net::TcpListener, sync::Arc};

use base64::{
    Engine as _,
    prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    server::State,
    subscriptions::{Out, Owner},
};
use crate::clock;

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a bound socket can be listened on");
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else { continue };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        tokio::spawn(async move {
            stop.run_until_cancelled(converse(socket, &state)).await;
        });
    }
}

/// One connection to its end.
async fn converse(socket: TcpStream, state: &State) {
    let _ = socket.set_nodelay(true);
    let Ok(mut socket) = accept_hdr_async(socket, sub_protocol).await else { return };
    let (out, mut outgoing) = mpsc::unbounded_channel::<Option<Value>>();
    let mut uaid = None;
    loop {
        tokio::select! {
            frame = outgoing.recv() => {
                let Some(Some(frame)) = frame else {
                    let _gone = socket.close(None).await;
                    break;
                };
                if socket.send(Message::text(frame.to_string())).await.is_err() {
                    break;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let Ok(frame) = serde_json::from_str(&text) else { break };
                    hear(state, &frame, &mut uaid, &out);
                    state.frames.lock().expect("nobody panicked").push(frame);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    if let Some(uaid) = uaid {
        state.subscriptions.left(&uaid, &out);
    }
}

/// Firefox hangs up on a server that does not answer with its subprotocol.
#[allow(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the form of tungstenite's callback")]
fn sub_protocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("push-notification"));
    Ok(response)
}

fn hear(state: &State, frame: &Value, uaid: &mut Option<String>, out: &Out) {
    let answer = |frame: Value| drop(out.send(Some(frame)));
    let channel = frame["channelID"].as_str().unwrap_or_default();
    match (frame["messageType"].as_str(), &*uaid) {
        (Some("hello"), _) => {
            let given = state.subscriptions.hello(frame["uaid"].as_str(), out);
            // Without `use_webpush` in the answer Firefox makes no keys.
            answer(json!({
                "messageType": "hello", "status": 200, "uaid": given, "use_webpush": true, "broadcasts": {},
            }));
            state.subscriptions.send_waiting(&given, clock::now_us() / 1_000_000);
            *uaid = Some(given);
        }
        (Some("register"), Some(user)) => {
            let key =
                frame["key"].as_str().map(|key| decoded(key).expect("Firefox sends a key in base64url"));
            let owner = Owner::Firefox { user: user.clone(), channel: channel.to_owned() };
            let endpoint = state.endpoint(&state.subscriptions.add(owner, key));
            answer(json!({
                "messageType": "register", "status": 200, "channelID": channel, "pushEndpoint": endpoint,
            }));
        }
        (Some("unregister"), Some(user)) => {
            state.subscriptions.unregister(user, channel);
            answer(json!({"messageType": "unregister", "status": 200, "channelID": channel}));
        }
        (Some("ack"), Some(user)) => {
            for update in frame["updates"].as_array().into_iter().flatten() {
                state.subscriptions.acknowledged(user, update["version"].as_str().unwrap_or_default());
            }
        }
        // Firefox's ping.
        (None | Some("ping"), _) => answer(json!({})),
        // A nack (the worker threw or rejected) follows the ack and changes nothing.
        _ => {}
    }
}

/// Firefox sends base64 with padding.
fn decoded(key: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE.decode(key).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(key)).ok()
}
