//! `/topics`: kinds of information, and who may receive them.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{Grant, Grantee, Named, Receiver, Rename, Topic},
    page::Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiResult, Created, created,
    groups::{named, rename},
    list::{List, ListParams, answer},
    parameters,
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
        .routes(routes!(grants, grant))
        .routes(routes!(revoke))
        .routes(routes!(who))
}

/// List topics
#[utoipa::path(get, path = "/topics", tag = "topics", operation_id = "topics", params(ListParams),
    responses((status = 200, description = "Sorted by slug", body = Page<Topic>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Topic>>> {
    Ok(answer(app.store.topics(viewer.client_id, &listing).await?))
}

/// Add a topic
///
/// One that is archived comes back, with the grants that it had.
#[utoipa::path(post, path = "/topics", tag = "topics", operation_id = "add_topic", request_body = Named,
    responses((status = 201, description = "Made", body = Topic), Problems))]
async fn add(admin: Admin, State(app): State<Arc<App>>, Json(new): Json<Named>) -> ApiResult<Created<Topic>> {
    let new = named(new)?;
    Ok(created(app.store.add_topic(admin.client_id, &new).await?))
}

/// Show a topic
#[utoipa::path(get, path = "/topics/{slug}", tag = "topics", operation_id = "topic",
    params(("slug" = String, Path, description = "The topic")),
    responses((status = 200, description = "The topic", body = Topic), Problems))]
async fn show(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<axum::Json<Topic>> {
    Ok(axum::Json(app.store.topic(viewer.client_id, &slug).await?))
}

/// Rename a topic
#[utoipa::path(patch, path = "/topics/{slug}", tag = "topics", operation_id = "edit_topic",
    params(("slug" = String, Path, description = "The topic")), request_body = Rename,
    responses((status = 200, description = "The topic", body = Topic), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(new): Json<Rename>,
) -> ApiResult<axum::Json<Topic>> {
    let new = rename(new)?;
    Ok(axum::Json(
        app.store.edit_topic(admin.client_id, &slug, &new).await?,
    ))
}

/// Archive a topic
///
/// Nothing can be posted to it any more.
#[utoipa::path(delete, path = "/topics/{slug}", tag = "topics", operation_id = "remove_topic",
    params(("slug" = String, Path, description = "The topic")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_topic(admin.client_id, &slug).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a topic's grants
///
/// All on one page: everyone's, then the groups', then the employees'.
#[utoipa::path(get, path = "/topics/{slug}/grants", tag = "topics", operation_id = "grants",
    params(("slug" = String, Path, description = "The topic")),
    responses((status = 200, description = "Its grants", body = Page<Grant>), Problems))]
async fn grants(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<axum::Json<Page<Grant>>> {
    let grants = app.store.grants(viewer.client_id, &slug).await?;
    Ok(axum::Json(Page::whole(grants)))
}

/// Let someone receive a topic
///
/// Giving what is given already answers the grant that is there.
#[utoipa::path(post, path = "/topics/{slug}/grants", tag = "topics", operation_id = "grant",
    params(("slug" = String, Path, description = "The topic")), request_body = Grantee,
    responses((status = 200, description = "The grant", body = Grant), Problems))]
async fn grant(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(grantee): Json<Grantee>,
) -> ApiResult<axum::Json<Grant>> {
    Ok(axum::Json(
        app.store.grant(admin.client_id, &slug, &grantee).await?,
    ))
}

/// Take a grant back
///
/// Messages that are on their way already arrive.
#[utoipa::path(delete, path = "/topics/{slug}/grants/{id}", tag = "topics", operation_id = "revoke_grant",
    params(("slug" = String, Path, description = "The topic"), ("id" = uuid::Uuid, Path, description = "The grant")),
    responses((status = 204, description = "Gone"), Problems))]
async fn revoke(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((slug, grant)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    let id = parameters::id("grant", &grant)?;
    app.store.revoke_grant(admin.client_id, &slug, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who would receive a topic now
///
/// Each with the widest grant that lets him in. Blocked employees are left out.
#[utoipa::path(get, path = "/topics/{slug}/who", tag = "topics", operation_id = "who_receives",
    params(("slug" = String, Path, description = "The topic"), ListParams),
    responses((status = 200, description = "Sorted by name", body = Page<Receiver>), Problems))]
async fn who(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Receiver>>> {
    Ok(answer(
        app.store.receivers(viewer.client_id, &slug, &listing).await?,
    ))
}
