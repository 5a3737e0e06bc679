//! The HTTP API: routers and what is common to all requests.
//!
//! A handler is extractors in, typed result out; the extractor's type says who may call ([`auth`]).

mod admin;
pub mod auth;
mod body;
mod codes;
mod device;
mod edge;
pub mod error;
mod events;
mod guard;
mod headers;
mod history;
mod ingest;
mod limits;
pub mod openapi;
mod parameters;
mod peer;
mod proxy;
mod service;
mod sse;

use std::sync::Arc;

use axum::{Router, middleware};
use simo_common::api::PREFIX;
use tower::util::option_layer;
use utoipa_axum::router::OpenApiRouter;

pub use self::{error::ApiError, peer::Peer};
use crate::app::App;

/// What handlers return.
pub type ApiResult<T> = Result<T, ApiError>;

/// All routes. They can be nested under a path of another axum program; without connection info (`Peer`) there, callers
/// are treated as coming over TCP.
pub fn router(app: Arc<App>) -> Router {
    let cors = option_layer(headers::cors(&app.config.cors_origins));
    Router::from(routes())
        .fallback(edge::no_such_route)
        .method_not_allowed_fallback(edge::no_such_method)
        .layer(middleware::from_fn(parameters::refuse_unknown))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(middleware::from_fn(edge::edge))
        .layer(cors)
        .layer(middleware::from_fn_with_state(app.clone(), headers::protect))
        .layer(middleware::from_fn_with_state(app.clone(), proxy::look_behind))
        .with_state(app)
}

/// All routes, each with its description: what is not described is not routed.
fn routes() -> OpenApiRouter<Arc<App>> {
    let versioned = OpenApiRouter::new()
        .merge(ingest::routes())
        .merge(history::routes())
        .merge(events::routes())
        .merge(device::routes())
        .merge(admin::routes())
        .merge(service::versioned())
        .merge(openapi::routes());
    openapi::router().nest(PREFIX, versioned).merge(service::routes())
}
