//! `/site`: the desired state in one document. Owners describe everything, an administrator their own client.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use serde::de::DeserializeOwned;
use simo_common::{
    api::{
        people::EditEmployee,
        site::{AcsToken, AppliedSite, ApplySite, PlanSite, Site, SiteClient, SitePlan},
    },
    text,
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{
    ApiError, ApiResult,
    check::{Check, trimmed},
    tokens::{learn_limits, limits},
};
use crate::{
    api::{auth::Keeper, body, due::Due, openapi::Problems},
    app::App,
    store::{self, Reach},
};

/// A site with 100,000 employees has some 30 MiB.
const SITE_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(plan).layer(DefaultBodyLimit::max(SITE_BYTES)))
        .routes(routes!(apply).layer(DefaultBodyLimit::max(SITE_BYTES)))
}

/// Show what there is, as a site
///
/// Without secrets, and without what is in the archive. An owner who names no client sees all. Applied where it came from, it
/// changes nothing.
#[utoipa::path(get, path = "/site", tag = "site", operation_id = "site",
    responses((status = 200, description = "What there is", body = Site), Problems))]
async fn show(keeper: Keeper, State(app): State<Arc<App>>) -> ApiResult<axum::Json<Site>> {
    let client = keeper.client.as_ref().map(|(_, slug)| slug.as_str());
    Ok(axum::Json(app.store.site(client).await?))
}

/// Say what a site would change
///
/// Nothing is changed. All mistakes of the site are listed at once.
#[utoipa::path(post, path = "/site/plan", tag = "site", operation_id = "plan_site", request_body = PlanSite,
    responses((status = 200, description = "What would change", body = SitePlan), Problems))]
async fn plan(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    request: Request,
) -> ApiResult<axum::Json<SitePlan>> {
    let asked: PlanSite = parsed(&app, request).await?;
    let (site, reach, check) = checked(&keeper, asked).await?;
    let planned = app.store.plan_site(site, reach).await;
    Ok(axum::Json(with_mistakes(planned, check)?))
}

/// Make a site true
///
/// Whole or not at all, and only if nothing has changed since its plan was made: otherwise 409 `changed_meanwhile`. Doing it
/// twice changes nothing. The secrets of tokens that it issues are in the answer and nowhere else.
#[utoipa::path(post, path = "/site/apply", tag = "site", operation_id = "apply_site", request_body = ApplySite,
    responses((status = 200, description = "What was changed", body = AppliedSite), Problems))]
async fn apply(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    request: Request,
) -> ApiResult<axum::Json<AppliedSite>> {
    let ApplySite { site, prune, prune_clients, revision } = parsed(&app, request).await?;
    let asked = PlanSite { site, prune, prune_clients };
    let (site, reach, check) = checked(&keeper, asked).await?;
    if check.failed() {
        let planned = app.store.plan_site(site, reach).await.map(|_| AppliedSite::default());
        return Ok(axum::Json(with_mistakes(planned, check)?));
    }
    let applied = app.store.apply_site(site, reach, &revision).await?;
    if !applied.tokens.is_empty() {
        learn_limits(&app).await;
    }
    if !applied.changes.is_empty() {
        app.wake.all();
    }
    Ok(axum::Json(applied))
}

/// Megabytes to parse: not on a thread that serves other requests.
async fn parsed<T: DeserializeOwned + Send + 'static>(app: &App, request: Request) -> ApiResult<T> {
    let bytes = body::read(app, request, &mut Due::from_now()).await?;
    app.bodies.aside(move || body::parse(&bytes)).await?
}

/// The store's answer, or all errors, including those found before.
fn with_mistakes<T>(answer: store::Result<T>, mut check: Check) -> ApiResult<T> {
    match answer {
        Err(store::Error::Invalid(more)) => check.more(more),
        answer if !check.failed() => return Ok(answer?),
        _ => {}
    }
    check.done()?;
    Err(ApiError::internal())
}

/// The caller's site and reach, if they are allowed, with the errors in the site.
async fn checked(keeper: &Keeper, asked: PlanSite) -> ApiResult<(Arc<Site>, Reach, Check)> {
    let reach =
        Reach { prune: asked.prune, prune_clients: asked.prune_clients, clients: keeper.within().is_none() };
    if let Some((_, own)) = &keeper.operator.client {
        if asked.site.owners.is_some() || asked.prune_clients {
            return Err(ApiError::forbidden(text!(
                "owners and the list of clients are for owners",
                "владельцев и список клиентов меняют только владельцы"
            )));
        }
        if let Some(other) = asked.site.clients.keys().find(|slug| *slug != own) {
            return Err(ApiError::not_found("client", other));
        }
    }
    tokio::task::spawn_blocking(move || {
        let mut check = Check::default();
        let mut site = asked.site;
        let owners = site.owners.iter_mut().flatten().enumerate();
        for (place, name) in owners {
            trimmed(name);
            check.slug(&format!("owners[{place}]"), name);
        }
        for (slug, client) in &mut site.clients {
            "clients.".clone_into(&mut check.place);
            check.slug(slug, slug);
            client_of(slug, client, &mut check);
        }
        (Arc::new(site), reach, check)
    })
    .await
    .map_err(|_| ApiError::internal())
}

fn client_of(slug: &str, client: &mut SiteClient, check: &mut Check) {
    let path = format!("clients.{slug}.");
    check.place.clone_from(&path);
    if let Some(name) = &mut client.name {
        trimmed(name);
        check.name("name", name);
    }
    if let Some(timezone) = &client.timezone {
        check.timezone(timezone);
    }
    if let Some(seconds) = client.default_ttl {
        check.ttl("default_ttl", seconds);
    }
    if let Some(days) = client.retention_days {
        check.retention_days(days);
    }
    for (place, acs) in client.acs.iter_mut().flatten().enumerate() {
        check.place = format!("{path}acs[{place}].");
        check.slug("name", &acs.name);
        for (at, token) in acs.tokens.iter_mut().flatten().enumerate() {
            match token {
                AcsToken::Name(name) => {
                    trimmed(name);
                    check.name(&format!("tokens[{at}]"), name);
                }
                AcsToken::Limited(limited) => {
                    check.place = format!("{path}acs[{place}].tokens[{at}].");
                    trimmed(&mut limited.name);
                    check.name("name", &limited.name);
                    limits::of_site(limited, check);
                    check.place = format!("{path}acs[{place}].");
                }
            }
        }
    }
    for (place, operator) in client.operators.iter().flatten().enumerate() {
        check.place = format!("{path}operators[{place}].");
        check.slug("name", &operator.name);
    }
    for (place, group) in client.groups.iter_mut().flatten().enumerate() {
        check.place = format!("{path}groups[{place}].");
        check.slug("slug", &group.slug);
        if let Some(name) = &mut group.name {
            trimmed(name);
            check.name("name", name);
        }
        group.members.iter_mut().flatten().for_each(trimmed);
    }
    for (place, one) in client.employees.iter_mut().flatten().enumerate() {
        check.place = format!("{path}employees[{place}].");
        trimmed(&mut one.personnel_no);
        check.personnel_no(&one.personnel_no);
        for field in [&mut one.full_name, &mut one.email, &mut one.phone, &mut one.locale, &mut one.timezone]
        {
            field.iter_mut().for_each(trimmed);
        }
        check.employee_edit(&EditEmployee {
            full_name: one.full_name.clone(),
            email: one.email.clone(),
            phone: one.phone.clone(),
            groups: None,
            locale: one.locale.clone(),
            timezone: one.timezone.clone(),
        });
    }
    for (place, topic) in client.topics.iter_mut().flatten().enumerate() {
        check.place = format!("{path}topics[{place}].");
        check.slug("slug", &topic.slug);
        if let Some(name) = &mut topic.name {
            trimmed(name);
            check.name("name", name);
        }
        check.recipients("recipients", topic.recipients.value());
    }
    check.place.clear();
}
