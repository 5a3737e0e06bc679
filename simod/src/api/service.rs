//! What the daemon says of itself: alive, ready, metrics; and who the caller is.

use std::sync::Arc;

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::StatusCode;
use simo_common::api::service::{Readiness, WhoAmI};

use super::{ApiResult, auth::Caller};
use crate::app::App;

/// Outside the versioned API.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

/// Inside the versioned API.
pub(super) fn versioned() -> Router<Arc<App>> {
    Router::new().route("/whoami", get(whoami))
}

async fn healthz() -> &'static str {
    "ok"
}

async fn readyz(State(app): State<Arc<App>>) -> impl IntoResponse {
    let reason = if app.shutdown.is_cancelled() {
        Some("shutting down".to_owned())
    } else {
        app.store.is_healthy().await.err().map(|error| error.to_string())
    };
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let channels = app.channels.borrow().clone();
    (
        status,
        axum::Json(Readiness {
            ready: reason.is_none(),
            reason,
            channels,
        }),
    )
}

async fn whoami(caller: Caller) -> ApiResult<axum::Json<WhoAmI>> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(axum::Json(match caller {
        Caller::Acs(acs) => WhoAmI {
            kind: "acs".to_owned(),
            name: acs.name,
            role: None,
            client: Some(acs.client),
            version,
        },
        Caller::Operator(operator) => WhoAmI {
            kind: if operator.operator_id.is_some() {
                "operator"
            } else {
                "local"
            }
            .to_owned(),
            name: operator.name,
            role: Some(operator.role),
            client: operator.client.map(|(_, slug)| slug),
            version,
        },
        Caller::Device(device) => WhoAmI {
            kind: "device".to_owned(),
            name: device.device_id.to_string(),
            role: None,
            client: None,
            version,
        },
    }))
}
