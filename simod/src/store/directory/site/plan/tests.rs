//! Plans without a database: mistakes and the paths they are reported at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simo_common::{
    api::{
        access::{Grantee, Payload, WebPush},
        message::Recipients,
        site::Site,
    },
    people::Role,
    token::Scope,
};

use super::{
    super::live::{Employee, Group, Kept, Live, LiveClient, LiveToken, Settings, Topic},
    Plan, Reach,
};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, GrantNo, GrantTerms, GroupNo, OperatorNo, TokenLimits, TokenNo, TokenTerms,
    TopicNo,
};

const OWNER: Reach = Reach { prune: false, prune_clients: false, clients: true };
const PRUNE: Reach = Reach { prune: true, ..OWNER };

fn kept<N, T>(no: N, is: T) -> Kept<N, T> {
    Kept { no, archived: false, is }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A client with an ACS and its token, an admin, two groups, one of them archived, two employees, and a topic.
fn live() -> Live {
    let group = |name: &str| Group { name: name.to_owned(), ..Group::default() };
    let employee = |name: &str, groups: &[&str]| Employee {
        full_name: name.to_owned(),
        phone: Some("+7".to_owned()),
        groups: names(groups),
        ..Employee::default()
    };
    let mut old = kept(GroupNo(11), group("Старая"));
    old.archived = true;
    let boiler = Topic {
        name: "Котельная".to_owned(),
        grants: BTreeMap::from([(
            Grantee::Group("smena-a".to_owned()),
            (GrantNo(40), GrantTerms::default()),
        )]),
        ..Topic::default()
    };
    let client = LiveClient {
        client_no: ClientNo(1),
        archived: false,
        settings: Settings {
            name: "Завод".to_owned(),
            timezone: "Europe/Moscow".to_owned(),
            payload: Payload::Full,
            webpush: WebPush::Text,
            notification: false,
            default_ttl: 3_600,
            retention_days: None,
        },
        acs: BTreeMap::from([("1c".to_owned(), kept(AcsNo(2), ()))]),
        tokens: vec![LiveToken {
            token_no: TokenNo(3),
            acs: "1c".to_owned(),
            terms: TokenTerms {
                name: Some("main".to_owned()),
                personal: true,
                limits: TokenLimits { scopes: vec![Scope::Send], ..TokenLimits::default() },
                ..TokenTerms::default()
            },
            heir: None,
        }],
        ended: Vec::new(),
        operators: BTreeMap::from([("anna".to_owned(), kept(OperatorNo(4), Role::Admin))]),
        groups: BTreeMap::from([
            ("smena-a".to_owned(), kept(GroupNo(10), group("Смена А"))),
            ("old".to_owned(), old),
        ]),
        employees: BTreeMap::from([
            ("001".to_owned(), kept(EmployeeNo(20), employee("Исаева Анна Ильинична", &["smena-a"]))),
            ("002".to_owned(), kept(EmployeeNo(21), employee("Котов Борис", &[]))),
        ]),
        topics: BTreeMap::from([("boiler".to_owned(), kept(TopicNo(30), boiler))]),
    };
    Live {
        clients: BTreeMap::from([("zavod".to_owned(), client)]),
        operators: names(&["anna", "stranger"]),
        ..Live::default()
    }
}

fn site(zavod: Value) -> Site {
    let clients = serde_json::Map::from_iter([("zavod".to_owned(), zavod)]);
    serde_json::from_value(json!({ "clients": clients })).unwrap()
}

/// The changes as `action kind name`.
fn planned(zavod: Value, reach: Reach) -> Vec<String> {
    let plan = Plan::new(&site(zavod), &live(), reach).unwrap();
    let changes = plan.changes.iter();
    changes
        .map(|change| format!("{:?} {:?} {}", change.action, change.kind, change.name).to_lowercase())
        .collect()
}

/// The mistakes as `path: text`.
fn mistakes(zavod: Value) -> Vec<String> {
    let errors = Plan::new(&site(zavod), &live(), OWNER).unwrap_err();
    let errors = errors.into_iter();
    errors.map(|(path, text)| format!("{}: {}", path.replace("clients.zavod.", ""), text.en)).collect()
}

#[test]
fn what_is_not_spoken_of_stays() {
    assert_eq!(planned(json!({}), PRUNE), [""; 0]);
    let said = json!({
        "acs": [{"name": "1c"}],
        "groups": [{"slug": "smena-a"}],
        "employees": [{"personnel_no": "001"}, {"personnel_no": "002"}],
        "topics": [{"slug": "boiler"}],
    });
    assert_eq!(planned(said, PRUNE), [""; 0]);
}

#[test]
fn only_what_a_list_of_its_kind_leaves_out_is_pruned() {
    assert_eq!(planned(json!({"employees": [{"personnel_no": "001"}]}), OWNER), [""; 0]);
    assert_eq!(planned(json!({"employees": [{"personnel_no": "001"}]}), PRUNE), ["archive employee 002"]);
    assert_eq!(
        planned(json!({"topics": [{"slug": "boiler", "grants": []}], "operators": []}), PRUNE),
        ["archive operator anna", "revoke grant boiler/group:smena-a"]
    );
    assert_eq!(
        planned(json!({"acs": [{"name": "1c", "tokens": ["second"]}]}), PRUNE),
        ["create token 1c/second", "revoke token 1c/main"]
    );
}

#[test]
fn what_goes_takes_its_members_and_grants_with_it() {
    assert_eq!(
        planned(json!({"groups": []}), PRUNE),
        ["archive group smena-a", "change employee 001", "revoke grant boiler/group:smena-a"]
    );
    assert_eq!(
        planned(json!({"topics": []}), PRUNE),
        ["archive topic boiler", "revoke grant boiler/group:smena-a"]
    );
}

#[test]
fn whom_a_topics_messages_are_for_cannot_go() {
    let mut live = live();
    let topics = &mut live.clients.get_mut("zavod").unwrap().topics;
    topics.get_mut("boiler").unwrap().is.recipients = Some(Recipients {
        employees: vec!["002".to_owned()],
        groups: vec!["smena-a".to_owned()],
        everyone: false,
    });
    let mistakes = |zavod: Value| -> Vec<String> {
        match Plan::new(&site(zavod), &live, PRUNE) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.into_iter().map(|(path, _)| path).collect(),
        }
    };
    let lists = ["clients.zavod.groups", "clients.zavod.employees"];
    let nobody = json!({"groups": [], "employees": [{"personnel_no": "001"}]});
    assert_eq!(mistakes(nobody), lists);
    assert_eq!(
        mistakes(json!({"groups": [], "topics": [{"slug": "boiler"}]})),
        ["clients.zavod.topics[0].slug"]
    );
    let changed = json!({"groups": [], "topics": [{"slug": "boiler", "recipients": null}]});
    assert_eq!(mistakes(changed), [""; 0]);
    assert_eq!(mistakes(json!({"groups": [], "employees": [], "topics": []})), [""; 0]);
}

#[test]
fn a_token_that_works_is_as_it_is_said_or_it_is_a_mistake() {
    let tokens = |tokens: Value| json!({"acs": [{"name": "1c", "tokens": tokens}]});
    for same in [json!(["main"]), json!([{"name": "main", "scopes": ["send"]}])] {
        assert_eq!(planned(tokens(same), PRUNE), [""; 0]);
    }
    let other = json!([
        {"name": "main", "rate_limit": 5},
        {"name": "second", "scopes": ["send", "read"], "topics": ["boilr"]},
    ]);
    let said = mistakes(tokens(other));
    assert!(said[0].contains("did you mean `boiler`?"), "{said:?}");
    assert!(said[1].starts_with("acs[0].tokens[0].rate_limit: the token `main`"), "{said:?}");
    assert_eq!(said.len(), 2);
}

#[test]
fn each_of_several_tokens_of_a_name_is_one_that_works_or_a_new_one() {
    let mut live = live();
    let mut token = live.clients["zavod"].tokens[0].clone();
    token.token_no = TokenNo(50);
    token.terms.limits.rate_limit = Some(5);
    live.clients.get_mut("zavod").unwrap().tokens.insert(0, token);
    let planned = |tokens: Value| -> Vec<String> {
        let said = site(json!({"acs": [{"name": "1c", "tokens": tokens}]}));
        let changes = Plan::new(&said, &live, PRUNE).unwrap().changes.into_iter();
        changes.map(|change| format!("{:?} {}", change.action, change.name).to_lowercase()).collect()
    };
    let send = json!({"name": "main", "scopes": ["send"]});
    let slow = json!({"name": "main", "scopes": ["send"], "rate_limit": 5});
    // In any order, and even where one of them could match another one.
    for same in [json!([send, slow]), json!([slow, send]), json!(["main", send]), json!(["main", "main"])] {
        assert_eq!(planned(same), [""; 0]);
    }
    let read = json!({"name": "main", "scopes": ["read"]});
    assert_eq!(planned(json!([read, send, slow])), ["create 1c/main"]);
    assert_eq!(
        planned(json!(["third", "third", "main"])),
        ["create 1c/third", "create 1c/third", "revoke 1c/main"]
    );
}

#[test]
fn pruning_takes_back_every_token_that_the_list_does_not_mean_also_one_of_the_same_name() {
    let mut live = live();
    let tokens = &mut live.clients.get_mut("zavod").unwrap().tokens;
    let limited = tokens[0].clone();
    let mut more = |number: i64, heir: Option<i64>| {
        let mut token = limited.clone();
        token.token_no = TokenNo(number);
        token.heir = heir.map(TokenNo);
        token.terms.limits = TokenLimits::default();
        tokens.push(token);
    };
    // An unlimited one, and one that stays valid alongside.
    more(50, None);
    more(51, Some(50));
    // One that stays valid alongside the limited one.
    more(52, Some(3));
    let gone = |tokens: Value, reach: Reach| {
        let said = site(json!({"acs": [{"name": "1c", "tokens": tokens}]}));
        let plan = Plan::new(&said, &live, reach).unwrap();
        let gone = plan.clients.iter().flat_map(|client| &client.tokens_gone);
        gone.map(|token_no| token_no.0).collect::<Vec<_>>()
    };
    let limited = json!([{"name": "main", "scopes": ["send"]}]);
    assert_eq!(gone(limited.clone(), OWNER), [0; 0]);
    assert_eq!(gone(limited, PRUNE), [50, 51]);
    assert_eq!(gone(json!([]), PRUNE), [3, 50, 51, 52]);
    let both = json!(["main", {"name": "main", "scopes": ["send"]}]);
    assert_eq!(gone(both, PRUNE), [0; 0]);
}

#[test]
fn a_change_tells_only_what_differs() {
    let said = json!({"employees": [
        {"personnel_no": "001", "phone": "", "groups": []},
        {"personnel_no": "003", "full_name": "Новый Иван", "groups": ["smena-a"]},
    ]});
    let plan = Plan::new(&site(said), &live(), OWNER).unwrap();
    let changes: Vec<_> =
        plan.changes.iter().map(|change| (change.before.clone(), change.after.clone())).collect();
    assert_eq!(
        changes,
        [
            (Some(json!({"phone": "+7", "groups": ["smena-a"]})), Some(json!({"phone": null, "groups": []}))),
            (None, Some(json!({"full_name": "Новый Иван", "groups": ["smena-a"]}))),
        ]
    );
    assert_eq!(plan.clients[0].members_gone, [("001".to_owned(), "smena-a".to_owned())]);
}

#[test]
fn a_group_may_name_its_members_instead() {
    let said = json!({"groups": [{"slug": "smena-a", "members": ["002"]}]});
    assert_eq!(planned(said, OWNER), ["change employee 001", "change employee 002"]);
    let contradicts = json!({
        "groups": [{"slug": "smena-a", "members": ["002"]}],
        "employees": [
            {"personnel_no": "001", "groups": ["smena-a"]},
            {"personnel_no": "002", "groups": []},
        ],
    });
    assert_eq!(
        mistakes(contradicts),
        [
            "groups[0].members[0]: `002` is not a member: their own `groups` do not name `smena-a`",
            "groups[0].members: `001` is missing, whose own `groups` name `smena-a`",
        ]
    );
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place_and_the_nearest_name() {
    let said = json!({
        "acs": [{"name": "1c"}, {"name": "1c"}],
        "operators": [{"name": "stranger", "role": "viewer"}, {"name": "boss", "role": "owner"}],
        "groups": [
            {"slug": "smena-a", "includes": ["ceh"]},
            {"slug": "ceh", "includes": ["smena-a", "old"]},
            {"slug": "self", "includes": ["self"]},
        ],
        "employees": [{"personnel_no": "003", "groups": ["smena-b"]}],
        "topics": [{
            "slug": "boiler",
            "recipients": {"employees": ["01"]},
            "grants": [
                {"group": "smena-z"},
                {"employee": "004"},
                {},
                {"everyone": true, "hours": "mon-frу"},
                {"group": "ceh", "from": "soon"},
                {"group": "ceh"},
            ],
        }],
    });
    insta::assert_snapshot!(mistakes(said).join("\n"));
}

#[test]
fn a_number_under_another_name_is_a_mistake_until_it_is_said_who_it_is() {
    let said = |person: Value| {
        let mut one = json!({"personnel_no": "001", "full_name": "Котова Вера Петровна"});
        if !person.is_null() {
            one["person"] = person;
        }
        json!({"employees": [one]})
    };
    assert!(mistakes(said(Value::Null))[0].starts_with("employees[0].person: "));
    assert_eq!(planned(said(json!("same")), OWNER), ["change employee 001"]);
    assert_eq!(planned(said(json!("new")), OWNER), ["succeed employee 001"]);
}

#[test]
fn an_administrator_leaves_the_settings_as_they_are() {
    let admin = Reach { clients: false, ..OWNER };
    assert!(Plan::new(&site(json!({"name": "Завод"})), &live(), admin).is_ok());
    assert!(Plan::new(&site(json!({"name": "Другой"})), &live(), admin).is_err());
}

#[test]
fn clients_go_only_by_their_own_word() {
    let none = Site::default();
    assert!(Plan::new(&none, &live(), PRUNE).unwrap().changes.is_empty());
    let all = Reach { prune_clients: true, ..OWNER };
    let plan = Plan::new(&none, &live(), all).unwrap();
    assert_eq!((plan.changes.len(), plan.clients[0].archive), (1, true));
}

#[test]
fn nobody_is_an_owner_and_an_operator_of_a_client() {
    let said = json!({
        "owners": ["boss"],
        "clients": {"zavod": {"operators": [{"name": "boss", "role": "admin"}]}},
    });
    let site: Site = serde_json::from_value(said).unwrap();
    let errors = Plan::new(&site, &live(), OWNER).unwrap_err();
    assert_eq!((errors.len(), &*errors[0].0), (1, "clients.zavod.operators[0].name"));
}
