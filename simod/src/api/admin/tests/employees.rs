//! Employees, and the effects of blocking and archiving them on deliveries in progress.

use http::Method;
use serde_json::json;
use simo_common::token;

use super::{Office, wrong_fields};
use crate::channel::ChannelKind;

#[tokio::test]
async fn an_employee_is_kept_with_his_groups() {
    let office = Office::open().await;
    office.group("smena-a").await;
    office.group("it").await;
    let made = office.employee("0042-Ж", " Ёлкин Пётр ", &["smena-a", "it"]).await;
    assert_eq!(made["full_name"], "Ёлкин Пётр");
    assert_eq!(made["groups"], json!(["it", "smena-a"]));
    let path = "/employees/0042-%D0%96";
    let edit = json!({"full_name": "Елкина Анна", "email": "anna@example.org", "groups": ["it"]});
    let edited = office.admin(Method::PATCH, path, Some(edit), 200).await;
    assert_eq!(edited["groups"], json!(["it"]));
    let cleared = office.admin(Method::PATCH, path, Some(json!({"email": ""})), 200).await;
    assert_eq!((&cleared["email"], &cleared["groups"]), (&json!(null), &json!(["it"])));
    assert_eq!(office.all("/employees?query=АННА%20елк", "personnel_no").await, ["0042-Ж"]);
    let unknown = json!({"personnel_no": "1", "full_name": "А", "groups": ["it", "nope"]});
    let problem = office.admin(Method::POST, "/employees", Some(unknown), 422).await;
    assert_eq!(wrong_fields(&problem), ["groups[1]"]);
    office.admin(Method::PUT, "/groups/smena-a/members/0042-%D0%96", None, 204).await;
    office.admin(Method::PUT, "/groups/smena-a/members/0042-%D0%96", None, 204).await;
    office.admin(Method::DELETE, "/groups/it/members/0042-%D0%96", None, 204).await;
    assert_eq!(office.all("/employees?group=smena-a", "personnel_no").await, ["0042-Ж"]);
    assert!(office.all("/employees?group=it", "personnel_no").await.is_empty());
}

#[tokio::test]
async fn an_archived_employee_is_gone_with_his_phones_and_comes_back_without_them() {
    let office = Office::open().await;
    office.employee("7", "Иванов", &[]).await;
    let invite = office.admin(Method::POST, "/devices/invite", Some(json!({"employee": "7"})), 201).await;
    let pair =
        json!({"code": invite["code"], "channel": {"kind": "stream"}, "name": "Телефон", "platform": "cli"});
    let paired = office.call(&office.viewer, Method::POST, "/device/pair", Some(pair), 200).await;
    let phone = paired["token"].as_str().unwrap();
    let device = format!("/devices/{}", paired["device_id"].as_str().unwrap());
    assert_eq!(office.admin(Method::GET, &device, None, 200).await["state"], "active");
    office.admin(Method::DELETE, "/employees/7", None, 204).await;
    office.call(phone, Method::GET, "/whoami", None, 401).await;
    let gone = office.admin(Method::GET, &device, None, 200).await;
    assert_eq!((&gone["state"], &gone["reason"]), (&json!("retired"), &json!("device_gone")));
    office.admin(Method::PATCH, "/employees/7", Some(json!({"full_name": "Б"})), 409).await;
    assert!(office.all("/employees", "personnel_no").await.is_empty());
    assert_eq!(office.all("/employees?archived=true", "personnel_no").await, ["7"]);
    // A successor must not read their predecessor's history.
    let successor = json!({"personnel_no": "7", "full_name": "Петров Пётр"});
    office.admin(Method::POST, "/employees", Some(successor), 409).await;
    let back = office.employee("7", "Иванов", &[]).await;
    assert_eq!((&back["devices"], &back["archived_at"]), (&json!(0), &json!(null)));
    let again = json!({"personnel_no": "7", "full_name": "Иванов"});
    office.admin(Method::POST, "/employees", Some(again), 409).await;
}

#[tokio::test]
async fn a_blocked_employee_gets_nothing_of_what_was_queued_before() {
    let office = Office::open().await;
    let plant = &office.plant;
    let (ivanov, petrov) = (plant.employee(1).await, plant.employee(2).await);
    let phone = plant.phone(ivanov, Some("address")).await;
    plant.phone(petrov, None).await;
    let waits = plant.message("waits", &[ivanov, petrov]).await;
    let was_sent = plant.message("sent", &[ivanov]).await;
    plant.run(&format!("update delivery set sent_at = 1 where message_no = {}", was_sent.no.0)).await;
    let waiting = async || office.admin(Method::GET, "/employees/0001/waiting", None, 200).await;
    assert_eq!(waiting().await, json!({"deliveries": 1, "critical": 0}));
    office.admin(Method::GET, "/employees/0404/waiting", None, 404).await;
    let blocked = office.admin(Method::POST, "/employees/0001/block", None, 200).await;
    assert!(blocked["blocked_at"].is_string());
    assert_eq!(waiting().await, json!({"deliveries": 0, "critical": 0}));
    let states = "select e.personnel_no || ' ' || m.title || ' ' || d.state || ' ' || coalesce(d.reason, 0)
                  from delivery d join message m on m.client_no = d.client_no and m.no = d.message_no
                  join employee e on e.client_no = d.client_no and e.no = d.employee_no order by 1";
    assert_eq!(plant.texts(states).await, ["0001 sent 1 0", "0001 waits 8 3", "0002 waits 0 0"]);
    let pushes = plant
        .texts(
            "select m.title || ' ' || coalesce(p.outcome, 0) from push p
             join message m on m.client_no = p.client_no and m.no = p.message_no
             join employee e on e.client_no = p.client_no and e.no = p.employee_no where e.personnel_no = '0001' order by 1",
        )
        .await;
    assert_eq!(pushes, ["sent 0", "waits 7"]);
    let claimed = office
        .app
        .store
        .claim(ChannelKind::Fcm, 10, std::time::Duration::from_secs(30))
        .await
        .unwrap()
        .pushes;
    assert!(claimed.iter().all(|push| push.skip.is_some()));
    let events = format!("select count(*) from event where kind = 2 and message_no = {}", waits.no.0);
    assert_eq!(plant.number(&events).await, Some(1));
    office.call(&phone.token, Method::GET, "/whoami", None, 200).await;
    office.admin(Method::POST, "/devices/invite", Some(json!({"employee": "0001"})), 409).await;
    let free = office.admin(Method::POST, "/employees/0001/unblock", None, 200).await;
    assert_eq!(free["blocked_at"], json!(null));
    assert_eq!(waiting().await, json!({"deliveries": 1, "critical": 0}), "it was withheld for a while");
}

#[tokio::test]
async fn a_long_queue_is_denied_to_its_end() {
    let office = Office::open().await;
    let plant = &office.plant;
    let ivanov = plant.employee(1).await;
    plant.message("many", &[ivanov]).await;
    // The same message under 2,500 other numbers.
    plant
        .run(&(0..2_500).fold(String::new(), |statements, number| {
            statements
                + &format!(
                    "insert into delivery (client_no, message_no, employee_no, expires_at, target)
                         select client_no, {}, employee_no, expires_at, target from delivery
                         where reason is null limit 1;",
                    1_000 + number
                )
        }))
        .await;
    office.admin(Method::POST, "/employees/0001/block", None, 200).await;
    let denied = "select count(*) from delivery where state = 8 and reason = 3";
    assert_eq!(plant.number(denied).await, Some(2_501));
}

#[tokio::test]
async fn a_removed_device_is_sent_nothing_more() {
    let office = Office::open().await;
    let plant = &office.plant;
    let ivanov = plant.employee(1).await;
    let phone = plant.phone(ivanov, None).await;
    plant.message("waits", &[ivanov]).await;
    let path = format!("/devices/{}", phone.caller.device_id);
    office.call(&office.stranger, Method::DELETE, &path, None, 404).await;
    office.admin(Method::DELETE, &path, None, 204).await;
    office.admin(Method::DELETE, &path, None, 204).await;
    office.call(&phone.token, Method::GET, "/whoami", None, 401).await;
    let open = "select count(*) from push where done_at is null";
    assert_eq!(plant.number(open).await, Some(0));
    assert_eq!(plant.number("select devices from employee").await, Some(0), "counted once");
    // The message waits for the employee's next phone.
    assert_eq!(plant.number("select state from delivery").await, Some(0));
    assert!(office.all("/devices", "id").await.is_empty());
    assert_eq!(office.all("/devices?archived=true", "id").await.len(), 1);
}

#[tokio::test]
async fn an_invitation_works_as_long_as_it_says() {
    let office = Office::open().await;
    office.employee("7", "Иванов", &[]).await;
    let invite = json!({"employee": "7", "valid_for": 60});
    let invite = office.admin(Method::POST, "/devices/invite", Some(invite), 201).await;
    assert_eq!(invite["expires_at"], "2026-11-21T09:01:00Z");
    let code = invite["code"].as_str().unwrap();
    assert_eq!(invite["uri"], format!("http://127.0.0.1:7466/app/#pair={code}"));
    assert_eq!(token::normalize_code(code).len(), 10);
    let long = json!({"employee": "7", "valid_for": 2_592_001});
    let problem = office.admin(Method::POST, "/devices/invite", Some(long), 422).await;
    assert_eq!(wrong_fields(&problem), ["valid_for"]);
    office.admin(Method::POST, "/devices/invite", Some(json!({"employee": "8"})), 404).await;
}
