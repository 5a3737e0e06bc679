//! What comes back from the archive comes back without those whom it let in.

use std::sync::Arc;

use serde_json::json;
use simo_common::{
    api::{
        access::{ClientSpec, NewOperator},
        site::{Site, SiteAction, SiteKind},
    },
    people::Role,
    token,
};

use super::{Fixture, deliveries, device, pair, post};
use crate::store::{LoggedIn, NewSession, Pairing, Poster, Reach, TokenFor, TokenTerms};

const OWNER: Reach = Reach {
    prune: false,
    prune_clients: false,
    clients: true,
};

/// All that lets in to the fixture's client.
struct Keys {
    tokens: Vec<[u8; 32]>,
    login_code: String,
    pairing_code: String,
}

/// Hands out one of each.
async fn keys(f: &Fixture) -> Keys {
    let Poster::Token(acs) = f.incoming("").poster else {
        panic!("an ACS posts")
    };
    let anna = NewOperator {
        name: "anna".to_owned(),
        role: Role::Admin,
    };
    f.store.add_operator(Some(f.client_id), &anna).await.unwrap();
    let holder = TokenFor::Operator {
        within: None,
        name: "anna",
    };
    let session = f.store.issue_token(holder, &TokenTerms::default()).await.unwrap();
    let code = f.store.login_code(None, "anna", 86_400).await.unwrap().code;
    let phone = pair(f, "1", None).await;
    let (pairing_code, _) = f.store.invite(f.client_id, "2", 86_400).await.unwrap();
    let keys = Keys {
        tokens: vec![acs, token::hash(&session.token), phone.token_hash],
        login_code: code,
        pairing_code,
    };
    for hash in &keys.tokens {
        assert!(f.store.token_holder(hash).await.unwrap().is_some());
    }
    keys
}

async fn let_in_nobody(f: &Fixture, keys: &Keys) {
    for hash in &keys.tokens {
        let holder = f.store.token_holder(hash).await.unwrap();
        assert!(holder.is_none(), "{holder:?}");
    }
    let session = NewSession {
        code_hash: token::hash(&token::normalize_code(&keys.login_code)),
        name: "ноутбук".to_owned(),
        valid_for_seconds: 60,
    };
    assert_eq!(f.store.log_in("a", &session).await.unwrap(), LoggedIn::WrongCode);
    let paired = f
        .store
        .pair("b", &device(&keys.pairing_code, None))
        .await
        .unwrap();
    assert!(matches!(paired, Pairing::WrongCode), "{paired:?}");
    let employee = f.store.employee(f.client_id, "1").await.unwrap();
    assert_eq!(employee.devices, 0, "his phone is paired anew");
    let anna = f.store.operator(None, "anna").await.unwrap();
    assert!(anna.archived_at.is_some());
}

#[tokio::test]
async fn a_client_comes_back_with_its_history_and_lets_in_nobody_of_before() {
    let f = Fixture::new().await;
    post(&f, f.personal("Проверка", &["1"])).await;
    let keys = keys(&f).await;
    f.store.remove_client("zavod").await.unwrap();
    let restore = ClientSpec {
        restore: true,
        ..ClientSpec::default()
    };
    f.store.add_client("zavod", &restore).await.unwrap();
    let_in_nobody(&f, &keys).await;
    assert_eq!(deliveries(&f, "").await.len(), 1);
    assert!(f.store.topic(f.client_id, "boiler").await.is_ok());

    let admin = f
        .store
        .add_client_and_admin("noviy", &ClientSpec::default(), "boris", 60)
        .await;
    assert!(admin.unwrap().login.is_some());
}

#[tokio::test]
async fn a_site_that_names_an_archived_client_says_that_it_comes_back_and_lets_in_nobody_of_before() {
    let f = Fixture::new().await;
    let keys = keys(&f).await;
    f.store.remove_client("zavod").await.unwrap();
    // As one whom it had not seen while it archived the client.
    f.execute(
        "update operator set archived_at = null; update token set revoked_at = null where kind = 'acs'",
    )
    .await;
    let site: Site = serde_json::from_value(json!({"clients": {"zavod": {}}})).unwrap();
    let site = Arc::new(site);
    let plan = f.store.plan_site(site.clone(), OWNER).await.unwrap();
    let said: Vec<_> = plan
        .changes
        .iter()
        .map(|change| (change.action, change.kind))
        .collect();
    assert_eq!(said, [(SiteAction::Restore, SiteKind::Client)]);
    f.store.apply_site(site, OWNER, &plan.revision).await.unwrap();
    let_in_nobody(&f, &keys).await;
}

#[tokio::test]
async fn a_client_that_is_pruned_takes_all_with_it_that_let_in() {
    let f = Fixture::new().await;
    let keys = keys(&f).await;
    let prune = Reach {
        prune: true,
        prune_clients: true,
        clients: true,
    };
    let nothing = Arc::new(Site::default());
    let plan = f.store.plan_site(nothing.clone(), prune).await.unwrap();
    f.store.apply_site(nothing, prune, &plan.revision).await.unwrap();
    f.execute("update client set archived_at = null").await;
    let_in_nobody(&f, &keys).await;
}
