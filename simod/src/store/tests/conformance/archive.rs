//! Objects restored from the archive do not get back their access.

use std::sync::Arc;

use serde_json::json;
use simo_common::{
    api::{
        access::{ClientSpec, EditTopic, Grantee, Named, NewOperator, NewTopic},
        change::Change,
        message::Recipients,
        people::NewEmployee,
        site::{Site, SiteAction, SiteKind},
    },
    people::Role,
    token,
};

use super::{Fixture, deliveries, device, is_conflict, pair, post};
use crate::store::{
    AuditFilter, Error, Find, GrantTerms, Listing, LoggedIn, NewSession, Pairing, Poster, Reach, TokenFor,
    TokenTerms,
};

const OWNER: Reach = Reach { prune: false, prune_clients: false, clients: true };

const PRUNE: Reach = Reach { prune: true, ..OWNER };

/// All access to the fixture's client.
struct Keys {
    tokens: Vec<[u8; 32]>,
    login_code: String,
    pairing_code: String,
}

/// Hands out one of each.
async fn keys(f: &Fixture) -> Keys {
    let Poster::Token(acs) = f.incoming("").poster else { panic!("an ACS posts") };
    let anna = NewOperator { name: "anna".to_owned(), role: Role::Admin };
    f.store.add_operator(Some(f.client_no), &anna).await.unwrap();
    let holder = TokenFor::Operator { within: None, name: "anna" };
    let session = f.store.issue_token(holder, &TokenTerms::default()).await.unwrap();
    let code = f.store.login_code(None, "anna", 86_400).await.unwrap().code;
    let phone = pair(f, "1", None).await;
    let (pairing_code, _) = f.store.invite(f.client_no, "2", 86_400).await.unwrap();
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
    let paired = f.store.pair(&device(&keys.pairing_code, None)).await.unwrap();
    assert!(matches!(paired, Pairing::WrongCode), "{paired:?}");
    let employee = f.store.employee(f.client_no, "1").await.unwrap();
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
    let restore = ClientSpec { restore: true, ..ClientSpec::default() };
    f.store.add_client("zavod", &restore).await.unwrap();
    let_in_nobody(&f, &keys).await;
    assert_eq!(deliveries(&f, "").await.len(), 1);
    assert!(f.store.topic(f.client_no, "boiler").await.is_ok());

    let admin = f.store.add_client_and_admin("noviy", &ClientSpec::default(), "boris", 60).await;
    assert!(admin.unwrap().login.is_some());
}

#[tokio::test]
async fn a_site_that_names_an_archived_client_says_that_it_comes_back_and_lets_in_nobody_of_before() {
    let f = Fixture::new().await;
    let keys = keys(&f).await;
    f.store.remove_client("zavod").await.unwrap();
    // As a code that the archiving of the client did not see.
    f.execute(
        "update operator set archived_at = null; update token set revoked_at = null where kind = 'acs'",
    )
    .await;
    let site: Site = serde_json::from_value(json!({"clients": {"zavod": {}}})).unwrap();
    let site = Arc::new(site);
    let plan = f.store.plan_site(site.clone(), OWNER).await.unwrap();
    let said: Vec<_> = plan.changes.iter().map(|change| (change.action, change.kind)).collect();
    assert_eq!(said, [(SiteAction::Restore, SiteKind::Client)]);
    f.store.apply_site(site, OWNER, &plan.revision).await.unwrap();
    let_in_nobody(&f, &keys).await;
}

#[tokio::test]
async fn a_client_that_is_pruned_takes_all_with_it_that_let_in() {
    let f = Fixture::new().await;
    let keys = keys(&f).await;
    let prune = Reach { prune: true, prune_clients: true, clients: true };
    let nothing = Arc::new(Site::default());
    let plan = f.store.plan_site(nothing.clone(), prune).await.unwrap();
    f.store.apply_site(nothing, prune, &plan.revision).await.unwrap();
    f.execute("update client set archived_at = null").await;
    let_in_nobody(&f, &keys).await;
}

fn named(slug: &str) -> Named {
    Named { slug: slug.to_owned(), name: None }
}

fn group(slug: &str) -> Grantee {
    Grantee::Group(slug.to_owned())
}

fn employee(no: &str) -> Grantee {
    Grantee::Employee(no.to_owned())
}

async fn grant(f: &Fixture, grantee: &Grantee) {
    let always = GrantTerms::default();
    f.store.grant(f.client_no, "boiler", grantee, &always).await.unwrap();
}

/// The grants of the boiler house, as listed and as counted.
async fn granted(f: &Fixture) -> Vec<Grantee> {
    let grants = f.store.grants(f.client_no, "boiler").await.unwrap();
    let topic = f.store.topic(f.client_no, "boiler").await.unwrap();
    assert_eq!(topic.grants, grants.len() as u64);
    grants.into_iter().map(|grant| grant.grantee).collect()
}

/// The changes since entry `seq`, as `action subject`.
async fn audited(f: &Fixture, seq: u64) -> Vec<String> {
    let listing = Listing { find: Find::default(), limit: 100, after: Some(seq), archived: false };
    let filter = AuditFilter { oldest_first: true, ..AuditFilter::default() };
    let page = f.store.audit(f.client_no, &filter, &listing).await.unwrap();
    let entries = page.items.into_iter();
    entries.map(|entry| format!("{} {}", entry.action, entry.payload.unwrap().subject)).collect()
}

async fn end_of_audit(f: &Fixture) -> u64 {
    f.store.audit_head(f.client_no).await.unwrap().seq
}

async fn apply(f: &Fixture, zavod: serde_json::Value, reach: Reach) -> Result<Vec<String>, Error> {
    let site: Site = serde_json::from_value(json!({"clients": {"zavod": zavod}})).unwrap();
    let site = Arc::new(site);
    let plan = f.store.plan_site(site.clone(), reach).await?;
    let applied = f.store.apply_site(site, reach, &plan.revision).await?;
    let changes = applied.changes.iter();
    Ok(changes
        .map(|change| format!("{:?} {:?} {}", change.action, change.kind, change.name).to_lowercase())
        .collect())
}

#[tokio::test]
async fn a_topic_comes_back_without_its_grants_and_what_it_lost_is_audited() {
    let f = Fixture::new().await;
    grant(&f, &Grantee::Everyone).await;
    grant(&f, &employee("2")).await;
    let known = end_of_audit(&f).await;
    f.store.remove_topic(f.client_no, "boiler").await.unwrap();
    assert_eq!(
        audited(&f, known).await,
        ["topic.revoke boiler", "topic.revoke boiler", "topic.remove boiler"]
    );
    let boiler = NewTopic { slug: "boiler".to_owned(), ..NewTopic::default() };
    let back = f.store.add_topic(f.client_no, &boiler).await.unwrap();
    assert!(back.restored);
    assert_eq!(granted(&f).await, []);

    grant(&f, &Grantee::Everyone).await;
    let pruned = apply(&f, json!({"topics": []}), PRUNE).await.unwrap();
    assert_eq!(pruned, ["archive topic boiler", "revoke grant boiler/everyone"]);
    let back = apply(&f, json!({"topics": [{"slug": "boiler"}]}), OWNER).await.unwrap();
    assert_eq!(back, ["restore topic boiler"]);
    assert_eq!(granted(&f).await, []);
}

#[tokio::test]
async fn a_group_comes_back_without_members_and_grants_and_what_it_lost_is_audited() {
    let f = Fixture::new().await;
    let again = async || {
        grant(&f, &group("smena-a")).await;
        f.store.include_group(f.client_no, "ceh", "smena-a").await.unwrap();
        f.store.set_member(f.client_no, "smena-a", "1", true).await.unwrap();
        f.store.set_member(f.client_no, "smena-a", "2", true).await.unwrap();
    };
    let is_alone = async || {
        assert_eq!(granted(&f).await, []);
        let (smena, ceh) =
            (f.store.group(f.client_no, "smena-a").await, f.store.group(f.client_no, "ceh").await);
        assert_eq!((smena.unwrap().members, ceh.unwrap().includes), (0, Vec::<String>::new()));
    };
    f.store.add_group(f.client_no, &named("ceh")).await.unwrap();
    again().await;
    let known = end_of_audit(&f).await;
    f.store.remove_group(f.client_no, "smena-a").await.unwrap();
    assert_eq!(
        audited(&f, known).await,
        [
            "topic.revoke boiler",
            "group.remove-member smena-a",
            "group.remove-member smena-a",
            "group.exclude ceh",
            "group.remove smena-a"
        ]
    );
    is_alone().await;
    assert!(f.store.add_group(f.client_no, &named("smena-a")).await.unwrap().restored);
    is_alone().await;

    again().await;
    let pruned = apply(&f, json!({"groups": [{"slug": "ceh"}]}), PRUNE).await.unwrap();
    assert_eq!(
        pruned,
        [
            "archive group smena-a",
            "change group ceh",
            "change employee 1",
            "change employee 2",
            "revoke grant boiler/group:smena-a"
        ]
    );
    let back = json!({"groups": [{"slug": "smena-a"}]});
    assert_eq!(apply(&f, back, OWNER).await.unwrap(), ["restore group smena-a"]);
    is_alone().await;
}

#[tokio::test]
async fn an_employee_comes_back_without_grants_of_his_own_and_his_pairing_code_does_not_work() {
    let f = Fixture::new().await;
    let as_before = NewEmployee {
        personnel_no: "2".to_owned(),
        full_name: "Сотрудник 2".to_owned(),
        ..NewEmployee::default()
    };
    let nobody_pairs = async |code: &str| {
        let paired = f.store.pair(&device(code, None)).await.unwrap();
        assert!(matches!(paired, Pairing::WrongCode), "{paired:?}");
        assert_eq!(granted(&f).await, []);
    };
    grant(&f, &employee("2")).await;
    let (code, _) = f.store.invite(f.client_no, "2", 86_400).await.unwrap();
    f.store.remove_employee(f.client_no, "2").await.unwrap();
    assert_eq!(granted(&f).await, [], "not while he is archived");
    f.store.add_employee(f.client_no, &as_before).await.unwrap();
    nobody_pairs(&code).await;

    grant(&f, &employee("2")).await;
    let (code, _) = f.store.invite(f.client_no, "2", 86_400).await.unwrap();
    let pruned = apply(&f, json!({"employees": [{"personnel_no": "1"}, {"personnel_no": "3"}]}), PRUNE).await;
    assert_eq!(pruned.unwrap(), ["archive employee 2", "revoke grant boiler/employee:2"]);
    apply(&f, json!({"employees": [{"personnel_no": "2"}]}), OWNER).await.unwrap();
    nobody_pairs(&code).await;

    grant(&f, &employee("2")).await;
    let successor = NewEmployee { full_name: "Павлов Глеб".to_owned(), ..as_before };
    f.store.succeed_employee(f.client_no, &successor).await.unwrap();
    assert_eq!(granted(&f).await, [], "nor is his predecessor's listed");
}

#[tokio::test]
async fn whom_a_topics_messages_are_for_is_not_archived() {
    let f = Fixture::new().await;
    let usual = |groups: &[&str], employees: &[&str]| EditTopic {
        default_recipients: Change::Set(Recipients {
            groups: groups.iter().map(|&slug| slug.to_owned()).collect(),
            employees: employees.iter().map(|&no| no.to_owned()).collect(),
            everyone: false,
        }),
        ..EditTopic::default()
    };
    let edit = async |changes: EditTopic| {
        let edited = f.store.edit_topic(f.client_no, "boiler", &changes).await;
        edited.unwrap();
    };
    edit(usual(&["smena-a"], &["2"])).await;
    let group = f.store.remove_group(f.client_no, "smena-a").await;
    assert!(
        matches!(&group, Err(Error::Conflict(text)) if text.en.contains("topic edit boiler")),
        "{group:?}"
    );
    assert!(is_conflict(&f.store.remove_employee(f.client_no, "2").await));
    let pruned = apply(&f, json!({"groups": []}), PRUNE).await;
    assert!(
        matches!(&pruned, Err(Error::Invalid(fields)) if fields[0].0 == "clients.zavod.groups"),
        "{pruned:?}"
    );

    edit(usual(&["smena-a"], &[])).await;
    f.store.remove_employee(f.client_no, "2").await.unwrap();
    // As an earlier version left it.
    f.execute("update \"group\" set archived_at = 1").await;
    let exported = f.store.site(Some("zavod")).await.unwrap();
    assert!(f.store.plan_site(Arc::new(exported), OWNER).await.is_ok());
    edit(usual(&[], &[])).await;
    assert!(f.store.remove_group(f.client_no, "smena-a").await.is_ok(), "it is archived");
}
