//! Who receives which message, seen from outside: nested groups, grants with times, the defaults of a topic.

use simo_common::{
    api::{
        access::{EditTopic, Grantee, NewGrant},
        change::Change,
        message::{PostMessage, Recipients},
    },
    client::ListQuery,
    message::Priority,
};
use simo_tests::{Plant, Simod, plant::post, postgres};

/// A plant with `smena-a` (001, 002) in `ceh-1` (003), and an empty `zavod`.
async fn nested(simod: &Simod) -> Plant {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001", "002"], &["smena-a"]).await;
    plant.employees(&["003"], &["ceh-1"]).await;
    plant.admin.include_group("ceh-1", "smena-a").await.unwrap();
    plant
}

fn on_topic(topic: &str) -> PostMessage {
    PostMessage {
        title: "Котёл".to_owned(),
        topic: Some(topic.to_owned()),
        allow_empty: true,
        ..PostMessage::default()
    }
}

#[tokio::test]
async fn a_change_of_a_group_counts_for_the_next_message_on_any_instance() {
    let simod = Simod::start().await;
    let plant = nested(&simod).await;
    plant.topic("kotly", &[Grantee::Group("ceh-1".to_owned())]).await;
    let token = plant.token("1c").await;
    let here = simod.caller(&token);
    assert_eq!(post(&here, &on_topic("kotly")).await.recipients.accepted, 3);
    let sibling = if postgres::server().is_some() { Some(simod.sibling().await) } else { None };
    let there = sibling.as_ref().unwrap_or(&simod).caller(&token);
    for _ in 0..3 {
        plant.admin.exclude_group("ceh-1", "smena-a").await.unwrap();
        assert_eq!(post(&there, &on_topic("kotly")).await.recipients.accepted, 1);
        plant.admin.include_group("ceh-1", "smena-a").await.unwrap();
        assert_eq!(post(&there, &on_topic("kotly")).await.recipients.accepted, 3);
    }
}

#[tokio::test]
async fn a_grant_that_ends_stops_the_topic_and_history_says_so() {
    let simod = Simod::start().await;
    let plant = nested(&simod).await;
    plant.topic("kotly", &[]).await;
    let acs = plant.acs(&simod, "1c").await;
    let later = NewGrant {
        from: Some("2126-01-01".to_owned()),
        ..NewGrant::from(Grantee::Group("ceh-1".to_owned()))
    };
    assert!(!plant.admin.grant("kotly", &later).await.unwrap().times.active);
    let named = PostMessage {
        recipients: Some(Recipients { employees: vec!["001".to_owned()], ..Recipients::default() }),
        ..on_topic("kotly")
    };
    let posted = post(&acs, &named).await;
    assert_eq!((posted.recipients.accepted, posted.recipients.denied), (0, 1));
    let why = plant.admin.explain(posted.id, "001").await.unwrap();
    assert_eq!(why.delivery.unwrap().reason.as_deref(), Some("not_now"));
    let story: Vec<String> = why.story.into_iter().map(|line| line.text).collect();
    let way =
        "a grant to the group ceh-1 (smena-a › ceh-1) gave them the topic kotly, but only from 2126-01-01";
    assert!(story.iter().any(|line| line.contains(way)), "{story:#?}");

    // People who were never among the recipients get an explanation too.
    let why = plant.admin.explain(posted.id, "003").await.unwrap();
    assert_eq!(why.delivery, None);
    let story: Vec<String> = why.story.into_iter().map(|line| line.text).collect();
    assert!(story.iter().any(|line| line.contains("not addressed to them")), "{story:#?}");
}

#[tokio::test]
async fn what_is_usual_on_a_topic_is_what_a_message_that_says_nothing_gets() {
    let simod = Simod::start().await;
    let plant = nested(&simod).await;
    plant.topic("kotly", &[Grantee::Everyone]).await;
    let usual = EditTopic {
        default_priority: Change::Set(Priority::Critical),
        default_recipients: Change::Set(Recipients {
            groups: vec!["smena-a".to_owned()],
            ..Recipients::default()
        }),
        ..EditTopic::default()
    };
    plant.admin.edit_topic("kotly", &usual).await.unwrap();
    let acs = plant.acs(&simod, "1c").await;
    let posted = post(&acs, &on_topic("kotly")).await;
    assert_eq!(posted.recipients.accepted, 2);
    let message = plant.admin.message(posted.id).await.unwrap();
    assert_eq!(message.priority, Priority::Critical);
    assert_eq!(message.recipients.unwrap().groups, ["smena-a"]);
    let who = plant.admin.who_receives("kotly", &ListQuery::default()).await.unwrap();
    let who: Vec<String> = who.items.into_iter().map(|receiver| receiver.personnel_no).collect();
    assert_eq!(who, ["001", "002"]);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_grant_is_told_at_once() {
    let simod = Simod::start().await;
    let plant = nested(&simod).await;
    plant.topic("kotly", &[]).await;
    let wrong = NewGrant {
        grantee: Grantee::Everyone,
        from: Some("завтра".to_owned()),
        until: Some("2020-01-01".to_owned()),
        hours: Some("mno 08:00-20:00".to_owned()),
    };
    let refused = plant.admin.grant("kotly", &wrong).await.unwrap_err();
    assert_eq!(refused.status(), Some(422));
    let told = format!("{refused:?}");
    for field in ["from", "until", "hours", "`mon`"] {
        assert!(told.contains(field), "{field}: {told}");
    }
    let stranger = NewGrant::from(Grantee::Employee("404".to_owned()));
    assert_eq!(plant.admin.grant("kotly", &stranger).await.unwrap_err().status(), Some(404));
    let itself = plant.admin.include_group("smena-a", "ceh-1").await.unwrap_err();
    assert_eq!(itself.status(), Some(409));
    assert!(itself.to_string().contains("ceh-1 › smena-a › ceh-1"), "{itself}");
}
