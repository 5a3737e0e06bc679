//! `/devices/invite` and `/devices/invites`: pairing codes, one by one and in bulk.

use std::sync::Arc;

use axum::extract::{Path, State};
use simo_common::{
    api::{
        invites::{InviteBatch, MadeBatch, NewBatch, Withdrawn},
        people::{Invite, NewInvite},
    },
    page::Page,
    text,
    time::{self, DAY_SECONDS},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiResult, Created,
    check::{Check, trimmed},
    created,
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

/// Seconds that a single code works, and one of many; and the most days for either.
const INVITE_SECONDS: i64 = DAY_SECONDS;
const BATCH_SECONDS: i64 = 7 * DAY_SECONDS;
const MOST_DAYS: i64 = 30;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(invite)).routes(routes!(list, invite_many)).routes(routes!(withdraw))
}

/// Invite a phone
///
/// Makes a pairing code, which is shown this once, works once, and stops working in time.
#[utoipa::path(post, path = "/devices/invite", tag = "devices", operation_id = "invite_device",
    request_body = NewInvite, responses((status = 201, description = "The code", body = Invite), Problems))]
async fn invite(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(new): Json<NewInvite>,
) -> ApiResult<Created<Invite>> {
    let seconds = new.valid_for.unwrap_or(INVITE_SECONDS);
    let mut check = Check::default();
    check.valid_for(seconds, MOST_DAYS);
    check.done()?;
    let (code, expires_at) = app.store.invite(admin.client_no, &new.employee, seconds).await?;
    Ok(created(Invite {
        uri: link(&app.config.found_at(), &code),
        code,
        personnel_no: new.employee,
        expires_at: time::from_us(expires_at),
    }))
}

/// List invitations that were made together
#[utoipa::path(get, path = "/devices/invites", tag = "devices", operation_id = "invite_batches",
    params(ListParams),
    responses((status = 200, description = "Newest first; `archived` adds those that have run out",
        body = Page<InviteBatch>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<Uuid>,
) -> ApiResult<axum::Json<Page<InviteBatch>>> {
    Ok(answer(app.store.invite_batches(viewer.client_no, &listing).await?))
}

/// Invite many phones
///
/// Makes a pairing code for each person. The codes are shown this once; they are withdrawn together.
#[utoipa::path(post, path = "/devices/invites", tag = "devices", operation_id = "invite_devices",
    request_body = NewBatch, responses((status = 201, description = "The codes", body = MadeBatch), Problems))]
async fn invite_many(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(mut new): Json<NewBatch>,
) -> ApiResult<Created<MadeBatch>> {
    let seconds = new.valid_for.unwrap_or(BATCH_SECONDS);
    new.groups.iter_mut().for_each(trimmed);
    new.name.iter_mut().for_each(trimmed);
    let mut check = Check::default();
    check.valid_for(seconds, MOST_DAYS);
    if new.groups.is_empty() != new.everyone {
        check.wrong(
            "groups",
            text!("either groups or `everyone` must be given", "нужны либо группы, либо `everyone`"),
        );
    }
    let name = match &new.name {
        Some(name) => {
            check.name("name", name);
            name.clone()
        }
        None if new.everyone => "everyone".to_owned(),
        None => new.groups.join(", "),
    };
    check.done()?;
    let mut made = app.store.invite_batch(admin.client_no, &new, &name, seconds).await?;
    let server = app.config.found_at();
    for invite in &mut made.invites {
        invite.uri = link(&server, &invite.code);
    }
    Ok(created(made))
}

/// Withdraw invitations
///
/// Those that were not used stop working. Doing it again is no error.
#[utoipa::path(delete, path = "/devices/invites/{id}", tag = "devices", operation_id = "withdraw_invites",
    params(("id" = Uuid, Path, description = "The batch")),
    responses((status = 200, description = "How many still worked", body = Withdrawn), Problems))]
async fn withdraw(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(batch): Path<String>,
) -> ApiResult<axum::Json<Withdrawn>> {
    let id = parameters::id("batch of invitations", &batch)?;
    let withdrawn = app.store.withdraw_batch(admin.client_no, id).await?;
    Ok(axum::Json(Withdrawn { withdrawn }))
}

/// The link in a QR code: the web app's address, with the code where no server and no log sees it.
fn link(server: &str, code: &str) -> String {
    format!("{server}/app/#pair={code}")
}
