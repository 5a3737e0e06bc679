//! Tokens that one instance rotates, or issues for a code, while another one changes their holder.

use simo_common::{api::access::NewOperator, people::Role, token};

use super::*;

/// Stops a revocation or rotation of a token after it has read the token.
pub(super) const TOKENS: &str = "select no from token for update";

const ALIVE: &str = "select count(*) from token where revoked_at is null";

pub(super) fn operator(name: &str, role: Role) -> NewOperator {
    NewOperator { name: name.to_owned(), role }
}

/// Issues an operator's token, the only one at that time.
pub(super) async fn only_token(plant: &Plant, name: &str) -> Uuid {
    plant.run("delete from token").await;
    let holder = TokenFor::Operator { within: None, name };
    let issued = plant.store.issue_token(holder, &TokenTerms::default()).await;
    issued.unwrap().id
}

/// Otherwise it would be valid again when the ACS is restored.
#[tokio::test]
async fn a_token_that_is_rotated_while_its_acs_is_archived_has_no_successor_that_lives() {
    let Some((plant, other)) = two().await else { return };
    let id: Uuid = plant.texts("select cast(id as text) from token").await[0].parse().unwrap();
    let (store, client) = (plant.store.clone(), plant.client_no);
    let (rotated, removed) = meet(
        &plant.store,
        TOKENS,
        async move { store.rotate_token(Some(client), id, 0).await },
        async move { other.remove_acs(client, "scada").await },
    )
    .await;
    assert!(rotated.is_ok() && removed.is_ok(), "{rotated:?} {removed:?}");
    assert_eq!(plant.number(ALIVE).await, Some(0));
}

#[tokio::test]
async fn a_token_that_is_rotated_while_its_operator_is_archived_has_no_successor_that_lives() {
    let Some((plant, other)) = two().await else { return };
    let (store, client) = (plant.store.clone(), plant.client_no);
    let anna = operator("anna", Role::Admin);
    store.add_operator(Some(client), &anna).await.unwrap();
    let id = only_token(&plant, "anna").await;
    let (rotated, removed) = meet(
        &plant.store,
        TOKENS,
        async move { store.rotate_token(Some(client), id, 0).await },
        async move { other.remove_operator(None, "anna").await },
    )
    .await;
    assert!(rotated.is_ok() && removed.is_ok(), "{rotated:?} {removed:?}");
    assert_eq!(plant.number(ALIVE).await, Some(0));
}

/// A token without a client is an owner's.
#[tokio::test]
async fn a_token_that_is_rotated_while_its_owner_becomes_a_clients_operator_is_that_clients() {
    let Some((plant, other)) = two().await else { return };
    let (store, client) = (plant.store.clone(), plant.client_no);
    store.add_operator(None, &operator("root", Role::Owner)).await.unwrap();
    let id = only_token(&plant, "root").await;
    let (rotated, edited) =
        meet(&plant.store, TOKENS, async move { store.rotate_token(None, id, 0).await }, async move {
            let viewer = operator("root", Role::Viewer);
            other.edit_operator(None, "root", &viewer, Some(client)).await
        })
        .await;
    assert!(rotated.is_ok() && edited.is_ok(), "{rotated:?} {edited:?}");
    let owners = "select count(*) from token where client_no is null";
    assert_eq!((plant.number(ALIVE).await, plant.number(owners).await), (Some(1), Some(0)));
}

/// A machine that logs in with this code.
fn machine(code: &str) -> NewSession {
    NewSession {
        code_hash: token::hash(&token::normalize_code(code)),
        name: "ноутбук".to_owned(),
        valid_for_seconds: 60,
    }
}

#[tokio::test]
async fn a_code_that_two_machines_bring_at_once_lets_one_in() {
    let Some((plant, other)) = two().await else { return };
    let (store, client) = (plant.store.clone(), plant.client_no);
    let anna = operator("anna", Role::Admin);
    store.add_operator(Some(client), &anna).await.unwrap();
    let code = store.login_code(None, "anna", 60).await.unwrap().code;
    let (one, two) = (machine(&code), machine(&code));
    let (first, second) = meet(
        &plant.store,
        "lock table token in share mode",
        async move { store.log_in("a", &one).await.unwrap() },
        async move { other.log_in("b", &two).await.unwrap() },
    )
    .await;
    assert!(matches!(first, LoggedIn::Done(_)), "{first:?}");
    assert_eq!(second, LoggedIn::WrongCode);
}

#[tokio::test]
async fn whoever_logs_in_while_he_is_archived_has_no_session_that_lives() {
    let Some((plant, other)) = two().await else { return };
    let (store, client) = (plant.store.clone(), plant.client_no);
    plant.run("delete from token").await;
    let anna = operator("anna", Role::Admin);
    store.add_operator(Some(client), &anna).await.unwrap();
    let code = store.login_code(None, "anna", 60).await.unwrap().code;
    let session = machine(&code);
    let (begun, removed) = meet(
        &plant.store,
        "lock table token in share mode",
        async move { store.log_in("a", &session).await },
        async move { other.remove_operator(None, "anna").await },
    )
    .await;
    assert!(begun.is_ok() && removed.is_ok(), "{begun:?} {removed:?}");
    assert_eq!(plant.number(ALIVE).await, Some(0));
}
