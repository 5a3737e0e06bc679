//! Errors for an ACS that exceeds what its token allows.

use std::net::IpAddr;

use http::StatusCode;
use simo_common::{text, token::Scope};

use super::{ApiError, ApiResult};
use crate::store::TokenLimits;

/// Checks that the token may be used from this address.
pub(super) fn let_in_from(limits: &TokenLimits, from: Option<IpAddr>) -> ApiResult<()> {
    if limits.allow_from(from) {
        return Ok(());
    }
    Err(wrong_network(from))
}

/// Checks that the token has this scope.
pub(super) fn let_in_for(limits: &TokenLimits, scope: Scope) -> ApiResult<()> {
    if limits.allow(scope) {
        return Ok(());
    }
    Err(wrong_scope(scope))
}

pub(super) fn wrong_network(from: Option<IpAddr>) -> ApiError {
    let from = from.map_or_else(|| "?".to_owned(), |address| address.to_string());
    ApiError::new(
        StatusCode::FORBIDDEN,
        "wrong_network",
        text!(
            "this token may not be used from {from}",
            "этот токен нельзя использовать с адреса {from}"
        ),
    )
    .hint(text!(
        "call from one of the token's networks, or have a token issued for this one; behind a proxy the server must trust \
         it (trusted_proxies)",
        "обращайтесь из сетей этого токена или запросите токен для этой сети; если запрос идёт через прокси, сервер должен \
         ему доверять (trusted_proxies)"
    ))
}

pub(super) fn wrong_scope(scope: Scope) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "wrong_scope",
        text!("this token has not the scope `{scope}`", "у этого токена нет права `{scope}`"),
    )
    .hint(text!(
        "ask an administrator for a token with it: token issue --scope {scope}",
        "запросите у администратора токен с ним: token issue --scope {scope}"
    ))
}

pub(super) fn wrong_topic(topic: &str, allowed: &[String]) -> ApiError {
    let allowed = allowed.join(", ");
    let mut error = ApiError::new(
        StatusCode::FORBIDDEN,
        "wrong_topic",
        text!(
            "this token may not post to `{topic}`, only to: {allowed}",
            "этот токен не может отправлять в тему «{topic}», только в: {allowed}"
        ),
    )
    .hint(text!(
        "ask an administrator for a token with this topic",
        "запросите у администратора токен с этой темой"
    ));
    error.errors =
        vec![("topic".to_owned(), text!("is not among the token's topics", "нет среди тем токена"))];
    error
}
