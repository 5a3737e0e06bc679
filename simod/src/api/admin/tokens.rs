//! `/tokens`: tokens of ACS and operators. A token's secret is shown once, when it is issued.

pub(super) mod limits;

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use jiff::tz::TimeZone;
use serde::Deserialize;
use simo_common::{
    api::access::{IssuedToken, NewToken, Token},
    page::Page,
    text,
    time::{DAY_SECONDS, Moment},
    token::TokenKind,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, ApiResult, Created,
    acs::acs_name,
    check::{Check, trimmed},
    created,
    list::{List, ListParams, answer},
    parameters::{self, Params},
};
use crate::{
    api::{auth::Keeper, body::Json, openapi::Problems},
    app::App,
    store::{ClientNo, TokenFor, TokenKey, TokenTerms},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, issue)).routes(routes!(show, revoke)).routes(routes!(rotate))
}

/// Which kind of tokens.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct KindParam {
    /// Only this kind; those of ACS and operators unless said otherwise.
    #[param(inline)]
    kind: Option<TokenKind>,
}

/// How a token is rotated.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RotateParams {
    /// Seconds that the old token goes on working; none unless given, 30 days at most.
    grace: Option<i64>,
}

/// Seconds that a token may go on working beside its successor.
const MOST_GRACE_SECONDS: i64 = 30 * DAY_SECONDS;

/// List tokens
///
/// Without their secrets. `archived` adds revoked ones. An owner who names no client sees those of all.
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "tokens", params(ListParams, KindParam),
    responses((status = 200, description = "Newest first", body = Page<Token>), Problems))]
async fn list(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    List(listing): List<TokenKey>,
    Params(KindParam { kind }): Params<KindParam>,
) -> ApiResult<axum::Json<Page<Token>>> {
    let within = keeper.client.map(|(client_no, _)| client_no);
    Ok(answer(app.store.tokens(within, kind, &listing).await?))
}

/// Issue a token
///
/// For an ACS, which is made if it is new, or for an operator. The answer is the only place where its secret is ever
/// shown.
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "issue_token", request_body = NewToken,
    responses((status = 201, description = "Issued", body = IssuedToken), Problems))]
async fn issue(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Json(mut new): Json<NewToken>,
) -> ApiResult<Created<IssuedToken>> {
    let mut check = Check::default();
    if let Some(name) = &mut new.name {
        trimmed(name);
        check.name("name", name);
    }
    match (&new.acs, &new.operator) {
        (Some(acs), None) => acs_name(&mut check, "acs", acs),
        (None, Some(_)) => {}
        (Some(_), Some(_)) | (None, None) => check.wrong(
            "acs",
            text!(
                "say whom it is for: either `acs` or `operator`",
                "укажите, для кого: `acs` или `operator`"
            ),
        ),
    }
    let client_no = match new.acs {
        Some(_) => Some(keeper.one_client(&app).await?.0),
        None => keeper.client.as_ref().map(|(client_no, _)| *client_no),
    };
    let limits = limits::limits(&app, client_no, &new, &mut check).await?;
    let expires_at = match &new.expires_at {
        Some(text) => expiry(&app, client_no, text, &mut check).await?,
        None => None,
    };
    check.done()?;
    let holder = match (&new.acs, client_no) {
        (Some(name), Some(client_no)) => TokenFor::Acs { client_no, name },
        _ => {
            TokenFor::Operator { within: keeper.within(), name: new.operator.as_deref().unwrap_or_default() }
        }
    };
    let terms = TokenTerms {
        name: new.name,
        expires_at,
        personal: new.personal.unwrap_or(new.topics.is_none()),
        limits,
    };
    let limits = &terms.limits;
    let is_known_on_sight = limits.rate_limit.is_some() || limits.rate_limit_as_503 || limits.fit;
    let issued = app.store.issue_token(holder, &terms).await?;
    if is_known_on_sight {
        learn_limits(&app).await;
    }
    Ok(created(issued))
}

/// Show a token
#[utoipa::path(get, path = "/tokens/{id}", tag = "tokens", operation_id = "token",
    params(("id" = Uuid, Path, description = "The token")),
    responses((status = 200, description = "The token, without its secret", body = Token), Problems))]
async fn show(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> ApiResult<axum::Json<Token>> {
    let id = parameters::id("token", &token)?;
    Ok(axum::Json(app.store.token(keeper.within(), id).await?))
}

/// Rotate a token
///
/// Issues a successor with the same rights and lifetime. The token itself works for `grace` more seconds at most, in which its
/// ACS gets the successor; without any it is revoked.
#[utoipa::path(post, path = "/tokens/{id}/rotate", tag = "tokens", operation_id = "rotate_token",
    params(("id" = Uuid, Path, description = "The token"), RotateParams),
    responses((status = 201, description = "The successor", body = IssuedToken), Problems))]
async fn rotate(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    Params(RotateParams { grace }): Params<RotateParams>,
) -> ApiResult<Created<IssuedToken>> {
    let id = parameters::id("token", &token)?;
    let grace = grace.unwrap_or(0);
    if !(0..=MOST_GRACE_SECONDS).contains(&grace) {
        return Err(ApiError::field(
            "grace",
            text!(
                "must be 0 to {MOST_GRACE_SECONDS} seconds (30 days)",
                "нужно от 0 до {MOST_GRACE_SECONDS} секунд (30 суток)"
            ),
        ));
    }
    let successor = app.store.rotate_token(keeper.within(), id, grace).await?;
    learn_limits(&app).await;
    app.wake.feed();
    Ok(created(successor))
}

/// Revoke a token
///
/// It lets nobody in any more, from this answer on. Revoking it again is no error.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = Uuid, Path, description = "The token")),
    responses((status = 204, description = "Revoked"), Problems))]
async fn revoke(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> ApiResult<StatusCode> {
    let id = parameters::id("token", &token)?;
    app.store.revoke_token(keeper.within(), id).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

/// Loads the rate limits, so that a new token's counts from its first request on. An error is ignored, because the
/// answer with the secret must not be lost: an instance that misses the limit now has it within a second.
pub(super) async fn learn_limits(app: &App) {
    if let Err(error) = app.learn_limits().await {
        tracing::warn!(%error, "the rate limits of tokens cannot be read");
    }
}

/// When a token stops working; a time without an offset is in the client's zone.
async fn expiry(
    app: &App,
    client_no: Option<ClientNo>,
    text: &str,
    check: &mut Check,
) -> ApiResult<Option<i64>> {
    let Some(moment) = Moment::parse(text) else {
        check.wrong(
            "expires_at",
            text!(
                "must be a time such as 2027-01-01T00:00:00+03:00",
                "нужно время, например 2027-01-01T00:00:00+03:00"
            ),
        );
        return Ok(None);
    };
    let zone = match (moment, client_no) {
        (Moment::Exact(_), _) => TimeZone::UTC,
        (Moment::Civil(_), Some(client_no)) => app.store.client_timezone(client_no).await?,
        (Moment::Civil(_), None) => {
            check.wrong("expires_at", text!("must say its offset, or Z", "укажите смещение или Z"));
            return Ok(None);
        }
    };
    let at = moment.in_zone(&zone).filter(|at| *at > app.clock().now());
    if at.is_none() {
        check.wrong("expires_at", text!("must be in the future", "должно быть в будущем"));
    }
    Ok(at)
}
