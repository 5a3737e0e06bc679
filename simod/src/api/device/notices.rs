//! Messages that simod itself sends to a person's phones.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use http::StatusCode;
use simo_common::{
    api::{
        device::Trial,
        message::{PostMessage, PostedMessage, Recipients},
        problem::Problem,
    },
    lang::Lang,
    message::Priority,
    text,
    time::from_us,
};
use tokio::time::Instant;

use crate::{
    api::{ApiResult, auth::Phone, guard, ingest::validate, middleware::Language},
    app::App,
    intake,
    store::{ClientNo, Incoming, PairedDevice, Poster},
};

/// How long to wait until the message is on disk.
const SOON: Duration = Duration::from_secs(10);

/// Seconds that a trial stays valid.
const TRIAL_TTL: i64 = 120;

/// Send oneself a trial message
///
/// By the usual way, to all phones of the person; once in 30 seconds.
#[utoipa::path(
    post,
    path = "/device/test",
    tag = "device",
    operation_id = "send_trial",
    responses(
        (status = 202, description = "On its way", body = Trial),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 429, description = "Less than 30 seconds ago; see Retry-After", body = Problem),
    )
)]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Language(lang): Language,
) -> ApiResult<(StatusCode, axum::Json<Trial>)> {
    let now = app.clock().now();
    let too_soon =
        |wait| guard::too_soon(text!("a trial was sent just now", "проверка уже отправлена"), wait);
    app.trials.take(phone.device_no, now).map_err(too_soon)?;
    let personnel_no = app.store.own_device(&phone).await?.employee.personnel_no;
    let message = PostMessage {
        title: lang.pick("Trial message", "Проверка связи").to_owned(),
        body: lang
            .pick(
                "You asked for it yourself: this is how a message arrives.",
                "Отправлено по вашей просьбе: так приходит сообщение.",
            )
            .to_owned(),
        priority: Some(Priority::High),
        ttl: Some(TRIAL_TTL),
        ..PostMessage::default()
    };
    let posted = post(&app, phone.client_no, personnel_no, message).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Trial { message_id: posted.id, sent_at: from_us(now) })))
}

/// Tells a person's phones about a new one, so that the person notices if somebody else used the code.
pub(super) async fn new_phone(app: &App, paired: &PairedDevice, name: &str, lang: Lang) {
    let message = PostMessage {
        title: lang.pick(format!("New phone: {name}"), format!("Новый телефон: {name}")),
        body: lang
            .pick(
                "It gets your messages now. If you did not connect it, unpair it under Phones in the app and tell an administrator.",
                "Теперь на него приходят ваши сообщения. Если его подключили не вы, отключите его в приложении («Телефоны») и сообщите администратору.",
            )
            .to_owned(),
        ..PostMessage::default()
    };
    if let Err(error) = post(app, paired.client_no, paired.personnel_no.clone(), message).await {
        let code = error.code;
        tracing::warn!(device_id = %paired.device_id, code, "the person's phones were not told of a new one");
    }
}

async fn post(
    app: &App,
    client_no: ClientNo,
    personnel_no: String,
    mut message: PostMessage,
) -> ApiResult<PostedMessage> {
    message.recipients = Some(Recipients { employees: vec![personnel_no], ..Recipients::default() });
    let incoming = Incoming {
        poster: Poster::Operator { client_no, operator_no: None },
        from: None,
        draft: validate(message, false, false)?,
        idempotency_key: None,
        dry_run: false,
        budget: None,
        memory: None,
    };
    Ok(intake::enter(app, incoming, Instant::now() + SOON).await.await?)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use simo_common::time::SECOND;

    use crate::testing::{Plant, call};

    #[tokio::test]
    async fn a_phone_tries_itself_once_in_thirty_seconds() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, None).await;
        let app = plant.app();
        let trial = async || call(&app, Method::POST, "/device/test", Some(&phone.token), None).await;
        let (status, sent) = trial().await;
        assert_eq!(status, 202, "{sent}");
        let (status, refused) = trial().await;
        assert_eq!((status.as_u16(), &refused["code"]), (429, &json!("rate_limited")));
        plant.advance(30 * SECOND);
        assert_eq!(trial().await.0, 202);
        assert_eq!(plant.open_pushes(phone.caller.device_no).await, Some(2));
    }

    #[tokio::test]
    async fn other_phones_are_told_of_a_new_one_and_a_first_one_is_not() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let app = plant.app();
        let pair = async || {
            let pair = json!({"code": plant.invite(employee).await, "channel": {"kind": "stream"}, "name": "Мой",
                "platform": "web-android"});
            let (status, _) = call(&app, Method::POST, "/device/pair", None, Some(pair)).await;
            assert_eq!(status, 200);
            plant.texts("select title from message").await
        };
        assert_eq!(pair().await, Vec::<String>::new());
        assert_eq!(pair().await, ["New phone: Мой"]);
    }
}
