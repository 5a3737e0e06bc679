//! Callers and their access: clients, ACS, operators, tokens.

use simo_common::{
    api::access::{Acs, Client, ClientSpec, IssuedToken, NewOperator, Operator, Payload, Token, WebPush},
    message::limits,
    people::Role,
    time::from_us,
    token::{self, TokenKind},
};

use super::{
    super::fixture::NOON, Find, Fixture, HOUR, Listing, Store, TokenHolder, empty, invalid, is_conflict,
    is_missing, listed, pair,
};
use crate::store::{ClientNo, TokenFor, TokenLimits, TokenTerms};

/// The holder of the token, in words.
async fn holder(store: &Store, issued: &IssuedToken) -> String {
    match store.token_holder(&token::hash(&issued.token)).await.unwrap() {
        None => "nobody".to_owned(),
        Some(TokenHolder::Acs(acs)) => format!("acs {} of {}", acs.name, acs.client),
        Some(TokenHolder::Operator(operator)) => {
            let client = operator.client.map_or("all".to_owned(), |(_, slug)| slug);
            format!("{} {} of {client}", operator.role.as_str(), operator.name)
        }
        Some(TokenHolder::Device(device)) => format!("device on {}", device.channel),
    }
}

#[tokio::test]
async fn clients_are_made_changed_archived_and_brought_back() {
    let (_folder, store) = empty().await;
    assert!(!store.has_clients().await.unwrap());
    assert_eq!(store.only_client().await.unwrap(), None);
    let made = store.add_client("zavod", &ClientSpec::default()).await.unwrap();
    let plain = Client {
        slug: "zavod".to_owned(),
        name: "zavod".to_owned(),
        timezone: "Europe/Moscow".to_owned(),
        payload: Payload::Full,
        notification: false,
        webpush: WebPush::Text,
        default_ttl: limits::DEFAULT_TTL_SECONDS,
        retention_days: None,
        created_at: from_us(NOON),
        archived_at: None,
    };
    assert_eq!(made, plain);
    assert!(is_conflict(&store.add_client("zavod", &ClientSpec::default()).await));
    let id = store.client_no("zavod").await.unwrap().unwrap();
    assert_eq!(store.only_client().await.unwrap(), Some((id, "zavod".to_owned())));

    let spec = ClientSpec {
        slug: None,
        admin: None,
        restore: false,
        name: Some("Завод «Ёлка»".to_owned()),
        timezone: Some("Asia/Omsk".to_owned()),
        payload: Some(Payload::Doorbell),
        notification: Some(true),
        webpush: Some(WebPush::Doorbell),
        default_ttl: Some(60),
        retention_days: Some(90),
    };
    let edited = Client {
        name: "Завод «Ёлка»".to_owned(),
        timezone: "Asia/Omsk".to_owned(),
        payload: Payload::Doorbell,
        notification: true,
        webpush: WebPush::Doorbell,
        default_ttl: 60,
        retention_days: Some(90),
        ..plain
    };
    assert_eq!(store.edit_client("zavod", &spec).await.unwrap(), edited);
    let for_ever = ClientSpec { retention_days: Some(0), ..ClientSpec::default() };
    store.edit_client("zavod", &for_ever).await.unwrap();
    let edited = Client { retention_days: None, ..edited };
    assert_eq!(store.client("zavod").await.unwrap(), edited);
    let zone = store.client_timezone(id).await.unwrap();
    assert_eq!(zone.iana_name(), Some("Asia/Omsk"));

    store.add_client("arkhiv", &spec).await.unwrap();
    assert_eq!(store.only_client().await.unwrap(), None, "there are two");
    store.remove_client("arkhiv").await.unwrap();
    store.remove_client("arkhiv").await.unwrap();
    assert_eq!(store.client_no("arkhiv").await.unwrap(), None);
    assert_eq!(store.only_client().await.unwrap().unwrap().0, id);
    let lists =
        listed(async |listing| store.clients(&listing).await, |client| client.slug.clone(), "елка ZAV");
    assert_eq!(lists.await, ["zavod", "arkhiv zavod", "zavod"]);
    store.clock().set(NOON + HOUR);
    assert!(is_conflict(&store.add_client("arkhiv", &spec).await), "not silently");
    let restore = ClientSpec { restore: true, default_ttl: Some(90), ..ClientSpec::default() };
    let back = store.add_client("arkhiv", &restore).await.unwrap();
    let as_it_was = Client { slug: "arkhiv".to_owned(), default_ttl: 90, retention_days: Some(90), ..edited };
    assert_eq!(back, as_it_was, "but for what is said");
    assert!(is_conflict(&store.add_client("arkhiv", &restore).await), "it is there");
    assert!(is_missing(&store.add_client("nobody", &restore).await, "client"));
    assert!(store.has_clients().await.unwrap());

    assert!(is_missing(&store.client("nobody").await, "client"));
    assert!(is_missing(&store.edit_client("nobody", &spec).await, "client"));
    assert!(is_missing(&store.remove_client("nobody").await, "client"));
}

#[tokio::test]
async fn an_archived_acs_comes_back_without_its_tokens() {
    let f = Fixture::new().await;
    let client = f.client_no;
    assert_eq!(f.store.acs(client, "1c").await.unwrap().tokens, 1);
    let scada = Acs { name: "scada".to_owned(), tokens: 0, created_at: from_us(NOON), archived_at: None };
    assert_eq!(f.store.add_acs(client, "scada").await.unwrap(), scada);
    assert!(is_conflict(&f.store.add_acs(client, "scada").await));
    let name = "scada";
    let issued =
        f.store.issue_token(TokenFor::Acs { client_no: client, name }, &TokenTerms::default()).await.unwrap();
    assert_eq!(f.store.acs(client, "scada").await.unwrap().tokens, 1);
    assert_eq!(holder(&f.store, &issued).await, "acs scada of zavod");
    f.store.remove_acs(client, "scada").await.unwrap();
    assert_eq!(holder(&f.store, &issued).await, "nobody");
    let lists =
        listed(async |listing| f.store.acs_list(client, &listing).await, |acs| acs.name.clone(), "SCA");
    assert_eq!(lists.await, ["1c", "1c scada", "scada"]);
    assert_eq!(f.store.add_acs(client, "scada").await.unwrap(), scada);
    assert_eq!(holder(&f.store, &issued).await, "nobody");
    let renamed = f.store.edit_acs(client, "1c", "erp").await.unwrap();
    assert_eq!((&*renamed.name, renamed.tokens), ("erp", 1));
    assert_eq!(f.store.edit_acs(client, "erp", "erp").await.unwrap(), renamed);
    assert!(is_conflict(&f.store.edit_acs(client, "erp", "scada").await));
    assert!(is_missing(&f.store.edit_acs(client, "1c", "x").await, "acs"));
    f.store.remove_acs(client, "scada").await.unwrap();
    assert!(is_conflict(&f.store.edit_acs(client, "erp", "scada").await), "archived");
    assert!(is_missing(&f.store.edit_acs(client, "scada", "x").await, "acs"));
    assert!(is_missing(&f.store.acs(client, "mes").await, "acs"));
    assert!(is_missing(&f.store.remove_acs(client, "mes").await, "acs"));
}

#[tokio::test]
async fn operators_belong_to_a_client_or_own_all() {
    let f = Fixture::new().await;
    let zavod = Some(f.client_no);
    let new = |name: &str, role| NewOperator { name: name.to_owned(), role };
    let made = f.store.add_operator(None, &new("root", Role::Owner)).await.unwrap();
    let root = Operator {
        name: "root".to_owned(),
        client: None,
        role: Role::Owner,
        created_at: from_us(NOON),
        archived_at: None,
    };
    assert_eq!(made, root);
    let anna = f.store.add_operator(zavod, &new("anna", Role::Admin)).await.unwrap();
    assert_eq!((anna.client.as_deref(), anna.role), (Some("zavod"), Role::Admin));
    assert!(is_conflict(&f.store.add_operator(None, &new("anna", Role::Owner)).await));
    assert!(is_missing(&f.store.operator(zavod, "root").await, "operator"));
    assert_eq!(f.store.operator(None, "root").await.unwrap(), root);

    let token_of = async |name: &str| {
        let holder = TokenFor::Operator { within: None, name };
        f.store.issue_token(holder, &TokenTerms::default()).await
    };
    let (of_root, of_anna) = (token_of("root").await.unwrap(), token_of("anna").await.unwrap());
    assert_eq!(holder(&f.store, &of_root).await, "owner root of all");
    let viewer = new("root", Role::Viewer);
    let nowhere = f.store.edit_operator(None, "root", &viewer, None).await;
    assert_eq!(invalid(nowhere), ["client"]);
    f.store.edit_operator(None, "root", &viewer, zavod).await.unwrap();
    assert_eq!(holder(&f.store, &of_root).await, "viewer root of zavod");
    let renamed = new("anna.p", Role::Admin);
    let anna = f.store.edit_operator(zavod, "anna", &renamed, None).await.unwrap();
    assert_eq!((&*anna.name, anna.client.as_deref()), ("anna.p", Some("zavod")));
    assert!(is_conflict(&f.store.edit_operator(zavod, "anna.p", &viewer, None).await));

    assert!(
        is_conflict(&f.store.remove_operator(zavod, "anna.p").await),
        "the last admin is an owner's to remove"
    );
    f.store.remove_operator(None, "anna.p").await.unwrap();
    assert_eq!(holder(&f.store, &of_anna).await, "nobody");
    assert!(is_missing(&token_of("anna.p").await, "operator"));
    let lists = listed(
        async |listing| f.store.operators(zavod, &listing).await,
        |operator| operator.name.clone(),
        "ann",
    );
    assert_eq!(lists.await, ["root", "anna.p root", "anna.p"]);
    let back = f.store.add_operator(zavod, &new("anna.p", Role::Viewer)).await.unwrap();
    assert_eq!((back.archived_at, back.role), (None, Role::Viewer));
    assert!(is_missing(&f.store.remove_operator(None, "nobody").await, "operator"));
}

#[tokio::test]
async fn a_token_works_until_it_expires_is_rotated_or_revoked() {
    let f = Fixture::new().await;
    let client = Some(f.client_no);
    let other = Some(ClientNo(99));
    let terms = TokenTerms {
        name: Some("касса".to_owned()),
        expires_at: Some(NOON + HOUR),
        personal: false,
        limits: TokenLimits::default(),
    };
    // The ACS is created with its first token.
    let scada = TokenFor::Acs { client_no: f.client_no, name: "scada" };
    let first = f.store.issue_token(scada, &terms).await.unwrap();
    let known = Token {
        id: first.id,
        kind: TokenKind::Acs,
        holder: "scada".to_owned(),
        name: "касса".to_owned(),
        shown: token::shown(&first.token),
        personal: false,
        scopes: vec![],
        topics: vec![],
        networks: vec![],
        rate_limit: None,
        rate_limit_as_503: false,
        fit: false,
        successor: None,
        expires_soon: true,
        used_at: None,
        used_from: None,
        created_at: from_us(NOON),
        expires_at: Some(from_us(NOON + HOUR)),
        revoked_at: None,
    };
    assert_eq!(f.store.token(client, first.id).await.unwrap(), known);
    assert!(is_missing(&f.store.token(other, first.id).await, "token"));
    assert!(is_missing(&f.store.rotate_token(other, first.id, 0).await, "token"));

    f.clock.set(NOON + HOUR / 2);
    let second = f.store.rotate_token(client, first.id, 0).await.unwrap();
    assert_eq!(second.expires_at, Some(from_us(NOON + HOUR / 2 + HOUR)));
    assert_eq!(holder(&f.store, &first).await, "nobody");
    assert_eq!(holder(&f.store, &second).await, "acs scada of zavod");
    let first = f.store.token(client, first.id).await.unwrap();
    assert_eq!(first.revoked_at, Some(from_us(NOON + HOUR / 2)));
    assert!(is_conflict(&f.store.rotate_token(client, first.id, 0).await));
    f.clock.set(NOON + HOUR / 2 + HOUR);
    assert_eq!(holder(&f.store, &second).await, "nobody");

    let third = f.store.issue_token(scada, &TokenTerms::default()).await.unwrap();
    assert_eq!(third.expires_at, None);
    assert!(is_missing(&f.store.revoke_token(other, third.id).await, "token"));
    f.store.revoke_token(client, third.id).await.unwrap();
    f.store.revoke_token(client, third.id).await.unwrap();
    assert_eq!(holder(&f.store, &third).await, "nobody");
    // The fixture's own is the oldest, and has no name.
    let list = async |kind| {
        listed(
            async |listing| f.store.tokens(client, kind, &listing).await,
            |token| format!("{}:{}", token.holder, token.name),
            "касса scada",
        )
        .await
    };
    assert_eq!(
        list(None).await,
        ["scada:касса 1c:", "scada:scada scada:касса scada:касса 1c:", "scada:касса scada:касса"]
    );
    let phone = pair(&f, "1", None).await;
    assert_eq!(list(Some(TokenKind::Operator)).await, ["", "", ""]);
    assert_eq!(list(Some(TokenKind::Device)).await[0], "Телефон:Телефон");
    let listing = Listing { find: Find::default(), limit: 10, after: None, archived: false };
    let devices = f.store.tokens(None, Some(TokenKind::Device), &listing).await.unwrap();
    assert!(is_conflict(&f.store.rotate_token(client, devices.items[0].id, 0).await));
    f.store.revoke_token(client, devices.items[0].id).await.unwrap();
    assert!(f.store.token_holder(&phone.token_hash).await.unwrap().is_none());
}
