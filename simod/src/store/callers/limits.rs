//! Limits on an ACS's token: send, read, to which topics, from which networks.

use std::net::IpAddr;

use ipnet::IpNet;
use simo_common::token::Scope;

use crate::store::{Refusal, Result, db::engine::Row};

/// The limits of a token. They are applied with the token's live row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenLimits {
    /// What it may be used for; empty: everything.
    pub scopes: Vec<Scope>,
    /// The topics it may post to, by slug; empty: all.
    pub topics: Vec<String>,
    /// The networks it may be used from; empty: all.
    pub networks: Vec<IpNet>,
    /// Requests a minute; `None`: as many as the configuration says.
    pub rate_limit: Option<u32>,
    /// Whether rate limiting answers 503 instead of 429.
    pub rate_limit_as_503: bool,
    /// Whether its messages are cut to the limits instead of being refused.
    pub fit: bool,
}

/// Limits of a token that apply before its row is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnSight {
    /// Requests a minute; `None`: as many as the configuration says.
    pub rate_limit: Option<u64>,
    /// Whether rate limiting answers 503 instead of 429.
    pub rate_limit_as_503: bool,
    /// Whether its messages are cut to the limits instead of being refused.
    pub fit: bool,
}

impl TokenLimits {
    pub(in crate::store) fn read(row: &Row) -> Result<Self> {
        let list = |column: &str| row.try_get::<Option<String>, _>(column);
        Ok(Self {
            scopes: parsed(list("scopes")?)?,
            topics: parsed(list("topics")?)?,
            networks: parsed(list("networks")?)?,
            rate_limit: row.try_get("rate_limit")?,
            rate_limit_as_503: row.try_get("rate_limit_as_503")?,
            fit: row.try_get("fit")?,
        })
    }

    /// Parses networks, each a network or one address; unreadable ones are left out.
    pub(crate) fn networks(texts: &[String]) -> Vec<IpNet> {
        texts.iter().filter_map(|text| network(text)).collect()
    }

    /// Whether the token may be used for this scope.
    pub fn allow(&self, scope: Scope) -> bool {
        self.scopes.is_empty() || self.scopes.contains(&scope)
    }

    /// Whether it may be used from this address; an unknown address only passes where every network is allowed.
    pub fn allow_from(&self, address: Option<IpAddr>) -> bool {
        self.networks.is_empty()
            || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
    }

    /// Why a message to this topic is refused, if it is.
    pub(in crate::store) fn refuse(&self, topic: Option<&str>, from: Option<IpAddr>) -> Option<Refusal> {
        if !self.allow_from(from) {
            return Some(Refusal::WrongNetwork(from));
        }
        if !self.allow(Scope::Send) {
            return Some(Refusal::WrongScope(Scope::Send));
        }
        let topic = topic?;
        let refused = !self.topics.is_empty() && !self.topics.iter().any(|allowed| allowed == topic);
        refused.then(|| Refusal::WrongTopic { topic: topic.to_owned(), allowed: self.topics.clone() })
    }
}

/// Parses a network, or one address.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A list as it is stored in a column; `None` when empty.
pub(in crate::store) fn joined<T: ToString>(list: &[T]) -> Option<String> {
    let texts: Vec<String> = list.iter().map(T::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// An unreadable limit is an error: ignoring it would widen what the token may do.
fn parsed<T: std::str::FromStr>(text: Option<String>) -> Result<Vec<T>> {
    let text = text.unwrap_or_default();
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            part.parse()
                .map_err(|_| sqlx::Error::Decode(format!("`{part}` is no limit of a token").into()).into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_whoever_is_in_them_and_nobody_unknown() {
        let limits = TokenLimits {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            ..TokenLimits::default()
        };
        let from = |text: &str| limits.allow_from(Some(text.parse().unwrap()));
        assert!(from("10.255.0.1") && from("2001:db8::7"));
        assert!(!from("11.0.0.1") && !from("::1"));
        assert!(!limits.allow_from(None));
        assert!(TokenLimits::default().allow_from(None));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_freedom() {
        assert!(parsed::<Scope>(Some("send,everything".to_owned())).is_err());
        assert!(parsed::<IpNet>(Some("10.0.0.0/33".to_owned())).is_err());
        assert_eq!(parsed::<Scope>(joined(&[Scope::Send, Scope::Read])).unwrap(), [Scope::Send, Scope::Read]);
        assert_eq!(joined::<Scope>(&[]), None);
    }
}
