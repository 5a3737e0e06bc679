//! Serves the web app's files, with the rules for browsers.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use simo_common::text;

use super::ApiError;
use crate::{
    app::App,
    web_app::{File, WEB_APP},
};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What our pages may do: load files beside them, call this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types app";

const PROTECTING: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (OPENER_POLICY, "same-origin"),
    (RESOURCE_POLICY, "same-origin"),
    (PERMISSIONS_POLICY, PERMISSIONS),
];

/// Denies every permission except the wake lock and (by not naming it) the clipboard, for codes.
const PERMISSIONS: &str = "screen-wake-lock=(self), accelerometer=(), \
    browsing-topics=(), camera=(), compute-pressure=(), display-capture=(), encrypted-media=(), \
    fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), \
    idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-create=(), publickey-credentials-get=(), serial=(), storage-access=(), usb=(), \
    window-management=(), xr-spatial-tracking=()";

/// Checked on each use, and resent only when changed.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// The name changes with the content.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        // Relative, because the router may be nested under a path.
        .route("/app", get(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "app/")])))
        .route("/app/", get(async |headers: HeaderMap| newest(&headers, &WEB_APP.page)))
        .route("/app/manifest.webmanifest", get(async |headers: HeaderMap| newest(&headers, &WEB_APP.manifest)))
        .route("/app/again.js", get(async |headers: HeaderMap| newest(&headers, &WEB_APP.again)))
        .route("/app/sw.js", get(worker))
        .route("/app/v/{hash}/{*path}", get(file))
}

async fn worker(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    newest(&headers, if app.config.app.worker { &WEB_APP.worker } else { &WEB_APP.no_worker })
}

/// A file of this build's folder. Another build's files are missing, which makes the page reload.
async fn file(headers: HeaderMap, Path((hash, path)): Path<(String, String)>) -> Response {
    match WEB_APP.files.get(&path).filter(|_| hash == WEB_APP.hash) {
        Some(file) => send(&headers, file, KEEP),
        None => ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_file",
            text!("this version of the app has no such file", "в этой версии приложения нет такого файла"),
        )
        .into_response(),
    }
}

/// A file with a fixed name: 304 when the browser has it.
fn newest(headers: &HeaderMap, file: &'static File) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if !known.is_some_and(|known| known.contains(&file.tag)) {
        return send(headers, file, ASK);
    }
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    keep(response.headers_mut(), file, ASK);
    response
}

fn send(headers: &HeaderMap, file: &'static File, cache: HeaderValue) -> Response {
    let takes_gzip = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|codings| codings.to_str().ok())
        .flat_map(|codings| codings.split(','))
        .any(is_gzip);
    let mut response = match &file.gzip {
        Some(gzip) if takes_gzip => {
            ([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))], gzip.clone()).into_response()
        }
        _ => file.plain.clone().into_response(),
    };
    let kind = HeaderValue::from_static(file.kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    keep(response.headers_mut(), file, cache);
    response
}

fn keep(headers: &mut HeaderMap, file: &File, cache: HeaderValue) {
    headers.insert(header::CACHE_CONTROL, cache);
    // Weak, because the compressed form shares the tag.
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{}\"", file.tag)) {
        headers.insert(header::ETAG, tag);
    }
    protect(headers);
}

/// Adds the rules for our pages.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTING {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether `coding`, an entry of `Accept-Encoding`, accepts gzip.
fn is_gzip(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
    matches!(name.trim(), "gzip" | "x-gzip" | "*") && weight != Some(0.0)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::testing::Plant;

    async fn get(
        plant: &Plant,
        path: &str,
        headers: &[(HeaderName, &str)],
    ) -> (StatusCode, HeaderMap, usize) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = crate::api::router(plant.app()).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes().len())
    }

    #[tokio::test]
    async fn files_are_kept_for_ever_and_what_names_them_is_asked_for_each_time() {
        let plant = Plant::new().await;
        let folder = format!("/app/v/{}", WEB_APP.hash);
        let gzip = [(header::ACCEPT_ENCODING, "br, gzip;q=0.8")];
        for path in ["/app/", "/app/again.js", "/app/manifest.webmanifest", "/app/sw.js"] {
            let (status, headers, _) = get(&plant, path, &gzip).await;
            assert_eq!((status.as_u16(), &headers[header::CACHE_CONTROL]), (200, &ASK), "{path}");
            let tag = [(header::IF_NONE_MATCH, headers[header::ETAG].to_str().unwrap())];
            assert_eq!(get(&plant, path, &tag).await.0, 304, "{path}");
        }
        let main = format!("{folder}/main.js");
        let (status, headers, sent) = get(&plant, &main, &gzip).await;
        assert_eq!((status.as_u16(), &headers[header::CACHE_CONTROL]), (200, &KEEP));
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        let (_, headers, plain) = get(&plant, &main, &[(header::ACCEPT_ENCODING, "gzip;q=0")]).await;
        assert!(!headers.contains_key(header::CONTENT_ENCODING) && plain > sent);
        let (status, headers, _) = get(&plant, "/app", &[]).await;
        assert_eq!((status.as_u16(), &headers[header::LOCATION]), (308, &HeaderValue::from_static("app/")));
        for path in [
            "/app/v/0123456789abcdef/main.js",
            &format!("{folder}/README.md"),
            &format!("{folder}/nothing.js"),
        ] {
            let (status, headers, _) = get(&plant, path, &[]).await;
            assert_eq!(
                (status.as_u16(), headers[header::CACHE_CONTROL].to_str().unwrap()),
                (404, "no-store"),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn a_page_of_ours_may_do_nothing_but_call_this_server() {
        let plant = Plant::new().await;
        for path in ["/app/", "/app/sw.js", &format!("/app/v/{}/main.js", WEB_APP.hash)] {
            let (_, headers, _) = get(&plant, path, &[]).await;
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert_eq!(
                policy,
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                 manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                 require-trusted-types-for 'script'; trusted-types app"
            );
            for (name, value) in [
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (OPENER_POLICY, "same-origin"),
                (RESOURCE_POLICY, "same-origin"),
            ] {
                assert_eq!(headers[&name], value, "{path}");
            }
            let permissions = headers[PERMISSIONS_POLICY].to_str().unwrap();
            let allowed = permissions.split(", ").filter(|permission| !permission.ends_with("=()"));
            assert_eq!(allowed.collect::<Vec<_>>(), ["screen-wake-lock=(self)"], "{path}");
            assert!(
                !headers.contains_key(header::SET_COOKIE) && !headers.contains_key("service-worker-allowed")
            );
        }
    }
}
