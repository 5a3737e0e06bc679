//! `/clock`: how the clock was set, and whether it is believed.

use std::sync::Arc;

use axum::extract::State;
use simo_common::api::clock::ClockState;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::ApiResult;
use crate::{
    api::{auth::Owner, openapi::Problems},
    app::App,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(accept))
}

/// Show the clock
///
/// What time it is, how the clock was set, and whether a jump ahead is not believed yet: until then nothing expires or is
/// forgotten by it.
#[utoipa::path(get, path = "/clock", tag = "service", operation_id = "clock",
    responses((status = 200, description = "How it is", body = ClockState), Problems))]
async fn show(_: Owner, State(app): State<Arc<App>>) -> ApiResult<axum::Json<ClockState>> {
    Ok(axum::Json(app.store.clock_state().await?))
}

/// Accept the clock
///
/// The clock is right: what has expired by it is given up now, not only 15 minutes after it was set ahead.
#[utoipa::path(post, path = "/clock/accept", tag = "service", operation_id = "accept_clock",
    responses((status = 200, description = "How it is now", body = ClockState), Problems))]
async fn accept(_: Owner, State(app): State<Arc<App>>) -> ApiResult<axum::Json<ClockState>> {
    Ok(axum::Json(app.store.accept_clock().await?))
}
