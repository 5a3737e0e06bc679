//! Extractors: their types state which callers a handler lets in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use simo_common::{
    people::Role,
    token::{self, Scope},
};

use super::{Caller, bearer, blocked, named_scope, operator, scope, the_only_client, wrong_kind};
use crate::{
    api::{error::ApiError, limits},
    app::App,
    store::{AcsCaller, AcsNo, ClientNo, DeviceCaller, OperatorCaller},
};

/// An operator with at least the role `viewer`, and the client that they look at.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The operator.
    pub operator: OperatorCaller,
    /// The client.
    pub client_no: ClientNo,
    /// Its slug.
    pub client: String,
}

/// An operator with at least the role `admin`, and the client that they administer.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The operator.
    pub operator: OperatorCaller,
    /// The client.
    pub client_no: ClientNo,
    /// Its slug.
    pub client: String,
}

/// An operator with at least the role `admin`, for objects that may belong to no client: operators and tokens.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The operator.
    pub operator: OperatorCaller,
    /// Their client; for an owner the one that they name, if any.
    pub client: Option<(ClientNo, String)>,
}

impl Keeper {
    /// The client beyond which they see nothing; `None` for owners, who see all.
    pub fn within(&self) -> Option<ClientNo> {
        self.operator.client.as_ref().map(|(client_no, _)| *client_no)
    }

    /// Their client; for an owner who names none, the only one there is.
    pub async fn one_client(&self, app: &Arc<App>) -> Result<(ClientNo, String), ApiError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => the_only_client(app).await,
        }
    }
}

/// Any operator, whichever client they name.
#[derive(Debug, Clone)]
pub struct AnyOperator(pub OperatorCaller);

/// An operator with the role `owner`.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The operator.
    pub operator: OperatorCaller,
}

/// The phone of an employee who is not blocked.
#[derive(Debug, Clone)]
pub struct Phone(pub DeviceCaller);

/// A caller that may read messages: an ACS its own, a viewer their client's.
#[derive(Debug, Clone)]
pub enum Reader {
    /// An ACS.
    Acs(AcsCaller),
    /// A viewer.
    Viewer(Viewer),
}

impl Reader {
    /// The client whose messages are read.
    pub fn client_no(&self) -> ClientNo {
        match self {
            Self::Acs(acs) => acs.client_no,
            Self::Viewer(viewer) => viewer.client_no,
        }
    }

    /// The ACS whose messages the reader is limited to.
    pub fn acs_no(&self) -> Option<AcsNo> {
        match self {
            Self::Acs(acs) => Some(acs.acs_no),
            Self::Viewer(_) => None,
        }
    }
}

/// Hash of the request's token, for checking it again later; `None` on the local socket.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct OwnToken(pub(in crate::api) Option<[u8; 32]>);

impl<S: Send + Sync> FromRequestParts<S> for OwnToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(bearer(&parts.headers)?.map(token::hash)))
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let operator = operator(parts, app, Role::Viewer).await?;
        let (client_no, client) = scope(parts, app, &operator).await?;
        Ok(Self { operator, client_no, client })
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let operator = operator(parts, app, Role::Admin).await?;
        let (client_no, client) = scope(parts, app, &operator).await?;
        Ok(Self { operator, client_no, client })
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
        Ok(Self { operator: operator(parts, app, Role::Owner).await? })
    }
}

impl FromRequestParts<Arc<App>> for Phone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Device(device) if device.blocked => Err(blocked()),
            Caller::Device(device) => Ok(Self(device)),
            _ => {
                Err(wrong_kind("a phone's token, from pairing", "токен телефона, полученный при подключении"))
            }
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
                let (client_no, client) = scope(parts, app, &operator).await?;
                Ok(Self::Viewer(Viewer { operator, client_no, client }))
            }
            Caller::Device(_) => {
                Err(wrong_kind("an ACS's or an operator's token", "токен АСУ или оператора"))
            }
        }
    }
}
