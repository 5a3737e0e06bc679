//! The resources that operators administer: one file each.

mod acs;
mod audit;
mod check;
mod clients;
mod clock;
mod devices;
mod employees;
mod grants;
mod groups;
mod invites;
mod list;
mod login;
mod operators;
mod sessions;
mod site;
mod tokens;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::{ApiError, ApiResult, parameters};
use crate::app::App;

/// All resources.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(clients::routes())
        .merge(acs::routes())
        .merge(operators::routes())
        .merge(login::routes())
        .merge(sessions::routes())
        .merge(tokens::routes())
        .merge(employees::routes())
        .merge(groups::routes())
        .merge(topics::routes())
        .merge(grants::routes())
        .merge(devices::routes())
        .merge(invites::routes())
        .merge(audit::routes())
        .merge(clock::routes())
        .merge(site::routes())
}

/// The answer to a creation: status and object.
type Created<T> = (http::StatusCode, axum::Json<T>);

fn created<T>(what: T) -> Created<T> {
    (http::StatusCode::CREATED, axum::Json(what))
}
