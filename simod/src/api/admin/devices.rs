//! `/devices`: phones, as administrators see them.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use simo_common::{
    api::{
        access::Rename,
        people::{Device, SilentPhone},
    },
    page::Page,
    text,
    time::{self, DAY_SECONDS},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiError, ApiResult,
    check::{Check, trimmed},
    list::{List, ListParams, answer},
    parameters::{self, Params},
};
use crate::{
    api::{
        auth::{Admin, Viewer},
        body::Json,
        openapi::Problems,
    },
    app::App,
};

/// Characters of a device's name.
const NAME_CHARS: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(silent)).routes(routes!(show, edit, remove))
}

/// Whose devices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EmployeeParam {
    /// Only this employee's, by personnel number.
    employee: Option<String>,
}

/// List devices
///
/// `archived` adds retired ones.
#[utoipa::path(get, path = "/devices", tag = "devices", operation_id = "devices",
    params(ListParams, EmployeeParam),
    responses((status = 200, description = "Newest first", body = Page<Device>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<Uuid>,
    Params(EmployeeParam { employee }): Params<EmployeeParam>,
) -> ApiResult<axum::Json<Page<Device>>> {
    let rows = app.store.devices(viewer.client_no, employee.as_deref(), &listing).await?;
    Ok(answer(rows))
}

/// How long is silent.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SilentParam {
    /// Seconds without contact.
    #[serde(default = "a_week")]
    #[param(minimum = 1, default = 604_800)]
    silent_for: i64,
}

fn a_week() -> i64 {
    7 * DAY_SECONDS
}

/// List phones that would miss the next alarm
///
/// Those without contact for so long (pairing, `PUT /device/channel` and receipts are contact), quarantined ones, those that
/// show no notifications, and people without a device. Blocked and archived people are left out.
#[utoipa::path(get, path = "/devices/silent", tag = "devices", operation_id = "silent_devices",
    params(ListParams, SilentParam),
    responses((status = 200, description = "By employee", body = Page<SilentPhone>), Problems))]
async fn silent(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<(String, Uuid)>,
    Params(SilentParam { silent_for }): Params<SilentParam>,
) -> ApiResult<axum::Json<Page<SilentPhone>>> {
    if silent_for < 1 {
        return Err(ApiError::field(
            "silent_for",
            text!("must be at least 1 second", "нужна хотя бы 1 секунда"),
        ));
    }
    let now = app.store.clock().now();
    let since = now.saturating_sub(silent_for.saturating_mul(time::SECOND));
    let rows = app.store.silent_phones(viewer.client_no, since, &listing).await?;
    Ok(answer(rows))
}

/// Rename a device
#[utoipa::path(patch, path = "/devices/{id}", tag = "devices", operation_id = "edit_device",
    params(("id" = Uuid, Path, description = "The device")), request_body = Rename,
    responses((status = 200, description = "The device", body = Device), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(device): Path<String>,
    Json(mut new): Json<Rename>,
) -> ApiResult<axum::Json<Device>> {
    let id = parameters::id("device", &device)?;
    trimmed(&mut new.name);
    let mut check = Check::default();
    check.name_up_to(NAME_CHARS, "name", &new.name);
    check.done()?;
    let renamed = app.store.rename_device(admin.client_no, id, &new.name).await?;
    Ok(axum::Json(renamed))
}

/// Show a device
#[utoipa::path(get, path = "/devices/{id}", tag = "devices", operation_id = "device",
    params(("id" = Uuid, Path, description = "The device")),
    responses((status = 200, description = "The device", body = Device), Problems))]
async fn show(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(device): Path<String>,
) -> ApiResult<axum::Json<Device>> {
    let id = parameters::id("device", &device)?;
    Ok(axum::Json(app.store.device(viewer.client_no, id).await?))
}

/// Remove a device
///
/// It is retired: its token lets nobody in any more, and nothing is sent to it. Removing it again is no error.
#[utoipa::path(delete, path = "/devices/{id}", tag = "devices", operation_id = "remove_device",
    params(("id" = Uuid, Path, description = "The device")),
    responses((status = 204, description = "Retired"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(device): Path<String>,
) -> ApiResult<StatusCode> {
    let id = parameters::id("device", &device)?;
    app.store.remove_device(admin.client_no, id).await?;
    app.wake.all();
    Ok(StatusCode::NO_CONTENT)
}
