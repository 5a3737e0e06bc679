//! `/login`: an operator logs their machine in with a one-time code from an administrator.

use std::sync::Arc;

use axum::extract::{Path, State};
use simo_common::{
    api::{
        access::IssuedToken,
        login::{LogIn, LoginCode, MOST_CODE_DAYS, NewLoginCode},
        problem::Problem,
    },
    text,
    time::DAY_SECONDS,
    token,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiResult, Created,
    check::{Check, trimmed},
    created,
};
use crate::{
    api::{Peer, auth::Keeper, body::Json, codes, openapi::Problems},
    app::App,
    store::{LoggedIn, NewSession},
};

/// How long a code works by default.
pub(super) const CODE_SECONDS: i64 = DAY_SECONDS;

/// How long a session lasts by default.
const SESSION_SECONDS: i64 = 90 * DAY_SECONDS;
const MOST_SESSION_DAYS: i64 = 366;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(log_in)).routes(routes!(make_code))
}

/// Log in
///
/// An operator's one-time code for a token of the machine's own: a session.
#[utoipa::path(post, path = "/login", tag = "operators", operation_id = "log_in", security(()),
    request_body = LogIn,
    responses(
        (status = 200, description = "The operator is in; the token is shown this once", body = IssuedToken),
        (status = 403, description = "`wrong_code`: unknown, used or expired", body = Problem),
        (status = 422, description = "Fields are not valid", body = Problem),
        (status = 429, description = "Too many wrong codes from this address; see Retry-After", body = Problem),
    ))]
async fn log_in(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(mut login): Json<LogIn>,
) -> ApiResult<axum::Json<IssuedToken>> {
    let seconds = login.valid_for.unwrap_or(SESSION_SECONDS);
    trimmed(&mut login.name);
    let code = token::normalize_code(&login.code);
    let mut check = Check::default();
    if code.is_empty() {
        check.wrong(
            "code",
            text!(
                "the code that an administrator gave you, such as K7QD-M2XA-9F",
                "код, который дал администратор, например K7QD-M2XA-9F"
            ),
        );
    }
    check.name("name", &login.name);
    check.valid_for(seconds, MOST_SESSION_DAYS);
    check.done()?;
    let session = NewSession { code_hash: token::hash(&code), name: login.name, valid_for_seconds: seconds };
    let from = codes::counted_under(peer);
    let log_in = || async {
        match app.store.log_in(&from, &session).await? {
            LoggedIn::Done(issued) => Ok(Some(issued)),
            LoggedIn::NextSecond => Ok(None),
            LoggedIn::WrongCode => Err(codes::wrong()),
            LoggedIn::TooMany { retry_after } => Err(codes::too_many(retry_after)),
        }
    };
    codes::look_up(&app, peer, log_in).await.map(axum::Json)
}

/// Make a login code
///
/// The operator logs in with it once, and so gets a token that nobody else has seen. The code that they had works no more.
#[utoipa::path(post, path = "/operators/{name}/code", tag = "operators", operation_id = "login_code",
    params(("name" = String, Path, description = "The operator")), request_body = NewLoginCode,
    responses((status = 201, description = "The code, shown this once", body = LoginCode), Problems))]
async fn make_code(
    keeper: Keeper,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(new): Json<NewLoginCode>,
) -> ApiResult<Created<LoginCode>> {
    let seconds = new.valid_for.unwrap_or(CODE_SECONDS);
    let mut check = Check::default();
    check.valid_for(seconds, MOST_CODE_DAYS);
    check.done()?;
    let code = app.store.login_code(keeper.within(), &name, seconds).await?;
    Ok(created(LoginCode { server: app.config.found_at(), ..code }))
}
