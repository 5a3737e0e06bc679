//! `/topics/{slug}/grants`: who may receive a topic, and when; `/employees/{personnel_no}/access`: what an employee
//! may receive.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{Grant, HeldGrant, NewGrant},
    page::Page,
    text,
    time::Moment,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiResult, check::Check, parameters};
use crate::{
    api::{
        auth::{Admin, Viewer},
        body::Json,
        openapi::Problems,
    },
    app::App,
    store::{ClientNo, GrantTerms},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(grants, grant)).routes(routes!(revoke)).routes(routes!(access))
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
    let grants = app.store.grants(viewer.client_no, &slug).await?;
    Ok(axum::Json(Page::whole(grants)))
}

/// Let someone receive a topic
///
/// Whoever has a grant already keeps it, and from now on at these times only.
#[utoipa::path(post, path = "/topics/{slug}/grants", tag = "topics", operation_id = "grant",
    params(("slug" = String, Path, description = "The topic")), request_body = NewGrant,
    responses((status = 200, description = "The grant", body = Grant), Problems))]
async fn grant(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(new): Json<NewGrant>,
) -> ApiResult<axum::Json<Grant>> {
    let terms = terms(&app, admin.client_no, &new).await?;
    Ok(axum::Json(app.store.grant(admin.client_no, &slug, &new.grantee, &terms).await?))
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
    app.store.revoke_grant(admin.client_no, &slug, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what an employee may receive
///
/// All grants that reach them, their own, their groups' and everyone's, on one page; `active` tells those that count now. While
/// they are blocked they receive nothing.
#[utoipa::path(get, path = "/employees/{personnel_no}/access", tag = "employees", operation_id = "access_of",
    params(("personnel_no" = String, Path, description = "The employee")),
    responses((status = 200, description = "By topic, the widest first", body = Page<HeldGrant>), Problems))]
async fn access(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<axum::Json<Page<HeldGrant>>> {
    let held = app.store.access_of(viewer.client_no, &personnel_no).await?;
    Ok(axum::Json(Page::whole(held)))
}

/// A grant's terms, checked; all errors are reported at once.
async fn terms(app: &App, client_no: ClientNo, new: &NewGrant) -> ApiResult<GrantTerms> {
    let mut check = Check::default();
    let zone = app.store.client_timezone(client_no).await?;
    let mut moment = |field: &str, text: &Option<String>| {
        let at = Moment::read(text.as_deref()?, &zone);
        at.map_err(|mistake| check.wrong(field, mistake)).ok()
    };
    let starts_at = moment("from", &new.from);
    let ends_at = moment("until", &new.until);
    if let Some(end) = ends_at {
        if starts_at.is_some_and(|start| end <= start) {
            check.wrong("until", text!("must be after from", "должно быть позже from"));
        } else if end <= app.clock().now() {
            check.wrong("until", text!("must be in the future", "должно быть в будущем"));
        }
    }
    let hours = new.hours.as_deref().and_then(|text| match text.parse() {
        Ok(hours) => Some(hours),
        Err(error) => {
            check.wrong("hours", error);
            None
        }
    });
    check.done()?;
    Ok(GrantTerms { starts_at, ends_at, hours })
}
