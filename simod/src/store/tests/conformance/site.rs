//! Applies a site: the stored state becomes what it says, applying twice changes nothing, and an export restores the
//! same.

use std::sync::Arc;

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use simo_common::{
    api::{
        access::Named,
        site::{AppliedSite, Site, SiteAction, SiteKind},
    },
    time::from_us,
    token,
};

use super::{Fixture, Store, empty, invalid, is_missing, post, states};
use crate::store::{
    Error, Reach, Result, TokenHolder,
    tests::fixture::{HOUR, NOON},
};

const OWNER: Reach = Reach { prune: false, prune_clients: false, clients: true };
const PRUNE: Reach = Reach { prune: true, ..OWNER };
const ALL: Reach = Reach { prune_clients: true, ..PRUNE };

fn site(value: Value) -> Arc<Site> {
    Arc::new(serde_json::from_value(value).unwrap())
}

async fn apply(store: &Store, site: &Arc<Site>, reach: Reach) -> Result<AppliedSite> {
    let plan = store.plan_site(site.clone(), reach).await?;
    let applied = store.apply_site(site.clone(), reach, &plan.revision).await?;
    assert_eq!(applied.changes, plan.changes, "what is planned is done");
    Ok(applied)
}

/// A client with everything that a site can contain.
fn whole() -> Arc<Site> {
    site(json!({
        "owners": ["boss"],
        "clients": {"zavod": {
            "name": "Завод", "timezone": "Asia/Krasnoyarsk", "payload": "doorbell", "notification": true,
            "webpush": "doorbell",
            "default_ttl": 7200, "retention_days": 90,
            "acs": [{"name": "1c", "tokens": ["backup", "main"]}, {"name": "scada", "tokens": []}],
            "operators": [{"name": "anna", "role": "admin"}, {"name": "boris", "role": "viewer"}],
            "groups": [
                {"slug": "ceh", "name": "Цех", "includes": ["smena-a"]},
                {"slug": "smena-a", "name": "Смена А", "includes": []},
            ],
            "employees": [
                {"personnel_no": "001", "full_name": "Исаева Анна", "email": "a@example.org", "phone": "+7",
                 "locale": "ru", "timezone": "Asia/Omsk", "groups": ["smena-a"]},
                {"personnel_no": "002", "full_name": "Котов Борис", "groups": [], "blocked": true},
            ],
            "topics": [
                {"slug": "boiler", "name": "Котельная", "priority": "high", "recipients": {"groups": ["ceh"]},
                 "grants": [
                    {"everyone": true},
                    {"group": "ceh", "hours": "mon-fri 08:00-20:00"},
                    {"employee": "001", "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"},
                 ]},
                {"slug": "payroll", "name": "Расчётка", "grants": []},
            ],
        }},
    }))
}

#[tokio::test]
async fn a_site_is_made_true_once_and_comes_back_as_it_was_written() {
    let (_folder, store) = empty().await;
    let applied = apply(&store, &whole(), OWNER).await.unwrap();
    assert_eq!(applied.tokens.len(), 2);
    let secret = &applied.tokens[0].issued.token;
    let holder = store.token_holder(&token::hash(secret)).await.unwrap();
    assert!(matches!(holder, Some(TokenHolder::Acs(acs)) if acs.name == "1c"));
    assert!(!serde_json::to_string(&applied.changes).unwrap().contains(secret.as_str()));
    assert_eq!(store.site(None).await.unwrap(), *whole());

    let (_other_folder, other) = empty().await;
    let exported = Arc::new(store.site(None).await.unwrap());
    apply(&other, &exported, ALL).await.unwrap();
    assert_eq!(other.site(None).await.unwrap(), *exported);
    for (store, reach) in [(&store, OWNER), (&store, ALL), (&other, ALL)] {
        assert_eq!(apply(store, &whole(), reach).await.unwrap(), AppliedSite::default());
    }
    let one = store.site(Some("zavod")).await.unwrap();
    assert_eq!((one.owners, one.clients), (None, exported.clients.clone()));
    assert!(is_missing(&store.site(Some("other")).await, "client"));
}

#[tokio::test]
async fn a_plan_counts_only_while_nothing_has_changed() {
    let f = Fixture::new().await;
    let wanted = site(json!({"clients": {"zavod": {"topics": [{"slug": "payroll"}]}}}));
    let elsewhere = site(json!({"clients": {"other": {}}}));
    let plan = f.store.plan_site(wanted.clone(), OWNER).await.unwrap();
    let other = f.store.plan_site(elsewhere.clone(), OWNER).await.unwrap();
    let group = Named { slug: "smena-b".to_owned(), name: None };
    f.store.add_group(f.client_no, &group).await.unwrap();
    let refused = f.store.apply_site(wanted.clone(), OWNER, &plan.revision).await;
    assert!(matches!(refused, Err(Error::ChangedMeanwhile)), "{refused:?}");
    assert!(is_missing(&f.store.topic(f.client_no, "payroll").await, "topic"));
    // Changes at one client do not affect another one's plan.
    f.store.apply_site(elsewhere, OWNER, &other.revision).await.unwrap();
    apply(&f.store, &wanted, OWNER).await.unwrap();
    assert!(f.store.topic(f.client_no, "payroll").await.is_ok());
}

#[tokio::test]
async fn nothing_is_applied_of_a_site_with_a_mistake() {
    let f = Fixture::new().await;
    let wrong = site(json!({"clients": {"zavod": {
        "topics": [{"slug": "payroll", "grants": [{"group": "smena"}, {"employee": "9"}]}],
    }}}));
    let fields = invalid(f.store.plan_site(wrong, OWNER).await);
    assert_eq!(
        fields,
        ["clients.zavod.topics[0].grants[0].group", "clients.zavod.topics[0].grants[1].employee"]
    );
}

#[tokio::test]
async fn whoever_is_blocked_or_pruned_gets_nothing_further() {
    let f = Fixture::new().await;
    post(&f, f.personal("Проверка", &["1", "2", "3"])).await;
    let wanted = site(json!({"clients": {"zavod": {
        "employees": [{"personnel_no": "1"}, {"personnel_no": "2", "blocked": true}],
    }}}));
    let applied = apply(&f.store, &wanted, PRUNE).await.unwrap();
    let said: Vec<_> = applied.changes.iter().map(|change| (change.action, &*change.name)).collect();
    assert_eq!(said, [(SiteAction::Archive, "3"), (SiteAction::Change, "2")]);
    let devices = f.store.employee(f.client_no, "3").await.unwrap().devices;
    assert_eq!(devices, 0, "his phone is let go");
    assert_eq!(states(&f).await, ["1 queued -", "2 denied blocked", "3 denied archived"]);
    let back = site(json!({"clients": {"zavod": {
        "employees": [{"personnel_no": "2", "blocked": false}, {"personnel_no": "3"}],
    }}}));
    let known = f.store.audit_head(f.client_no).await.unwrap().seq;
    apply(&f.store, &back, OWNER).await.unwrap();
    assert_eq!(f.store.audit_head(f.client_no).await.unwrap().seq, known + 2);
    let employee = f.store.employee(f.client_no, "3").await.unwrap();
    assert!(employee.archived_at.is_none() && employee.blocked_at.is_none());
    assert_eq!(states(&f).await, ["1 queued -", "2 queued -", "3 denied archived"]);
}

#[tokio::test]
async fn a_site_withholds_from_whom_it_blocks_and_gives_back_to_whom_it_unblocks() {
    let f = Fixture::new().await;
    post(&f, f.personal("Проверка", &["1"])).await;
    let wanted = |blocked: bool| {
        site(json!({"clients": {"zavod": {"employees": [{"personnel_no": "1", "blocked": blocked}]}}}))
    };
    apply(&f.store, &wanted(true), OWNER).await.unwrap();
    assert_eq!(states(&f).await, ["1 denied blocked"]);
    apply(&f.store, &wanted(false), OWNER).await.unwrap();
    assert_eq!(f.store.employee(f.client_no, "1").await.unwrap().blocked_at, None);
    assert_eq!(states(&f).await, ["1 queued -"]);
    assert_eq!(f.rows("select count(*) from duty").await, ["0"]);
}

#[tokio::test]
async fn a_successor_holds_nothing_of_his_predecessors() {
    let (_folder, store) = empty().await;
    apply(&store, &whole(), OWNER).await.unwrap();
    let one = |person: Value| json!({"personnel_no": "001", "full_name": "Павлов Глеб", "person": person});
    let wanted = site(json!({"clients": {"zavod": {
        "employees": [one(json!("new"))],
        "topics": [{"slug": "payroll", "grants": [{"employee": "001"}]}],
    }}}));
    let applied = apply(&store, &wanted, OWNER).await.unwrap();
    assert_eq!(applied.changes[0].action, SiteAction::Succeed);
    let again = apply(&store, &wanted, OWNER).await.unwrap();
    assert_eq!(again.changes, [], "said twice, it is done once");
    let client_no = store.client_no("zavod").await.unwrap().unwrap();
    let successor = store.employee(client_no, "001").await.unwrap();
    assert_eq!((successor.phone, successor.groups.len()), (None, 0));
    let topics: Vec<_> = store.access_of(client_no, "001").await.unwrap();
    let topics: Vec<_> = topics.iter().map(|held| (&*held.topic, &*held.grant)).collect();
    assert_eq!(topics, [("boiler", "everyone"), ("payroll", "employee")]);
}

/// Choices that proptest makes, one by one.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0.next().unwrap_or(0) % sides
    }

    fn picks(&mut self, names: &[&str]) -> Vec<String> {
        let picked = names.iter().filter(|_| self.roll(2) == 1);
        picked.map(|&name| name.to_owned()).collect()
    }
}

/// A site without mistakes: lists are complete, so that they name everything referred to.
fn any_site(dice: &mut Dice) -> Arc<Site> {
    let slugs = dice.picks(&["a", "b", "c"]);
    let numbers = dice.picks(&["001", "1", "№7"]);
    let (slugs, numbers): (Vec<&str>, Vec<&str>) =
        (slugs.iter().map(String::as_str).collect(), numbers.iter().map(String::as_str).collect());
    let groups: Vec<Value> = slugs
        .iter()
        .enumerate()
        .map(|(place, slug)| json!({"slug": slug, "includes": dice.picks(&slugs[..place])}))
        .collect();
    let employees: Vec<Value> = numbers
        .iter()
        .map(|no| {
            let phone = ["", "+7"][dice.roll(2) as usize];
            json!({
                "personnel_no": no, "full_name": "Исаева Анна", "groups": dice.picks(&slugs),
                "phone": phone, "blocked": dice.roll(3) == 1,
            })
        })
        .collect();
    let topics: Vec<Value> = dice
        .picks(&["boiler", "payroll"])
        .iter()
        .map(|slug| {
            let mut grants: Vec<Value> =
                dice.picks(&slugs).iter().map(|slug| json!({"group": slug})).collect();
            grants.extend(dice.picks(&numbers).iter().map(|no| json!({"employee": no})));
            if dice.roll(2) == 1 {
                grants.push(json!({"everyone": true, "hours": "daily 08:00-20:00"}));
            }
            let priority = [Value::Null, json!("high")][dice.roll(2) as usize].clone();
            json!({"slug": slug, "priority": priority, "grants": grants})
        })
        .collect();
    let acs: Vec<Value> = dice
        .picks(&["1c", "scada"])
        .iter()
        .map(|name| json!({"name": name, "tokens": dice.picks(&["main", "spare", "main"])}))
        .collect();
    let role = ["admin", "viewer"][dice.roll(2) as usize];
    let operators: Vec<Value> =
        dice.picks(&["anna", "boris"]).iter().map(|name| json!({"name": name, "role": role})).collect();
    site(json!({"owners": dice.picks(&["boss"]), "clients": {"zavod": {
        "acs": acs, "operators": operators, "groups": groups, "employees": employees, "topics": topics,
    }}}))
}

#[test]
fn whatever_site_follows_on_another_it_becomes_true_and_round_trips() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let sites = vec(vec(any::<u8>(), 60), 3);
    let checked = TestRunner::new(config).run(&sites, |dice| {
        runtime.block_on(async {
            let (_folder, store) = empty().await;
            for rolls in dice {
                let wanted = any_site(&mut Dice(rolls.into_iter()));
                apply(&store, &wanted, PRUNE).await.unwrap();
                let plan = store.plan_site(wanted, PRUNE).await.unwrap();
                assert_eq!(plan.changes, [], "twice changes nothing");
                let exported = Arc::new(store.site(None).await.unwrap());
                let plan = store.plan_site(exported.clone(), ALL).await.unwrap();
                assert_eq!(plan.changes, [], "what is exported is there");
                let (_folder, other) = empty().await;
                apply(&other, &exported, OWNER).await.unwrap();
                assert_eq!(other.site(None).await.unwrap(), *exported);
            }
        });
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn the_audit_knows_every_change_of_a_site() {
    let (_folder, store) = empty().await;
    let applied = apply(&store, &whole(), OWNER).await.unwrap();
    let client_no = store.client_no("zavod").await.unwrap().unwrap();
    let of_client = applied.changes.iter().filter(|change| change.client.is_some()).count();
    assert_eq!(store.audit_head(client_no).await.unwrap().seq, of_client as u64);
    assert!(applied.changes.iter().any(|change| change.kind == SiteKind::Token));
}

#[tokio::test]
async fn a_token_that_works_on_beside_its_successors_stays_and_goes_with_the_last_of_them() {
    let (_folder, store) = empty().await;
    let tokens =
        |tokens: Value| site(json!({"clients": {"zavod": {"acs": [{"name": "1c", "tokens": tokens}]}}}));
    let named = tokens(json!(["main"]));
    let applied = apply(&store, &named, OWNER).await.unwrap();
    let first = &applied.tokens[0].issued;
    let second = store.rotate_token(None, first.id, 3_600).await.unwrap();
    let last = store.rotate_token(None, second.id, 0).await.unwrap();
    let work = async || {
        let mut work = Vec::new();
        for token in [first, &second, &last] {
            let holder = store.token_holder(&token::hash(&token.token)).await.unwrap();
            work.push(holder.is_some());
        }
        work
    };
    let exported = store.site(None).await.unwrap();
    let said = exported.clients["zavod"].acs.as_ref().unwrap()[0].tokens.as_ref();
    assert_eq!(said.map(Vec::len), Some(1));
    for same in [named, Arc::new(exported)] {
        assert_eq!(apply(&store, &same, PRUNE).await.unwrap().changes, []);
    }
    assert_eq!(work().await, [true, false, true]);
    let pruned = apply(&store, &tokens(json!([])), PRUNE).await.unwrap();
    assert_eq!(pruned.changes.len(), 2);
    assert_eq!(work().await, [false; 3]);
}

#[tokio::test]
async fn a_token_whose_time_has_passed_is_no_mistake_where_it_was() {
    let f = Fixture::new().await;
    let tokens = |tokens: &[(&str, i64)]| {
        let tokens = tokens.iter().map(|(name, end)| json!({"name": name, "expires_at": from_us(*end)}));
        let tokens: Vec<Value> = tokens.collect();
        site(json!({"clients": {"zavod": {"acs": [{"name": "cron", "tokens": tokens}]}}}))
    };
    let (end, later) = (NOON + HOUR, NOON + 9 * HOUR);
    let both = tokens(&[("brief", end), ("brief", later)]);
    let applied = apply(&f.store, &both, PRUNE).await.unwrap();
    assert_eq!(applied.tokens.len(), 2);
    f.clock.set(end);
    let again = apply(&f.store, &both, PRUNE).await.unwrap();
    assert_eq!(again.changes, []);
    let exported = f.store.site(Some("zavod")).await.unwrap();
    let said = exported.clients["zavod"].acs.as_ref().unwrap()[0].tokens.as_ref();
    assert_eq!(said.map(Vec::len), Some(1));

    // It never existed.
    let others = tokens(&[("other", end), ("brief", later), ("brief", NOON), ("brief", end)]);
    assert_eq!(
        invalid(f.store.plan_site(others, PRUNE).await),
        [0, 2].map(|place| format!("clients.zavod.acs[0].tokens[{place}].expires_at"))
    );
}
