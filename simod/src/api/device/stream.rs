//! The stream: how messages reach phones without a push provider.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use futures_util::{StreamExt as _, stream::once};
use simo_common::api::{device::DeviceMessage, problem::Problem};

use crate::{
    api::{
        ApiResult,
        auth::{OwnToken, Phone},
        sse,
    },
    app::App,
    store::{Reported, StreamPhone},
    streams::StreamEvent,
};

/// Receive messages
///
/// Everything without a receipt, then live, as server-sent events `message` with the message's id. A device that is reached
/// over another channel is shown what nobody has confirmed, and gets its pushes all the same. A second connection of the same
/// device takes the place of the first, which ends with an event `replaced`.
#[utoipa::path(
    get,
    path = "/device/stream",
    tag = "device",
    operation_id = "own_stream",
    responses(
        (status = 200, description = "Events `message`; each one's data is this. A last event `replaced` with the data `{}` says that \
            another connection of the same device took its place", body = DeviceMessage,
            content_type = "text/event-stream"),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
    )
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    OwnToken(token_hash): OwnToken,
) -> ApiResult<Response> {
    let token_hash = token_hash.unwrap_or_default();
    let connection = app.streams.open(StreamPhone {
        client_no: phone.client_no,
        employee_no: phone.employee_no,
        device_no: phone.device_no,
        device_id: phone.device_id,
        is_pushed_to: !phone.channel.is_pulled(),
        token_hash,
    });
    // Connecting does not prove that pushes arrive: a dead address stays in quarantine.
    if phone.channel.is_pulled() {
        sign_of_life(&app, phone);
    }
    let fate = connection.fate();
    // With data, because browsers ignore events without any.
    let farewell = async move { fate.is_replaced().then(|| Event::default().event("replaced").data("{}")) };
    let events = connection
        .map(|event| {
            // Both are plain data, which always serialises.
            match event {
                StreamEvent::Message(message) => {
                    let line = Event::default().event("message").id(message.id.to_string());
                    line.json_data(&*message).unwrap_or_default()
                }
                StreamEvent::State(state) => {
                    Event::default().event("state").json_data(state).unwrap_or_default()
                }
            }
        })
        .chain(once(farewell).filter_map(std::future::ready))
        .take_until(app.shutdown.clone().cancelled_owned());
    Ok(sse::respond(events))
}

/// Records that the phone was in contact, without waiting for the result.
fn sign_of_life(app: &App, phone: crate::store::DeviceCaller) {
    let receipts = app.receipts.clone();
    tokio::spawn(async move {
        let reported = Reported { phone, receipts: Vec::new() };
        // A lost contact does no harm: the next one is recorded.
        let _unwritten = receipts.submit(reported).await;
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use serde_json::json;

    use crate::{
        channel::ChannelKind,
        testing::{Events, Plant, call},
    };

    #[tokio::test]
    async fn a_phone_reads_its_messages_from_the_stream_until_the_shutdown() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let phone = plant.phone(employee, None).await;
        let app = plant.app();
        let id = plant.message("Давление\nпадает", &[employee]).await.id;
        let mut events = Events::open(&app, "/device/stream", &phone.token, None).await;
        let received = events.next().await.unwrap();
        assert_eq!((received.event.as_str(), received.id), ("message", id.to_string()));
        assert_eq!(received.data["title"], "Давление\nпадает");
        app.shutdown.cancel();
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn a_phone_that_is_pushed_to_is_shown_what_nobody_has_confirmed_and_is_pushed_to_all_the_same() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let phone = plant.phone(employee, Some("a")).await;
        let app = plant.app();
        let id = plant.message("Давление", &[employee]).await.id;
        let mut events = Events::open(&app, "/device/stream", &phone.token, None).await;
        let received = events.next().await.unwrap();
        assert_eq!((received.event.as_str(), received.id), ("message", id.to_string()));
        assert_eq!(plant.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 1, "its push is there");
        let claimed = plant.store.claim(ChannelKind::Fcm, 10, Duration::from_mins(1)).await.unwrap();
        assert_eq!(claimed.pushes.len(), 1, "and goes out");
        let receipt = json!([{"message_id": id, "kind": "read", "at": "2026-11-21T10:00:00Z"}]);
        let (status, _) =
            call(&app, Method::POST, "/device/receipts", Some(&phone.token), Some(receipt)).await;
        assert_eq!(status, 200);
        assert_eq!(plant.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 0, "a receipt closes it");
        let mut again = Events::open(&app, "/device/stream", &phone.token, None).await;
        app.shutdown.cancel();
        assert_eq!(again.next().await, None, "what is confirmed is not shown again");
    }
}
