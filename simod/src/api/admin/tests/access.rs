//! Permissions, and how tokens come and go.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Office, wrong_fields};

#[tokio::test]
async fn another_clients_things_are_not_found() {
    let office = Office::open().await;
    office.group("smena-a").await;
    office.employee("1", "Иванов", &[]).await;
    let token = office.admin(Method::POST, "/tokens", Some(json!({"acs": "1c"})), 201).await;
    let id = token["id"].as_str().unwrap();
    for path in [
        "/clients/zavod".to_owned(),
        "/employees/1".to_owned(),
        "/groups/smena-a".to_owned(),
        "/topics/boiler".to_owned(),
        "/topics/boiler/who".to_owned(),
        "/acs/1c".to_owned(),
        "/operators/anna".to_owned(),
        format!("/tokens/{id}"),
        format!("/devices/{id}"),
        "/employees?client=zavod".to_owned(),
        "/tokens?client=zavod".to_owned(),
    ] {
        let status = office.status(&office.stranger, Method::GET, &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let revoke = format!("/tokens/{id}");
    office.call(&office.stranger, Method::DELETE, &revoke, None, 404).await;
    office.call(&office.owner, Method::GET, &revoke, None, 200).await;
    let all = office.call(&office.owner, Method::GET, "/operators", None, 200).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_viewer_reads_people_and_changes_nothing() {
    let office = Office::open().await;
    for path in ["/employees", "/groups", "/topics", "/devices", "/acs", "/clients/zavod"] {
        office.call(&office.viewer, Method::GET, path, None, 200).await;
    }
    for (method, path) in [
        (Method::GET, "/tokens"),
        (Method::GET, "/operators"),
        (Method::GET, "/clients"),
        (Method::DELETE, "/topics/boiler"),
        (Method::POST, "/employees/1/block"),
    ] {
        let status = office.status(&office.viewer, method, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let client = json!({"slug": "novy"});
    office.call(&office.admin, Method::POST, "/clients", Some(client), 403).await;
}

#[tokio::test]
async fn nobody_gives_rights_above_his_own() {
    let office = Office::open().await;
    let owner = json!({"name": "eva", "role": "owner"});
    office.admin(Method::POST, "/operators", Some(owner.clone()), 403).await;
    let promotion = json!({"name": "boris", "role": "owner"});
    office.admin(Method::PATCH, "/operators/boris", Some(promotion), 403).await;
    office.admin(Method::POST, "/tokens", Some(json!({"operator": "root"})), 404).await;
    let made = office.call(&office.owner, Method::POST, "/operators", Some(owner), 201).await;
    assert_eq!(made["client"], json!(null));
    let token =
        office.call(&office.owner, Method::POST, "/tokens", Some(json!({"operator": "eva"})), 201).await;
    let eva = token["token"].as_str().unwrap();
    office.call(eva, Method::GET, "/clients", None, 200).await;
}

#[tokio::test]
async fn a_new_role_counts_at_once_also_for_tokens_that_are_out() {
    let office = Office::open().await;
    let change = json!({"name": "boris", "role": "admin"});
    office.admin(Method::PATCH, "/operators/boris", Some(change), 200).await;
    office.call(&office.viewer, Method::GET, "/tokens", None, 200).await;
    let change = json!({"name": "boss", "role": "owner"});
    office.call(&office.owner, Method::PATCH, "/operators/boris", Some(change), 200).await;
    office.call(&office.viewer, Method::GET, "/clients", None, 200).await;
    let taken = json!({"name": "vera", "role": "owner"});
    office.call(&office.owner, Method::PATCH, "/operators/boss", Some(taken), 409).await;
    office.call(&office.owner, Method::DELETE, "/operators/boss", None, 204).await;
    office.call(&office.viewer, Method::GET, "/whoami", None, 401).await;
}

#[tokio::test]
async fn a_rotated_token_is_out_at_once_and_its_successor_has_its_rights() {
    let office = Office::open().await;
    let new = json!({"acs": "1c", "name": "касса", "personal": false, "expires_at": "2026-11-22T09:00:00Z"});
    let first = office.admin(Method::POST, "/tokens", Some(new), 201).await;
    let (id, secret) = (first["id"].as_str().unwrap(), first["token"].as_str().unwrap());
    office.call(secret, Method::GET, "/whoami", None, 200).await;
    office.plant.advance(6 * 3_600 * simo_common::time::SECOND);
    let second = office.admin(Method::POST, &format!("/tokens/{id}/rotate"), None, 201).await;
    office.call(secret, Method::GET, "/whoami", None, 401).await;
    let secret = second["token"].as_str().unwrap();
    office.call(secret, Method::GET, "/whoami", None, 200).await;
    assert_eq!(second["expires_at"], "2026-11-22T15:00:00Z");
    let shown =
        office.admin(Method::GET, &format!("/tokens/{}", second["id"].as_str().unwrap()), None, 200).await;
    assert_eq!((&shown["name"], &shown["personal"]), (&json!("касса"), &json!(false)));
    assert!(shown.get("token").is_none());
    office.admin(Method::POST, &format!("/tokens/{id}/rotate"), None, 409).await;
    office.admin(Method::DELETE, &format!("/tokens/{id}"), None, 204).await;
}

#[tokio::test]
async fn a_token_says_for_whom_it_is_and_ends_in_the_future() {
    let office = Office::open().await;
    for (body, fields) in [
        (json!({}), vec!["acs"]),
        (json!({"acs": "1c", "operator": "anna"}), vec!["acs"]),
        (json!({"acs": "operator"}), vec!["acs"]),
        (json!({"acs": "1С", "expires_at": "вчера"}), vec!["acs", "expires_at"]),
        (json!({"acs": "1c", "expires_at": "2026-11-21T08:00:00Z"}), vec!["expires_at"]),
        (json!({"operator": "anna", "personal": true}), vec!["personal"]),
    ] {
        let problem = office.admin(Method::POST, "/tokens", Some(body), 422).await;
        assert_eq!(wrong_fields(&problem), fields);
    }
}

#[tokio::test]
async fn an_archived_acs_comes_back_without_its_tokens() {
    let office = Office::open().await;
    let token = office.admin(Method::POST, "/tokens", Some(json!({"acs": "1c"})), 201).await;
    let secret = token["token"].as_str().unwrap();
    office.admin(Method::DELETE, "/acs/1c", None, 204).await;
    office.call(secret, Method::GET, "/whoami", None, 401).await;
    office.admin(Method::POST, "/tokens", Some(json!({"acs": "1c"})), 409).await;
    let back = office.admin(Method::POST, "/acs", Some(json!({"slug": "1c"})), 201).await;
    assert_eq!(back["tokens"], 0);
    office.call(secret, Method::GET, "/whoami", None, 401).await;
    office.admin(Method::POST, "/acs", Some(json!({"slug": "1c"})), 409).await;
}

#[tokio::test]
async fn an_archived_client_comes_back_only_when_asked_and_without_its_operators() {
    let office = Office::open().await;
    office.call(&office.owner, Method::DELETE, "/clients/depo", None, 204).await;
    office.call(&office.stranger, Method::GET, "/whoami", None, 401).await;
    office.call(&office.owner, Method::GET, "/employees?client=depo", None, 404).await;
    let again = json!({"slug": "depo", "name": "Депо"});
    let problem = office.call(&office.owner, Method::POST, "/clients", Some(again), 409).await;
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("--restore"), "{said}");
    let edit = json!({"restore": true});
    office.call(&office.owner, Method::PATCH, "/clients/depo", Some(edit), 422).await;
    let back = json!({"slug": "depo", "restore": true});
    let back = office.call(&office.owner, Method::POST, "/clients", Some(back), 201).await;
    assert_eq!(back["archived_at"], json!(null));
    office.call(&office.stranger, Method::GET, "/whoami", None, 401).await;
    office.call(&office.owner, Method::GET, "/employees?client=depo", None, 200).await;
}

#[tokio::test]
async fn all_wrong_settings_of_a_client_are_named() {
    let office = Office::open().await;
    let wrong =
        json!({"slug": "Завод", "name": " ", "timezone": "Mars", "default_ttl": 0, "retention_days": -1});
    let problem = office.call(&office.owner, Method::POST, "/clients", Some(wrong), 422).await;
    assert_eq!(wrong_fields(&problem), ["slug", "name", "timezone", "default_ttl", "retention_days"]);
    let edit = json!({"payload": "doorbell", "retention_days": 30});
    office.call(&office.owner, Method::PATCH, "/clients/depo", Some(edit), 200).await;
    let edit = json!({"retention_days": 0, "slug": "depo"});
    let client = office.call(&office.owner, Method::PATCH, "/clients/depo", Some(edit), 200).await;
    assert_eq!(client["payload"], "doorbell");
    assert_eq!(client["timezone"], "Europe/Moscow");
    assert_eq!(client["default_ttl"], 259_200);
    assert_eq!(client["retention_days"], json!(null));
}
