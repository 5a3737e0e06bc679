//! Topics, their grants and grantees.

use simo_common::{
    api::access::{EditTopic, Grantee, NewTopic, Topic},
    time::from_us,
};

use crate::store::GrantTerms;

use super::{super::fixture::NOON, Fixture, is_conflict, is_missing, listed};

#[tokio::test]
async fn topics_come_back_from_the_archive_without_their_grants() {
    let f = Fixture::new().await;
    let client = f.client_no;
    let named = NewTopic { slug: "it".to_owned(), name: Some("ИТ".to_owned()), ..NewTopic::default() };
    let topic = |name: &str, grants| Topic {
        slug: "it".to_owned(),
        name: name.to_owned(),
        grants,
        default_priority: None,
        default_recipients: None,
        archived_at: None,
        restored: false,
    };
    assert_eq!(f.store.add_topic(client, &named).await.unwrap(), topic("ИТ", 0));
    assert!(is_conflict(&f.store.add_topic(client, &named).await));
    f.store.grant(client, "it", &Grantee::Everyone, &GrantTerms::default()).await.unwrap();
    let rename = EditTopic { name: Some("Связь".to_owned()), ..EditTopic::default() };
    assert_eq!(f.store.edit_topic(client, "it", &rename).await.unwrap(), topic("Связь", 1));
    f.store.remove_topic(client, "it").await.unwrap();
    let archived = f.store.topic(client, "it").await.unwrap();
    assert_eq!(archived.archived_at, Some(from_us(NOON)));
    let lists =
        listed(async |listing| f.store.topics(client, &listing).await, |topic| topic.slug.clone(), "СВЯЗЬ");
    assert_eq!(lists.await, ["boiler", "boiler it", "it"]);
    let late = f.store.grant(client, "it", &Grantee::Everyone, &GrantTerms::default()).await;
    assert!(is_missing(&late, "topic"));
    assert_eq!(f.store.grants(client, "it").await.unwrap(), []);
    let back = Topic { restored: true, ..topic("ИТ", 0) };
    assert_eq!(f.store.add_topic(client, &named).await.unwrap(), back);

    let like = async |slug| f.store.topic_like(client, slug).await.unwrap();
    assert_eq!(like("boilr").await.as_deref(), Some("boiler"));
    assert_eq!(like("payroll").await, None);
    assert!(is_missing(&f.store.topic(client, "x").await, "topic"));
    assert!(is_missing(&f.store.edit_topic(client, "x", &rename).await, "topic"));
    assert!(is_missing(&f.store.remove_topic(client, "x").await, "topic"));
    assert!(is_missing(&f.store.grants(client, "x").await, "topic"));
}

#[tokio::test]
async fn the_widest_grant_lets_in_and_a_revoked_one_nobody() {
    let f = Fixture::new().await;
    let client = f.client_no;
    let let_in = async |find: &str| {
        listed(
            async |listing| f.store.receivers(client, "boiler", &listing).await,
            |receiver| format!("{}={}({})", receiver.personnel_no, receiver.grant, receiver.devices),
            find,
        )
        .await
    };
    assert_eq!(let_in("").await, ["", "", ""]);
    let grantees = [
        Grantee::Employee("3".to_owned()),
        Grantee::Employee("1".to_owned()),
        Grantee::Group("smena-a".to_owned()),
    ];
    for grantee in &grantees {
        let given = f.store.grant(client, "boiler", grantee, &GrantTerms::default()).await.unwrap();
        assert_eq!((&given.grantee, &*given.topic), (grantee, "boiler"));
        let again = f.store.grant(client, "boiler", grantee, &GrantTerms::default()).await.unwrap();
        assert_eq!(again, given, "what is given already is answered as it is");
    }
    let both = "1=group:smena-a(1) 3=employee(1)";
    assert_eq!(let_in("сотрудник 3").await, [both, both, "3=employee(1)"]);
    f.store.block_employee(client, "3").await.unwrap();
    assert_eq!(let_in("").await[0], "1=group:smena-a(1)");
    f.store.unblock_employee(client, "3").await.unwrap();

    let everyone = f.store.grant(client, "boiler", &Grantee::Everyone, &GrantTerms::default()).await.unwrap();
    assert_eq!(let_in("").await[0], "1=everyone(1) 2=everyone(1) 3=everyone(1)");
    let all = f.store.grants(client, "boiler").await.unwrap();
    let order: Vec<_> = all.into_iter().map(|grant| grant.grantee).collect();
    let [of_3, of_1, of_group] = grantees;
    assert_eq!(order, [Grantee::Everyone, of_group, of_1, of_3]);
    f.store.revoke_grant(client, "boiler", everyone.id).await.unwrap();
    assert_eq!(let_in("").await[0], both);
    let twice = f.store.revoke_grant(client, "boiler", everyone.id).await;
    assert!(is_missing(&twice, "grant"));
    let nobody = Grantee::Employee("404".to_owned());
    assert!(is_missing(&f.store.grant(client, "boiler", &nobody, &GrantTerms::default()).await, "employee"));
}
