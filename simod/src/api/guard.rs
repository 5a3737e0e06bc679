//! Rejects requests of tokens and addresses over their limits before routing ([`crate::guard`]), and records refused
//! requests.

use std::time::Duration;

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use simo_common::{text, token};
use tokio::time::timeout;

use super::{ApiError, Peer, auth, due::Due, ingest};
use crate::{
    app::App,
    guard::{TokenHash, TooMany},
    store::RefusedToken,
};

/// How long an answer waits for bookkeeping.
const SOON: Duration = Duration::from_secs(1);

/// The credentials of a request.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    /// None.
    Nothing,
    /// Not a token.
    Malformed,
    /// This token.
    Token(TokenHash),
}

impl Attempt {
    fn of(request: &Request) -> Self {
        match auth::bearer(request.headers()) {
            Ok(None) => Self::Nothing,
            Ok(Some(token)) => Self::Token(token::hash(token)),
            Err(_) => Self::Malformed,
        }
    }

    fn token(self) -> Option<TokenHash> {
        match self {
            Self::Token(hash) => Some(hash),
            Self::Nothing | Self::Malformed => None,
        }
    }
}

/// Rejects callers over their limits before anything is looked up; `next` answers the others. Refused posts leave a trace.
pub(super) async fn guard<Answer>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> Answer,
) -> Response
where
    Answer: Future<Output = Response>,
{
    let attempt = Attempt::of(&request);
    let poster = attempt.token().filter(|_| ingest::is_post(request.method(), request.uri().path()));
    let response = answer(app, attempt, request, next).await;
    if let (Some(token), Some(error)) = (poster, response.extensions().get::<ApiError>()) {
        ingest::note_refused(app, token, error);
    }
    response
}

async fn answer<Answer>(
    app: &App,
    attempt: Attempt,
    mut request: Request,
    next: impl FnOnce(Request) -> Answer,
) -> Response
where
    Answer: Future<Output = Response>,
{
    // A program that nests the router guards it by itself; nobody guesses on the local socket.
    let Some(address) = Peer::of(request.extensions()).network() else {
        return next(request).await;
    };
    let due = Due::from_now();
    request.extensions_mut().insert(due);
    if let Err(error) = let_pass(app, attempt, brings_code(&request), &address, due).await {
        if error.status != StatusCode::TOO_MANY_REQUESTS {
            return error.into_response();
        }
        app.guard.refused(None, &address, "rate_limited", app.clock().now());
        let status = match attempt.token() {
            Some(hash) if app.guard.on_sight(&hash).rate_limit_as_503 => StatusCode::SERVICE_UNAVAILABLE,
            _ => error.status,
        };
        return ApiError { status, ..error }.into_response();
    }
    let response = next(request).await;
    if let Some(error) = response.extensions().get::<ApiError>() {
        // Boxed: it is seldom needed, or the future of every request would have room for it.
        Box::pin(note(app, attempt, &address, error.status, error.code)).await;
    }
    response
}

async fn let_pass(
    app: &App,
    attempt: Attempt,
    brings_code: bool,
    address: &str,
    due: Due,
) -> Result<(), ApiError> {
    let now = app.clock().now();
    let tries = match attempt {
        Attempt::Nothing => false,
        Attempt::Malformed => true,
        Attempt::Token(hash) => !app.guard.is_good(&hash),
    };
    // A code is always looked up, in its turn ([`super::codes`]): an old token that keeps calling must not keep the phones
    // behind its address from pairing.
    if tries
        && !brings_code
        && let Err(too_many) = app.guard.may_try(address, now)
    {
        match attempt.token() {
            // Boxed: it is seldom needed, or the future of every request would have room for it.
            Some(hash) if due.hold(Box::pin(lets_in(app, hash))).await?? => {}
            _ => return Err(too_many_failures(too_many)),
        }
    }
    match attempt.token() {
        Some(hash) => app.guard.take(hash, now).map_err(too_many_requests),
        None => Ok(()),
    }
}

/// Whether a token not seen before is valid. A whole plant may share the address of a guesser, and an alarm must not wait
/// until the guesser's minute is over.
///
/// # Errors
/// 503 when the database does not answer: it may be the token of an alarm.
async fn lets_in(app: &App, hash: TokenHash) -> Result<bool, ApiError> {
    let _turn = app.guard.strangers.acquire().await;
    Ok(app.store.token_holder(&hash).await?.is_some())
}

/// Whether the request authenticates by a code instead of a token.
fn brings_code(request: &Request) -> bool {
    let path = request.uri().path();
    path.ends_with("/device/pair") || path.ends_with("/device/pair/preview") || path.ends_with("/login")
}

/// Counts and records a refused request.
async fn note(app: &App, attempt: Attempt, address: &str, status: StatusCode, code: &str) {
    let now = app.clock().now();
    let reason = match (status, code) {
        (_, "wrong_code") => "wrong_code",
        (StatusCode::UNAUTHORIZED, _) => "unauthenticated",
        (StatusCode::FORBIDDEN, "blocked") => "blocked",
        (StatusCode::FORBIDDEN, _) => "forbidden",
        (StatusCode::TOO_MANY_REQUESTS, _) => "rate_limited",
        _ => return,
    };
    let refused_in = |client, reason| app.guard.refused(client, address, reason, now);
    match (reason, attempt) {
        ("unauthenticated", Attempt::Nothing) => refused_in(None, "no_token"),
        ("unauthenticated", Attempt::Malformed) => {
            app.guard.failed(address, now);
            refused_in(None, "malformed_token");
        }
        ("unauthenticated", Attempt::Token(hash)) => {
            app.guard.failed(address, now);
            app.guard.forget(&hash);
            match refused_token(app, &hash).await {
                Some(token) => refused_in(token.client_no, token.fate),
                None => refused_in(None, "unknown_token"),
            }
        }
        ("wrong_code", _) => {
            app.guard.failed(address, now);
            refused_in(None, reason);
        }
        ("forbidden" | "blocked", Attempt::Token(hash)) => {
            let token = refused_token(app, &hash).await;
            refused_in(token.and_then(|token| token.client_no), reason);
        }
        _ => refused_in(None, reason),
    }
}

/// The token's client and holder; `None` when the database does not answer soon, because an answer waits for it.
async fn refused_token(app: &App, hash: &TokenHash) -> Option<RefusedToken> {
    timeout(SOON, app.store.refused_token(hash)).await.ok()?.ok()?
}

fn rate_limited(detail: simo_common::lang::Text, retry_after: u32) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).after(retry_after)
}

/// The error for a rate-limited action that comes too soon.
pub(super) fn too_soon(detail: simo_common::lang::Text, retry_after: u32) -> ApiError {
    rate_limited(detail, retry_after)
        .hint(text!("try again in {retry_after} s", "повторите через {retry_after} с"))
}

fn too_many_requests(TooMany { limit, retry_after }: TooMany) -> ApiError {
    rate_limited(
        text!(
            "this token may make {limit} requests a minute, and has made them",
            "этому токену разрешено {limit} запросов в минуту, и они исчерпаны"
        ),
        retry_after,
    )
    .hint(text!(
        "go on in {retry_after} s; many messages go into one request: POST /api/v1/messages/batch",
        "продолжайте через {retry_after} с; много сообщений помещается в один запрос: POST /api/v1/messages/batch"
    ))
}

fn too_many_failures(TooMany { retry_after, .. }: TooMany) -> ApiError {
    rate_limited(
        text!(
            "too many wrong tokens or codes came from this address",
            "с этого адреса пришло слишком много неверных токенов или кодов"
        ),
        retry_after,
    )
    .hint(text!(
        "check the token, and try again in {retry_after} s",
        "проверьте токен и повторите через {retry_after} с"
    ))
}
