//! `/devices`: phones, as administrators see them.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use simo_common::{api::people::Device, page::Page};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiResult,
    list::{List, ListParams, answer},
    parameters::{self, Params},
};
use crate::{
    api::{
        auth::{Admin, Viewer},
        openapi::Problems,
    },
    app::App,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, remove))
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
    let rows = app
        .store
        .devices(viewer.client_id, employee.as_deref(), &listing)
        .await?;
    Ok(answer(rows))
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
    Ok(axum::Json(app.store.device(viewer.client_id, id).await?))
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
    app.store.remove_device(admin.client_id, id).await?;
    app.wake.all();
    Ok(StatusCode::NO_CONTENT)
}
