//! `/acs`: the systems that post messages.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{Acs, EditAcs, Named},
    message::OPERATOR,
    page::Page,
    text,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiResult, Created,
    check::Check,
    created,
    list::{List, ListParams, answer},
};
use crate::{
    api::{
        auth::{Admin, Viewer},
        body::Json,
        openapi::Problems,
    },
    app::App,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, edit, remove))
}

/// List ACS
#[utoipa::path(get, path = "/acs", tag = "acs", operation_id = "acs_list", params(ListParams),
    responses((status = 200, description = "Sorted by name", body = Page<Acs>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Acs>>> {
    Ok(answer(app.store.acs_list(viewer.client_no, &listing).await?))
}

/// Add an ACS
///
/// One that is archived comes back, without the tokens that it had.
#[utoipa::path(post, path = "/acs", tag = "acs", operation_id = "add_acs", request_body = Named,
    responses((status = 201, description = "Made", body = Acs), Problems))]
async fn add(admin: Admin, State(app): State<Arc<App>>, Json(new): Json<Named>) -> ApiResult<Created<Acs>> {
    let mut check = Check::default();
    acs_name(&mut check, "slug", &new.slug);
    if new.name.is_some() {
        check.wrong("name", text!("an ACS has no other name", "у АСУ нет другого имени"));
    }
    check.done()?;
    Ok(created(app.store.add_acs(admin.client_no, &new.slug).await?))
}

/// Show an ACS
#[utoipa::path(get, path = "/acs/{name}", tag = "acs", operation_id = "acs",
    params(("name" = String, Path, description = "The ACS")),
    responses((status = 200, description = "The ACS", body = Acs), Problems))]
async fn show(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<axum::Json<Acs>> {
    Ok(axum::Json(app.store.acs(viewer.client_no, &name).await?))
}

/// Rename an ACS
///
/// Its tokens go on working, and history names it anew.
#[utoipa::path(patch, path = "/acs/{name}", tag = "acs", operation_id = "edit_acs",
    params(("name" = String, Path, description = "The ACS")), request_body = EditAcs,
    responses((status = 200, description = "The ACS", body = Acs), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(new): Json<EditAcs>,
) -> ApiResult<axum::Json<Acs>> {
    let mut check = Check::default();
    acs_name(&mut check, "name", &new.name);
    check.done()?;
    Ok(axum::Json(app.store.edit_acs(admin.client_no, &name, &new.name).await?))
}

/// Archive an ACS
///
/// Its tokens are revoked. History goes on naming it.
#[utoipa::path(delete, path = "/acs/{name}", tag = "acs", operation_id = "remove_acs",
    params(("name" = String, Path, description = "The ACS")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_acs(admin.client_no, &name).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the name of an ACS.
pub(super) fn acs_name(check: &mut Check, field: &str, name: &str) {
    check.slug(field, name);
    if name == OPERATOR {
        check.wrong(
            field,
            text!(
                "`{OPERATOR}` is reserved for messages of operators",
                "«{OPERATOR}» обозначает сообщения операторов"
            ),
        );
    }
}
