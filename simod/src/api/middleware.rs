//! Runs on every request: an id, the guard's limits, and errors in the caller's language.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use simo_common::{lang::Lang, text};
use tracing::Instrument as _;

use super::{Peer, error::ApiError, guard, headers, parameters, proxy};
use crate::{actor, app::App};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The layer around all routes.
pub(super) async fn all(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    proxy::look_behind(&app, &mut request);
    let route = async |request| match parameters::refuse_wrong(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let mut response = in_words(request, |request| guard::guard(&app, request, route)).await;
    headers::protect(&app, response.headers_mut());
    response
}

/// Gives the request an id (or keeps the caller's), records where it comes from, and turns an [`ApiError`] into a problem
/// body.
async fn in_words<Answer>(request: Request, answer: impl FnOnce(Request) -> Answer) -> Response
where
    Answer: Future<Output = Response>,
{
    let lang = language(request.headers());
    let id = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= 128).cloned().unwrap_or_else(new_id);
    // At every log level, so that an error's line names its request. The id is quoted, because the caller may choose it.
    let span = tracing::error_span!("request", ?id, method = %request.method(), path = request.uri().path());
    let from = Peer::of(request.extensions()).origin();
    let mut response = actor::serve(from, answer(request)).instrument(span).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = error.render(lang);
    } else if response.status().is_client_error() && !is_problem(&response) {
        response = foreign(response.status()).render(lang);
    }
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// The caller's language.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or(Lang::En, Lang::from_accept_language)
}

/// Extracts the caller's language.
pub(super) struct Language(pub(super) Lang);

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(language(&parts.headers)))
    }
}

/// Answers paths that do not exist.
pub(super) async fn no_such_route(request: Request) -> Response {
    let path = request.uri().path();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        text!("there is nothing at {path}", "по адресу {path} ничего нет"),
    )
    .hint(text!("the API is described at /api/v1/openapi.json", "описание API: /api/v1/openapi.json"))
    .into_response()
}

/// Answers paths that do not support the method.
pub(super) async fn no_such_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        text!("{path} does not support {method}", "{path} не поддерживает {method}"),
    )
    .into_response()
}

fn is_problem(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == simo_common::api::problem::MEDIA_TYPE)
}

/// Errors of axum itself: paths that do not decode.
fn foreign(status: StatusCode) -> ApiError {
    let text = text!(
        "is not UTF-8: percent-encode the UTF-8 bytes of names",
        "не в UTF-8: кодируйте имена в UTF-8, каждый байт как %XX"
    );
    ApiError { status, code: "bad_request", ..ApiError::field("path", text) }
}

fn new_id() -> HeaderValue {
    let id = uuid::Uuid::from_u128(rand::random()).simple().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use axum::{Router, body::Body, middleware};
    use tower::ServiceExt as _;

    use super::*;
    use crate::store;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_says_what_went_wrong_under_the_requests_id() {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _here = tracing::subscriber::set_default(lines);
        let fails = || async { ApiError::from(store::Error::from(sqlx::Error::RowNotFound)) };
        let routes =
            Router::new().fallback(fails).layer(middleware::from_fn(async |request: Request, next: Next| {
                in_words(request, |request| next.run(request)).await
            }));
        let request = Request::get("/").header(&REQUEST_ID, "seven").body(Body::empty()).unwrap();
        let answer = routes.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[&REQUEST_ID], "seven");
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let line = log.lines().find(|line| line.contains("request failed"));
        assert!(line.is_some_and(|line| line.contains("seven")), "{log}");
    }
}
