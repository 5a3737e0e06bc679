//! `/audit`: who changed what. The entries are chained ([`simo_common::audit`]), so that readers can verify them.

use std::sync::Arc;

use axum::extract::State;
use jiff::tz::TimeZone;
use serde::Deserialize;
use simo_common::{
    api::audit::{AuditEntry, AuditHead, EraseAudit, ErasedAudit, RefusedAttempts},
    page::Page,
    query::When,
    text,
    time::from_us,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, ApiResult,
    check::Check,
    list::{List, ListParams, answer},
    parameters::Params,
};
use crate::{
    api::{
        auth::{Keeper, Owner},
        body::Json,
        openapi::Problems,
    },
    app::App,
    store::{AuditFilter, ClientNo, RefusedKey, SERVER},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(head))
        .routes(routes!(refused))
        .routes(routes!(erase))
}

/// Whose audit.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ChainParam {
    /// That of the server itself, for owners: what belongs to no client.
    #[serde(default)]
    server: bool,
}

/// Which entries.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FilterParams {
    /// About this employee.
    employee: Option<String>,
    /// With this action (`topic.grant`), or all of a noun (`topic`).
    action: Option<String>,
    /// From then on: a time, a day, `today`, `-2h`.
    after: Option<String>,
    /// Earlier: a time, a day, `today`, `-2h`.
    before: Option<String>,
    /// From the first entry on, as verifying needs it.
    #[serde(default)]
    oldest_first: bool,
}

/// List changes
///
/// Of a client, or of the server itself. `query` looks at who it was and at what was changed.
#[utoipa::path(get, path = "/audit", tag = "audit", operation_id = "audit",
    params(ListParams, FilterParams, ChainParam),
    responses((status = 200, description = "Newest first, unless said otherwise", body = Page<AuditEntry>), Problems))]
async fn list(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    List(listing): List<u64>,
    Params(filter): Params<FilterParams>,
    Params(chain): Params<ChainParam>,
) -> ApiResult<axum::Json<Page<AuditEntry>>> {
    let chain = chain.of(&keeper, &app).await?;
    let filter = filter.check(&app, chain).await?;
    Ok(answer(app.store.audit(chain, &filter, &listing).await?))
}

/// Show where the audit ends
///
/// Keep it elsewhere: it shows later whether the audit was cut or written anew.
#[utoipa::path(get, path = "/audit/head", tag = "audit", operation_id = "audit_head", params(ChainParam),
    responses((status = 200, description = "The last entry's number and hash", body = AuditHead), Problems))]
async fn head(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Params(chain): Params<ChainParam>,
) -> ApiResult<axum::Json<AuditHead>> {
    let chain = chain.of(&keeper, &app).await?;
    Ok(axum::Json(app.store.audit_head(chain).await?))
}

/// Whose posts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RefusedParams {
    /// Only posts of this ACS.
    acs: Option<String>,
}

/// List refused attempts and posts
///
/// Outside the audit's chains, summed up by the hour. Attempts to get in are kept for 90 days, posts of ACS for 30, with the
/// newest titles of each kind. Admins see those with tokens of their client; an owner who names no client sees all, also
/// those with tokens that nobody ever had.
#[utoipa::path(get, path = "/audit/refused", tag = "audit", operation_id = "refused_attempts",
    params(ListParams, RefusedParams),
    responses((status = 200, description = "Newest hour first", body = Page<RefusedAttempts>), Problems))]
async fn refused(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    List(listing): List<RefusedKey>,
    Params(RefusedParams { acs }): Params<RefusedParams>,
) -> ApiResult<axum::Json<Page<RefusedAttempts>>> {
    let within = keeper.client.map(|(client_no, _)| client_no);
    Ok(answer(app.store.refused(within, acs.as_deref(), &listing).await?))
}

/// Erase what the audit says of an employee
///
/// The entries stay in the chain, which still verifies; what they said of them is gone for good.
#[utoipa::path(post, path = "/audit/erase", tag = "audit", operation_id = "erase_audit", request_body = EraseAudit,
    responses((status = 200, description = "Which entries", body = ErasedAudit), Problems))]
async fn erase(
    _owner: Owner,
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Json(whose): Json<EraseAudit>,
) -> ApiResult<axum::Json<ErasedAudit>> {
    let (client_no, _) = keeper.one_client(&app).await?;
    let entries = app.store.erase_audit(client_no, &whose.employee).await?;
    Ok(axum::Json(ErasedAudit { entries }))
}

impl ChainParam {
    async fn of(self, keeper: &Keeper, app: &Arc<App>) -> ApiResult<ClientNo> {
        if !self.server {
            return Ok(keeper.one_client(app).await?.0);
        }
        if keeper.within().is_some() {
            return Err(ApiError::forbidden(text!(
                "the server's own audit is for owners",
                "аудит самого сервера доступен только владельцам"
            )));
        }
        Ok(SERVER)
    }
}

impl FilterParams {
    /// Days are in the client's time zone.
    async fn check(self, app: &App, chain: ClientNo) -> ApiResult<AuditFilter> {
        let zone = if chain == SERVER { TimeZone::UTC } else { app.store.client_timezone(chain).await? };
        let now = from_us(app.clock().now()).to_zoned(zone);
        let mut check = Check::default();
        let mut moment = |field: &str, text: Option<String>| {
            let text = text?;
            let when = When::parse(&text);
            if when.is_none() {
                check.wrong(
                    field,
                    text!(
                        "`{text}` is not a time; write 2026-11-22, 2026-11-22T08:00, today or -2h",
                        "«{text}» не время; пишите 2026-11-22, 2026-11-22T08:00, сегодня или -2ч"
                    ),
                );
            }
            when.map(|when| when.start(&now))
        };
        let from = moment("after", self.after);
        let until = moment("before", self.before);
        check.done()?;
        Ok(AuditFilter {
            employee: self.employee,
            action: self.action,
            from,
            until,
            oldest_first: self.oldest_first,
        })
    }
}
