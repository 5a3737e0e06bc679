//! The live feed: kept open, resumed where it broke, with growing pauses while the server is down.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use simo_common::client::Client;
use tokio::sync::{Notify, mpsc::Sender};

use crate::action::{Action, Failure, Feed};

/// Pauses between tries, in seconds; the last one repeats.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 15];

/// Follows the feed until the channel closes. `wake` ends a pause at once.
pub(crate) async fn follow(client: Client, actions: Sender<Action>, wake: Arc<Notify>) {
    let mut last_id: Option<String> = None;
    let mut tries = 0;
    loop {
        let failure: Failure = match client.follow_events(last_id.as_deref()).await {
            Ok(mut events) => {
                tries = 0;
                if actions.send(Action::Feed(Feed::Open)).await.is_err() {
                    return;
                }
                loop {
                    match events.next().await {
                        Some(Ok((id, event))) => {
                            if !id.is_empty() {
                                last_id = Some(id);
                            }
                            if actions.send(Action::Feed(Feed::Event(event))).await.is_err() {
                                return;
                            }
                        }
                        Some(Err(error)) => break error.into(),
                        None => break Failure::Closed,
                    }
                }
            }
            Err(error) => error.into(),
        };
        let retry_in = Duration::from_secs(PAUSES[tries.min(PAUSES.len() - 1)]);
        tries += 1;
        let waits = failure.wants_client();
        let lost = Feed::Lost { failure, retry_in };
        if actions.send(Action::Feed(lost)).await.is_err() {
            return;
        }
        tokio::select! {
            // Without a client every retry would fail the same way; choosing one replaces this task.
            () = tokio::time::sleep(retry_in), if !waits => {}
            () = wake.notified() => {}
        }
    }
}
