//! The API's only error type. It holds what the caller may know; the rest is logged where it happens.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use simo_common::{
    api::problem::{FieldError, MEDIA_TYPE, Problem},
    lang::{Lang, Text},
    text,
};
use tokio::task::JoinError;

use crate::{news, refused_posts::Head, store};

/// An error as the API returns it. On its way out ([`super::middleware::all`]) it becomes a problem body in the caller's
/// language, which is known only there.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// What happened.
    pub detail: Text,
    /// What to do next.
    pub hint: Option<Text>,
    /// Wrong fields.
    pub errors: Vec<(String, Text)>,
    /// Seconds after which to retry.
    pub retry_after: Option<u32>,
    /// The refused post, as far as it was read; its token is valid.
    pub(crate) post: Option<Box<Head>>,
}

impl ApiError {
    /// An error without hint and fields.
    pub fn new(status: StatusCode, code: &'static str, detail: Text) -> Self {
        Self { status, code, detail, hint: None, errors: Vec::new(), retry_after: None, post: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: Text) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Attaches the refused post, whose token is valid.
    #[must_use]
    pub(crate) fn of_post(mut self, head: Head) -> Self {
        self.post = Some(Box::new(head));
        self
    }

    /// Fields of the request are wrong: 422.
    pub fn invalid(errors: Vec<(String, Text)>) -> Self {
        let count = errors.len();
        let detail = match errors.as_slice() {
            [(field, text)] => {
                let (en, ru) = (&text.en, &text.ru);
                text!("{field}: {en}", "{field}: {ru}")
            }
            _ => text!("{count} fields are not valid", "ошибки в полях: {count}"),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// One field of the request is wrong: 422.
    pub fn field(field: impl Into<String>, text: Text) -> Self {
        Self::invalid(vec![(field.into(), text)])
    }

    /// The request's body is over the route's limit: 413.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            text!(
                "the request's body is over the limit",
                "тело запроса больше допустимого"
            ),
        )
        .hint(text!(
            "a message or a phone's request may take 256 KiB (1 MiB with fit=true), a message within a batch 4 MiB, a batch, an import or a site 64 MiB: send it in parts",
            "допустимо 256 КиБ на сообщение или запрос телефона (1 МиБ с fit=true), 4 МиБ на сообщение в пакете, 64 МиБ на пакет, импорт или описание всего: отправьте по частям"
        ))
    }

    /// There is no room for a large body: 503 with Retry-After.
    pub fn no_room() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            text!(
                "too many large requests are being received, and this one waited 5 s for its turn",
                "принимается слишком много больших запросов, и этот ждал очереди 5 с"
            ),
        )
        .after(2)
        .hint(text!(
            "send it again; large requests of one client are best sent one after the other",
            "повторите запрос; большие запросы одного клиента лучше отправлять по очереди"
        ))
    }

    /// The request's body arrived too slowly: 408.
    pub fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            text!("the request's body arrived too slowly", "тело запроса приходило слишком медленно"),
        )
        .hint(text!(
            "send it again, in smaller parts if the network is slow",
            "повторите запрос; если сеть медленная, отправьте по частям"
        ))
    }

    /// The named object does not exist, or not for this caller: 404.
    pub fn not_found(noun: &'static str, name: &str) -> Self {
        let russian = noun_in_russian(noun);
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            text!("there is no {noun} `{name}`", "нет объекта «{name}» ({russian})"),
        )
    }

    /// No token, or one that is not valid: 401.
    pub fn unauthenticated(detail: Text) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// The caller is known but may not do this: 403.
    pub fn forbidden(detail: Text) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The request contradicts the stored data: 409.
    pub fn conflict(detail: Text) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// The object has changed since the request was made: 409.
    pub fn changed_meanwhile() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "changed_meanwhile",
            text!(
                "something was changed since the plan was made, so nothing was applied",
                "после составления плана что-то изменилось, поэтому ничего не применено"
            ),
        )
        .hint(text!("plan again", "составьте план заново"))
    }

    /// The database cannot do it right now: 503 with Retry-After.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            text!("the database cannot do this now", "база данных сейчас недоступна"),
        )
        .after(1)
        .hint(text!("repeat the same request", "повторите тот же запрос"))
    }

    /// The database did not confirm in time, so the outcome is unknown: 503 with Retry-After.
    pub fn outcome_unknown() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "outcome_unknown",
            text!(
                "the database did not say in time whether this was stored: it may be",
                "база данных не ответила вовремя, сохранён ли запрос: возможно, сохранён"
            ),
        )
        .after(1)
        .hint(text!(
            "check what was stored before you repeat it",
            "прежде чем повторять, посмотрите, что сохранено"
        ))
    }

    /// Whether the change may have been stored all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        self.code == "outcome_unknown"
    }

    /// With Retry-After, in seconds.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same error, worded for an ACS that posts.
    #[must_use]
    pub fn for_poster(self) -> Self {
        match self.code {
            "outcome_unknown" => self.hint(text!(
                "send it again until it is answered: under the same Idempotency-Key or external_id nothing is stored twice; \
                 without one, this message may come twice",
                "повторяйте до ответа: с тем же Idempotency-Key или external_id ничего не сохранится дважды; без него \
                 сообщение может прийти дважды"
            )),
            "unavailable" => self.hint(text!(
                "send it again: under the same Idempotency-Key or external_id nothing is stored twice",
                "повторите запрос: с тем же Idempotency-Key или external_id ничего не сохранится дважды"
            )),
            _ => self,
        }
    }

    /// A fault of ours: 500. The log has the details.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text!("internal error", "внутренняя ошибка"))
            .hint(text!(
                "the server's log says more under this x-request-id",
                "подробности в журнале сервера под этим x-request-id"
            ))
    }

    /// The problem body in one language.
    pub fn problem(&self, lang: Lang) -> Problem {
        Problem {
            kind: format!("about:blank#{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.get(lang).to_owned(),
            hint: self.hint.as_ref().map(|hint| hint.get(lang).to_owned()),
            errors: self
                .errors
                .iter()
                .map(|(field, text)| FieldError { field: field.clone(), detail: text.get(lang).to_owned() })
                .collect(),
            request_id: None,
        }
    }

    /// The response in one language.
    pub(super) fn render(&self, lang: Lang) -> Response {
        let body = serde_json::to_vec(&self.problem(lang)).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.code()));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn noun_in_russian(noun: &str) -> &'static str {
    match noun {
        "client" => "клиент",
        "acs" => "АСУ",
        "operator" => "оператор",
        "token" => "токен",
        "employee" => "сотрудник",
        "group" => "группа",
        "topic" => "тема",
        "grant" => "доступ",
        "device" => "устройство",
        "batch of invitations" => "набор приглашений",
        "message" => "сообщение",
        _ => "объект",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<&store::Error> for ApiError {
    fn from(error: &store::Error) -> Self {
        match error {
            store::Error::NotFound { noun, name } => Self::not_found(noun, name),
            store::Error::Conflict(text) => Self::conflict(text.clone()),
            store::Error::ChangedMeanwhile => Self::changed_meanwhile(),
            store::Error::Invalid(errors) => Self::invalid(errors.clone()),
            store::Error::Unavailable(source) => {
                news::warn("the database is unavailable", source);
                Self::unavailable()
            }
            store::Error::OutcomeUnknown(source) => {
                news::warn("the database did not say whether it has committed", source);
                Self::outcome_unknown()
            }
            other => {
                tracing::error!(error = %other, "request failed");
                Self::internal()
            }
        }
    }
}

impl From<JoinError> for ApiError {
    fn from(fault: JoinError) -> Self {
        tracing::error!(error = %fault, "a fault in simod");
        Self::internal()
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        Self::from(&error)
    }
}

impl From<Arc<store::Error>> for ApiError {
    fn from(error: Arc<store::Error>) -> Self {
        Self::from(&*error)
    }
}
