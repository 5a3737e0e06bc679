//! What an ACS may do with a token, how it is rotated, and when it was used.

use std::net::IpAddr;

use simo_common::{
    api::access::IssuedToken,
    time::{DAY, from_us},
    token::{self, Scope},
};
use uuid::Uuid;

use super::{super::fixture::NOON, Fixture, HOUR, TokenHolder, is_conflict};
use crate::store::{Incoming, OnSight, Poster, Refusal, TokenFor, TokenLimits, TokenTerms};

async fn issue(f: &Fixture, limits: TokenLimits) -> IssuedToken {
    let holder = TokenFor::Acs { client_no: f.client_no, name: "scada" };
    let terms = TokenTerms { personal: true, limits, ..TokenTerms::default() };
    f.store.issue_token(holder, &terms).await.unwrap()
}

/// The result of a message with a token, from an address.
async fn post(
    f: &Fixture,
    issued: &IssuedToken,
    from: Option<&str>,
    mut message: Incoming,
) -> Option<Refusal> {
    message.poster = Poster::Token(token::hash(&issued.token));
    message.from = from.map(|address| address.parse().unwrap());
    f.store.accept(&[message]).await.unwrap().pop().unwrap().answer.err()
}

async fn lets_in(f: &Fixture, issued: &IssuedToken) -> bool {
    f.store.token_holder(&token::hash(&issued.token)).await.unwrap().is_some()
}

#[tokio::test]
async fn the_transaction_that_stores_a_message_looks_at_the_limits_of_its_token() {
    let f = Fixture::new().await;
    f.grant_group("boiler", "smena-a").await;
    let reader = issue(&f, TokenLimits { scopes: vec![Scope::Read], ..TokenLimits::default() }).await;
    assert_eq!(post(&f, &reader, None, f.incoming("x")).await, Some(Refusal::WrongScope(Scope::Send)));
    let limits = TokenLimits {
        scopes: vec![Scope::Send],
        topics: vec!["kotly".to_owned(), "payroll".to_owned()],
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        rate_limit: Some(600),
        rate_limit_as_503: true,
        fit: true,
    };
    let limited = issue(&f, limits.clone()).await;
    let inside: IpAddr = "10.1.2.3".parse().unwrap();
    assert_eq!(post(&f, &limited, None, f.incoming("x")).await, Some(Refusal::WrongNetwork(None)));
    assert_eq!(
        post(&f, &limited, Some("192.0.2.1"), f.incoming("x")).await,
        Some(Refusal::WrongNetwork(Some("192.0.2.1".parse().unwrap())))
    );
    let mut message = f.incoming("x");
    message.draft.topic = Some("boiler".to_owned());
    let refused = post(&f, &limited, Some("10.1.2.3"), message).await;
    assert!(
        matches!(&refused, Some(Refusal::WrongTopic { topic, allowed }) if topic == "boiler" && allowed.len() == 2),
        "{refused:?}"
    );
    // A personal message has no topic, which `personal` allows.
    let personal = f.personal("x", &["1"]);
    assert_eq!(post(&f, &limited, Some("10.1.2.3"), personal).await, None);
    let held = f.store.token_holder(&token::hash(&limited.token)).await.unwrap();
    let Some(TokenHolder::Acs(acs)) = held else { panic!("nobody") };
    assert_eq!(acs.limits, limits);
    assert!(acs.limits.allow_from(Some(inside)) && !acs.limits.allow(Scope::Read));
    let known = f.store.tokens_on_sight().await.unwrap();
    let said = OnSight { rate_limit: Some(600), rate_limit_as_503: true, fit: true };
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [(token::hash(&limited.token), said)]);
    // A successor may do the same and no more.
    let successor = f.store.rotate_token(Some(f.client_no), limited.id, 0).await.unwrap();
    let shown = f.store.token(None, successor.id).await.unwrap();
    assert_eq!(
        (shown.scopes, shown.topics.join(" "), shown.networks, shown.rate_limit, shown.rate_limit_as_503),
        (vec![Scope::Send], "kotly payroll".to_owned(), vec!["10.0.0.0/8".to_owned()], Some(600), true)
    );
    assert!(shown.fit);
    // A token with only one limit is listed as well.
    for said in [
        OnSight { rate_limit_as_503: true, ..OnSight::default() },
        OnSight { fit: true, ..OnSight::default() },
    ] {
        let OnSight { rate_limit_as_503, fit, .. } = said;
        let other = issue(&f, TokenLimits { rate_limit_as_503, fit, ..TokenLimits::default() }).await;
        assert_eq!(f.store.tokens_on_sight().await.unwrap()[&token::hash(&other.token)], said);
    }
}

#[tokio::test]
async fn with_a_grace_the_old_token_works_until_it_is_over() {
    let f = Fixture::new().await;
    let old = issue(&f, TokenLimits::default()).await;
    let new = f.store.rotate_token(None, old.id, 3_600).await.unwrap();
    assert!(lets_in(&f, &old).await && lets_in(&f, &new).await);
    let shown = f.store.token(None, old.id).await.unwrap();
    assert_eq!(
        (shown.successor, shown.expires_at, shown.revoked_at),
        (Some(new.id), Some(from_us(NOON + HOUR)), None)
    );
    assert!(is_conflict(&f.store.rotate_token(None, old.id, 3_600).await), "it has a successor");
    f.clock.set(NOON + HOUR);
    assert!(!lets_in(&f, &old).await && lets_in(&f, &new).await);
    // A token that expires earlier is not extended.
    let holder = TokenFor::Acs { client_no: f.client_no, name: "scada" };
    let terms = TokenTerms { expires_at: Some(NOON + 2 * HOUR), ..TokenTerms::default() };
    let short = f.store.issue_token(holder, &terms).await.unwrap();
    f.store.rotate_token(None, short.id, 86_400).await.unwrap();
    let shown = f.store.token(None, short.id).await.unwrap();
    assert_eq!(shown.expires_at, Some(from_us(NOON + 2 * HOUR)));
}

#[tokio::test]
async fn the_last_use_is_written_down_now_and_then() {
    let f = Fixture::new().await;
    let token = issue(&f, TokenLimits::default()).await;
    assert!(!f.store.write_uses().await.unwrap(), "nothing was used");
    f.store.note_use(token::hash(&token.token), "10.0.0.1".parse().ok());
    f.clock.set(NOON + HOUR);
    post(&f, &token, Some("10.0.0.2"), f.personal("x", &["1"])).await;
    let used = async |id: Uuid| {
        let shown = f.store.token(None, id).await.unwrap();
        (shown.used_at, shown.used_from)
    };
    assert_eq!(used(token.id).await, (None, None));
    assert!(f.store.write_uses().await.unwrap());
    let expected = (Some(from_us(NOON + HOUR)), Some("10.0.0.2".to_owned()));
    assert_eq!(used(token.id).await, expected);
    // Another instance whose clock is behind does not move it back.
    f.clock.set(NOON);
    f.store.note_use(token::hash(&token.token), None);
    f.store.write_uses().await.unwrap();
    assert_eq!(used(token.id).await, expected);
}

#[tokio::test]
async fn tokens_that_stop_working_soon_are_found() {
    let f = Fixture::new().await;
    let mut ids = Vec::new();
    for days in [20, 13, 1] {
        let holder = TokenFor::Acs { client_no: f.client_no, name: "scada" };
        let terms = TokenTerms { expires_at: Some(NOON + days * DAY), ..TokenTerms::default() };
        ids.push(f.store.issue_token(holder, &terms).await.unwrap().id);
    }
    let expiring = async || -> Vec<Uuid> {
        let tokens = f.store.expiring_tokens().await.unwrap();
        tokens.into_iter().map(|token| token.id).collect()
    };
    assert_eq!(expiring().await, [ids[2], ids[1]]);
    f.store.rotate_token(None, ids[2], 3_600).await.unwrap();
    assert_eq!(expiring().await.len(), 2, "its successor works a day only, too");
    assert!(!expiring().await.contains(&ids[2]));
}
