//! What a phone asks about itself and the person's other phones.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::{
        device::{OwnDevice, PersonsDevices, WebPushKey},
        problem::Problem,
    },
    time::from_us,
};

use crate::{
    api::{ApiResult, auth::Phone, parameters},
    app::App,
};

/// Show this phone
///
/// What the server knows of it: an app compares that with what the browser says.
#[utoipa::path(
    get,
    path = "/device",
    tag = "device",
    operation_id = "own_device",
    responses(
        (status = 200, description = "The phone", body = OwnDevice),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
) -> ApiResult<axum::Json<OwnDevice>> {
    let own = app.store.own_device(&phone).await?;
    Ok(axum::Json(OwnDevice {
        id: phone.device_id,
        name: own.name,
        platform: own.platform,
        paired_at: from_us(own.paired_at),
        employee: own.employee,
        channel: own.channel,
        webpush: app.vapid_key().map(|key| WebPushKey { key }),
    }))
}

/// List the person's phones
#[utoipa::path(
    get,
    path = "/device/devices",
    tag = "device",
    operation_id = "persons_devices",
    responses(
        (status = 200, description = "Those in use, the newest first", body = PersonsDevices),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
    )
)]
pub(super) async fn devices(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
) -> ApiResult<axum::Json<PersonsDevices>> {
    let items = app.store.persons_devices(&phone).await?;
    Ok(axum::Json(PersonsDevices { items }))
}

/// Unpair another phone of the person
///
/// Its token is dead, and nothing is sent to it any more.
#[utoipa::path(
    delete,
    path = "/device/devices/{id}",
    tag = "device",
    operation_id = "unpair",
    params(("id" = Uuid, Path, description = "The phone")),
    responses(
        (status = 204, description = "It is no device of the employee any more"),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 404, description = "The person has no such phone", body = Problem),
    )
)]
pub(super) async fn unpair(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.unpair(&phone, parameters::id("device", &id)?).await?;
    app.wake.all();
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use crate::testing::{Plant, call};

    #[tokio::test]
    async fn a_person_sees_all_own_phones_and_unpairs_one() {
        let plant = Plant::new().await;
        let (me, other) = (plant.employee(1).await, plant.employee(2).await);
        let (phone, lost) = (plant.phone(me, None).await, plant.phone(me, Some("a")).await);
        let foreign = plant.phone(other, None).await;
        let app = plant.app();
        let token = Some(phone.token.as_str());
        let (status, own) = call(&app, Method::GET, "/device", token, None).await;
        assert_eq!(status, 200, "{own}");
        assert_eq!(own["employee"]["client"], "Завод");
        assert_eq!(
            own["channel"],
            json!({"kind": "stream", "endpoint": null, "quarantined": false, "notifications": null})
        );
        let (_, listed) = call(&app, Method::GET, "/device/devices", token, None).await;
        let listed: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|phone| phone["this"] == true).collect();
        assert_eq!(listed, [false, true]);
        let unpair = async |id: uuid::Uuid| {
            call(&app, Method::DELETE, &format!("/device/devices/{id}"), token, None).await.0.as_u16()
        };
        assert_eq!(unpair(foreign.caller.device_id).await, 404);
        assert_eq!(unpair(lost.caller.device_id).await, 204);
        assert_eq!(unpair(lost.caller.device_id).await, 404);
        let (status, _) = call(&app, Method::GET, "/device", Some(&lost.token), None).await;
        assert_eq!(status, 401);
        assert_eq!(plant.texts("select action from audit where action = 'device.unpair'").await.len(), 1);
    }
}
