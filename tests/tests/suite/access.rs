//! Who is let in, who sees which data, and how quickly access ends.

mod tokens;

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use simo_common::{
    api::{
        access::{ClientSpec, Grantee, Named, NewOperator, NewToken, NewTopic},
        history::Sort,
    },
    client::{Client, ListQuery},
    delivery::DeliveryState,
    people::Role,
};
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    fcm::Answer,
    plant::{post, to_employees, to_topic},
    raw,
};

async fn operator(simod: &Simod, plant: &Plant, name: &str, role: Role) -> Client {
    let admin = if role == Role::Owner { simod.owner() } else { plant.admin.clone() };
    admin.add_operator(&NewOperator { name: name.to_owned(), role }).await.unwrap();
    let token = NewToken { operator: Some(name.to_owned()), ..NewToken::default() };
    simod.caller(&admin.issue_token(&token).await.unwrap().token)
}

#[tokio::test]
async fn a_viewer_reads_and_changes_nothing() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let posted = post(&plant.acs(&simod, "1c").await, &to_employees("Привет", &["001"])).await;
    let viewer = operator(&simod, &plant, "viewer", Role::Viewer).await;

    let who = viewer.whoami().await.unwrap();
    assert_eq!((who.role, who.client.as_deref()), (Some(Role::Viewer), Some("zavod")));
    assert_eq!(viewer.deliveries(&ListQuery::default(), Sort::default()).await.unwrap().items.len(), 1);
    assert_eq!(viewer.message(posted.id).await.unwrap().title, "Привет");
    viewer.explain(posted.id, "001").await.unwrap();

    let named = Named { slug: "x".to_owned(), name: None };
    let refusals = [
        viewer.add_topic(&NewTopic { slug: "x".to_owned(), ..NewTopic::default() }).await.err(),
        viewer.add_group(&named).await.err(),
        viewer.add_acs(&named).await.err(),
        viewer.block_employee("001").await.err(),
        viewer.remove_employee("001").await.err(),
        viewer.cancel_message(posted.id).await.err(),
        viewer.post_message(&to_employees("a", &["001"]), false).await.err(),
        viewer.issue_token(&NewToken { acs: Some("1c".to_owned()), ..NewToken::default() }).await.err(),
        viewer.add_operator(&NewOperator { name: "x".to_owned(), role: Role::Admin }).await.err(),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        assert_eq!(refusal.and_then(|error| error.status()), Some(403), "refusal {number}");
    }
}

#[tokio::test]
async fn an_admin_administers_his_client_and_no_more() {
    let simod = Simod::start().await;
    let mine = Plant::new(&simod, "zavod").await;
    let theirs = Plant::new(&simod, "fabrika").await;
    mine.employees(&["001"], &["smena-a"]).await;
    theirs.employees(&["001", "900"], &["ceh-9"]).await;
    let foreign = post(&theirs.acs(&simod, "1c").await, &to_employees("Чужое", &["900"])).await;
    let admin = operator(&simod, &mine, "petrov", Role::Admin).await;

    admin.add_topic(&NewTopic { slug: "kotly".to_owned(), ..NewTopic::default() }).await.unwrap();
    admin.grant("kotly", &Grantee::Everyone.into()).await.unwrap();
    let spec = ClientSpec { slug: Some("third".to_owned()), ..ClientSpec::default() };
    assert_eq!(admin.add_client(&spec).await.unwrap_err().status(), Some(403));
    let king = NewOperator { name: "king".to_owned(), role: Role::Owner };
    assert_eq!(admin.add_operator(&king).await.unwrap_err().status(), Some(403));

    // Another client's objects do not exist.
    let elsewhere = admin.clone().for_client(Some("fabrika".to_owned()));
    let list = ListQuery::default();
    for status in [
        elsewhere.employees(&list, None).await.unwrap_err().status(),
        elsewhere.deliveries(&list, Sort::default()).await.unwrap_err().status(),
        elsewhere.post_message(&to_employees("a", &["900"]), false).await.unwrap_err().status(),
        elsewhere.block_employee("900").await.unwrap_err().status(),
        admin.client("fabrika").await.unwrap_err().status(),
        admin.employee("900").await.unwrap_err().status(),
        admin.group("ceh-9").await.unwrap_err().status(),
        admin.message(foreign.id).await.unwrap_err().status(),
        admin.message_deliveries(foreign.id, &list).await.unwrap_err().status(),
        admin.explain(foreign.id, "900").await.unwrap_err().status(),
        admin.cancel_message(foreign.id).await.unwrap_err().status(),
    ] {
        assert_eq!(status, Some(404));
    }
    assert_eq!(admin.clients(&list).await.unwrap_err().status(), Some(403));
    assert!(admin.deliveries(&list, Sort::default()).await.unwrap().items.is_empty());
    // The same personnel number, but another person.
    let posted = post(&admin, &to_employees("Своё", &["001"])).await;
    assert_eq!(theirs.admin.deliveries(&list, Sort::default()).await.unwrap().items.len(), 1);
    assert_eq!(theirs.admin.message(posted.id).await.unwrap_err().status(), Some(404));
    let acs = theirs.acs(&simod, "scada").await;
    assert_eq!(acs.message(posted.id).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn an_owner_sees_all_clients() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    Plant::new(&simod, "fabrika").await;
    let owner = operator(&simod, &plant, "glavny", Role::Owner).await;
    assert_eq!(owner.clients(&ListQuery::default()).await.unwrap().items.len(), 2);
    owner
        .clone()
        .for_client(Some("fabrika".to_owned()))
        .employees(&ListQuery::default(), None)
        .await
        .unwrap();
    let unnamed = owner.employees(&ListQuery::default(), None).await.unwrap_err();
    assert_eq!(unnamed.status(), Some(422), "he has to say which client");
}

#[tokio::test]
async fn a_revoked_token_is_out_at_once() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    for round in 0..20 {
        let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
        let token = plant.admin.issue_token(&token).await.unwrap();
        let acs = simod.caller(&token.token);
        let message = to_employees("Пока можно", &["001"]);
        post(&acs, &message).await;
        // Posts run continuously; none may be accepted that begins after the revocation was answered.
        let meanwhile = tokio::spawn({
            let acs = acs.clone();
            async move { while acs.post_message(&to_employees("Поток", &["001"]), false).await.is_ok() {} }
        });
        plant.admin.revoke_token(token.id).await.unwrap();
        let refused = acs.post_message(&message, false).await.unwrap_err();
        assert_eq!(refused.status(), Some(401), "round {round}");
        let batch = acs.post_batch(&[message]).await;
        assert_eq!(batch.unwrap_err().status(), Some(401));
        tokio::time::timeout(Duration::from_secs(5), meanwhile).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_rotated_token_gives_way_to_its_successor() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
    let old = plant.admin.issue_token(&token).await.unwrap();
    let new = plant.admin.rotate_token(old.id, None).await.unwrap();
    assert_eq!(simod.caller(&old.token).whoami().await.unwrap_err().status(), Some(401));
    assert_eq!(simod.caller(&new.token).whoami().await.unwrap().name, "1c");
    let shown = plant.admin.tokens(&ListQuery::default()).await.unwrap();
    assert!(!serde_json::to_string(&shown).unwrap().contains(&new.token), "a list shows a secret");
}

#[tokio::test]
async fn archived_holders_have_no_working_tokens() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let acs = plant.acs(&simod, "1c").await;
    let viewer = operator(&simod, &plant, "ivanov", Role::Viewer).await;
    plant.admin.remove_acs("1c").await.unwrap();
    plant.admin.remove_operator("ivanov").await.unwrap();
    assert_eq!(acs.whoami().await.unwrap_err().status(), Some(401));
    assert_eq!(viewer.whoami().await.unwrap_err().status(), Some(401));
    let other = plant.acs(&simod, "scada").await;
    simod.owner().remove_client("zavod").await.unwrap();
    assert_eq!(other.whoami().await.unwrap_err().status(), Some(401));
}

#[tokio::test]
async fn a_blocked_employee_gets_nothing_not_even_what_was_queued_until_he_is_unblocked() {
    let fcm = FakeFcm::start();
    let simod = Simod::with_fcm(&fcm).await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &[]).await;
    plant.fcm_phone(&simod, "001", "phone-1").await;
    plant.fcm_phone(&simod, "002", "phone-2").await;
    let stream = plant.stream_phone(&simod, "001").await;
    let acs = plant.acs(&simod, "1c").await;
    fcm.script().address("phone-1", Answer::Unavailable(None));
    let posted = post(&acs, &to_employees("Секрет", &["001", "002"])).await;
    eventually("the first try failed", || async {
        (!fcm.journal().calls_to("phone-1").is_empty()).then_some(())
    })
    .await;
    plant.admin.block_employee("001").await.unwrap();
    fcm.script().forgive("phone-1");
    let tried = fcm.journal().calls_to("phone-1").len();

    let later = post(&acs, &to_employees("После", &["001", "002"])).await;
    assert_eq!((later.recipients.accepted, later.recipients.denied), (1, 1));
    eventually("the other one gets both", || async {
        (fcm.journal().calls_to("phone-2").iter().filter(|call| call.accepted).count() == 2).then_some(())
    })
    .await;
    // One call may have been in flight when the employee was blocked.
    let calls = fcm.journal().calls_to("phone-1");
    assert!(calls.len() <= tried + 1, "{calls:?}");
    let state = async |id| plant.admin.explain(id, "001").await.unwrap().delivery.unwrap();
    assert_eq!(state(later.id).await.reason.as_deref(), Some("blocked"));
    assert_eq!(state(later.id).await.state, DeliveryState::Denied);
    assert!(!matches!(state(posted.id).await.state, DeliveryState::Sent | DeliveryState::Delivered));

    // Their phones are locked out as well.
    let own = stream.client.own_messages(&ListQuery::default()).await;
    assert!(own.is_err() || own.unwrap().items.is_empty());
    if let Ok(mut events) = stream.client.own_stream().await {
        let first = tokio::time::timeout(Duration::from_millis(500), events.next()).await;
        assert!(!matches!(first, Ok(Some(Ok(_)))), "a blocked phone received {first:?}");
    }

    plant.admin.unblock_employee("001").await.unwrap();
    eventually("what was withheld arrives", || async {
        (state(posted.id).await.state == DeliveryState::Sent).then_some(())
    })
    .await;
    let mut events = stream.client.own_stream().await.unwrap();
    let withheld = async { while events.next().await.unwrap().unwrap().id != posted.id {} };
    tokio::time::timeout(Duration::from_secs(20), withheld).await.expect("it arrives");
    assert_eq!(state(later.id).await.state, DeliveryState::Denied, "it never was for him");
}

#[tokio::test]
async fn a_revoked_grant_stops_the_topic_at_once() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &["smena-a"]).await;
    plant.topic("kotly", &[Grantee::Everyone]).await;
    let acs = plant.acs(&simod, "1c").await;
    assert_eq!(post(&acs, &to_topic("Раз", "kotly")).await.recipients.accepted, 2);
    for grant in plant.admin.grants("kotly").await.unwrap().items {
        plant.admin.revoke_grant("kotly", grant.id).await.unwrap();
    }
    let nobody = acs.post_message(&to_topic("Два", "kotly"), false).await.unwrap_err();
    assert_eq!(nobody.status(), Some(422));
    plant.admin.grant("kotly", &Grantee::Employee("002".to_owned()).into()).await.unwrap();
    assert_eq!(post(&acs, &to_topic("Три", "kotly")).await.recipients.accepted, 1);
    let who = plant.admin.who_receives("kotly", &ListQuery::default()).await.unwrap();
    assert_eq!(who.items.iter().map(|who| who.grant.as_str()).collect::<Vec<_>>(), ["employee"]);
}

#[tokio::test]
async fn the_unix_socket_is_its_owners_and_tcp_nobodys() {
    let simod = Simod::start().await;
    let who = simod.owner().whoami().await.unwrap();
    assert_eq!((who.kind.as_str(), who.role), ("local", Some(Role::Owner)));
    let nobody = raw::ask(Method::GET, &simod.api("/clients")).send().await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}
