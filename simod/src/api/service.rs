//! The daemon's status: alive, ready, metrics; and the caller's identity.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    response::IntoResponse,
};
use http::{StatusCode, header};
use simo_common::{
    api::service::{Health, Readiness, WhoAmI},
    people::Role,
    text,
    time::{from_us, whole_seconds},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiResult, Peer,
    auth::{Caller, Keeper},
    middleware::language,
    openapi::Problems,
};
use crate::{app::App, channel::ChannelKind};

/// How long a metrics request waits for the database.
const QUEUES_WITHIN: Duration = Duration::from_secs(2);

/// Routes outside the versioned API.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Routes inside the versioned API.
pub(super) fn versioned() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(whoami)).routes(routes!(health))
}

/// Alive
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz", security(()),
    responses((status = 200, description = "`ok`", body = str, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok"
}

/// Ready
///
/// Whether this instance can store messages: a commit has succeeded within the last ten seconds. The channels' health stands
/// in the body, never in the status.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz", security(()),
    responses((status = 200, description = "It can", body = Readiness),
              (status = 503, description = "It cannot", body = Readiness)))]
async fn readyz(State(app): State<Arc<App>>, request: Request) -> impl IntoResponse {
    let reason = if app.leaving.is_cancelled() {
        Some(text!("shutting down", "останавливается"))
    } else {
        app.health.trouble().map(|trouble| {
            // The database's message may name servers and files, which are not for everybody.
            if Peer::of(request.extensions()).is_owner() {
                trouble.reason.clone()
            } else {
                text!("the database is unavailable", "база данных недоступна")
            }
        })
    };
    let reason = reason.map(|reason| reason.get(language(request.headers())).to_owned());
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let channels = app.channels.borrow().clone();
    let clock = app.store.clock_jump();
    (status, axum::Json(Readiness { ready: reason.is_none(), reason, channels, clock }))
}

/// Metrics
///
/// In Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics", security(()),
    responses((status = 200, description = "The metrics", body = str, content_type = "text/plain"), Problems))]
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    // The queues are counted only on request. Without the database the other metrics are still returned.
    for channel in ChannelKind::ALL {
        let waiting = match tokio::time::timeout(QUEUES_WITHIN, app.store.waiting_pushes(channel)).await {
            Ok(Ok(waiting)) => waiting as f64,
            _ => f64::NAN,
        };
        app.metrics.queue(channel.as_str()).set(waiting);
    }
    let ahead = app.clock().rest().map_or(0, |rest| rest.ahead);
    app.metrics.clock_ahead.set(whole_seconds(ahead) as f64);
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, app.metrics.render())
}

/// Who am I
#[utoipa::path(get, path = "/whoami", tag = "service", operation_id = "whoami",
    responses((status = 200, description = "Who the caller is", body = WhoAmI), Problems))]
async fn whoami(State(app): State<Arc<App>>, caller: Caller) -> ApiResult<axum::Json<WhoAmI>> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let server = app.config.found_at();
    Ok(axum::Json(match caller {
        Caller::Acs(acs) => WhoAmI {
            kind: "acs".to_owned(),
            name: acs.name,
            role: None,
            client: Some(acs.client),
            version,
            server,
        },
        Caller::Operator(operator) => WhoAmI {
            kind: if operator.operator_no.is_some() { "operator" } else { "local" }.to_owned(),
            name: operator.name,
            role: Some(operator.role),
            client: operator.client.map(|(_, slug)| slug),
            version,
            server,
        },
        Caller::Device(device) => WhoAmI {
            kind: "device".to_owned(),
            name: device.device_id.to_string(),
            role: None,
            client: Some(device.client),
            version,
            server,
        },
    }))
}

/// Health
///
/// What an administrator is to be warned of beyond readiness; `simoctl doctor` judges it.
#[utoipa::path(get, path = "/health", tag = "service", operation_id = "health",
    params(("client" = Option<String>, Query, description = "Owners: of one client only")),
    responses((status = 200, description = "How things are", body = Health), Problems))]
async fn health(State(app): State<Arc<App>>, keeper: Keeper) -> ApiResult<axum::Json<Health>> {
    let reach = app.store.reach(keeper.client.as_ref().map(|(client_no, _)| *client_no)).await?;
    let is_owner = keeper.operator.role == Role::Owner;
    let origin = if is_owner { app.store.web_origin().await? } else { None };
    Ok(axum::Json(Health {
        now: from_us(app.clock().now()),
        people: reach.people,
        without_phone: reach.without_phone,
        phones: reach.phones,
        certificate_expires_at: app.tls.as_ref().map(|tls| tls.expires_at()),
        disk: if is_owner { app.store.disk().await? } else { None },
        unprotected: if is_owner { app.store.unprotected().await? } else { Vec::new() },
        left_behind: origin.map_or(0, |origin| origin.left_behind),
    }))
}
