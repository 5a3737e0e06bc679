//! The plant's own CA that issued this server's certificate, for phones that do not trust it yet.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use simo_common::text;

use super::{ApiError, ApiResult, middleware::Language, web_app};
use crate::{app::App, own_ca::OwnCa, tls::Tls, web_app::WEB_APP};

/// The media type by which phones and browsers offer to install it.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-x509-ca-cert");

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/app/ca", get(page))
        // Every system takes DER, and its hash is the fingerprint; programs on Linux take PEM.
        .route("/app/ca.crt", get(async |State(app): State<Arc<App>>| file(&app, |ca| ca.der().to_vec())))
        .route("/app/ca.pem", get(async |State(app): State<Arc<App>>| file(&app, |ca| ca.pem().into_bytes())))
}

async fn page(State(app): State<Arc<App>>, Language(lang): Language) -> ApiResult<Response> {
    let ca = ca(&app)?;
    let files = "<p class=\"buttons\"><a class=\"button big\" href=\"ca.crt\">ca.crt</a><a class=\"button\" href=\"ca.pem\">ca.pem</a></p>";
    let html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<title>SiMO: CA</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"stylesheet\" href=\"v/{}/style.css\">\n</head>\n<body>\n<main class=\"page\">\n{}</main>\n</body>\n</html>\n",
        lang.code(),
        WEB_APP.hash,
        ca.steps(lang, files),
    );
    let mut response = Html(html).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-language"));
    web_app::protect(response.headers_mut());
    Ok(response)
}

fn file(app: &App, form: fn(&OwnCa) -> Vec<u8>) -> ApiResult<Response> {
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], form(&ca(app)?)).into_response())
}

fn ca(app: &App) -> ApiResult<OwnCa> {
    app.tls.as_deref().and_then(Tls::own_ca).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "no_own_ca",
            text!(
                "this server has no CA of its own for phones to trust",
                "у этого сервера нет своего УЦ, который нужно добавлять в телефоны"
            ),
        )
    })
}
