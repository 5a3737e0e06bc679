//! The OpenAPI document: collected from the routers, so that no route can be missing, and served beside them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::response::IntoResponse;
use http::header;
use simo_common::api::{
    PREFIX,
    problem::{MEDIA_TYPE, Problem},
};
use utoipa::{
    IntoResponses, Modify, OpenApi, PartialSchema as _, ToSchema as _,
    openapi::{
        Content, Ref, RefOr, Required, Response, ResponseBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// The document's head.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "SiMO",
        description = "Carries messages from a company's control systems to its employees' phones.\n\n\
            Errors are problem bodies (RFC 9457) in the language of `Accept-Language` (Russian, English). Every answer \
            has an `x-request-id`. Requests may begin with a UTF-8 BOM; unknown fields are refused; answers may grow \
            fields within a version.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "messages", description = "Posting messages and reading them back"),
        (name = "history", description = "Deliveries, and the live feed"),
        (name = "device", description = "A phone's side: pairing, receipts, its own messages"),
        (name = "clients", description = "The legal entities that use SiMO"),
        (name = "acs", description = "The systems that post messages"),
        (name = "operators", description = "The people who administer"),
        (name = "tokens", description = "What lets ACS and operators in"),
        (name = "employees", description = "The people who receive messages"),
        (name = "groups", description = "Employees together: a department, a shift"),
        (name = "topics", description = "Kinds of information, and who may receive them"),
        (name = "devices", description = "Phones, as administrators see them"),
        (name = "site", description = "What there is to be, in one document"),
        (name = "audit", description = "Who changed what"),
        (name = "service", description = "What the daemon says of itself"),
    )
)]
struct Head;

/// Authentication by token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token: `simo_acs_…`, `simo_op_…` or `simo_dev_…`. On the daemon's Unix socket its own user and root \
                 need none and are owners.",
            ))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The errors that every operation may return.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = problem("What went wrong, why, and what to do");
        BTreeMap::from([("default".to_owned(), RefOr::T(problem))])
    }
}

fn problem(description: &str) -> Response {
    let body = Content::new(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))));
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, body).build()
}

/// The errors that operations have in common: status, name, and what they mean.
const COMMON: [(&str, &str, &str); 4] = [
    ("401", "Unauthenticated", "No token, or one that does not let in"),
    ("403", "Forbidden", "The caller may not do this"),
    ("404", "NotFound", "What the path names does not exist, or not for this caller"),
    (
        "429",
        "TooManyRequests",
        "Too many requests of this token, or too many wrong tokens or codes from this address; see Retry-After",
    ),
];

/// Adds them to an operation, unless it describes them itself.
fn add_problems(path: &str, operation: &mut Operation) {
    let is_open = operation.security.is_some();
    for (status, name, _) in COMMON {
        let happens = if status == "404" { path.contains('{') } else { !is_open };
        if happens && !operation.responses.responses.contains_key(status) {
            let response = RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.insert(status.to_owned(), response);
        }
    }
}

/// The router that all others are merged into, with the head of the document.
pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Head::openapi())
}

/// The route that serves the document.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(serve))
}

/// The document of all routes, as JSON.
pub fn document() -> String {
    let mut document = super::routes().into_openapi();
    document
        .components
        .get_or_insert_default()
        .schemas
        .extend([(Problem::name().into_owned(), Problem::schema())]);
    let responses = &mut document.components.get_or_insert_default().responses;
    responses.extend(COMMON.map(|(_, name, description)| (name.to_owned(), RefOr::T(problem(description)))));
    let mut nested = Vec::new();
    Problem::schemas(&mut nested);
    document.components.get_or_insert_default().schemas.extend(nested);
    for (path, item) in &mut document.paths.paths {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            if is_of_a_client(path) {
                name_client(operation);
            }
            label_problems(operation);
            add_problems(path, operation);
        }
    }
    // The document is plain data, which always serialises.
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Whether operators who see several clients must name one.
fn is_of_a_client(path: &str) -> bool {
    let alone = ["/clients", "/clock", "/device/", "/login", "/sessions", "/whoami", "/openapi.json"];
    path.strip_prefix(PREFIX)
        .is_some_and(|path| path != "/device" && !alone.iter().any(|prefix| path.starts_with(prefix)))
}

fn name_client(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let client = ParameterBuilder::new()
        .name("client")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "The client's slug, for operators who see several; the only one there is unless said otherwise",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    let named = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.name == "client");
    if !parameters.iter().any(named) {
        parameters.push(RefOr::T(client));
    }
}

/// Sets the media type of `body = Problem`, which the attribute would otherwise have to repeat.
fn label_problems(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(Response { content, .. }) = response else {
            continue;
        };
        if content.get("application/json").is_some_and(is_problem)
            && let Some(body) = content.shift_remove("application/json")
        {
            content.insert(MEDIA_TYPE.to_owned(), body);
        }
    }
}

fn is_problem(body: &RefOr<Content>) -> bool {
    let problem = Ref::from_schema_name(Problem::name());
    matches!(body, RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. })
        if schema.ref_location == problem.ref_location)
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    operation_id = "openapi",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
async fn serve() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(document);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests;
