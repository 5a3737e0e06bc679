//! `/topics`: kinds of information.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{EditTopic, NewTopic, Receiver, Topic},
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
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, edit, remove)).routes(routes!(who))
}

/// List topics
#[utoipa::path(get, path = "/topics", tag = "topics", operation_id = "topics", params(ListParams),
    responses((status = 200, description = "Sorted by slug", body = Page<Topic>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Topic>>> {
    Ok(answer(app.store.topics(viewer.client_no, &listing).await?))
}

/// Add a topic
///
/// One that is archived comes back, without grants, and is `restored`.
#[utoipa::path(post, path = "/topics", tag = "topics", operation_id = "add_topic", request_body = NewTopic,
    responses((status = 201, description = "Made", body = Topic), Problems))]
async fn add(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(mut new): Json<NewTopic>,
) -> ApiResult<Created<Topic>> {
    let mut check = Check::default();
    check.slug("slug", &new.slug);
    if let Some(name) = &mut new.name {
        trimmed(name);
        check.name("name", name);
    }
    check.recipients("default_recipients", new.default_recipients.as_ref());
    check.done()?;
    Ok(created(app.store.add_topic(admin.client_no, &new).await?))
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
    Ok(axum::Json(app.store.topic(viewer.client_no, &slug).await?))
}

/// Change a topic
///
/// Absent fields stay; `null` clears a default.
#[utoipa::path(patch, path = "/topics/{slug}", tag = "topics", operation_id = "edit_topic",
    params(("slug" = String, Path, description = "The topic")), request_body = EditTopic,
    responses((status = 200, description = "The topic", body = Topic), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(mut changes): Json<EditTopic>,
) -> ApiResult<axum::Json<Topic>> {
    let mut check = Check::default();
    if let Some(name) = &mut changes.name {
        trimmed(name);
        check.name("name", name);
    }
    check.recipients("default_recipients", changes.default_recipients.value());
    check.done()?;
    Ok(axum::Json(app.store.edit_topic(admin.client_no, &slug, &changes).await?))
}

/// Archive a topic
///
/// Nothing can be posted to it any more, its grants end, and messages that were scheduled on it are canceled when they come
/// due.
#[utoipa::path(delete, path = "/topics/{slug}", tag = "topics", operation_id = "remove_topic",
    params(("slug" = String, Path, description = "The topic")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_topic(admin.client_no, &slug).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who would receive a topic now
///
/// A message that names nobody, that is: where the topic has default recipients, those of them who hold a grant. Each with
/// the grant that gives them access. Blocked employees are left out.
#[utoipa::path(get, path = "/topics/{slug}/who", tag = "topics", operation_id = "who_receives",
    params(("slug" = String, Path, description = "The topic"), ListParams),
    responses((status = 200, description = "Sorted by name", body = Page<Receiver>), Problems))]
async fn who(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Receiver>>> {
    Ok(answer(app.store.receivers(viewer.client_no, &slug, &listing).await?))
}
