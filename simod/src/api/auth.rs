//! Who calls, and what they may do. The type of a handler's extractor states whom it lets in: [`Viewer`], [`Admin`],
//! [`Owner`] for operators, [`Phone`] for phones, [`Reader`] for an ACS or a viewer; an ACS that posts is checked by
//! the transaction that stores its message ([`crate::store::Poster`]). A client that is not the caller's is answered
//! with "not found".

mod extractors;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, StatusCode, header, request::Parts};
use simo_common::{
    people::Role,
    text,
    token::{self, TokenKind},
};
use url::form_urlencoded;

pub(super) use self::extractors::OwnToken;
pub use self::extractors::{Admin, AnyOperator, Keeper, Owner, Phone, Reader, Viewer};
use super::{error::ApiError, limits, peer::Peer};
use crate::{
    actor,
    app::App,
    store::{AcsCaller, ClientNo, DeviceCaller, OperatorCaller, TokenHolder},
};

/// Anyone with a valid token, or the local socket.
#[derive(Debug, Clone)]
pub enum Caller {
    /// An ACS.
    Acs(AcsCaller),
    /// An operator, or the local socket's owner.
    Operator(OperatorCaller),
    /// A phone.
    Device(DeviceCaller),
}

impl Caller {
    /// The caller's name in the audit.
    fn named(&self) -> String {
        match self {
            Self::Acs(acs) => format!("acs {}", acs.name),
            Self::Operator(operator) => format!("operator {}", operator.name),
            Self::Device(device) => format!("device {}", device.device_id),
        }
    }
}

/// The token from the `Authorization` header, if there is one; an error if it is malformed.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::unauthenticated(text!(
            "the Authorization header appears twice",
            "заголовок Authorization повторяется"
        ))
        .hint(text!("send it once", "пришлите его один раз")));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(text) if token::kind_of(text).is_some() => Ok(Some(text)),
        Some(text) if text.starts_with("simo_") => Err(ApiError::unauthenticated(text!(
            "the token is mistyped or cut short: its checksum is wrong",
            "токен набран с ошибкой или обрезан: контрольная сумма не сходится"
        ))
        .hint(text!("copy the whole token again", "скопируйте токен целиком ещё раз"))),
        _ => Err(ApiError::unauthenticated(text!(
            "the Authorization header carries no SiMO token",
            "в заголовке Authorization нет токена SiMO"
        ))
        .hint(text!("send `Authorization: Bearer simo_…`", "пришлите `Authorization: Bearer simo_…`"))),
    }
}

/// The error for a well-formed token that is not valid.
pub(super) fn not_let_in() -> ApiError {
    ApiError::unauthenticated(text!(
        "the token is unknown, expired or revoked",
        "токен неизвестен, истёк или отозван"
    ))
    .hint(text!("ask an administrator for a new one", "запросите новый токен у администратора"))
}

/// The error for a caller without a token.
pub(super) fn no_token() -> ApiError {
    ApiError::unauthenticated(text!("this needs a token", "нужен токен"))
        .hint(text!("send `Authorization: Bearer simo_…`", "пришлите `Authorization: Bearer simo_…`"))
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let Some(token) = bearer(&parts.headers)? else {
            let Ok(peer) = Peer::from_request_parts(parts, app).await;
            if peer.is_owner() {
                let name = "local".to_owned();
                actor::identify(|| name.clone());
                return Ok(Self::Operator(OperatorCaller {
                    operator_no: None,
                    name,
                    role: Role::Owner,
                    client: None,
                }));
            }
            return Err(no_token());
        };
        let hash = token::hash(token);
        let from = Peer::of(&parts.extensions).ip();
        let caller = match app.store.token_holder(&hash).await? {
            Some(TokenHolder::Acs(acs)) => {
                limits::let_in_from(&acs.limits, from)?;
                only_own_client(parts, &acs.client)?;
                Self::Acs(acs)
            }
            Some(TokenHolder::Operator(operator)) => Self::Operator(operator),
            Some(TokenHolder::Device(device)) => {
                only_own_client(parts, &device.client)?;
                Self::Device(device)
            }
            None if token::kind_of(token) == Some(TokenKind::Device) => {
                return Err(not_let_in().hint(text!(
                    "pair again, with a new code from an administrator",
                    "подключите телефон заново по новому коду от администратора"
                )));
            }
            None => return Err(not_let_in()),
        };
        app.store.note_use(hash, from);
        app.guard.welcome(&hash);
        actor::identify(|| caller.named());
        Ok(caller)
    }
}

/// The error for the phone of a blocked employee; it keeps its token for when the employee is unblocked.
pub(super) fn blocked() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "blocked",
        text!("the employee is blocked", "сотрудник заблокирован"),
    )
    .hint(text!("keep the token and ask an administrator", "токен сохраните и обратитесь к администратору"))
}

fn wrong_kind(needed: &str, russian: &str) -> ApiError {
    ApiError::forbidden(text!("this needs {needed}", "для этого нужен {russian}"))
}

async fn operator(parts: &mut Parts, app: &Arc<App>, least: Role) -> Result<OperatorCaller, ApiError> {
    let name = least.as_str();
    match Caller::from_request_parts(parts, app).await? {
        Caller::Operator(operator) if operator.role >= least => Ok(operator),
        Caller::Operator(operator) => {
            let has = operator.role.as_str();
            Err(ApiError::forbidden(text!(
                "this needs the role {name}; yours is {has}",
                "для этого нужна роль {name}, у вас {has}"
            )))
        }
        _ => Err(wrong_kind(&format!("an operator's token ({name})"), &format!("токен оператора ({name})"))),
    }
}

/// The client that a request is about: the operator's own, the one in `?client=`, or the only one there is.
async fn scope(
    parts: &Parts,
    app: &Arc<App>,
    operator: &OperatorCaller,
) -> Result<(ClientNo, String), ApiError> {
    match named_scope(parts, app, operator).await? {
        Some(client) => Ok(client),
        None => the_only_client(app).await,
    }
}

/// The only client, for an owner who names none.
async fn the_only_client(app: &Arc<App>) -> Result<(ClientNo, String), ApiError> {
    app.store.only_client().await?.ok_or_else(|| {
        ApiError::field(
            "client",
            text!(
                "say which client (there is none or more than one)",
                "укажите клиента (клиентов нет или несколько)"
            ),
        )
        .hint(text!("add ?client=<slug> to the address", "добавьте к адресу ?client=<slug>"))
    })
}

/// The client in `?client=`.
pub(super) fn named_client(parts: &Parts) -> Option<String> {
    form_urlencoded::parse(parts.uri.query()?.as_bytes())
        .find(|(name, _)| name == "client")
        .map(|(_, slug)| slug.into_owned())
}

/// A caller that belongs to a client need not name it, and sees no other.
fn only_own_client(parts: &Parts, own: &str) -> Result<(), ApiError> {
    match named_client(parts) {
        Some(slug) if slug != own => Err(ApiError::not_found("client", &slug)),
        _ => Ok(()),
    }
}

/// The operator's own client, or the one in `?client=`.
async fn named_scope(
    parts: &Parts,
    app: &Arc<App>,
    operator: &OperatorCaller,
) -> Result<Option<(ClientNo, String)>, ApiError> {
    if let Some(own) = &operator.client {
        only_own_client(parts, &own.1)?;
        return Ok(Some(own.clone()));
    }
    let Some(slug) = named_client(parts) else {
        return Ok(None);
    };
    match app.store.client_no(&slug).await? {
        Some(client_no) => Ok(Some((client_no, slug))),
        None => Err(ApiError::not_found("client", &slug)),
    }
}
