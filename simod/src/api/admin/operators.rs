//! `/operators`: the people who administer. No operator grants rights above their own.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::access::{NewOperator, Operator},
    page::Page,
    people::Role,
    text,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, ApiResult, Created,
    check::Check,
    created,
    list::{List, ListParams, answer},
};
use crate::{
    api::{auth::Keeper, body::Json, openapi::Problems},
    app::App,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, edit, remove))
}

/// List operators
///
/// An owner who names no client sees all, owners included.
#[utoipa::path(get, path = "/operators", tag = "operators", operation_id = "operators", params(ListParams),
    responses((status = 200, description = "Sorted by name", body = Page<Operator>), Problems))]
async fn list(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
) -> ApiResult<axum::Json<Page<Operator>>> {
    let within = keeper.client.map(|(client_no, _)| client_no);
    Ok(answer(app.store.operators(within, &listing).await?))
}

/// Add an operator
///
/// One of this client who is archived comes back, without the tokens that they had.
#[utoipa::path(post, path = "/operators", tag = "operators", operation_id = "add_operator",
    request_body = NewOperator, responses((status = 201, description = "Made", body = Operator), Problems))]
async fn add(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Json(new): Json<NewOperator>,
) -> ApiResult<Created<Operator>> {
    let new = checked(&keeper, new)?;
    let client_no = match new.role {
        Role::Owner => None,
        Role::Admin | Role::Viewer => Some(keeper.one_client(&app).await?.0),
    };
    Ok(created(app.store.add_operator(client_no, &new).await?))
}

/// Show an operator
#[utoipa::path(get, path = "/operators/{name}", tag = "operators", operation_id = "operator",
    params(("name" = String, Path, description = "The operator")),
    responses((status = 200, description = "The operator", body = Operator), Problems))]
async fn show(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<axum::Json<Operator>> {
    Ok(axum::Json(app.store.operator(keeper.within(), &name).await?))
}

/// Change an operator's name and role
#[utoipa::path(patch, path = "/operators/{name}", tag = "operators", operation_id = "edit_operator",
    params(("name" = String, Path, description = "The operator")), request_body = NewOperator,
    responses((status = 200, description = "The operator", body = Operator), Problems))]
async fn edit(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(new): Json<NewOperator>,
) -> ApiResult<axum::Json<Operator>> {
    let new = checked(&keeper, new)?;
    let client_no = match &keeper.client {
        Some((client_no, _)) => Some(*client_no),
        None => app.store.only_client().await?.map(|(client_no, _)| client_no),
    };
    let edited = app.store.edit_operator(keeper.within(), &name, &new, client_no).await?;
    app.wake.feed();
    Ok(axum::Json(edited))
}

/// Archive an operator
///
/// Their tokens are revoked.
#[utoipa::path(delete, path = "/operators/{name}", tag = "operators", operation_id = "remove_operator",
    params(("name" = String, Path, description = "The operator")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_operator(keeper.within(), &name).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

fn checked(keeper: &Keeper, new: NewOperator) -> ApiResult<NewOperator> {
    let mut check = Check::default();
    check.slug("name", &new.name);
    check.done()?;
    if new.role > keeper.operator.role {
        let (wanted, own) = (new.role.as_str(), keeper.operator.role.as_str());
        return Err(ApiError::forbidden(text!(
            "only an {wanted} can make an {wanted}; your role is {own}",
            "роль {wanted} может дать только {wanted}; ваша роль — {own}"
        )));
    }
    Ok(new)
}
