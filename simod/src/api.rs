//! The HTTP API: routers, and handling common to all requests.
//!
//! A handler takes extractors and returns a typed result; the extractor's type states which callers are let in ([`auth`]).

mod admin;
pub mod auth;
mod body;
mod codes;
mod device;
mod due;
pub mod error;
mod events;
mod guard;
mod headers;
mod history;
mod ingest;
mod limits;
mod middleware;
pub mod openapi;
mod own_ca;
mod parameters;
mod peer;
mod proxy;
mod service;
mod sse;
mod web_app;

use std::sync::{Arc, LazyLock};

use axum::{Router, extract::State, response::Response};
use simo_common::api::PREFIX;
use utoipa_axum::router::OpenApiRouter;

pub use self::{error::ApiError, peer::Peer};
use crate::app::App;

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

static ROUTES: LazyLock<Router<Arc<App>>> = LazyLock::new(|| Router::from(routes()));

/// Builds the routes early; otherwise [`router`] does. Describing them takes some MB for a moment, which later
/// allocations, such as the database's connections, reuse.
pub fn prepare() {
    LazyLock::force(&ROUTES);
}

/// All routes. They can be nested under a path of another axum program; without connection info (`Peer`) there, callers
/// are treated as coming over TCP.
pub fn router(app: Arc<App>) -> Router {
    let router = ROUTES.clone()
        .merge(web_app::routes())
        .merge(own_ca::routes())
        .fallback(middleware::no_such_route)
        .method_not_allowed_fallback(middleware::no_such_method)
        // One layer for everything: each costs a request two to four microseconds, more than most of them do.
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::all));
    let router = match headers::cors(&app.config.cors_origins) {
        // Answers that the CORS layer gives itself need these headers too; setting them twice on ours is harmless.
        Some(cors) => router.layer(cors).layer(axum::middleware::map_response_with_state(
            app.clone(),
            async |State(app): State<Arc<App>>, mut response: Response| {
                headers::protect(&app, response.headers_mut());
                response
            },
        )),
        None => router,
    };
    router.with_state(app)
}

/// All routes with their descriptions: a route without a description is not routed.
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
