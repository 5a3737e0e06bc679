//! The employee's own messages, also from before the phone was paired.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, State};
use http::request::Parts;
use simo_common::{
    api::{device::DeviceMessage, problem::Problem},
    page::{Page, decode_cursor, encode_cursor},
    query::{self, Query},
    text,
};
use url::form_urlencoded;

use crate::{
    api::{ApiError, ApiResult, auth::Phone, history, parameters},
    app::App,
};

/// Rows of a page by default.
const LIMIT: usize = 100;
/// Rows of a page at most.
const MOST: usize = 1000;

/// The requested part of the list.
pub(super) struct Part {
    limit: usize,
    cursor: Option<String>,
    query: Option<Query>,
}

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut part = Self { limit: LIMIT, cursor: None, query: None };
        let mut errors = Vec::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "limit" => match value.parse() {
                    Ok(limit) if (1..=MOST).contains(&limit) => part.limit = limit,
                    _ => errors.push((
                        "limit".to_owned(),
                        text!("must be 1 to {MOST}", "должно быть от 1 до {MOST}"),
                    )),
                },
                "cursor" => part.cursor = Some(value.into_owned()),
                "query" => match query::parse(&value) {
                    Ok(query) => part.query = Some(query).filter(|query| !query.terms.is_empty()),
                    Err(mistakes) => errors.extend(history::mistakes(&mistakes)),
                },
                _ => {}
            }
        }
        if errors.is_empty() { Ok(part) } else { Err(ApiError::invalid(errors)) }
    }
}

/// List the employee's own messages
///
/// Newest first, also from before the phone was paired.
#[utoipa::path(
    get,
    path = "/device/messages",
    tag = "device",
    operation_id = "own_messages",
    params(
        ("limit" = Option<u32>, Query, description = "Rows per page, 1 to 1000; 100 unless said otherwise"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("query" = Option<String>, Query, description = "A history query over the own messages, such as `котёл after:-2h`; \
            `employee:`, `group:`, `group-now:`, `device:` and an `acs:` that never wrote to this employee are refused"),
    ),
    responses(
        (status = 200, description = "One page", body = Page<DeviceMessage>),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 422, description = "`limit` or `cursor` is not valid", body = Problem),
    )
)]
pub(super) async fn messages(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Part { limit, cursor, query }: Part,
) -> ApiResult<axum::Json<Page<DeviceMessage>>> {
    if let Some(query) = query {
        return Ok(axum::Json(app.store.find_own(&phone, &query, cursor.as_deref(), limit).await?));
    }
    let after = cursor.map(|cursor| decode_cursor(&cursor).ok_or_else(no_cursor)).transpose()?;
    let mut items = app.store.own_messages(&phone, after, limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(no, _)| encode_cursor(no));
    Ok(axum::Json(Page { items: items.into_iter().map(|(_, message)| message).collect(), next }))
}

fn no_cursor() -> ApiError {
    ApiError::field(
        "cursor",
        text!(
            "is not a cursor of this list: pass `next` of its last page",
            "это не курсор данного списка: передайте `next` предыдущей страницы"
        ),
    )
}

/// Show one of the employee's own messages
#[utoipa::path(
    get,
    path = "/device/messages/{id}",
    tag = "device",
    operation_id = "own_message",
    params(("id" = Uuid, Path, description = "The message's id, as the push says")),
    responses(
        (status = 200, description = "The message", body = DeviceMessage),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 404, description = "Not this employee's, or canceled", body = Problem),
    )
)]
pub(super) async fn message(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Path(id): Path<String>,
) -> ApiResult<axum::Json<DeviceMessage>> {
    let found = app.store.own_message(&phone, parameters::id("message", &id)?).await?;
    found.map(axum::Json).ok_or_else(|| ApiError::not_found("message", &id))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use simo_common::token::{self, TokenKind};

    use crate::testing::{Plant, call};

    #[tokio::test]
    async fn pages_follow_each_other_without_a_gap() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        for n in 0..5 {
            plant.message(&format!("m{n}"), &[employee]).await;
        }
        let phone = plant.phone(employee, None).await;
        let token = Some(phone.token.as_str());
        let app = plant.app();
        let mut path = "/device/messages?limit=2".to_owned();
        let mut titles = Vec::new();
        loop {
            let (status, page) = call(&app, Method::GET, &path, token, None).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap();
            titles.extend(items.iter().map(|item| item["title"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = format!("/device/messages?limit=2&cursor={next}"),
                None => break,
            }
        }
        titles.sort();
        assert_eq!(titles, ["m0", "m1", "m2", "m3", "m4"]);
    }

    #[tokio::test]
    async fn a_wrong_part_of_the_list_is_refused_by_name() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, None).await;
        let app = plant.app();
        for (query, field) in
            [("limit=0", "limit"), ("limit=ж", "limit"), ("limit=1&limit=2", "limit"), ("cursor=x", "cursor")]
        {
            let query = query.replace('ж', "%D0%B6");
            let path = format!("/device/messages?{query}");
            let (status, problem) = call(&app, Method::GET, &path, Some(&phone.token), None).await;
            assert_eq!((status.as_u16(), problem["errors"][0]["field"].as_str()), (422, Some(field)));
        }
        let (status, _) = call(&app, Method::GET, "/device/messages/x", Some(&phone.token), None).await;
        assert_eq!(status, 404);
        let (status, _) = call(&app, Method::GET, "/device/messages", Some(&plant.acs_token), None).await;
        assert_eq!(status, 403, "an ACS is no phone");
        let gone = token::generate(TokenKind::Device);
        let (status, problem) = call(&app, Method::GET, "/device/messages", Some(&gone), None).await;
        let hint = problem["hint"].as_str().unwrap();
        assert!(status == 401 && hint.contains("pair again"), "{problem}");
    }
}
