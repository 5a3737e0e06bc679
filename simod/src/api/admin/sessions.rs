//! `/sessions`: an operator's own; `/operators/{name}/sessions`: those of the operators that they administer. A
//! session is a token, so ending it locks the machine out at once.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use simo_common::{
    api::login::{EndedSessions, Session},
    page::Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, ApiResult,
    list::{List, ListParams, answer},
    parameters,
};
use crate::{
    api::{
        auth::{AnyOperator, Keeper, OwnToken},
        openapi::Problems,
    },
    app::App,
    store::{Ended, TokenKey},
};

/// Stands for the id of the requesting session.
const CURRENT: &str = "current";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, end_others))
        .routes(routes!(end))
        .routes(routes!(list_of, end_all_of))
        .routes(routes!(end_of))
}

/// List your sessions
///
/// `archived` adds those that have ended. The local socket has none.
#[utoipa::path(get, path = "/sessions", tag = "operators", operation_id = "sessions", params(ListParams),
    responses((status = 200, description = "Newest first", body = Page<Session>), Problems))]
async fn list(
    AnyOperator(operator): AnyOperator,
    OwnToken(token): OwnToken,
    State(app): State<Arc<App>>,
    List(listing): List<TokenKey>,
) -> ApiResult<axum::Json<Page<Session>>> {
    let Some(current) = token else {
        return Ok(axum::Json(Page { items: Vec::new(), next: None }));
    };
    let rows = app.store.sessions(None, &operator.name, Some(&current), &listing).await?;
    Ok(answer(rows))
}

/// End your other sessions
///
/// All but the one that asks; this one ends with `DELETE /sessions/current`.
#[utoipa::path(delete, path = "/sessions", tag = "operators", operation_id = "end_other_sessions",
    responses((status = 200, description = "How many there were", body = EndedSessions), Problems))]
async fn end_others(
    AnyOperator(operator): AnyOperator,
    OwnToken(token): OwnToken,
    State(app): State<Arc<App>>,
) -> ApiResult<axum::Json<EndedSessions>> {
    let sessions = match &token {
        Some(current) => {
            let others = Ended::Others(current);
            app.store.end_sessions(None, &operator.name, others).await?
        }
        None => 0,
    };
    app.wake.feed();
    Ok(axum::Json(EndedSessions { sessions }))
}

/// End one of your sessions
///
/// Its token lets nobody in any more, from this answer on. Ending it again is no error.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "operators", operation_id = "end_session",
    params(("id" = String, Path, description = "The session's id, or `current` for the one that asks")),
    responses((status = 204, description = "Ended"), Problems))]
async fn end(
    AnyOperator(operator): AnyOperator,
    OwnToken(token): OwnToken,
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
) -> ApiResult<StatusCode> {
    let Some(current) = token else {
        return Err(ApiError::not_found("session", &session));
    };
    let which = if session == CURRENT {
        Ended::Current(&current)
    } else {
        Ended::One(parameters::id("session", &session)?)
    };
    app.store.end_sessions(None, &operator.name, which).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

/// List an operator's sessions
///
/// `archived` adds those that have ended.
#[utoipa::path(get, path = "/operators/{name}/sessions", tag = "operators", operation_id = "sessions_of",
    params(("name" = String, Path, description = "The operator"), ListParams),
    responses((status = 200, description = "Newest first", body = Page<Session>), Problems))]
async fn list_of(
    keeper: Keeper,
    OwnToken(token): OwnToken,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    List(listing): List<TokenKey>,
) -> ApiResult<axum::Json<Page<Session>>> {
    let rows = app.store.sessions(keeper.within(), &name, token.as_ref(), &listing).await?;
    Ok(answer(rows))
}

/// End all sessions of an operator
#[utoipa::path(delete, path = "/operators/{name}/sessions", tag = "operators", operation_id = "end_sessions_of",
    params(("name" = String, Path, description = "The operator")),
    responses((status = 200, description = "How many there were", body = EndedSessions), Problems))]
async fn end_all_of(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> ApiResult<axum::Json<EndedSessions>> {
    let sessions = app.store.end_sessions(keeper.within(), &name, Ended::All).await?;
    app.wake.feed();
    Ok(axum::Json(EndedSessions { sessions }))
}

/// End a session of an operator
///
/// Its token lets nobody in any more, from this answer on. Ending it again is no error.
#[utoipa::path(delete, path = "/operators/{name}/sessions/{id}", tag = "operators", operation_id = "end_session_of",
    params(("name" = String, Path, description = "The operator"), ("id" = Uuid, Path, description = "The session")),
    responses((status = 204, description = "Ended"), Problems))]
async fn end_of(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path((name, session)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    let which = Ended::One(parameters::id("session", &session)?);
    app.store.end_sessions(keeper.within(), &name, which).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}
