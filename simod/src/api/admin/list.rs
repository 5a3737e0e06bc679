//! The parameters that all lists take, and the pages that they return.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use simo_common::{
    page::{Page, decode_cursor, encode_cursor},
    text,
};
use utoipa::IntoParams;

use super::{ApiError, ApiResult, parameters::Params};
use crate::store::{Find, Listing, Rows};

const DEFAULT_LIMIT: usize = 100;
/// Large enough for a caller to get all receivers of a topic, computed anew for every page, in one or two requests.
const MOST: usize = 100_000;

/// Which rows of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Words that must be in a row's names, all of them, in any order and case.
    query: Option<String>,
    /// Rows per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100_000, default = 100)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// With archived ones.
    #[param(value_type = Option<bool>)]
    archived: Option<String>,
}

/// Which rows of a list, checked. `K` is a row's position in it.
#[derive(Debug, Clone)]
pub(super) struct List<K>(pub(super) Listing<K>);

impl<K: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for List<K> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Params(params) = Params::<ListParams>::from_request_parts(parts, state).await?;
        params.check().map(Self)
    }
}

impl ListParams {
    fn check<K: DeserializeOwned>(self) -> ApiResult<Listing<K>> {
        let mut errors = Vec::new();
        let limit = match self.limit.as_deref() {
            None => Some(DEFAULT_LIMIT),
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)),
        };
        if limit.is_none() {
            errors.push(("limit".to_owned(), text!("must be 1 to {MOST}", "должно быть от 1 до {MOST}")));
        }
        let after = self.cursor.as_deref().map(decode_cursor);
        if matches!(after, Some(None)) {
            errors.push((
                "cursor".to_owned(),
                text!(
                    "is not a cursor of this list: pass `next` of its last page",
                    "это не курсор данного списка: передайте `next` предыдущей страницы"
                ),
            ));
        }
        let archived = match self.archived.as_deref() {
            None | Some("false") => Some(false),
            Some("true" | "") => Some(true),
            Some(_) => None,
        };
        if archived.is_none() {
            errors
                .push(("archived".to_owned(), text!("must be true or false", "должно быть true или false")));
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        Ok(Listing {
            find: Find::new(self.query.as_deref().unwrap_or("")),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after: after.flatten(),
            archived: archived.unwrap_or_default(),
        })
    }
}

/// A page as an answer.
pub(super) fn answer<T, K: Serialize>(rows: Rows<T, K>) -> axum::Json<Page<T>> {
    axum::Json(Page { items: rows.items, next: rows.next.as_ref().map(encode_cursor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_parameters_are_named_at_once() {
        let params = ListParams {
            limit: Some("100001".to_owned()),
            cursor: Some("###".to_owned()),
            archived: Some("maybe".to_owned()),
            ..ListParams::default()
        };
        let error = params.check::<String>().unwrap_err();
        let fields: Vec<_> = error.errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["limit", "cursor", "archived"]);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let params = ListParams { cursor: Some(encode_cursor(&(1, 2))), ..ListParams::default() };
        assert!(params.check::<String>().is_err());
    }
}
