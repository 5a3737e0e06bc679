//! The stream: how messages reach phones without a push provider.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use futures_util::{StreamExt as _, stream::once};
use simo_common::{
    api::{device::DeviceMessage, problem::Problem},
    text,
};

use crate::{
    api::{
        ApiError, ApiResult,
        auth::{OwnToken, Phone},
        sse,
    },
    app::App,
    store::{Reported, StreamPhone},
};

/// Receive messages
///
/// Everything without a receipt, then live, as server-sent events `message` with the message's id. A second connection of
/// the same device takes the place of the first, which ends with an event `replaced`.
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
        (status = 409, description = "The device is reached over another channel", body = Problem),
    )
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    OwnToken(token_hash): OwnToken,
) -> ApiResult<Response> {
    if phone.channel != "stream" {
        let channel = phone.channel;
        return Err(ApiError::conflict(text!(
            "this device's channel is `{channel}`",
            "канал этого устройства: `{channel}`"
        ))
        .hint(text!(
            "PUT /device/channel with kind `stream` first",
            "сначала PUT /device/channel с kind `stream`"
        )));
    }
    let token_hash = token_hash.unwrap_or_default();
    let connection = app.streams.open(StreamPhone {
        client_no: phone.client_no,
        employee_no: phone.employee_no,
        device_no: phone.device_no,
        device_id: phone.device_id,
        token_hash,
    });
    sign_of_life(&app, phone);
    let fate = connection.fate();
    // Its data is not empty, because browsers pass over events without any.
    let farewell = async move { fate.is_replaced().then(|| Event::default().event("replaced").data("{}")) };
    let events = connection
        .map(|message| {
            let event = Event::default().event("message").id(message.id.to_string());
            // A message is plain data, whose serialisation cannot fail.
            event.json_data(&message).unwrap_or_default()
        })
        .chain(once(farewell).filter_map(std::future::ready))
        .take_until(app.shutdown.clone().cancelled_owned());
    Ok(sse::respond(events))
}

/// Notes that the phone was in contact; nobody waits for it.
fn sign_of_life(app: &App, phone: crate::store::DeviceCaller) {
    let receipts = app.receipts.clone();
    tokio::spawn(async move {
        let reported = Reported { phone, receipts: Vec::new() };
        // A contact that is not written down costs nothing: the next one is.
        let _unwritten = receipts.submit(reported).await;
    });
}

#[cfg(test)]
mod tests {
    use http::Method;

    use crate::testing::{Events, Plant, call};

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
    async fn a_phone_that_fcm_reaches_is_told_to_change_its_channel_first() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, Some("a")).await;
        let app = plant.app();
        let (status, problem) = call(&app, Method::GET, "/device/stream", Some(&phone.token), None).await;
        assert_eq!(status, 409, "{problem}");
        assert!(problem["hint"].as_str().unwrap().contains("/device/channel"));
    }
}
