//! `/groups`: groups of employees.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::{
        access::{Named, Rename},
        people::Group,
    },
    page::Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiResult, Created,
    check::{Check, trimmed},
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
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(add_member, remove_member))
        .routes(routes!(include, exclude))
}

/// List groups
#[utoipa::path(get, path = "/groups", tag = "groups", operation_id = "groups", params(ListParams),
    responses((status = 200, description = "Sorted by slug", body = Page<Group>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Group>>> {
    Ok(answer(app.store.groups(viewer.client_no, &listing).await?))
}

/// Add a group
///
/// One that is archived comes back, without members and grants, and is `restored`.
#[utoipa::path(post, path = "/groups", tag = "groups", operation_id = "add_group", request_body = Named,
    responses((status = 201, description = "Made", body = Group), Problems))]
async fn add(admin: Admin, State(app): State<Arc<App>>, Json(new): Json<Named>) -> ApiResult<Created<Group>> {
    let new = named(new)?;
    Ok(created(app.store.add_group(admin.client_no, &new).await?))
}

/// Show a group
#[utoipa::path(get, path = "/groups/{slug}", tag = "groups", operation_id = "group",
    params(("slug" = String, Path, description = "The group")),
    responses((status = 200, description = "The group", body = Group), Problems))]
async fn show(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<axum::Json<Group>> {
    Ok(axum::Json(app.store.group(viewer.client_no, &slug).await?))
}

/// Rename a group
#[utoipa::path(patch, path = "/groups/{slug}", tag = "groups", operation_id = "edit_group",
    params(("slug" = String, Path, description = "The group")), request_body = Rename,
    responses((status = 200, description = "The group", body = Group), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(new): Json<Rename>,
) -> ApiResult<axum::Json<Group>> {
    let new = rename(new)?;
    Ok(axum::Json(app.store.edit_group(admin.client_no, &slug, &new).await?))
}

/// Archive a group
///
/// Nobody is addressed, and nobody let in, by it any more, and nobody is in it. 409 when a topic's messages are for it.
#[utoipa::path(delete, path = "/groups/{slug}", tag = "groups", operation_id = "remove_group",
    params(("slug" = String, Path, description = "The group")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_group(admin.client_no, &slug).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put an employee into a group
#[utoipa::path(put, path = "/groups/{slug}/members/{personnel_no}", tag = "groups", operation_id = "add_member",
    params(("slug" = String, Path, description = "The group"),
           ("personnel_no" = String, Path, description = "The employee")),
    responses((status = 204, description = "The employee is in it"), Problems))]
async fn add_member(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((slug, personnel_no)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    app.store.set_member(admin.client_no, &slug, &personnel_no, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take an employee out of a group
#[utoipa::path(delete, path = "/groups/{slug}/members/{personnel_no}", tag = "groups",
    operation_id = "remove_member",
    params(("slug" = String, Path, description = "The group"),
           ("personnel_no" = String, Path, description = "The employee")),
    responses((status = 204, description = "The employee is not in it"), Problems))]
async fn remove_member(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((slug, personnel_no)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    app.store.set_member(admin.client_no, &slug, &personnel_no, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a group into another one
///
/// Whoever is in the included one is in the other one too. A group cannot be in itself, however far around: 409 names the
/// loop.
#[utoipa::path(put, path = "/groups/{slug}/groups/{included}", tag = "groups", operation_id = "include_group",
    params(("slug" = String, Path, description = "The group"),
           ("included" = String, Path, description = "The group that goes into it")),
    responses((status = 204, description = "It is in it"), Problems))]
async fn include(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((slug, included)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    app.store.include_group(admin.client_no, &slug, &included).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a group out of another one
#[utoipa::path(delete, path = "/groups/{slug}/groups/{included}", tag = "groups", operation_id = "exclude_group",
    params(("slug" = String, Path, description = "The group"),
           ("included" = String, Path, description = "The group that it includes")),
    responses((status = 204, description = "It is not in it"), Problems))]
async fn exclude(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((slug, included)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    app.store.exclude_group(admin.client_no, &slug, &included).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks a new group.
fn named(mut new: Named) -> ApiResult<Named> {
    let mut check = Check::default();
    check.slug("slug", &new.slug);
    if let Some(name) = &mut new.name {
        trimmed(name);
        check.name("name", name);
    }
    check.done()?;
    Ok(new)
}

/// Checks a new name.
fn rename(mut new: Rename) -> ApiResult<Rename> {
    trimmed(&mut new.name);
    let mut check = Check::default();
    check.name("name", &new.name);
    check.done()?;
    Ok(new)
}
