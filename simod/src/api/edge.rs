//! What happens to every request and response: an id, and errors in the caller's language.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use simo_common::{lang::Lang, text};
use tracing::Instrument as _;

use super::{Peer, error::ApiError};
use crate::actor;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id (or keeps the caller's), remembers where it comes from, and turns an [`ApiError`] into a problem body.
pub(super) async fn edge(request: Request, next: Next) -> Response {
    let lang = language(request.headers());
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|id| id.len() <= 128)
        .cloned()
        .unwrap_or_else(new_id);
    let span =
        tracing::debug_span!("request", id = ?id, method = %request.method(), path = request.uri().path());
    let from = Peer::of(request.extensions()).origin();
    let mut response = actor::serve(from, next.run(request)).instrument(span).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = error.render(lang);
    } else if response.status().is_client_error() && !is_problem(&response) {
        // axum's own refusals: a body over the limit, a path that does not decode, a wrong query.
        response = foreign(response.status()).render(lang);
    }
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// The language that the caller reads.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or(Lang::En, Lang::from_accept_language)
}

/// For paths that do not exist.
pub(super) async fn no_such_route(request: Request) -> Response {
    let path = request.uri().path();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        text!("there is nothing at {path}", "по адресу {path} ничего нет"),
    )
    .hint(text!(
        "the API is described at /api/v1/openapi.json",
        "описание API: /api/v1/openapi.json"
    ))
    .into_response()
}

/// For paths that do not know the method.
pub(super) async fn no_such_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        text!("{path} does not know {method}", "{path} не поддерживает {method}"),
    )
    .into_response()
}

fn is_problem(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == simo_common::api::problem::MEDIA_TYPE)
}

fn foreign(status: StatusCode) -> ApiError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
        _ => ApiError::new(
            status,
            "bad_request",
            text!("the request cannot be understood", "запрос не удалось разобрать"),
        ),
    }
}

fn new_id() -> HeaderValue {
    let id = uuid::Uuid::from_u128(rand::random()).simple().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}
