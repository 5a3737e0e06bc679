//! Groups within groups, grants at certain times, a topic's defaults, and what all of that means for a message.

use simo_common::{
    api::{
        access::{EditTopic, Grantee, Named, NewTopic},
        change::Change,
        message::Recipients,
    },
    lang::Lang,
    message::Priority,
};
use uuid::Uuid;

use super::{super::fixture::NOON, Fixture, HOUR, deliveries, invalid, is_missing, listed, post};
use crate::store::{Accepted, Error, GrantTerms, Incoming, Refusal};

/// The fixture's employee 1 is in `smena-a`, which is in `ceh-1`, which is in `zavod`; 2 is in `ceh-1` directly.
async fn nested() -> Fixture {
    let f = Fixture::new().await;
    for slug in ["ceh-1", "zavod"] {
        let new = Named { slug: slug.to_owned(), name: None };
        f.store.add_group(f.client_no, &new).await.unwrap();
    }
    f.store.set_member(f.client_no, "ceh-1", "2", true).await.unwrap();
    for _ in 0..2 {
        f.store.include_group(f.client_no, "ceh-1", "smena-a").await.unwrap();
    }
    f.store.include_group(f.client_no, "zavod", "ceh-1").await.unwrap();
    f
}

fn group(slug: &str) -> Grantee {
    Grantee::Group(slug.to_owned())
}

fn to(recipients: Recipients, f: &Fixture, topic: Option<&str>) -> Incoming {
    let mut incoming = f.incoming("Тревога");
    incoming.draft.topic = topic.map(str::to_owned);
    incoming.draft.recipients = (!recipients.is_empty()).then_some(recipients);
    incoming
}

fn to_group(slug: &str) -> Recipients {
    Recipients { groups: vec![slug.to_owned()], ..Recipients::default() }
}

fn to_employees(personnel_nos: &[&str]) -> Recipients {
    Recipients {
        employees: personnel_nos.iter().map(|no| (*no).to_owned()).collect(),
        ..Recipients::default()
    }
}

/// Recipients, or why they did not receive it, by personnel number.
async fn received(f: &Fixture, message: Uuid) -> String {
    let found = deliveries(f, &format!("message:{message}")).await;
    let told = found.iter().map(|one| match &one.reason {
        Some(reason) => format!("{}:{reason}", one.personnel_no),
        None => one.personnel_no.clone(),
    });
    told.collect::<Vec<_>>().join(" ")
}

async fn refused(f: &Fixture, incoming: Incoming) -> Refusal {
    let Accepted { answer, .. } = f.store.accept(&[incoming]).await.unwrap().remove(0);
    answer.unwrap_err()
}

#[tokio::test]
async fn whoever_is_in_a_group_within_is_addressed_and_let_in_by_the_other() {
    let f = nested().await;
    let all = post(&f, to(to_group("zavod"), &f, None)).await;
    assert_eq!(received(&f, all).await, "1 2");

    f.store.grant(f.client_no, "boiler", &group("zavod"), &GrantTerms::default()).await.unwrap();
    let holders = post(&f, to(Recipients::default(), &f, Some("boiler"))).await;
    assert_eq!(received(&f, holders).await, "1 2");
    let named = post(&f, to(to_employees(&["1", "3"]), &f, Some("boiler"))).await;
    assert_eq!(received(&f, named).await, "1 3:no_grant");
    let of_group = post(&f, to(to_group("smena-a"), &f, Some("boiler"))).await;
    assert_eq!(received(&f, of_group).await, "1");

    // An archived group in between breaks the chain.
    f.store.remove_group(f.client_no, "ceh-1").await.unwrap();
    let cut = refused(&f, to(to_group("zavod"), &f, None)).await;
    assert!(matches!(cut, Refusal::Nobody(_)), "{cut:?}");
    let cut = refused(&f, to(to_employees(&["1"]), &f, Some("boiler"))).await;
    assert!(matches!(cut, Refusal::Nobody(_)), "{cut:?}");
}

#[tokio::test]
async fn groups_show_who_is_in_them_and_in_those_within() {
    let f = nested().await;
    let shown = f.store.group(f.client_no, "zavod").await.unwrap();
    assert_eq!((shown.members, shown.people, &*shown.includes), (0, 2, &["ceh-1".to_owned()][..]));
    let people = listed(
        async |listing| f.store.employees(f.client_no, Some("zavod"), &listing).await,
        |employee| employee.personnel_no.clone(),
        "сотрудник 2",
    );
    assert_eq!(people.await, ["1 2", "1 2", "2"]);

    for _ in 0..2 {
        f.store.exclude_group(f.client_no, "ceh-1", "smena-a").await.unwrap();
    }
    assert_eq!(f.store.group(f.client_no, "zavod").await.unwrap().people, 1);
    let missing = f.store.exclude_group(f.client_no, "ceh-1", "x").await;
    assert!(is_missing(&missing, "group"));
    let missing = f.store.include_group(f.client_no, "x", "ceh-1").await;
    assert!(is_missing(&missing, "group"));
}

#[tokio::test]
async fn a_group_is_never_in_itself_and_the_loop_is_named() {
    let f = nested().await;
    let said = async |outer: &str, inner: &str| match f.store.include_group(f.client_no, outer, inner).await {
        Err(Error::Conflict(text)) => text.get(Lang::En).to_owned(),
        other => panic!("{other:?}"),
    };
    assert!(said("zavod", "zavod").await.contains("`zavod` cannot be in itself"));
    let names = said("smena-a", "zavod").await;
    assert!(names.contains("zavod › ceh-1 › smena-a › zavod"), "{names}");
    // An archived group connects no others, nor does it when restored.
    f.store.remove_group(f.client_no, "ceh-1").await.unwrap();
    f.store.include_group(f.client_no, "smena-a", "zavod").await.unwrap();
}

#[tokio::test]
async fn a_grant_counts_at_its_times_only() {
    let f = Fixture::new().await;
    let grant = async |terms: &GrantTerms| {
        let given = f.store.grant(f.client_no, "boiler", &group("smena-a"), terms).await.unwrap();
        given.times.active
    };
    let alarm = || to(to_employees(&["1", "2"]), &f, Some("boiler"));
    // It is Sunday noon in Moscow.
    let now = [
        GrantTerms::default(),
        GrantTerms { starts_at: Some(NOON), ends_at: Some(NOON + 1), hours: None },
        GrantTerms { hours: Some("sat,sun 12:00-12:01".parse().unwrap()), ..GrantTerms::default() },
    ];
    for terms in now {
        assert!(grant(&terms).await, "{terms:?}");
        let message = post(&f, alarm()).await;
        assert_eq!(received(&f, message).await, "1 2:no_grant", "{terms:?}");
    }
    let other_times = [
        GrantTerms { starts_at: Some(NOON + 1), ..GrantTerms::default() },
        GrantTerms { ends_at: Some(NOON), ..GrantTerms::default() },
        GrantTerms { hours: Some("sun 08:00-12:00; mon-sat".parse().unwrap()), ..GrantTerms::default() },
    ];
    for terms in other_times {
        assert!(!grant(&terms).await, "{terms:?}");
        let mut message = alarm();
        message.draft.allow_empty = true;
        let message = post(&f, message).await;
        assert_eq!(received(&f, message).await, "1:not_now 2:no_grant", "{terms:?}");
        // People who merely held the grants are not named, and get no row.
        let nobody = refused(&f, to(Recipients::default(), &f, Some("boiler"))).await;
        assert!(matches!(&nobody, Refusal::Nobody(nobody) if nobody.counts.denied == 0), "{nobody:?}");
    }
    let grants = f.store.grants(f.client_no, "boiler").await.unwrap();
    assert_eq!(grants.len(), 1, "a grantee has one grant, at the times that were given last");
    assert_eq!(grants[0].times.hours.as_deref(), Some("sun 08:00-12:00; mon-sat 00:00-24:00"));
}

#[tokio::test]
async fn a_scheduled_message_is_decided_by_the_grants_that_count_when_it_comes_due() {
    let f = Fixture::new().await;
    let terms = GrantTerms { starts_at: Some(NOON + HOUR), ..GrantTerms::default() };
    f.store.grant(f.client_no, "boiler", &group("smena-a"), &terms).await.unwrap();
    let mut later = to(to_group("smena-a"), &f, Some("boiler"));
    later.draft.send_at = Some(simo_common::time::Moment::Exact(simo_common::time::from_us(NOON + 2 * HOUR)));
    later.draft.allow_empty = true;
    let later = post(&f, later).await;
    f.clock.set(NOON + 2 * HOUR);
    assert_eq!(f.store.release_due().await.unwrap(), 1);
    assert_eq!(received(&f, later).await, "1");
}

#[tokio::test]
async fn what_is_usual_on_a_topic_counts_where_a_message_says_nothing() {
    let f = Fixture::new().await;
    let new = NewTopic {
        slug: "it".to_owned(),
        default_priority: Some(Priority::High),
        default_recipients: Some(to_group("smena-a")),
        ..NewTopic::default()
    };
    let made = f.store.add_topic(f.client_no, &new).await.unwrap();
    assert_eq!(
        (made.default_priority, &made.default_recipients),
        (Some(Priority::High), &new.default_recipients)
    );
    f.store.grant(f.client_no, "it", &Grantee::Everyone, &GrantTerms::default()).await.unwrap();
    let stored = async |message: Uuid| {
        let text = format!(
            "select cast(priority as text) || coalesce(recipients, '') from message where id = x'{}'",
            message.simple()
        );
        f.rows(&text).await.remove(0)
    };

    let usual = post(&f, to(Recipients::default(), &f, Some("it"))).await;
    assert_eq!(received(&f, usual).await, "1");
    assert!(stored(usual).await.starts_with("2{\"groups\":[\"smena-a\"]"), "history tells whom it was for");
    let mut says = to(to_employees(&["2"]), &f, Some("it"));
    says.draft.priority = Some(Priority::Low);
    let says = post(&f, says).await;
    assert_eq!(received(&f, says).await, "2");
    assert!(stored(says).await.starts_with('0'));
    let who = listed(
        async |listing| f.store.receivers(f.client_no, "it", &listing).await,
        |receiver| format!("{}={}", receiver.personnel_no, receiver.grant),
        "",
    );
    assert_eq!(who.await[0], "1=everyone");

    let cleared = EditTopic {
        default_priority: Change::Clear,
        default_recipients: Change::Clear,
        ..EditTopic::default()
    };
    let topic = f.store.edit_topic(f.client_no, "it", &cleared).await.unwrap();
    assert_eq!((topic.default_priority, topic.default_recipients), (None, None));
    let all = post(&f, to(Recipients::default(), &f, Some("it"))).await;
    assert_eq!(received(&f, all).await, "1 2 3");
    assert_eq!(stored(all).await, "1");

    let strangers = EditTopic {
        default_recipients: Change::Set(Recipients {
            employees: vec!["1".to_owned(), "404".to_owned()],
            groups: vec!["x".to_owned()],
            everyone: false,
        }),
        ..EditTopic::default()
    };
    assert_eq!(
        invalid(f.store.edit_topic(f.client_no, "it", &strangers).await),
        ["default_recipients.employees[1]", "default_recipients.groups[0]"]
    );
}

#[tokio::test]
async fn everything_that_somebody_may_receive_is_told_with_its_reason() {
    let f = nested().await;
    let later = GrantTerms { starts_at: Some(NOON + HOUR), ..GrantTerms::default() };
    f.store.grant(f.client_no, "boiler", &Grantee::Everyone, &later).await.unwrap();
    for grantee in [group("zavod"), Grantee::Employee("1".to_owned())] {
        f.store.grant(f.client_no, "boiler", &grantee, &GrantTerms::default()).await.unwrap();
    }
    let access = async |no: &str| {
        let held = f.store.access_of(f.client_no, no).await.unwrap();
        held.iter()
            .map(|held| {
                let sign = if held.times.active { "" } else { "-" };
                format!("{sign}{}:{}({})", held.topic, held.grant, held.path.join(">"))
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        access("1").await,
        "-boiler:everyone() boiler:group:zavod(smena-a>ceh-1>zavod) boiler:employee()"
    );
    assert_eq!(access("2").await, "-boiler:everyone() boiler:group:zavod(ceh-1>zavod)");
    assert_eq!(access("3").await, "-boiler:everyone()");
    assert!(is_missing(&f.store.access_of(f.client_no, "404").await, "employee"));

    // The same for the question why there was nothing for 3.
    let message = post(&f, to(Recipients::default(), &f, Some("boiler"))).await;
    assert_eq!(received(&f, message).await, "1 2");
    let told = async |no: &str| {
        let told = f.store.explain(f.client_no, None, message, no, Lang::En).await.unwrap();
        told.story.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    };
    let why_not = told("3").await;
    assert!(why_not.contains("it did not count when the message was accepted"), "{why_not}");
    let missing = f.store.explain(f.client_no, None, message, "404", Lang::En).await;
    assert!(is_missing(&missing, "employee"));
}
