//! The phones' API. `docs/phone-protocol.md` is the contract.

mod inbox;
mod notices;
mod own;
mod pairing;
mod receipts;
mod stream;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Bytes of any request's body.
const REQUEST_BYTES: usize = 256 * 1024;

/// Routes inside the versioned API.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pairing::preview))
        .routes(routes!(pairing::pair))
        .routes(routes!(own::show, pairing::leave))
        .routes(routes!(own::devices))
        .routes(routes!(own::unpair))
        .routes(routes!(notices::test))
        .routes(routes!(pairing::change_channel))
        .routes(routes!(inbox::messages))
        .routes(routes!(inbox::message))
        .routes(routes!(receipts::post_receipts))
        .routes(routes!(stream::stream))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
}
