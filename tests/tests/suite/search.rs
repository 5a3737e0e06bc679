//! History: search, pages, and explanations.

use http::{Method, StatusCode};
use simo_common::{
    api::{
        access::{Grantee, NewOperator, NewToken},
        history::{Delivery, Explanation, Sort},
        message::PostMessage,
        problem::Problem,
    },
    client::{Client, Error, ListQuery},
    people::Role,
};
use simo_tests::{
    Plant, Simod,
    plant::{post, to_employees, to_topic},
    raw,
};

async fn find(caller: &Client, query: &str) -> Vec<Delivery> {
    let list = ListQuery { query: Some(query.to_owned()), ..ListQuery::default() };
    caller.deliveries(&list, Sort::default()).await.unwrap().items
}

async fn titles(caller: &Client, query: &str) -> Vec<String> {
    find(caller, query).await.into_iter().map(|row| row.title).collect()
}

fn with_body(title: &str, body: &str, numbers: &[&str]) -> PostMessage {
    PostMessage { body: body.to_owned(), ..to_employees(title, numbers) }
}

fn story(explanation: &Explanation) -> String {
    let lines: Vec<&str> = explanation.story.iter().map(|line| line.text.as_str()).collect();
    lines.join("\n")
}

fn problem(error: Error) -> Box<Problem> {
    match error {
        Error::Problem(problem) => problem,
        other => panic!("no problem body: {other}"),
    }
}

#[tokio::test]
async fn a_message_is_found_by_its_words_as_soon_as_it_is_accepted() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &["smena-a"]).await;
    let acs = plant.acs(&simod, "scada").await;
    // From 10, because every text contains 3 and 5.
    for number in 10..30 {
        let body = format!("Давление в котле №{number} упало до 3,5 бар");
        post(&acs, &with_body(&format!("Авария {number}"), &body, &["001"])).await;
        assert_eq!(
            titles(&plant.admin, &format!("давлением котлы {number} -плановая")).await,
            [format!("Авария {number}")]
        );
    }
    post(&acs, &with_body("Scheduled maintenance", "Boilers are stopped", &["002"])).await;
    assert_eq!(titles(&plant.admin, "boiler maint*").await.len(), 1);
    assert_eq!(titles(&plant.admin, "\"упало до 3,5\"").await.len(), 20);
    assert!(titles(&plant.admin, "\"до упало\"").await.is_empty());
    assert_eq!(titles(&plant.admin, "-давление").await, ["Scheduled maintenance"]);
}

#[tokio::test]
async fn one_clients_words_are_not_found_at_another() {
    let simod = Simod::start().await;
    let (one, other) = (Plant::new(&simod, "odin").await, Plant::new(&simod, "drugoy").await);
    one.employees(&["001"], &[]).await;
    other.employees(&["001"], &[]).await;
    post(&one.acs(&simod, "1c").await, &to_employees("Секретное совещание", &["001"])).await;
    assert_eq!(titles(&one.admin, "секретное").await.len(), 1);
    assert!(titles(&other.admin, "секретное").await.is_empty());
    // A caller who may see several clients must name one.
    let unsaid = simod.owner().deliveries(&ListQuery::default(), Sort::default()).await;
    let problem = problem(unsaid.unwrap_err());
    assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "client"));
}

#[tokio::test]
async fn people_groups_topics_and_acs_are_found_by_their_names() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &["smena-a"]).await;
    plant.employees(&["002"], &["ofis"]).await;
    plant.topic("boiler", &[Grantee::Everyone]).await;
    let (scada, erp) = (plant.acs(&simod, "scada").await, plant.acs(&simod, "1c").await);
    post(&scada, &to_topic("По теме", "boiler")).await;
    post(&erp, &to_employees("Лично", &["002"])).await;
    for (query, count) in [
        ("", 3),
        ("topic:boiler", 2),
        ("-topic:boiler", 1),
        ("acs:1c", 1),
        ("acs:scada,1c", 3),
        ("group:smena-a", 1),
        ("group:ofis -acs:1c", 1),
        ("employee:001", 1),
        ("сотрудник:сотр", 3),
        ("employee:\"сотрудник 002\"", 2),
        ("group:nowhere", 0),
        ("date:сегодня", 3),
        ("before:today", 0),
        ("состояние:в_очереди", 3),
        ("state:read", 0),
    ] {
        assert_eq!(find(&plant.admin, query).await.len(), count, "{query}");
    }
}

#[tokio::test]
async fn pages_of_every_sort_follow_one_another_without_gaps() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let numbers: Vec<String> = (0..15).map(|number| format!("{number:03}")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    plant.employees(&numbers, &[]).await;
    let acs = plant.acs(&simod, "1c").await;
    for number in 0..4 {
        post(&acs, &to_employees(&format!("Сообщение {number}"), &numbers)).await;
    }
    for sort in ["date", "-date", "employee", "-employee", "state", "-state"] {
        let sort: Sort = sort.parse().unwrap();
        let mut list = ListQuery { limit: Some(7), ..ListQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = plant.admin.deliveries(&list, sort).await.unwrap();
            seen.extend(page.items.into_iter().map(|row| (row.message_id, row.personnel_no)));
            list.cursor = page.next;
            if list.cursor.is_none() {
                break;
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((all, seen.len()), (60, 60), "{sort}");
    }
}

#[tokio::test]
async fn mistakes_in_a_list_are_told_together_in_the_callers_language() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let operator = NewOperator { name: "dispatcher".to_owned(), role: Role::Viewer };
    plant.admin.add_operator(&operator).await.unwrap();
    let token = NewToken { operator: Some(operator.name.clone()), ..NewToken::default() };
    let token = plant.admin.issue_token(&token).await.unwrap().token;
    let path = "/deliveries?query=stat:read%20after:soon&sort=name&limit=0";
    let answer =
        raw::ask(Method::GET, &simod.api(path)).token(&token).header("accept-language", "ru").send().await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Problem = answer.json();
    let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["query:1", "query:17", "sort", "limit"]);
    assert!(problem.errors[0].detail.contains("может быть, «state:»?"), "{problem:?}");
    for path in ["/deliveries?cursor=x", "/deliveries?limit=many", "/messages?query=%22"] {
        let answer = raw::ask(Method::GET, &simod.api(path)).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
}

#[tokio::test]
async fn messages_are_listed_and_found_by_the_id_of_their_acs() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &[]).await;
    let (one, other) = (plant.acs(&simod, "1c").await, plant.acs(&simod, "erp").await);
    let message = PostMessage {
        external_id: Some("ЗАКАЗ-17".to_owned()),
        ..to_employees("Заказ", &["001", "002"])
    };
    let posted = post(&one, &message).await;
    post(&other, &to_employees("Другое", &["001"])).await;
    let found = one.message_by_external_id("ЗАКАЗ-17").await.unwrap().items;
    assert_eq!((found.len(), found[0].id), (1, posted.id));
    assert!(other.message_by_external_id("ЗАКАЗ-17").await.unwrap().items.is_empty());
    let deliveries = one.message_deliveries(posted.id, &ListQuery::default()).await.unwrap().items;
    let numbers: Vec<&str> = deliveries.iter().map(|row| row.personnel_no.as_str()).collect();
    assert_eq!(numbers, ["001", "002"]);
    assert_eq!(problem(other.message(posted.id).await.unwrap_err()).status, 404);
    let list = ListQuery { query: Some("employee:002".to_owned()), ..ListQuery::default() };
    let of_one_person = plant.admin.messages(&list).await.unwrap().items;
    assert_eq!((of_one_person.len(), of_one_person[0].id), (1, posted.id));
    assert_eq!(plant.admin.messages(&ListQuery::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn the_whole_way_is_told_also_to_whom_it_did_not_lead() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &["smena-a"]).await;
    plant.employees(&["002", "003"], &["ofis"]).await;
    plant.topic("boiler", &[Grantee::Group("smena-a".to_owned())]).await;
    plant.stream_phone(&simod, "001").await;
    let acs = plant.acs(&simod, "scada").await;
    let by_grant = post(&acs, &to_topic("По доступу", "boiler")).await;

    let told = plant.admin.explain(by_grant.id, "001").await.unwrap();
    assert_eq!(told.target.as_deref(), Some("grant"));
    assert_eq!(told.grant.as_deref(), Some("group:smena-a"));
    assert_eq!(told.pushes.len(), 1);
    assert!(story(&told).contains("a grant to the group smena-a gave them access"), "{}", story(&told));

    let not_told = plant.admin.explain(by_grant.id, "002").await.unwrap();
    assert!(not_told.delivery.is_none() && not_told.target.is_none());
    assert!(
        story(&not_told).contains("they held no grant for the topic boiler then"),
        "{}",
        story(&not_told)
    );

    let denied = PostMessage {
        topic: Some("boiler".to_owned()),
        ..to_employees("Названному без доступа", &["001", "003"])
    };
    let denied = post(&acs, &denied).await;
    let kept_out = plant.admin.explain(denied.id, "003").await.unwrap();
    assert_eq!(kept_out.target.as_deref(), Some("employee"));
    assert!(
        story(&kept_out).contains("they were kept out: holds no grant for the topic"),
        "{}",
        story(&kept_out)
    );

    // Later changes of people, groups and grants do not change the explanation.
    plant.employees(&["004"], &["smena-a"]).await;
    let late = plant.admin.explain(by_grant.id, "004").await.unwrap();
    assert!(story(&late).contains("they were added only after the message"), "{}", story(&late));
    plant.admin.remove_group("smena-a").await.unwrap();
    assert_eq!(plant.admin.explain(by_grant.id, "004").await.unwrap().story, late.story);
    assert_eq!(plant.admin.explain(by_grant.id, "001").await.unwrap().story, told.story);
    assert_eq!(plant.admin.explain(by_grant.id, "002").await.unwrap().story, not_told.story);

    assert_eq!(problem(plant.admin.explain(by_grant.id, "nobody").await.unwrap_err()).status, 404);
}
