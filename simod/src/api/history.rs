//! History: messages and deliveries found by a query, and the story of one delivery.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use simo_common::{
    api::{
        history::{Delivery, Explanation, Sort, SortKey},
        message::Message,
        problem::Problem,
    },
    lang::{Lang, Text, Wrong},
    page::Page,
    query, text,
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiError, ApiResult,
    auth::{Reader, Viewer},
    middleware::Language,
    parameters::{self, Params},
};
use crate::{
    app::App,
    store::{AcsNo, Ask, AskMessages, ClientNo, PAGE_MOST},
};

/// Rows on a page by default.
const PAGE: u32 = 50;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(deliveries))
        .routes(routes!(messages))
        .routes(routes!(message))
        .routes(routes!(message_deliveries))
        .routes(routes!(explain))
}

/// The parameters of a list.
#[derive(Debug, Deserialize)]
pub(super) struct ListParameters {
    #[serde(default)]
    query: String,
    sort: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    scheduled: bool,
}

/// Parsed parameters; all errors in them are reported together.
struct List {
    query: query::Query,
    sort: Sort,
    limit: u32,
    cursor: Option<String>,
    external_id: Option<String>,
}

impl List {
    /// A list whose sort is `default` unless the caller chooses one.
    fn read(list: ListParameters, default: Sort) -> Result<Self, ApiError> {
        let mut errors: Vec<(String, Text)> = Vec::new();
        let query = query::parse(&list.query).unwrap_or_else(|mistakes| {
            errors.extend(self::mistakes(&mistakes));
            query::Query::default()
        });
        let sort = list.sort.as_deref().map_or(Ok(default), str::parse).unwrap_or_else(|wrong: Wrong| {
            errors.push(("sort".to_owned(), wrong.0));
            default
        });
        let limit = list.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MOST).contains(&limit) {
            errors.push((
                "limit".to_owned(),
                text!("is a number from 1 to {PAGE_MOST}", "число от 1 до {PAGE_MOST}"),
            ));
        }
        if list.external_id.as_ref().is_some_and(|id| id.contains('\0')) {
            errors.push(("external_id".to_owned(), text!("contains a NUL character", "содержит символ NUL")));
        }
        if errors.is_empty() {
            Ok(Self { query, sort, limit, cursor: list.cursor, external_id: list.external_id })
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    fn ask(&self, client_no: ClientNo, acs_no: Option<AcsNo>, message_id: Option<Uuid>) -> Ask<'_> {
        Ask {
            client_no,
            acs_no,
            message_id,
            query: &self.query,
            sort: self.sort,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
        }
    }
}

/// The errors in a query, each with its column.
pub(super) fn mistakes(mistakes: &[query::QueryError]) -> impl Iterator<Item = (String, Text)> {
    mistakes.iter().map(|mistake| {
        let what = Text::new(mistake.message(Lang::En), mistake.message(Lang::Ru));
        (format!("query:{}", mistake.column), what)
    })
}

fn no_such_message(id: &str) -> ApiError {
    ApiError::not_found("message", id)
}

/// Find deliveries
///
/// The history of a client in the query language, sorted, page by page; a page costs the same wherever it lies. While
/// one pages, rows may change their state: what was accepted after the first page is left out, and repeats are to be
/// dropped by message and employee.
#[utoipa::path(
    get, path = "/deliveries", tag = "history", operation_id = "deliveries",
    params(
        ("query" = Option<String>, Query, description = "A history query, such as `state:failed employee:иванов after:-2h`"),
        ("sort" = Option<String>, Query, description = "`date`, `employee`, `state`, descending with `-`; `-date` unless given"),
        ("limit" = Option<u32>, Query, description = "Rows on the page, 1 to 1000; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("client" = Option<String>, Query, description = "The client's slug, where the caller may see several"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<Delivery>),
        (status = 422, description = "The query, the sort or the cursor is wrong: `errors[].field` is `query:<column>`", body = Problem),
    ),
)]
async fn deliveries(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Params(list): Params<ListParameters>,
) -> ApiResult<Json<Page<Delivery>>> {
    let list = List::read(list, Sort::default())?;
    Ok(Json(app.store.deliveries(&list.ask(viewer.client_no, None, None)).await?))
}

/// Find messages
///
/// Newest first. What a query asks of deliveries (state, employee …) must hold for one of the message's. An ACS sees
/// its own.
#[utoipa::path(
    get, path = "/messages", tag = "messages", operation_id = "messages",
    params(
        ("query" = Option<String>, Query, description = "A history query"),
        ("external_id" = Option<String>, Query, description = "The ACS's own id of the message"),
        ("scheduled" = Option<bool>, Query, description = "Only those that wait for their `send_at`, the next one first; goes with neither `query` nor `external_id`"),
        ("limit" = Option<u32>, Query, description = "Rows on the page, 1 to 1000; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("client" = Option<String>, Query, description = "The client's slug, where the caller may see several"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<Message>),
        (status = 422, description = "The query or the cursor is wrong", body = Problem),
    ),
)]
async fn messages(
    State(app): State<Arc<App>>,
    reader: Reader,
    Params(list): Params<ListParameters>,
) -> ApiResult<Json<Page<Message>>> {
    let scheduled = list.scheduled;
    if scheduled && !(list.query.is_empty() && list.external_id.is_none()) {
        return Err(ApiError::field(
            "scheduled",
            text!("goes with neither query nor external_id", "не сочетается с query и external_id"),
        ));
    }
    let list = List::read(list, Sort::default())?;
    if scheduled {
        let (client_no, acs_no) = (reader.client_no(), reader.acs_no());
        let page = app.store.scheduled_messages(client_no, acs_no, list.limit, list.cursor.as_deref());
        return Ok(Json(page.await?));
    }
    let ask = AskMessages {
        client_no: reader.client_no(),
        acs_no: reader.acs_no(),
        external_id: list.external_id.as_deref(),
        query: &list.query,
        limit: list.limit,
        cursor: list.cursor.as_deref(),
    };
    Ok(Json(app.store.messages(&ask).await?))
}

/// Show a message
#[utoipa::path(
    get, path = "/messages/{id}", tag = "messages", operation_id = "message",
    params(
        ("id" = Uuid, Path, description = "The message"),
        ("client" = Option<String>, Query, description = "The client's slug, where the caller may see several"),
    ),
    responses(
        (status = 200, description = "The message, and how many of its deliveries stand where", body = Message),
        (status = 404, description = "No such message", body = Problem),
    ),
)]
async fn message(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Message>> {
    let id = parameters::id("message", &id)?;
    let message = app.store.message(reader.client_no(), reader.acs_no(), id).await?;
    message.map(Json).ok_or_else(|| no_such_message(&id.to_string()))
}

/// List a message's deliveries
///
/// By name unless another sort is asked for. An ACS sees its own messages'.
#[utoipa::path(
    get, path = "/messages/{id}/deliveries", tag = "messages", operation_id = "message_deliveries",
    params(
        ("id" = Uuid, Path, description = "The message"),
        ("query" = Option<String>, Query, description = "A history query"),
        ("sort" = Option<String>, Query, description = "`date`, `employee`, `state`, descending with `-`; `employee` unless given"),
        ("limit" = Option<u32>, Query, description = "Rows on the page, 1 to 1000; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("client" = Option<String>, Query, description = "The client's slug, where the caller may see several"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<Delivery>),
        (status = 404, description = "No such message", body = Problem),
        (status = 422, description = "The query, the sort or the cursor is wrong", body = Problem),
    ),
)]
async fn message_deliveries(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<String>,
    Params(list): Params<ListParameters>,
) -> ApiResult<Json<Page<Delivery>>> {
    let id = parameters::id("message", &id)?;
    let by_name = Sort { key: SortKey::Employee, descending: false };
    let list = List::read(list, by_name)?;
    let (client_no, acs_no) = (reader.client_no(), reader.acs_no());
    if app.store.message(client_no, acs_no, id).await?.is_none() {
        return Err(no_such_message(&id.to_string()));
    }
    Ok(Json(app.store.deliveries(&list.ask(client_no, acs_no, Some(id))).await?))
}

#[derive(Debug, Deserialize)]
struct ExplainParameters {
    employee: String,
}

/// Explain a delivery
///
/// The whole way of a message to a person, or why there was none, in the caller's language (`Accept-Language`).
#[utoipa::path(
    get, path = "/messages/{id}/explain", tag = "messages", operation_id = "explain",
    params(
        ("id" = Uuid, Path, description = "The message"),
        ("employee" = String, Query, description = "The person's personnel number"),
        ("client" = Option<String>, Query, description = "The client's slug, where the caller may see several"),
    ),
    responses(
        (status = 200, description = "The story", body = Explanation),
        (status = 404, description = "No such message or employee", body = Problem),
        (status = 422, description = "No employee is named", body = Problem),
    ),
)]
async fn explain(
    State(app): State<Arc<App>>,
    reader: Reader,
    Language(lang): Language,
    Path(id): Path<String>,
    Params(ExplainParameters { employee }): Params<ExplainParameters>,
) -> ApiResult<Json<Explanation>> {
    let id = parameters::id("message", &id)?;
    Ok(Json(app.store.explain(reader.client_no(), reader.acs_no(), id, &employee, lang).await?))
}
