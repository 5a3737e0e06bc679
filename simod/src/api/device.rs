//! What phones call. `docs/phone-protocol.md` is the contract.

mod pairing;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Inside the versioned API.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pairing::pair))
        .routes(routes!(pairing::change_channel))
        .routes(routes!(pairing::leave))
}
