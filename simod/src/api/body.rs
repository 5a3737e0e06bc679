//! Request bodies: JSON that is refused with the field's name, and never with a NUL character in it.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use simo_common::{lang::Text, text};

use super::error::ApiError;
use crate::serve::TooSlow;

/// A JSON body. A UTF-8 BOM before it is skipped (1C sends one).
#[derive(Debug, Clone)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        parse(&read(request, state).await?).map(Self)
    }
}

/// The body's bytes, up to the route's limit.
pub(crate) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if is_too_slow(&rejection) {
            return ApiError::too_slow();
        }
        let status = axum::response::IntoResponse::into_response(rejection).status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            ApiError::too_large()
        } else {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                text!(
                    "the request's body did not arrive whole",
                    "тело запроса пришло не целиком"
                ),
            )
        }
    })
}

/// Whether a body was given up because it arrived too slowly.
fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<TooSlow>)
}

/// Parses a JSON body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let value = parse_parts(bytes)?;
    refuse_nul(without_bom(bytes))?;
    Ok(value)
}

/// Parses JSON into parts that are going to be parsed each by itself, so that a NUL spoils its own part only.
pub(crate) fn parse_parts<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = without_bom(bytes);
    serde_json::from_slice(bytes).map_err(|_| explain::<T>(bytes))
}

/// The bytes without a leading UTF-8 BOM.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// One NUL character would fail a whole batch on PostgreSQL, so it does not get in. The escape is looked for in the raw
/// bytes, which costs next to nothing; only when it is there (it may be an escaped backslash) the JSON is walked.
fn refuse_nul(bytes: &[u8]) -> Result<(), ApiError> {
    if memchr::memmem::find(bytes, b"\\u0000").is_none() {
        return Ok(());
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    match find_nul(&value, String::new()) {
        Some(field) => Err(ApiError::field(
            field,
            text!(
                "must not contain the NUL character (\\u0000)",
                "не должно содержать символ NUL (\\u0000)"
            ),
        )),
        None => Ok(()),
    }
}

fn find_nul(value: &serde_json::Value, path: String) -> Option<String> {
    match value {
        serde_json::Value::String(text) => text.contains('\0').then_some(path),
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(n, item)| find_nul(item, format!("{path}[{n}]"))),
        serde_json::Value::Object(fields) => fields.iter().find_map(|(name, item)| {
            let inner = if path.is_empty() {
                name.replace('\0', "")
            } else {
                format!("{path}.{}", name.replace('\0', ""))
            };
            if name.contains('\0') {
                Some(inner)
            } else {
                find_nul(item, inner)
            }
        }),
        _ => None,
    }
}

/// Parses again, slowly, to learn where it went wrong.
fn explain<T: DeserializeOwned>(bytes: &[u8]) -> ApiError {
    if let Err(error) = std::str::from_utf8(bytes) {
        let place = error.valid_up_to() + 1;
        return malformed(&text!(
            "the body is not UTF-8 (byte {place})",
            "тело запроса не в UTF-8 (байт {place})"
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return malformed(&text!(
            "there is something after the JSON value",
            "после значения JSON есть что-то ещё"
        ));
    };
    let field = error.path().to_string();
    let cause = error.inner();
    if cause.to_string().starts_with("recursion limit exceeded") {
        return malformed(&text!(
            "the body is nested too deeply",
            "слишком глубокая вложенность в теле запроса"
        ));
    }
    if cause.is_data() {
        let said = cause.to_string();
        let said = said.split(" at line ").next().unwrap_or(&said);
        let field = if field == "." {
            named_field(said).unwrap_or("body").to_owned()
        } else {
            field
        };
        let first = (field, in_words(said));
        let more = more_mistakes::<T>(bytes, &first.0);
        return ApiError::invalid([vec![first], more].concat());
    }
    if field != "." && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        // serde_json calls a number in the place of a name a mistake of syntax.
        return ApiError::field(
            field,
            text!("has a value of the wrong type", "значение неверного типа"),
        );
    }
    let (line, column) = (cause.line(), cause.column());
    malformed(&text!(
        "the body is not JSON (line {line}, column {column})",
        "тело запроса не является JSON (строка {line}, столбец {column})"
    ))
}

/// What else is wrong with the fields of an object: those that are told are taken out, and the rest is looked at again.
fn more_mistakes<T: DeserializeOwned>(bytes: &[u8], first: &str) -> Vec<(String, Text)> {
    let mut mistakes = Vec::new();
    let Ok(serde_json::Value::Object(mut object)) = serde_json::from_slice(bytes) else {
        return mistakes;
    };
    let top = |field: &str| field.split(['.', '[']).next().unwrap_or_default().to_owned();
    let mut told = vec![top(first)];
    // What was missing stays so: then there is nothing to take out, and no way on.
    while told.last().is_some_and(|field| object.remove(field).is_some()) {
        let rest = serde_json::Value::Object(object.clone());
        let Err(error) = serde_path_to_error::deserialize::<_, T>(rest) else {
            break;
        };
        let said = error.inner().to_string();
        let path = error.path().to_string();
        let field = if path == "." {
            named_field(&said).unwrap_or_default().to_owned()
        } else {
            path
        };
        if told.contains(&top(&field)) {
            break;
        }
        told.push(top(&field));
        mistakes.push((field, in_words(&said)));
    }
    mistakes
}

fn malformed(detail: &Text) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "malformed", detail.clone()).hint(text!(
        "send one JSON value in UTF-8",
        "пришлите одно значение JSON в UTF-8"
    ))
}

/// serde names an unknown or missing field in its text only.
pub(super) fn named_field(said: &str) -> Option<&str> {
    let rest = said
        .strip_prefix("unknown field `")
        .or_else(|| said.strip_prefix("missing field `"))?;
    rest.split('`').next()
}

/// What serde says of a value, without the names of our types.
pub(super) fn in_words(said: &str) -> Text {
    let known = said
        .split_once("expected ")
        .map(|(_, known)| known.trim_start_matches("one of ").replace('`', ""));
    if let (true, Some(known)) = (said.starts_with("unknown field"), &known) {
        return text!(
            "is not known here; known: {known}",
            "такого поля здесь нет; есть: {known}"
        );
    }
    if let (true, Some(known)) = (said.starts_with("unknown variant"), &known) {
        return text!("must be one of: {known}", "возможны значения: {known}");
    }
    if said.starts_with("missing field") {
        return text!("is missing", "обязательное поле отсутствует");
    }
    if said.starts_with("duplicate field") {
        return text!("stands there twice", "поле повторяется");
    }
    let Some((_, expected)) = said.split_once(", expected ") else {
        return Text::new(said, format!("значение не подходит ({said})"));
    };
    let has = |kinds: &[&str]| kinds.iter().any(|kind| expected.contains(kind));
    if has(&["struct ", "map", "object"]) {
        text!("must be an object", "должен быть объект")
    } else if has(&["sequence", "array"]) {
        text!("must be a list", "должен быть список")
    } else if has(&["boolean"]) {
        text!("must be true or false", "должно быть true или false")
    } else if has(&["i64", "u64", "i32", "u32", "integer"]) {
        text!("must be a whole number", "должно быть целое число")
    } else if has(&["f64", "floating"]) {
        text!("must be a number", "должно быть число")
    } else if has(&["string"]) {
        text!("must be a text", "должна быть строка")
    } else {
        Text::new(said, format!("значение не подходит ({said})"))
    }
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
        assert_eq!(refusal(r#"{"title":"#).code, "malformed");
        assert_eq!(refusal("{} {}").status, 422);
        assert_eq!(refusal(r#"{"title":"a"} {}"#).code, "malformed");
        let deep = format!(r#"{{"title":"a","data":{}"#, r#"{"a":"#.repeat(200));
        assert!(refusal(&deep).detail.en.contains("nested"));
        let latin = parse::<PostMessage>(b"{\"title\":\"\xe0\"}").unwrap_err();
        assert_eq!(
            (latin.code, latin.detail.en.contains("byte 11")),
            ("malformed", true)
        );
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let error = refusal(r#"{"topic":5,"title":7,"priority":"x","foo":1,"recipients":{"groups":"a"}}"#);
        let mut fields: Vec<_> = error.errors.iter().map(|(field, _)| field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["foo", "priority", "recipients.groups", "title", "topic"]);
        let missing = refusal(r#"{"topic":5}"#);
        let fields: Vec<_> = missing.errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["topic", "title"]);
    }

    #[test]
    fn a_wrong_value_is_told_in_either_language_without_names_of_types() {
        let told = |json: &str| refusal(json).errors[0].1.clone();
        for (json, en, ru) in [
            (r#"{"title":1}"#, "must be a text", "должна быть строка"),
            (
                r#"{"title":"a","ttl":1e30}"#,
                "must be a whole number",
                "должно быть целое число",
            ),
            (
                r#"{"title":"a","ttl":"1"}"#,
                "must be a whole number",
                "должно быть целое число",
            ),
            (
                r#"{"title":"a","require_ack":1}"#,
                "must be true or false",
                "должно быть true или false",
            ),
            (
                r#"{"title":"a","recipients":5}"#,
                "must be an object",
                "должен быть объект",
            ),
            (
                r#"{"title":"a","recipients":{"groups":"b"}}"#,
                "must be a list",
                "должен быть список",
            ),
            (r#"{"body":"a"}"#, "is missing", "обязательное поле отсутствует"),
            (
                r#"{"title":"a","priority":"urgent"}"#,
                "must be one of: low, normal, high, critical",
                "возможны значения: low, normal, high, critical",
            ),
            ("5", "must be an object", "должен быть объект"),
        ] {
            assert_eq!(
                (told(json).en.as_str(), told(json).ru.as_str()),
                (en, ru),
                "{json}"
            );
        }
    }

    #[test]
    fn a_nul_is_refused_wherever_it_stands_and_a_backslash_is_not() {
        assert_eq!(
            refusal("{\"title\":\"a\",\"data\":{\"x\":[\"\\u0000\"]}}").errors[0].0,
            "data.x[0]"
        );
        let escaped: PostMessage = parse(br#"{"title":"a\\u0000"}"#).unwrap();
        assert_eq!(escaped.title, "a\\u0000");
    }

    #[test]
    fn a_bom_is_skipped() {
        let message: PostMessage = parse(b"\xef\xbb\xbf{\"title\":\"a\"}").unwrap();
        assert_eq!(message.title, "a");
    }
}
