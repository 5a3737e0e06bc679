//! Request bodies: JSON that is refused with the field's name, and never with a NUL character in it.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use simo_common::{lang::Text, text};

use super::error::ApiError;

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
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return malformed(&text!(
            "there is something after the JSON value",
            "после значения JSON есть что-то ещё"
        ));
    };
    let field = error.path().to_string();
    let cause = error.inner();
    if cause.is_data() {
        let said = cause.to_string();
        let said = said.split(" at line ").next().unwrap_or(&said);
        let field = if field == "." {
            unknown_field(said).unwrap_or("body").to_owned()
        } else {
            field
        };
        return ApiError::field(field, Text::new(said, in_russian(said)));
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

fn malformed(detail: &Text) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "malformed", detail.clone()).hint(text!(
        "send one JSON value in UTF-8",
        "пришлите одно значение JSON в UTF-8"
    ))
}

/// serde names an unknown or missing field in its text only.
fn unknown_field(said: &str) -> Option<&str> {
    let rest = said
        .strip_prefix("unknown field `")
        .or_else(|| said.strip_prefix("missing field `"))?;
    rest.split('`').next()
}

fn in_russian(said: &str) -> String {
    [
        ("unknown field", "неизвестное поле"),
        ("missing field", "нет обязательного поля"),
        ("duplicate field", "поле повторяется"),
        ("invalid type", "неверный тип"),
        ("invalid value", "неверное значение"),
        ("invalid length", "неверная длина"),
        ("unknown variant", "неизвестное значение"),
        ("expected one of", "возможны"),
        ("expected", "ожидается"),
        ("there are no fields", "полей нет"),
        ("string", "строка"),
        ("sequence", "массив"),
        ("map", "объект"),
        ("boolean", "логическое значение"),
        ("integer", "целое число"),
        ("floating point", "дробное число"),
    ]
    .iter()
    .fold(said.to_owned(), |text, (en, ru)| text.replace(en, ru))
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
