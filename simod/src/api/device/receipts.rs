//! What the phone reports back.

use std::sync::Arc;

use axum::extract::State;
use simo_common::{
    api::{
        device::{Receipt, ReceiptsAnswer},
        problem::Problem,
    },
    text,
};

use crate::{
    api::{ApiError, ApiResult, auth::Phone, body::Json},
    app::App,
    store::Reported,
};

/// Receipts in one request.
const MOST: usize = 1000;

/// Send receipts
///
/// Repeats change nothing, so that a phone sends again whatever it is not sure of.
#[utoipa::path(
    post,
    path = "/device/receipts",
    tag = "device",
    operation_id = "send_receipts",
    request_body = Vec<Receipt>,
    responses(
        (status = 200, description = "Stored and synced to disk", body = ReceiptsAnswer),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 413, description = "More than 256 KiB", body = Problem),
        (status = 422, description = "A field is not valid, or there are more than 1000 receipts", body = Problem),
    )
)]
pub(super) async fn post_receipts(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Json(receipts): Json<Vec<Receipt>>,
) -> ApiResult<axum::Json<ReceiptsAnswer>> {
    if receipts.len() > MOST {
        return Err(ApiError::field(
            "body",
            text!(
                "at most {MOST} receipts; send the rest in another request",
                "не больше {MOST} квитанций; остальные пришлите следующим запросом"
            ),
        ));
    }
    match app.receipts.submit(Reported { phone, receipts }).await {
        Ok(recorded) => Ok(axum::Json(recorded?.answer)),
        Err(_stopped) => Err(ApiError::unavailable()),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use uuid::Uuid;

    use crate::testing::{Plant, call};

    #[tokio::test]
    async fn receipts_are_stored_once_and_strangers_messages_are_named() {
        let plant = Plant::new().await;
        let (me, other) = (plant.employee(1).await, plant.employee(2).await);
        let mine = plant.message("mine", &[me]).await;
        let foreign = plant.message("foreign", &[other]).await;
        let phone = plant.phone(me, None).await;
        let app = plant.app();
        let one = |id: Uuid| json!({"message_id": id, "kind": "read", "at": "2026-11-21T10:00:00+03:00"});
        let receipts = json!([one(mine), one(foreign), one(mine)]);
        for _ in 0..2 {
            let (status, answer) = call(
                &app,
                Method::POST,
                "/device/receipts",
                Some(&phone.token),
                Some(receipts.clone()),
            )
            .await;
            assert_eq!(status, 200);
            assert_eq!(answer, json!({"stored": 2, "unknown": [foreign]}));
        }
        assert_eq!(
            plant
                .texts("select cast(phone_read_at as text) from delivery where read_at is not null")
                .await,
            ["1795244400000000"]
        );
        assert_eq!(plant.number("select count(*) from event").await, Some(1));
    }

    #[tokio::test]
    async fn too_many_or_malformed_receipts_are_refused_by_name() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, None).await;
        let app = plant.app();
        let good = json!({"message_id": Uuid::max(), "kind": "read", "at": "2026-11-21T10:00:00Z"});
        let bad = json!([good, {"message_id": Uuid::max(), "kind": "eaten", "at": "2026-11-21T10:00:00Z"}]);
        for (body, field) in [(json!(vec![good; 1001]), "body"), (bad, "[1].kind")] {
            let (status, problem) = call(
                &app,
                Method::POST,
                "/device/receipts",
                Some(&phone.token),
                Some(body),
            )
            .await;
            assert_eq!(
                (status.as_u16(), problem["errors"][0]["field"].as_str()),
                (422, Some(field)),
                "{problem}"
            );
        }
        let long = json!("x".repeat(300_000));
        let (status, _) = call(
            &app,
            Method::POST,
            "/device/receipts",
            Some(&phone.token),
            Some(long),
        )
        .await;
        assert_eq!(status, 413);
    }
}
