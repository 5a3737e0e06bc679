//! The HTTP API: routers and what is common to all requests.
//!
//! A handler is extractors in, typed result out; the extractor's type says who may call ([`auth`]).

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

/// What handlers return.
pub type ApiResult<T> = Result<T, ApiError>;

static ROUTES: LazyLock<Router<Arc<App>>> = LazyLock::new(|| Router::from(routes()));

/// Makes the routes, which [`router`] does otherwise. Their description takes some MB meanwhile: what is made afterwards, as the
/// database's connections, has them again.
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
        // All in one: each layer costs a request two to four microseconds, more than most of what they do.
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::all));
    let router = match headers::cors(&app.config.cors_origins) {
        // Its own answers are protected like ours, which are so for the second time.
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
