//! Lists, page by page; topics and their receivers.

use http::Method;
use serde_json::json;

use super::{Office, wrong_fields};

#[tokio::test]
async fn pages_follow_the_order_and_repeat_nothing() {
    let office = Office::open().await;
    for slug in ["e", "a", "d", "b", "c"] {
        office.group(slug).await;
    }
    office.admin(Method::DELETE, "/groups/c", None, 204).await;
    assert_eq!(office.all("/groups", "slug").await, ["a", "b", "d", "e"]);
    assert_eq!(office.all("/groups?archived=true", "slug").await, ["a", "b", "c", "d", "e"]);
    for (no, name) in [("3", "ёж"), ("1", "Ерш"), ("2", "Жук"), ("4", "ЕЖ")] {
        office.employee(no, name, &[]).await;
    }
    assert_eq!(office.all("/employees", "personnel_no").await, ["3", "4", "1", "2"]);
    let mut holders = office.all("/tokens", "holder").await;
    holders.sort();
    assert_eq!(holders, ["anna", "boris", "scada"]);
    assert_eq!(office.all("/operators", "name").await, ["anna", "boris"]);
    assert_eq!(office.all("/acs", "name").await, ["scada"]);
}

#[tokio::test]
async fn a_parameter_with_a_mistake_in_its_name_is_refused() {
    let office = Office::open().await;
    for (path, field) in [
        ("/employees?grup=a", "grup"),
        ("/employees?group=a&client=romashka&limt=5", "limt"),
        ("/deliveries?qeury=x", "qeury"),
        ("/deliveries?limit=x", "limit"),
        ("/messages/0192b8a0-0000-7000-8000-000000000000?x", "x"),
    ] {
        let answer = office.admin(Method::GET, path, None, 422).await;
        assert_eq!(wrong_fields(&answer), [field], "{path}");
    }
    office.admin(Method::GET, "/whoami?client=other", None, 200).await;
}

#[tokio::test]
async fn a_text_is_found_in_names_in_any_case() {
    let office = Office::open().await;
    let new = json!({"slug": "boiler-2", "name": "Котёл второй"});
    office.admin(Method::POST, "/topics", Some(new), 201).await;
    assert_eq!(office.all("/topics?query=ВТОРОЙ+КОТЕЛ", "slug").await, ["boiler-2"]);
    assert_eq!(office.all("/topics?query=boiler", "slug").await, ["boiler", "boiler-2"]);
}

#[tokio::test]
async fn wrong_parameters_of_a_list_are_named() {
    let office = Office::open().await;
    let problem = office.admin(Method::GET, "/employees?limit=0&cursor=x", None, 422).await;
    assert_eq!(wrong_fields(&problem), ["limit", "cursor"]);
    office.admin(Method::GET, "/employees?group=nope", None, 404).await;
    office.admin(Method::GET, "/devices?employee=nope", None, 404).await;
    office.admin(Method::GET, "/tokens?kind=robot", None, 422).await;
}

#[tokio::test]
async fn who_receives_a_topic_is_known_with_the_widest_grant() {
    let office = Office::open().await;
    office.group("smena-a").await;
    office.group("smena-b").await;
    office.employee("1", "Ананьев", &["smena-a", "smena-b"]).await;
    office.employee("2", "Борисов", &[]).await;
    office.employee("3", "Васильев", &["smena-a"]).await;
    office.employee("4", "Григорьев", &["smena-a"]).await;
    office.employee("5", "Дмитриев", &[]).await;
    office.admin(Method::POST, "/employees/4/block", None, 200).await;
    let grants = "/topics/boiler/grants";
    let mut ids = Vec::new();
    for grantee in [
        json!({"group": "smena-b"}),
        json!({"group": "smena-a"}),
        json!({"employee": "2"}),
        json!({"employee": "3"}),
    ] {
        let grant = office.admin(Method::POST, grants, Some(json!({"grantee": grantee})), 200).await;
        let again = office.admin(Method::POST, grants, Some(json!({"grantee": grantee})), 200).await;
        assert_eq!(grant, again);
        ids.push(grant["id"].as_str().unwrap().to_owned());
    }
    let who = "/topics/boiler/who";
    assert_eq!(office.all(who, "personnel_no").await, ["1", "2", "3"]);
    assert_eq!(office.all(who, "grant").await, ["group:smena-a", "employee", "group:smena-a"]);
    office.admin(Method::DELETE, "/groups/smena-a", None, 204).await;
    // Its grant ends with it.
    ids.remove(1);
    assert_eq!(office.all(who, "grant").await, ["group:smena-b", "employee", "employee"]);
    let everyone = office.admin(Method::POST, grants, Some(json!({"grantee": "everyone"})), 200).await;
    assert_eq!(office.all(who, "personnel_no").await, ["1", "2", "3", "5"]);
    assert_eq!(office.all(who, "grant").await, ["everyone"; 4]);
    let listed = office.admin(Method::GET, grants, None, 200).await;
    let listed: Vec<_> = listed["items"].as_array().unwrap().iter().map(|g| g["grantee"].clone()).collect();
    assert_eq!(
        listed,
        [json!("everyone"), json!({"group": "smena-b"}), json!({"employee": "2"}), json!({"employee": "3"}),]
    );
    ids.push(everyone["id"].as_str().unwrap().to_owned());
    for id in ids {
        office.admin(Method::DELETE, &format!("{grants}/{id}"), None, 204).await;
        office.admin(Method::DELETE, &format!("{grants}/{id}"), None, 404).await;
    }
    assert!(office.all(who, "personnel_no").await.is_empty());
    office.admin(Method::POST, grants, Some(json!({"grantee": {"group": "nope"}})), 404).await;
    office.admin(Method::POST, grants, Some(json!({"grantee": "all"})), 422).await;
}
