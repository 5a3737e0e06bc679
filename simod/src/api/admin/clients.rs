//! `/clients`: owners keep them, everyone else may look at their own.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{Client, ClientSpec, MadeClient},
    api::login::LoginCode,
    page::Page,
    text,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, ApiResult, Created,
    check::{Check, trimmed},
    created,
    list::{List, ListParams, answer},
    login::CODE_SECONDS,
};
use crate::{
    api::{
        auth::{AnyOperator, Owner},
        body::Json,
        openapi::Problems,
    },
    app::App,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, edit, remove))
}

/// List clients
#[utoipa::path(get, path = "/clients", tag = "clients", operation_id = "clients", params(ListParams),
    responses((status = 200, description = "Sorted by slug", body = Page<Client>), Problems))]
async fn list(
    _: Owner,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Client>>> {
    Ok(answer(app.store.clients(&listing).await?))
}

/// Add a client
///
/// One that is archived comes back only with `restore`: 409 without it. With `admin`, their one-time login code is in the answer.
#[utoipa::path(post, path = "/clients", tag = "clients", operation_id = "add_client", request_body = ClientSpec,
    responses((status = 201, description = "Made", body = MadeClient), Problems))]
async fn add(
    _: Owner,
    State(app): State<Arc<App>>,
    Json(spec): Json<ClientSpec>,
) -> ApiResult<Created<MadeClient>> {
    let mut check = Check::default();
    match &spec.slug {
        Some(slug) => check.slug("slug", slug),
        None => check.wrong("slug", text!("a new client needs one", "новому клиенту он нужен")),
    }
    if let Some(admin) = &spec.admin {
        check.slug("admin", admin);
    }
    let spec = checked(check, spec)?;
    let slug = spec.slug.clone().unwrap_or_default();
    let made = match &spec.admin {
        Some(admin) => app.store.add_client_and_admin(&slug, &spec, admin, CODE_SECONDS).await?,
        None => MadeClient { client: app.store.add_client(&slug, &spec).await?, login: None },
    };
    let at = |code| LoginCode { server: app.config.found_at(), ..code };
    Ok(created(MadeClient { login: made.login.map(at), ..made }))
}

/// Show a client
///
/// Every operator may look at their own.
#[utoipa::path(get, path = "/clients/{slug}", tag = "clients", operation_id = "client",
    params(("slug" = String, Path, description = "The client")),
    responses((status = 200, description = "The client", body = Client), Problems))]
async fn show(
    AnyOperator(operator): AnyOperator,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
) -> ApiResult<axum::Json<Client>> {
    if operator.client.is_some_and(|(_, own)| own != slug) {
        return Err(ApiError::not_found("client", &slug));
    }
    Ok(axum::Json(app.store.client(&slug).await?))
}

/// Change a client
///
/// Fields that are left out stay. The slug cannot be changed.
#[utoipa::path(patch, path = "/clients/{slug}", tag = "clients", operation_id = "edit_client",
    params(("slug" = String, Path, description = "The client")), request_body = ClientSpec,
    responses((status = 200, description = "The client", body = Client), Problems))]
async fn edit(
    _: Owner,
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Json(spec): Json<ClientSpec>,
) -> ApiResult<axum::Json<Client>> {
    let mut check = Check::default();
    if spec.slug.as_ref().is_some_and(|new| *new != slug) {
        check.wrong("slug", text!("cannot be changed", "изменить нельзя"));
    }
    if spec.admin.is_some() {
        check.wrong(
            "admin",
            text!(
                "is for a new client; others get operators with POST /operators",
                "только для нового клиента; прочим операторов добавляет POST /operators"
            ),
        );
    }
    if spec.restore {
        check.wrong("restore", text!("is for POST /clients", "это для POST /clients"));
    }
    let spec = checked(check, spec)?;
    Ok(axum::Json(app.store.edit_client(&slug, &spec).await?))
}

/// Archive a client
///
/// No token of its ACS, operators and phones lets in any more, nor when the client comes back. Its history stays.
#[utoipa::path(delete, path = "/clients/{slug}", tag = "clients", operation_id = "remove_client",
    params(("slug" = String, Path, description = "The client")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(_: Owner, State(app): State<Arc<App>>, Path(slug): Path<String>) -> ApiResult<StatusCode> {
    app.store.remove_client(&slug).await?;
    app.wake.all();
    Ok(StatusCode::NO_CONTENT)
}

fn checked(mut check: Check, mut spec: ClientSpec) -> ApiResult<ClientSpec> {
    if let Some(name) = &mut spec.name {
        trimmed(name);
        check.name("name", name);
    }
    if let Some(timezone) = &spec.timezone {
        check.timezone(timezone);
    }
    if let Some(seconds) = spec.default_ttl {
        check.ttl("default_ttl", seconds);
    }
    if let Some(days) = spec.retention_days {
        check.retention_days(days);
    }
    check.done()?;
    Ok(spec)
}
