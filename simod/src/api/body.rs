//! Request bodies: JSON without NUL characters; errors name the field.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use simo_common::{lang::Text, text};

use super::{due::Due, error::ApiError};
use crate::{app::App, bodies::SMALL};

mod fields;
mod list;
mod nul;
mod raw;
mod received;
mod strict;

use self::strict::Strict;
pub(super) use self::{
    fields::{Effort, WHOLE, clipped, in_words, named_field},
    list::list,
    raw::RawFields,
    received::read,
};

/// A JSON body. A UTF-8 BOM before it is skipped (1C sends one).
#[derive(Debug, Clone)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let bytes = read(app, request, &mut Due::from_now()).await?;
        match plain(&bytes) {
            Some(value) => Ok(Self(value)),
            None => app.bodies.aside(move || parse(&bytes)).await?.map(Self),
        }
    }
}

/// Parses a small, correct body, which costs next to nothing. Otherwise `None`: errors are found aside
/// ([`crate::bodies::Bodies::aside`]).
pub(crate) fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.len() > SMALL {
        return None;
    }
    let bytes = without_bom(bytes);
    read_json(bytes).ok().filter(|_| !nul::is_in(bytes))
}

/// Parses a JSON body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    parse_with(bytes, &mut Effort::default())
}

/// Parses one of many JSON bodies that share `effort`; once that is spent, errors are brief.
pub(crate) fn parse_with<T: DeserializeOwned>(bytes: &[u8], effort: &mut Effort) -> Result<T, ApiError> {
    parse_or_mend_with(bytes, effort).map_err(|wrong| wrong.error)
}

/// Parses a JSON body. If fields are wrong, the body without them is returned too, so that the others can be checked.
pub(crate) fn parse_or_mend<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong<T>> {
    parse_or_mend_with(bytes, &mut Effort::default())
}

fn parse_or_mend_with<T: DeserializeOwned>(bytes: &[u8], effort: &mut Effort) -> Result<T, Wrong<T>> {
    let bytes = without_bom(bytes);
    let value = read_json(bytes).map_err(|_| explain::<T>(bytes, effort))?;
    // One NUL character would fail a whole transaction on PostgreSQL, so it does not get in.
    if nul::is_in(bytes) {
        return Err(ApiError::invalid(nul::with_nul(bytes, effort)).into());
    }
    Ok(value)
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Strict(&mut json))?;
    json.end()?;
    Ok(value)
}

/// The error of a body.
#[derive(Debug)]
pub(crate) struct Wrong<T> {
    /// The answer.
    pub(crate) error: ApiError,
    /// The body with harmless values in the wrong fields, where that makes it valid.
    pub(crate) mended: Option<T>,
}

impl<T> From<ApiError> for Wrong<T> {
    fn from(error: ApiError) -> Self {
        Self { error, mended: None }
    }
}

/// The bytes without a leading UTF-8 BOM.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Parses again, slowly, to find the errors; where only single fields are wrong, also mends the body.
fn explain<T: DeserializeOwned>(bytes: &[u8], effort: &mut Effort) -> Wrong<T> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let place = error.valid_up_to() + 1;
        return malformed(&text!(
            "the body is not UTF-8 (byte {place})",
            "тело запроса не в UTF-8 (байт {place})"
        ))
        .into();
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(Strict(&mut json)) else {
        return malformed(&text!(
            "there is something after the JSON value",
            "после значения JSON есть что-то ещё"
        ))
        .into();
    };
    let cause = error.inner();
    if cause.to_string().starts_with("recursion limit exceeded") {
        return malformed(&text!(
            "the body is nested too deeply",
            "слишком глубокая вложенность в теле запроса"
        ))
        .into();
    }
    // serde_json reports numbers that fit none of its types, and lone surrogates, as syntax errors.
    if cause.is_data() || serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return fields::all_wrong(bytes, &error, effort);
    }
    let (line, column) = (cause.line(), cause.column());
    malformed(&text!(
        "the body is not JSON (line {line}, column {column})",
        "тело запроса не является JSON (строка {line}, столбец {column})"
    ))
    .into()
}

fn malformed(detail: &Text) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "malformed", detail.clone())
        .hint(text!("send one JSON value in UTF-8", "пришлите одно значение JSON в UTF-8"))
}

#[cfg(test)]
mod tests {
    use simo_common::api::message::PostMessage;

    use super::*;

    fn refusal(json: &str) -> ApiError {
        parse::<PostMessage>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_wrong_field_is_named() {
        assert_eq!(refusal(r#"{"title":1}"#).errors[0].0, "title");
        assert_eq!(
            refusal(r#"{"title":"a","recipients":{"groups":["x",2]}}"#).errors[0].0,
            "recipients.groups[1]"
        );
        assert_eq!(refusal(r#"{"title":"a","titel":"b"}"#).errors[0].0, "titel");
        assert_eq!(refusal(r#"{"title":"a","priority":1}"#).errors[0].0, "priority");
        assert_eq!(refusal(r#"{"body":"a"}"#).errors[0].0, "title");
        assert_eq!(refusal(r#"{"title":"a","title":"b"}"#).errors[0].0, "title");
        assert_eq!(
            refusal(r#"{"title":"a","recipients":{"groups":[],"groups":[]}}"#).errors[0].0,
            "recipients.groups"
        );
        assert_eq!(refusal(r#"{"title":"#).code, "malformed");
        assert_eq!(refusal("{} {}").status, 422);
        assert_eq!(refusal("[]").errors[0].0, "(request)");
        assert_eq!(refusal(r#"{"title":"a"} {}"#).code, "malformed");
        let deep = format!(r#"{{"title":"a","data":{}1{}}}"#, r#"{"a":"#.repeat(200), "}".repeat(200));
        assert!(refusal(&deep).detail.en.contains("nested"));
        let latin = parse::<PostMessage>(b"{\"title\":\"\xe0\"}").unwrap_err();
        assert_eq!((latin.code, latin.detail.en.contains("byte 11")), ("malformed", true));
    }

    #[test]
    fn a_wrong_value_is_told_in_either_language_without_names_of_types() {
        let told = |json: &str| refusal(json).errors[0].1.clone();
        for (json, en, ru) in [
            (r#"{"title":1}"#, "must be a text", "должна быть строка"),
            (r#"{"title":"a","ttl":1e30}"#, "must be a whole number", "должно быть целое число"),
            (r#"{"title":"a","ttl":"1"}"#, "must be a whole number", "должно быть целое число"),
            (r#"{"title":"a","require_ack":1}"#, "must be true or false", "должно быть true или false"),
            (r#"{"title":"a","recipients":5}"#, "must be an object", "должен быть объект"),
            (r#"{"title":"a","recipients":{"groups":"b"}}"#, "must be a list", "должен быть список"),
            (r#"{"body":"a"}"#, "is missing", "обязательное поле отсутствует"),
            (
                r#"{"title":"a","priority":"urgent"}"#,
                "must be one of: low, normal, high, critical",
                "возможны значения: low, normal, high, critical",
            ),
            (
                r#"{"title":"a","priority":3}"#,
                "must be one of: low, normal, high, critical",
                "возможны значения: low, normal, high, critical",
            ),
            (
                r#"{"title":"a","titel":"b"}"#,
                "is not known here; did you mean `title`?",
                "такого поля здесь нет; может быть, «title»?",
            ),
            ("5", "must be an object", "должен быть объект"),
            ("[]", "must be an object", "должен быть объект"),
            (r#"{"title":"a","recipients":["001"]}"#, "must be an object", "должен быть объект"),
            (r#"{"title":"a","data":["001"]}"#, "must be an object", "должен быть объект"),
            (
                r#"{"title":"\ud83d"}"#,
                "contains an unpaired surrogate such as \\ud83d",
                "есть непарный суррогат вроде \\ud83d",
            ),
            (
                r#"{"title":"a","data":{"b":"\ud83d"}}"#,
                "contains an unpaired surrogate such as \\ud83d",
                "есть непарный суррогат вроде \\ud83d",
            ),
        ] {
            assert_eq!((told(json).en.as_str(), told(json).ru.as_str()), (en, ru), "{json}");
        }
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let fields = |json: &str| -> Vec<String> {
            let mut fields: Vec<_> = refusal(json).errors.into_iter().map(|(field, _)| field).collect();
            fields.sort();
            fields
        };
        assert_eq!(
            fields(
                r#"{"titel":"a","priority":3,"ttl":"1","require_ack":0,"recipients":{"employees":[1,"2",3],"grupy":[]},
                    "body":"\u0000","data":{"x":["\u0000","\u0000"]}}"#
            ),
            [
                "body",
                "data.x[0]",
                "data.x[1]",
                "priority",
                "recipients.employees[0]",
                "recipients.employees[2]",
                "recipients.grupy",
                "require_ack",
                "titel",
                "title",
                "ttl"
            ]
        );
        assert_eq!(fields(r#"{"title":"a\u0000","body":"\u0000"}"#), ["body", "title"]);
        let many = format!(r#"{{"title":"a","recipients":{{"employees":{:?}}}}}"#, [1; 1000]);
        assert_eq!(fields(&many).len(), 32, "no book is written about one request");
    }

    #[test]
    fn ids_and_times_have_words_of_their_own() {
        use simo_common::api::device::{Pair, Receipt};
        let told = |json: &str| parse::<Vec<Receipt>>(json.as_bytes()).unwrap_err().errors;
        let id = "019ab3c4-0000-7000-8000-000000000000";
        for (json, field, en) in [
            (
                r#"[{"message_id":"x","kind":"read","at":"2026-11-22T03:00:00Z"}]"#.to_owned(),
                "[0].message_id",
                "is not an id such as 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b",
            ),
            (
                format!(r#"[{{"message_id":"{id}","kind":"read","at":"вчера"}}]"#),
                "[0].at",
                "is not a time such as 2026-11-22T03:00:00+03:00",
            ),
            (
                format!(r#"[{{"message_id":"{id}","kind":"read","at":"9999-12-31T23:59:59Z"}}]"#),
                "[0].at",
                "is not a time such as 2026-11-22T03:00:00+03:00",
            ),
            (format!(r#"[{{"message_id":"{id}","kind":"read"}}]"#), "[0].at", "is missing"),
        ] {
            let errors = told(&json);
            assert_eq!((errors[0].0.as_str(), errors[0].1.en.as_str()), (field, en));
            assert_ne!(errors[0].1.en, errors[0].1.ru);
        }
        let pair = parse::<Pair>(br#"{"code":"a","channel":{},"name":"b","platform":"c"}"#);
        assert_eq!(pair.unwrap_err().errors[0].0, "channel.kind");
    }

    #[test]
    fn a_nul_is_refused_wherever_it_stands_and_a_backslash_is_not() {
        assert_eq!(refusal("{\"title\":\"a\",\"data\":{\"x\":[\"\\u0000\"]}}").errors[0].0, "data.x[0]");
        let escaped: PostMessage = parse(br#"{"title":"a\\u0000"}"#).unwrap();
        assert_eq!(escaped.title, "a\\u0000");
    }

    #[test]
    fn a_bom_is_skipped() {
        let message: PostMessage = parse(b"\xef\xbb\xbf{\"title\":\"a\"}").unwrap();
        assert_eq!(message.title, "a");
    }
}
