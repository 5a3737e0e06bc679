//! Messages that simod itself sends to a person's phones.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use http::StatusCode;
use simo_common::{
    api::{
        device::Trial,
        message::{PostedMessage, Recipients},
        problem::Problem,
    },
    lang::{Lang, Text},
    message::Priority,
    text,
    time::{SECOND, from_us},
};
use tokio::time::Instant;

use crate::{
    api::{ApiError, ApiResult, auth::Phone, middleware::Language},
    app::App,
    intake,
    store::{ClientNo, Draft, Expiry, Incoming, Poster},
};

/// How long a pairing waits until its notice is on disk.
const SOON: Duration = Duration::from_secs(10);

/// Seconds for which a trial may arrive.
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
    app.trials.take(phone.device_no, now).map_err(too_soon)?;
    let personnel_no = app.store.own_device(&phone).await?.employee.personnel_no;
    let notice = Notice {
        title: text!("Trial message", "Проверка связи"),
        text: text!(
            "You asked for it yourself: this phone rings.",
            "Отправлено по вашей просьбе: этот телефон звонит."
        ),
        priority: Priority::High,
        expiry: Expiry::Ttl(TRIAL_TTL),
    };
    let posted = notice.post(&app, phone.client_no, &personnel_no, lang).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Trial { message_id: posted.id, sent_at: from_us(now) })))
}

fn too_soon(wait: i64) -> ApiError {
    let seconds = (wait / SECOND + 1) as u32;
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        text!("a trial was sent just now", "проверка уже отправлена"),
    )
    .after(seconds)
    .hint(text!("try again in {seconds} s", "повторите через {seconds} с"))
}

struct Notice {
    title: Text,
    text: Text,
    priority: Priority,
    expiry: Expiry,
}

impl Notice {
    async fn post(
        self,
        app: &App,
        client_no: ClientNo,
        personnel_no: &str,
        lang: Lang,
    ) -> ApiResult<PostedMessage> {
        let draft = Draft {
            title: self.title.get(lang).to_owned(),
            body: self.text.get(lang).to_owned(),
            topic: None,
            priority: Some(self.priority),
            recipients: Some(Recipients {
                employees: vec![personnel_no.to_owned()],
                ..Recipients::default()
            }),
            data: None,
            send_at: None,
            expiry: self.expiry,
            require_ack: false,
            external_id: None,
            allow_empty: false,
            fitted: Vec::new(),
            fingerprint: None,
        };
        let incoming = Incoming {
            poster: Poster::Operator { client_no, operator_no: None },
            from: None,
            draft,
            idempotency_key: None,
            dry_run: false,
            budget: None,
            memory: None,
        };
        let entered = intake::enter(app, incoming, Instant::now() + SOON).await;
        entered.await.map_err(ApiError::from)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
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
}
