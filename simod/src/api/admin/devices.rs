//! `/devices`: phones, as administrators see them.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use simo_common::{
    api::people::{Device, Invite, NewInvite},
    page::Page,
    text, time,
};
use url::form_urlencoded;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiResult, Created,
    check::Check,
    created,
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

/// Seconds that a pairing code works, and at most.
const INVITE_SECONDS: i64 = 24 * 3_600;
const MOST_INVITE_SECONDS: i64 = 30 * INVITE_SECONDS;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(invite))
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

/// Invite a phone
///
/// Makes a pairing code, which is shown this once, works once, and stops working in time.
#[utoipa::path(post, path = "/devices/invite", tag = "devices", operation_id = "invite_device",
    request_body = NewInvite, responses((status = 201, description = "The code", body = Invite), Problems))]
async fn invite(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(new): Json<NewInvite>,
) -> ApiResult<Created<Invite>> {
    let seconds = new.valid_for.unwrap_or(INVITE_SECONDS);
    if !(1..=MOST_INVITE_SECONDS).contains(&seconds) {
        let mut check = Check::default();
        check.wrong(
            "valid_for",
            text!(
                "must be 1 to {MOST_INVITE_SECONDS} seconds (30 days)",
                "нужно от 1 до {MOST_INVITE_SECONDS} секунд (30 суток)"
            ),
        );
        check.done()?;
    }
    let (code, expires_at) = app.store.invite(admin.client_id, &new.employee, seconds).await?;
    let server = match &app.config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", app.config.listen),
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("server", &server)
        .append_pair("code", &code)
        .finish();
    Ok(created(Invite {
        code,
        personnel_no: new.employee,
        expires_at: time::from_us(expires_at),
        uri: format!("simo://pair?{query}"),
    }))
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
