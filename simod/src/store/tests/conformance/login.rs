//! Operators log in with one-time codes, and their sessions end.

use std::net::IpAddr;

use simo_common::{
    api::{
        access::{ClientSpec, NewOperator},
        login::Session,
    },
    people::Role,
    time::{DAY_SECONDS, SECOND, from_us},
    token,
};
use uuid::Uuid;

use super::{super::fixture::NOON, Fixture, HOUR, Listing, TokenHolder, is_conflict, is_missing, listed};
use crate::store::{ClientNo, Ended, Find, LoggedIn, NewSession};

async fn operator(f: &Fixture, name: &str, role: Role) {
    let client = (role != Role::Owner).then_some(f.client_no);
    let new = NewOperator { name: name.to_owned(), role };
    f.store.add_operator(client, &new).await.unwrap();
}

async fn code(f: &Fixture, name: &str) -> String {
    f.store.login_code(None, name, DAY_SECONDS).await.unwrap().code
}

async fn log_in(f: &Fixture, from: &str, code: &str, machine: &str) -> LoggedIn {
    let session = NewSession {
        code_hash: token::hash(&token::normalize_code(code)),
        name: machine.to_owned(),
        valid_for_seconds: DAY_SECONDS,
    };
    f.store.log_in(from, &session).await.unwrap()
}

/// The secret and id of a new session.
async fn begun(f: &Fixture, name: &str, machine: &str) -> ([u8; 32], Uuid) {
    match log_in(f, "192.0.2.1", &code(f, name).await, machine).await {
        LoggedIn::Done(issued) => (token::hash(&issued.token), issued.id),
        other => panic!("{other:?}"),
    }
}

async fn is_let_in(f: &Fixture, hash: &[u8; 32]) -> bool {
    matches!(f.store.token_holder(hash).await.unwrap(), Some(TokenHolder::Operator(_)))
}

#[tokio::test]
async fn a_login_code_works_once_until_its_time_or_the_next_one() {
    let f = Fixture::new().await;
    operator(&f, "anna", Role::Admin).await;
    let made = f.store.login_code(Some(f.client_no), "anna", DAY_SECONDS).await.unwrap();
    assert_eq!(made.expires_at, from_us(NOON + DAY_SECONDS * SECOND));
    let typed = made.code.to_lowercase().replace('-', " ");
    let LoggedIn::Done(issued) = log_in(&f, "a", &typed, "ноутбук").await else {
        panic!("the code works")
    };
    assert_eq!((&*issued.holder, issued.expires_at), ("anna", Some(from_us(NOON + DAY_SECONDS * SECOND))));
    assert!(is_let_in(&f, &token::hash(&issued.token)).await);
    assert_eq!(log_in(&f, "a", &made.code, "x").await, LoggedIn::WrongCode);

    let (first, second) = (code(&f, "anna").await, code(&f, "anna").await);
    assert_eq!(log_in(&f, "a", &first, "x").await, LoggedIn::WrongCode, "replaced");
    f.clock.set(NOON + DAY_SECONDS * SECOND);
    assert_eq!(log_in(&f, "a", &second, "x").await, LoggedIn::WrongCode, "expired");
    assert!(!is_let_in(&f, &token::hash(&issued.token)).await, "the session has ended");

    let late = code(&f, "anna").await;
    f.store.remove_operator(None, "anna").await.unwrap();
    assert!(is_missing(&f.store.login_code(None, "anna", 60).await, "operator"));
    operator(&f, "anna", Role::Admin).await;
    assert_eq!(log_in(&f, "b", &late, "x").await, LoggedIn::WrongCode, "archived since");

    let of_client = code(&f, "anna").await;
    let other = Some(ClientNo(99));
    assert!(is_missing(&f.store.login_code(other, "anna", 60).await, "operator"));
    f.store.remove_client("zavod").await.unwrap();
    assert_eq!(log_in(&f, "b", &of_client, "x").await, LoggedIn::WrongCode);
}

#[tokio::test]
async fn a_client_and_its_admin_are_made_together_or_not_at_all() {
    let f = Fixture::new().await;
    operator(&f, "anna", Role::Admin).await;
    let spec = ClientSpec::default();
    let taken = f.store.add_client_and_admin("fabrika", &spec, "anna", 60).await;
    assert!(is_conflict(&taken));
    assert!(is_missing(&f.store.client("fabrika").await, "client"));
    let made = f.store.add_client_and_admin("fabrika", &spec, "boris", 60).await.unwrap();
    let code = made.login.unwrap();
    assert_eq!((&*made.client.slug, &*code.operator), ("fabrika", "boris"));
    let LoggedIn::Done(issued) = log_in(&f, "a", &code.code, "x").await else { panic!("the code works") };
    let Some(TokenHolder::Operator(boris)) = f.store.token_holder(&token::hash(&issued.token)).await.unwrap()
    else {
        panic!("he is in")
    };
    assert_eq!(boris.role, Role::Admin);
    assert_eq!(boris.client.unwrap().1, "fabrika");
}

#[tokio::test]
async fn who_guesses_login_codes_waits_and_whoever_mistypes_pairing_codes_does_not() {
    let f = Fixture::new().await;
    operator(&f, "root", Role::Owner).await;
    let good = code(&f, "root").await;
    for _ in 0..10 {
        f.store.pair(&super::device("WRONG", None)).await.unwrap();
    }
    for _ in 0..10 {
        assert_eq!(log_in(&f, "a", "WRONG", "x").await, LoggedIn::WrongCode);
    }
    assert_eq!(log_in(&f, "b", &good, "x").await, LoggedIn::NextSecond);
    f.clock.set(NOON + HOUR / 4);
    assert_eq!(log_in(&f, "a", &good, "x").await, LoggedIn::TooMany { retry_after: 2_701 });
    f.clock.set(NOON + HOUR);
    let later = log_in(&f, "a", &good, "x").await;
    assert!(matches!(later, LoggedIn::Done(_)), "{later:?}");
}

#[tokio::test]
async fn sessions_are_listed_and_end_at_once() {
    let f = Fixture::new().await;
    let zavod = Some(f.client_no);
    operator(&f, "anna", Role::Admin).await;
    operator(&f, "root", Role::Owner).await;
    let (work, work_id) = begun(&f, "anna", "работа").await;
    f.clock.set(NOON + 1);
    let (home, home_id) = begun(&f, "anna", "дом").await;
    f.clock.set(NOON + 2);
    let (phone, _) = begun(&f, "anna", "телефон").await;
    let (roots, roots_id) = begun(&f, "root", "сервер").await;
    let all = Listing { find: Find::default(), limit: 10, after: None, archived: false };
    let page = f.store.sessions(zavod, "anna", Some(&home), &all).await.unwrap();
    let current: Vec<&Session> = page.items.iter().filter(|session| session.current).collect();
    assert_eq!(current.len(), 1);
    assert_eq!((current[0].id, &*current[0].operator, &*current[0].name), (home_id, "anna", "дом"));
    let from: IpAddr = "192.0.2.7".parse().unwrap();
    f.store.note_use(home, Some(from));
    f.store.write_uses().await.unwrap();
    let page = f.store.sessions(zavod, "anna", None, &all).await.unwrap();
    let used: Vec<_> = page.items.iter().filter_map(|session| session.used_from.as_deref()).collect();
    assert_eq!(used, ["192.0.2.7"]);
    assert!(is_missing(&f.store.sessions(zavod, "root", None, &all).await, "operator"));

    let end = async |within, name: &str, which: Ended<'_>| f.store.end_sessions(within, name, which).await;
    assert!(is_missing(&end(zavod, "root", Ended::All).await, "operator"));
    assert!(is_missing(&end(None, "anna", Ended::One(roots_id)).await, "session"));
    assert_eq!(end(zavod, "anna", Ended::One(work_id)).await.unwrap(), 1);
    assert_eq!(end(zavod, "anna", Ended::One(work_id)).await.unwrap(), 0, "again");
    assert!(!is_let_in(&f, &work).await);
    assert_eq!(end(None, "anna", Ended::Others(&home)).await.unwrap(), 1);
    assert!(!is_let_in(&f, &phone).await && is_let_in(&f, &home).await);
    assert_eq!(end(None, "anna", Ended::Current(&roots)).await.unwrap(), 0, "not hers");
    assert_eq!(end(None, "anna", Ended::Current(&home)).await.unwrap(), 1);
    assert!(!is_let_in(&f, &home).await && is_let_in(&f, &roots).await);
    let lists = listed(
        async |listing| f.store.sessions(None, "anna", None, &listing).await,
        |session| session.name.clone(),
        "ДОМ",
    );
    assert_eq!(lists.await, ["", "телефон дом работа", "дом"]);
    begun(&f, "root", "ещё").await;
    assert_eq!(end(None, "root", Ended::All).await.unwrap(), 2);
    assert!(!is_let_in(&f, &roots).await);
}
