//! Receipts from phones.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request, State};
use simo_common::{
    api::{
        device::{Receipt, ReceiptsAnswer, RefusedReceipt},
        problem::Problem,
    },
    lang::Text,
    text,
};

use super::pairing::{NAME_CHARS, text_field};
use crate::{
    api::{
        ApiError, ApiResult,
        auth::Phone,
        body::{self, Effort},
        due::Due,
        middleware,
    },
    app::App,
    store::Reported,
};

/// Receipts in one request.
const MOST: usize = 1000;

/// Send receipts
///
/// Repeats change nothing, so that a phone sends again whatever it is not sure of. A receipt that cannot be read does not
/// spoil the others: they are stored, and it is named in `refused`.
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
        (status = 422, description = "None of the receipts can be read, or there are more than 1000", body = Problem),
        (status = 503, description = "Not stored in time, or it is not known (`outcome_unknown`); send them again",
            body = Problem),
    )
)]
pub(super) async fn post_receipts(
    State(app): State<Arc<App>>,
    request: Request,
) -> ApiResult<axum::Json<ReceiptsAnswer>> {
    let lang = middleware::language(request.headers());
    let (mut parts, request_body) = request.into_parts();
    let mut due = Due::of(&parts.extensions);
    let Phone(phone) = due.hold(Phone::from_request_parts(&mut parts, &app)).await??;
    let bytes = body::read(&app, Request::from_parts(parts, request_body), &mut due).await?;
    let (receipts, refused) = match body::plain::<Vec<Receipt>>(&bytes)
        .filter(|all| all.len() <= MOST && all.iter().all(|one| wrong_name(one).is_none()))
    {
        Some(receipts) => (receipts, Vec::new()),
        None => due.hold(app.bodies.aside(move || read(&bytes))).await???,
    };
    if receipts.is_empty() && !refused.is_empty() {
        return Err(all_refused(refused));
    }
    let refused = refused
        .iter()
        .map(|(index, error)| RefusedReceipt { index: *index, errors: error.problem(lang).errors })
        .collect();
    let recorded = app.receipts.submit_by(Reported { phone, receipts }, due.at()).await??;
    Ok(axum::Json(ReceiptsAnswer { refused, ..recorded.answer }))
}

/// Unreadable receipts: their positions and errors.
type Refused = Vec<(usize, ApiError)>;

/// Reads each receipt by itself.
fn read(bytes: &[u8]) -> ApiResult<(Vec<Receipt>, Refused)> {
    let Some(parts) = body::list(bytes, MOST)? else {
        return Err(ApiError::field(
            body::WHOLE,
            text!(
                "at most {MOST} receipts; send the rest in another request",
                "не больше {MOST} квитанций; остальные пришлите следующим запросом"
            ),
        ));
    };
    let mut receipts = Vec::with_capacity(parts.len());
    let mut refused = Vec::new();
    let mut effort = Effort::default();
    for (place, part) in parts.iter().enumerate() {
        match body::parse_with(part.get().as_bytes(), &mut effort) {
            Ok(receipt) => match wrong_name(&receipt) {
                Some(wrong) => refused.push((place, ApiError::invalid(vec![wrong]))),
                None => receipts.push(receipt),
            },
            Err(error) => refused.push((place, error)),
        }
    }
    Ok((receipts, refused))
}

/// The error in the name of the person who acknowledged.
fn wrong_name(receipt: &Receipt) -> Option<(String, Text)> {
    let mut errors = Vec::new();
    if let Some(by) = &receipt.by {
        text_field("by", by, NAME_CHARS, &mut errors);
    }
    errors.pop()
}

/// Fields that one answer names.
const NAMED: usize = 100;

/// The error when nothing is stored: that of an invalid request.
fn all_refused(refused: Vec<(usize, ApiError)>) -> ApiError {
    let errors: Vec<(String, Text)> = refused
        .into_iter()
        .flat_map(|(place, error)| {
            error.errors.into_iter().map(move |(field, text)| {
                let inner = field.strip_prefix(body::WHOLE);
                let field = inner.map_or_else(|| format!("[{place}].{field}"), |_| format!("[{place}]"));
                (field, text)
            })
        })
        .take(NAMED)
        .collect();
    ApiError::invalid(errors)
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
        let mine = plant.message("mine", &[me]).await.id;
        let foreign = plant.message("foreign", &[other]).await.id;
        let phone = plant.phone(me, None).await;
        let app = plant.app();
        let one = |id: Uuid| json!({"message_id": id, "kind": "read", "at": "2026-11-21T10:00:00+03:00"});
        let receipts = json!([one(mine), one(foreign), one(mine)]);
        for _ in 0..2 {
            let (status, answer) =
                call(&app, Method::POST, "/device/receipts", Some(&phone.token), Some(receipts.clone()))
                    .await;
            assert_eq!(status, 200);
            assert_eq!(answer, json!({"stored": 2, "unknown": [foreign]}));
        }
        assert_eq!(
            plant.texts("select cast(phone_read_at as text) from delivery where read_at is not null").await,
            ["1795244400000000"]
        );
        assert_eq!(plant.number("select count(*) from event").await, Some(1));
    }

    #[tokio::test]
    async fn a_receipt_that_cannot_be_read_costs_none_of_the_others() {
        let plant = Plant::new().await;
        let me = plant.employee(1).await;
        let mine = plant.message("mine", &[me]).await.id;
        let phone = plant.phone(me, None).await;
        let app = plant.app();
        let receipts = json!([
            {"message_id": mine, "kind": "read"},
            {"message_id": mine, "kind": "delivered", "at": "2026-11-21T10:00:00Z"},
            {"message_id": "x", "kind": "eaten", "at": "9999-12-31T23:59:59Z"},
        ]);
        let token = Some(phone.token.as_str());
        let (status, answer) = call(&app, Method::POST, "/device/receipts", token, Some(receipts)).await;
        assert_eq!((status.as_u16(), &answer["stored"]), (200, &json!(1)), "{answer}");
        let fields = |place: usize| -> Vec<&str> {
            let errors = answer["refused"][place]["errors"].as_array().unwrap();
            errors.iter().filter_map(|error| error["field"].as_str()).collect()
        };
        assert_eq!((&answer["refused"][0]["index"], fields(0)), (&json!(0), vec!["at"]));
        assert_eq!(answer["refused"][1]["index"], json!(2));
        assert_eq!(fields(1).len(), 3);
        assert_eq!(
            plant.number("select count(*) from delivery where delivered_at is not null").await,
            Some(1)
        );
    }

    #[tokio::test]
    async fn too_many_or_malformed_receipts_are_refused_by_name() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, None).await;
        let app = plant.app();
        let good = json!({"message_id": Uuid::max(), "kind": "read", "at": "2026-11-21T10:00:00Z"});
        let bad = json!([{"message_id": Uuid::max(), "kind": "eaten", "at": "2026-11-21T10:00:00Z"}, 5]);
        for (body, field) in [
            (json!(vec![good; 1001]), "(request)"),
            (json!({"a": 1}), "(request)"),
            (bad, "[0].kind"),
            (json!([{"message_id": Uuid::max(), "kind": "read"}]), "[0].at"),
        ] {
            let (status, problem) =
                call(&app, Method::POST, "/device/receipts", Some(&phone.token), Some(body)).await;
            assert_eq!(
                (status.as_u16(), problem["errors"][0]["field"].as_str()),
                (422, Some(field)),
                "{problem}"
            );
        }
        let long = json!("x".repeat(300_000));
        let (status, _) = call(&app, Method::POST, "/device/receipts", Some(&phone.token), Some(long)).await;
        assert_eq!(status, 413);
    }
}
