//! Who calls, and what he may do. A handler says whom it lets in by the type of its extractor:
//! [`Viewer`], [`Admin`], [`Owner`] for operators, [`Phone`] for phones, [`Reader`] for an ACS or a viewer; an ACS that
//! posts is let in by the transaction that stores its message ([`crate::store::Poster`]). Nobody learns of a client that is not his: it is not found.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Extensions, HeaderMap, StatusCode, header, request::Parts};
use simo_common::{
    people::Role,
    text,
    token::{self, Scope},
};
use url::form_urlencoded;
use uuid::Uuid;

use super::{error::ApiError, limits};
use crate::{
    actor::{self, Origin},
    app::App,
    store::{AcsCaller, DeviceCaller, OperatorCaller, TokenHolder},
};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP, or unknown (the router is nested in another program).
    Tcp(Option<SocketAddr>),
    /// Behind a trusted proxy that names no address.
    Hidden,
    /// The Unix socket, by this user.
    Local {
        /// The user's id.
        uid: u32,
    },
}

impl Peer {
    /// Where a request comes from.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let info = extensions.get::<ConnectInfo<Self>>();
        info.map_or(Self::Tcp(None), |info| info.0)
    }

    /// Whether this is the daemon's own user or root on the local socket, who are owners without a token.
    fn is_owner(self) -> bool {
        match self {
            Self::Tcp(_) | Self::Hidden => false,
            Self::Local { uid } => uid == 0 || uid == rustix::process::geteuid().as_raw(),
        }
    }

    /// Its network address; the local socket is on this machine.
    pub(super) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => address.map(|address| address.ip().to_canonical()),
            Self::Hidden => None,
            Self::Local { .. } => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }

    /// The network that attempts to get in are counted under: an IPv4 address, or the part of an IPv6 address that its owner
    /// cannot choose. All that are hidden are one. None where there is nobody to guess, or another program serves.
    pub(super) fn network(self) -> Option<String> {
        let address = match self {
            Self::Tcp(address) => address?,
            Self::Hidden => return Some(self.origin().to_string()),
            Self::Local { .. } => return None,
        };
        Some(match address.ip().to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }

    /// As the audit names it, and failures are counted under it.
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Tcp(Some(address)) => Origin::Address(address.ip().to_canonical()),
            Self::Tcp(None) | Self::Hidden => Origin::Unknown,
            Self::Local { .. } => Origin::Local,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Anyone with a token that works, or the local socket.
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
    /// As the audit names him.
    fn named(&self) -> String {
        match self {
            Self::Acs(acs) => format!("acs {}", acs.name),
            Self::Operator(operator) => format!("operator {}", operator.name),
            Self::Device(device) => format!("device {}", device.device_id),
        }
    }
}

/// A well-formed token from the `Authorization` header, or none at all.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
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
        .hint(text!(
            "copy the whole token again",
            "скопируйте токен целиком ещё раз"
        ))),
        _ => Err(ApiError::unauthenticated(text!(
            "the Authorization header carries no SiMO token",
            "в заголовке Authorization нет токена SiMO"
        ))
        .hint(text!(
            "send `Authorization: Bearer simo_…`",
            "пришлите `Authorization: Bearer simo_…`"
        ))),
    }
}

/// The error for a well-formed token that does not let in.
pub(super) fn not_let_in() -> ApiError {
    ApiError::unauthenticated(text!(
        "the token is unknown, expired or revoked",
        "токен неизвестен, истёк или отозван"
    ))
    .hint(text!(
        "ask an administrator for a new one",
        "запросите новый токен у администратора"
    ))
}

/// The error for a caller without a token.
pub(super) fn no_token() -> ApiError {
    ApiError::unauthenticated(text!("this needs a token", "нужен токен")).hint(text!(
        "send `Authorization: Bearer simo_…`",
        "пришлите `Authorization: Bearer simo_…`"
    ))
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
                    operator_id: None,
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
                Self::Acs(acs)
            }
            Some(TokenHolder::Operator(operator)) => Self::Operator(operator),
            Some(TokenHolder::Device(device)) => Self::Device(device),
            None => return Err(not_let_in()),
        };
        app.store.note_use(hash, from);
        app.guard.welcome(&hash);
        actor::identify(|| caller.named());
        Ok(caller)
    }
}

/// The error for the phone of a blocked employee; it keeps its token for when he is let in again.
pub(super) fn blocked() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "blocked",
        text!("the employee is blocked", "сотрудник заблокирован"),
    )
    .hint(text!(
        "keep the token and ask an administrator",
        "токен сохраните и обратитесь к администратору"
    ))
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
        _ => Err(wrong_kind(
            &format!("an operator's token ({name})"),
            &format!("токен оператора ({name})"),
        )),
    }
}

/// The client that a request is about: the operator's own, the one that `?client=` names, or the only one there is.
async fn scope(parts: &Parts, app: &Arc<App>, operator: &OperatorCaller) -> Result<(Uuid, String), ApiError> {
    match named_scope(parts, app, operator).await? {
        Some(client) => Ok(client),
        None => the_only_client(app).await,
    }
}

/// The only client there is, for an owner who names none.
async fn the_only_client(app: &Arc<App>) -> Result<(Uuid, String), ApiError> {
    app.store.only_client().await?.ok_or_else(|| {
        ApiError::field(
            "client",
            text!(
                "say which client (there is none or more than one)",
                "укажите клиента (клиентов нет или несколько)"
            ),
        )
        .hint(text!(
            "add ?client=<slug> to the address",
            "добавьте к адресу ?client=<slug>"
        ))
    })
}

/// The operator's own client, or the one that `?client=` names.
async fn named_scope(
    parts: &Parts,
    app: &Arc<App>,
    operator: &OperatorCaller,
) -> Result<Option<(Uuid, String)>, ApiError> {
    let named = form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
        .find(|(name, _)| name == "client")
        .map(|(_, slug)| slug.into_owned());
    match (&operator.client, named) {
        (Some(own), None) => Ok(Some(own.clone())),
        (Some(own), Some(slug)) if own.1 == slug => Ok(Some(own.clone())),
        (Some(_), Some(slug)) => Err(ApiError::not_found("client", &slug)),
        (None, Some(slug)) => match app.store.client_id(&slug).await? {
            Some(id) => Ok(Some((id, slug))),
            None => Err(ApiError::not_found("client", &slug)),
        },
        (None, None) => Ok(None),
    }
}

/// An operator with at least the role `viewer`, and the client that he looks at.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Who.
    pub operator: OperatorCaller,
    /// Of which client.
    pub client_id: Uuid,
    /// Its slug.
    pub client: String,
}

/// An operator with at least the role `admin`, and the client that he administers.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Who.
    pub operator: OperatorCaller,
    /// Of which client.
    pub client_id: Uuid,
    /// Its slug.
    pub client: String,
}

/// An operator with at least the role `admin`, where he keeps what may belong to no client: operators and tokens.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// Who.
    pub operator: OperatorCaller,
    /// His client; for an owner the one that he names, if he does.
    pub client: Option<(Uuid, String)>,
}

impl Keeper {
    /// The client beyond which he sees nothing; owners see all.
    pub fn within(&self) -> Option<Uuid> {
        self.operator.client.as_ref().map(|(id, _)| *id)
    }

    /// The client that he keeps; for an owner who names none the only one there is.
    pub async fn one_client(&self, app: &Arc<App>) -> Result<(Uuid, String), ApiError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => the_only_client(app).await,
        }
    }
}

/// Any operator, whatever client he names.
#[derive(Debug, Clone)]
pub struct AnyOperator(pub OperatorCaller);

/// An operator with the role `owner`.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Who.
    pub operator: OperatorCaller,
}

/// The phone of an employee who is not blocked.
#[derive(Debug, Clone)]
pub struct Phone(pub DeviceCaller);

/// Who may read messages: an ACS its own, a viewer his client's.
#[derive(Debug, Clone)]
pub enum Reader {
    /// An ACS.
    Acs(AcsCaller),
    /// A viewer.
    Viewer(Viewer),
}

impl Reader {
    /// The client that he reads of.
    pub fn client_id(&self) -> Uuid {
        match self {
            Self::Acs(acs) => acs.client_id,
            Self::Viewer(viewer) => viewer.client_id,
        }
    }

    /// The ACS to which his reading is limited.
    pub fn acs_id(&self) -> Option<Uuid> {
        match self {
            Self::Acs(acs) => Some(acs.acs_id),
            Self::Viewer(_) => None,
        }
    }
}

/// Of the token that the request carries, for whoever looks at it again later; `None` on the local socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenHash(pub(super) Option<[u8; 32]>);

impl<S: Send + Sync> FromRequestParts<S> for TokenHash {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(bearer(&parts.headers)?.map(token::hash)))
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let operator = operator(parts, app, Role::Viewer).await?;
        let (client_id, client) = scope(parts, app, &operator).await?;
        Ok(Self {
            operator,
            client_id,
            client,
        })
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let operator = operator(parts, app, Role::Admin).await?;
        let (client_id, client) = scope(parts, app, &operator).await?;
        Ok(Self {
            operator,
            client_id,
            client,
        })
    }
}

impl FromRequestParts<Arc<App>> for Keeper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let operator = operator(parts, app, Role::Admin).await?;
        let client = named_scope(parts, app, &operator).await?;
        Ok(Self { operator, client })
    }
}

impl FromRequestParts<Arc<App>> for AnyOperator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        operator(parts, app, Role::Viewer).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self {
            operator: operator(parts, app, Role::Owner).await?,
        })
    }
}

impl FromRequestParts<Arc<App>> for Phone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Device(device) if device.blocked => Err(blocked()),
            Caller::Device(device) => Ok(Self(device)),
            _ => Err(wrong_kind(
                "a phone's token, from pairing",
                "токен телефона, полученный при подключении",
            )),
        }
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Acs(acs) => {
                limits::let_in_for(&acs.limits, Scope::Read)?;
                Ok(Self::Acs(acs))
            }
            Caller::Operator(operator) => {
                let (client_id, client) = scope(parts, app, &operator).await?;
                Ok(Self::Viewer(Viewer {
                    operator,
                    client_id,
                    client,
                }))
            }
            Caller::Device(_) => Err(wrong_kind(
                "an ACS's or an operator's token",
                "токен АСУ или оператора",
            )),
        }
    }
}
