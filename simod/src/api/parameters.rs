//! Query parameters. One that the route does not know is refused, because a misspelled name would widen a list, or send a
//! message that was to be a dry run; so is one that appears twice.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use axum::extract::{FromRequestParts, MatchedPath, Query, Request};
use http::{Method, request::Parts};
use serde::de::DeserializeOwned;
use simo_common::{api::PREFIX, lang::Text, text};
use url::form_urlencoded;
use utoipa::openapi::{
    RefOr,
    path::{Operation, ParameterIn},
};
use uuid::Uuid;

use super::{ApiError, ApiResult, body};

/// Query parameters; wrong ones are reported by name.
#[derive(Debug, Clone)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(unreadable(&rejection.body_text())),
        }
    }
}

/// The error for a parameter that cannot be read; `said` is axum's message, which begins with its name.
fn unreadable(said: &str) -> ApiError {
    let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(said);
    match said.split_once(": ") {
        Some((name, said)) if said.contains("digit") => {
            ApiError::field(name, text!("must be a whole number", "должно быть целое число"))
        }
        Some((name, said)) if said.contains("`true` or `false`") => {
            ApiError::field(name, text!("must be true or false", "должно быть true или false"))
        }
        Some((name, said)) => ApiError::field(name, body::in_words(said)),
        None => ApiError::field(body::named_field(said).unwrap_or("query string"), body::in_words(said)),
    }
}

/// The id in a path; anything else is answered with "not found".
pub(super) fn id(noun: &'static str, text: &str) -> ApiResult<Uuid> {
    text.parse().map_err(|_| ApiError::not_found(noun, text))
}

/// Accepted everywhere, so that callers who name their client need not know where it matters.
const CLIENT: &str = "client";

/// The parameters of each route, from its description.
static KNOWN: LazyLock<HashMap<(Method, String), Vec<String>>> = LazyLock::new(|| {
    let mut known = HashMap::new();
    for (path, item) in super::routes().into_openapi().paths.paths {
        let operations = [
            (Method::GET, item.get),
            (Method::POST, item.post),
            (Method::PUT, item.put),
            (Method::PATCH, item.patch),
            (Method::DELETE, item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                known.insert((method, path.clone()), names(operation));
            }
        }
    }
    known
});

fn names(operation: Operation) -> Vec<String> {
    let parameters = operation.parameters.unwrap_or_default().into_iter();
    let names = parameters.filter_map(|parameter| match parameter {
        RefOr::T(known) if known.parameter_in == ParameterIn::Query => Some(known.name),
        _ => None,
    });
    names.collect()
}

/// Refuses unknown and repeated parameters: of two with one name, one would be ignored.
pub(super) fn refuse_wrong(request: &Request) -> ApiResult<()> {
    let (Some(query), Some(path)) = (request.uri().query(), request.extensions().get::<MatchedPath>()) else {
        return Ok(());
    };
    // The router may be nested under a path of another program.
    let path = path.as_str();
    let path = path.find(PREFIX).map_or(path, |start| &path[start..]);
    let Some(known) = KNOWN.get(&(request.method().clone(), path.to_owned())) else {
        return Ok(());
    };
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    let mut errors = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if name != CLIENT && !known.iter().any(|known| *known == name) {
            errors.push((name.into_owned(), not_known(known)));
        } else if seen.contains(&name) {
            errors.push((name.into_owned(), text!("appears twice", "параметр повторяется")));
        } else {
            seen.push(name);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(errors)) }
}

fn not_known(known: &[String]) -> Text {
    let known = if known.is_empty() { CLIENT.to_owned() } else { known.join(", ") };
    text!("is not known here; known: {known}", "такого параметра здесь нет; есть: {known}")
}
