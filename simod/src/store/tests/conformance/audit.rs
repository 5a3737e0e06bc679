//! Changes are recorded in the same transaction, chained, and cannot be altered.

use simo_common::{
    api::{
        access::{ClientSpec, Grantee, Named, NewOperator, NewTopic, Rename},
        audit::{AuditEntry, AuditHead},
        people::{EditEmployee, NewEmployee},
    },
    audit::Verifier,
    people::Role,
    token,
};

use super::{super::fixture::NOON, Find, Fixture, HOUR, Listing, Store, is_missing};
use crate::{
    actor::{self, Origin},
    store::{AuditFilter, ClientNo, Ended, GrantTerms, LoggedIn, NewSession, SERVER, TokenFor, TokenTerms},
};

fn all(limit: usize) -> Listing<u64> {
    Listing { find: Find::default(), limit, after: None, archived: false }
}

/// A chain from its first entry on, read in small pages.
async fn chain(store: &Store, chain: ClientNo) -> Vec<AuditEntry> {
    let filter = AuditFilter { oldest_first: true, ..AuditFilter::default() };
    let (mut entries, mut listing) = (Vec::new(), all(3));
    loop {
        let page = store.audit(chain, &filter, &listing).await.unwrap();
        entries.extend(page.items);
        listing.after = page.next;
        if listing.after.is_none() {
            return entries;
        }
    }
}

fn verify(entries: &[AuditEntry], head: &AuditHead) -> u64 {
    let mut verifier = Verifier::default();
    for entry in entries {
        verifier.take(entry).unwrap();
        verifier.meets(head).unwrap();
    }
    verifier.finish(Some(head)).unwrap();
    verifier.erased()
}

fn actions(entries: &[AuditEntry]) -> String {
    let actions: Vec<_> = entries.iter().map(|entry| &*entry.action).collect();
    actions.join(" ")
}

fn named(slug: &str) -> Named {
    Named { slug: slug.to_owned(), name: None }
}

#[tokio::test]
async fn every_change_is_an_entry_with_who_from_where_before_and_after() {
    let f = Fixture::new().await;
    let begun = f.store.audit_head(f.client_no).await.unwrap().seq;
    let change = async {
        actor::identify(|| "operator ivanov".to_owned());
        f.store.add_group(f.client_no, &named("smena-b")).await.unwrap();
        let rename = Rename { name: "Смена Б".to_owned() };
        f.store.edit_group(f.client_no, "smena-b", &rename).await.unwrap();
        // An edit that changes nothing makes no entry.
        f.store.edit_group(f.client_no, "smena-b", &rename).await.unwrap();
        f.store.set_member(f.client_no, "smena-b", "2", true).await.unwrap();
        f.store.set_member(f.client_no, "smena-b", "2", true).await.unwrap();
    };
    actor::serve(Origin::Address([10, 0, 0, 7].into()), change).await;
    let entries: Vec<_> = chain(&f.store, f.client_no).await.into_iter().skip(begun as usize).collect();
    assert_eq!(actions(&entries), "group.add group.edit group.add-member");
    let edited = entries[1].payload.as_ref().unwrap();
    assert_eq!(
        (&*edited.who, edited.from.as_deref(), &*edited.subject),
        ("operator ivanov", Some("10.0.0.7"), "smena-b")
    );
    assert_eq!(edited.before.as_ref().unwrap()["name"], "smena-b");
    assert_eq!(edited.after.as_ref().unwrap()["name"], "Смена Б");
    let head = f.store.audit_head(f.client_no).await.unwrap();
    let entries = chain(&f.store, f.client_no).await;
    assert_eq!(head.hash, entries.last().unwrap().hash);
    assert_eq!(verify(&entries, &head), 0);
}

#[tokio::test]
async fn all_nouns_are_audited_and_secrets_are_not() {
    let f = Fixture::new().await;
    let (store, client) = (&f.store, f.client_no);
    let issue = TokenFor::Acs { client_no: client, name: "1c" };
    let issued = store.issue_token(issue, &TokenTerms::default()).await.unwrap();
    let rotated = store.rotate_token(None, issued.id, 0).await.unwrap();
    store.revoke_token(None, rotated.id).await.unwrap();
    let (code, _) = store.invite(client, "1", 60).await.unwrap();
    let anybody = Grantee::Everyone;
    let grant = store.grant(client, "boiler", &anybody, &GrantTerms::default()).await.unwrap();
    store.revoke_grant(client, "boiler", grant.id).await.unwrap();
    store.block_employee(client, "1").await.unwrap();
    store.unblock_employee(client, "1").await.unwrap();
    store.remove_employee(client, "1").await.unwrap();
    let owner = NewOperator { name: "root".to_owned(), role: Role::Owner };
    store.add_operator(None, &owner).await.unwrap();
    let holder = TokenFor::Operator { within: None, name: "root" };
    let operators = store.issue_token(holder, &TokenTerms::default()).await.unwrap();
    let login = store.login_code(None, "root", 60).await.unwrap();
    let session = NewSession {
        code_hash: token::hash(&token::normalize_code(&login.code)),
        name: "ноутбук".to_owned(),
        valid_for_seconds: 60,
    };
    let LoggedIn::Done(session) = store.log_in("a", &session).await.unwrap() else {
        panic!("the code works")
    };
    store.end_sessions(None, "root", Ended::All).await.unwrap();
    store.remove_operator(None, "root").await.unwrap();
    store.remove_acs(client, "1c").await.unwrap();
    store.remove_client("zavod").await.unwrap();

    let entries = chain(store, client).await;
    let said = actions(&entries);
    let expected = "token.issue token.rotate token.issue token.revoke device.invite topic.grant topic.revoke employee.block \
                    employee.unblock employee.remove acs.remove client.remove";
    assert!(said.ends_with(expected), "{said}");
    let servers = chain(store, SERVER).await;
    assert_eq!(
        actions(&servers),
        "operator.add token.issue session.invite session.begin session.end session.end operator.remove"
    );
    let payloads = format!("{entries:?}{servers:?}");
    for secret in [&issued.token, &rotated.token, &code, &operators.token, &login.code, &session.token] {
        assert!(!payloads.contains(secret.as_str()));
    }
    for (id, entries) in [(client, entries), (SERVER, servers)] {
        verify(&entries, &store.audit_head(id).await.unwrap());
    }
}

#[tokio::test]
async fn a_change_that_is_refused_or_undone_is_no_entry() {
    let f = Fixture::new().await;
    let before = f.store.audit_head(f.client_no).await.unwrap();
    f.store.add_group(f.client_no, &named("smena-a")).await.unwrap_err();
    let unknown = EditEmployee {
        full_name: Some("Никто".to_owned()),
        groups: Some(vec!["no-such".to_owned()]),
        ..EditEmployee::default()
    };
    f.store.edit_employee(f.client_no, "1", &unknown).await.unwrap_err();
    assert_eq!(f.store.audit_head(f.client_no).await.unwrap(), before);
}

#[tokio::test]
async fn the_database_refuses_to_change_the_audit() {
    let f = Fixture::new().await;
    // SQLite refuses row by row.
    f.store.add_group(f.client_no, &named("smena-b")).await.unwrap();
    for statement in
        ["update audit set action = 'x'", "delete from audit", "update audit_payload set payload = '{}'"]
    {
        let mut tx = f.store.write().await.unwrap();
        let refused = tx.run(statement).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn no_entry_takes_the_place_of_another() {
    let f = Fixture::new().await;
    f.store.add_group(f.client_no, &named("smena-b")).await.unwrap();
    for table in ["audit", "audit_payload"] {
        let again = format!("insert into {table} select * from {table}");
        let mut statements = vec![again.clone()];
        if f.file().exists() {
            // Only SQLite has it, and it removes the row without a delete.
            statements.push(again.replace("insert", "insert or replace"));
        }
        for statement in statements {
            let mut tx = f.store.write().await.unwrap();
            assert!(tx.run(&statement).await.is_err(), "{statement}");
        }
    }
}

#[tokio::test]
async fn a_payload_that_is_no_json_any_more_is_handed_out_and_found() {
    let f = Fixture::new().await;
    f.store.add_group(f.client_no, &named("smena-b")).await.unwrap();
    f.store.add_group(f.client_no, &named("smena-c")).await.unwrap();
    let mut payloads = vec!["'no JSON'"];
    if f.file().exists() {
        // SQLite accepts it as a text.
        payloads.push("x'ff00'");
    }
    for payload in payloads {
        // Payloads may be erased, and nothing prevents replacing them.
        f.execute(&format!(
            "create table kept as select client_no, seq from audit_payload where seq = 1;
             delete from audit_payload where seq = 1;
             insert into audit_payload (client_no, seq, payload) select client_no, seq, {payload} from kept;
             drop table kept"
        ))
        .await;
        let entries = chain(&f.store, f.client_no).await;
        assert_eq!(actions(&entries), "group.add group.add");
        let fault = Verifier::default().take(&entries[0]).unwrap_err();
        assert_eq!(fault.en, "what entry 1 says is not what was recorded", "{payload}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_person_can_be_erased_and_the_chain_still_verifies() {
    let f = Fixture::new().await;
    let new = NewEmployee {
        personnel_no: "77".to_owned(),
        full_name: "Яковлева Яна".to_owned(),
        phone: Some("+7 900 000-00-00".to_owned()),
        ..NewEmployee::default()
    };
    f.store.add_employee(f.client_no, &new).await.unwrap();
    f.store.block_employee(f.client_no, "77").await.unwrap();
    f.store.set_member(f.client_no, "smena-a", "77", true).await.unwrap();
    let about = AuditFilter { employee: Some("77".to_owned()), ..AuditFilter::default() };
    let listed = f.store.audit(f.client_no, &about, &all(10)).await.unwrap();
    assert_eq!(actions(&listed.items), "group.add-member employee.block employee.add");
    let erased = f.store.erase_audit(f.client_no, "77").await.unwrap();
    let mut expected: Vec<_> = listed.items.iter().map(|entry| entry.seq).collect();
    expected.reverse();
    assert_eq!(erased, expected);
    let entries = chain(&f.store, f.client_no).await;
    let text = format!("{entries:?}");
    assert!(!text.contains("Яковлева") && !text.contains("900 000"), "{text}");
    assert_eq!(verify(&entries, &f.store.audit_head(f.client_no).await.unwrap()), 3);
    let again = f.store.erase_audit(f.client_no, "77").await.unwrap();
    assert!(again.is_empty(), "there is nothing left");
    assert!(is_missing(&f.store.erase_audit(f.client_no, "no-such").await, "employee"));
}

#[tokio::test]
async fn entries_are_found_by_action_time_and_words() {
    let f = Fixture::new().await;
    let topic = NewTopic { slug: "payroll".to_owned(), ..NewTopic::default() };
    f.store.add_topic(f.client_no, &topic).await.unwrap();
    f.clock.set(NOON + HOUR);
    let anybody = Grantee::Everyone;
    f.store.grant(f.client_no, "payroll", &anybody, &GrantTerms::default()).await.unwrap();
    let now = f.clock.now();
    let found = async |filter: AuditFilter, find: &str| {
        let listing = Listing { find: Find::new(find), ..all(10) };
        let page = f.store.audit(f.client_no, &filter, &listing).await.unwrap();
        actions(&page.items)
    };
    let by = |action: Option<&str>, from, until| AuditFilter {
        action: action.map(str::to_owned),
        from,
        until,
        ..AuditFilter::default()
    };
    assert_eq!(found(by(Some("topic"), None, None), "").await, "topic.grant topic.add");
    assert_eq!(found(by(Some("topic.add"), None, None), "").await, "topic.add");
    assert_eq!(found(by(Some("top"), None, None), "").await, "");
    assert_eq!(found(by(None, Some(now), None), "").await, "topic.grant");
    assert_eq!(found(by(Some("topic"), None, Some(now)), "").await, "topic.add");
    assert_eq!(found(by(None, None, None), "PAYROLL simod").await, "topic.grant topic.add");
}

#[tokio::test]
async fn changes_made_at_once_form_one_chain() {
    let f = Fixture::new().await;
    let slugs: Vec<_> = (0..20).map(|n| named(&format!("g{n}"))).collect();
    let made = slugs.iter().map(|slug| f.store.add_group(f.client_no, slug));
    for result in futures_util::future::join_all(made).await {
        result.unwrap();
    }
    let spec = ClientSpec::default();
    f.store.add_client("drugoy", &spec).await.unwrap();
    let entries = chain(&f.store, f.client_no).await;
    verify(&entries, &f.store.audit_head(f.client_no).await.unwrap());
    let other = f.store.client_no("drugoy").await.unwrap().unwrap();
    assert_eq!(actions(&chain(&f.store, other).await), "client.add");
}
