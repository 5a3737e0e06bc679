//! A request for every operation: the objects in its path exist, and its body is valid.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use simo_common::api::{PREFIX, site::PlanSite};
use uuid::Uuid;

use super::{
    table::Row,
    world::{MINE, World},
};

/// An operation of the OpenAPI document.
pub(super) struct Operation {
    pub(super) method: Method,
    /// Without the version's prefix.
    pub(super) path: String,
    prefix: &'static str,
    id: String,
    has_body: bool,
}

impl Operation {
    pub(super) fn all(document: &Value) -> Vec<Self> {
        let paths = document["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, item)| {
            let (prefix, path) = match path.strip_prefix(PREFIX) {
                Some(path) => (PREFIX, path),
                None => ("", path.as_str()),
            };
            item.as_object().unwrap().iter().map(move |(method, operation)| Self {
                method: method.to_uppercase().parse().unwrap(),
                path: path.to_owned(),
                prefix,
                id: operation["operationId"].as_str().unwrap().to_owned(),
                has_body: operation.get("requestBody").is_some(),
            })
        });
        operations.collect()
    }

    pub(super) fn is(&self, row: &Row) -> bool {
        self.method == *row.method && self.path == row.path
    }
}

/// A request that any caller can send.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// With its parameters in braces.
    pub(super) path: String,
    prefix: &'static str,
    /// Values of the parameters, and of references in the body, by field name.
    pub(super) names: BTreeMap<String, String>,
    /// Parameters that the query string must have.
    query: &'static str,
    pub(super) body: Option<Value>,
}

impl Request {
    /// The path and query of the request.
    pub(super) fn target(&self, client: Option<&str>) -> String {
        let mut path = self.path.clone();
        for (parameter, name) in &self.names {
            path = path.replace(&format!("{{{parameter}}}"), name);
        }
        let client = client.map(|slug| format!("client={slug}"));
        let query: Vec<&str> = [Some(self.query), client.as_deref()]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.prefix, query.join("&"))
    }

    /// The same with names of the same form that do not exist.
    pub(super) fn with_other_names(&self) -> Self {
        let other = |name: &String| match name.parse::<Uuid>() {
            Ok(_) => Uuid::from_u128(rand::random()).to_string(),
            Err(_) => format!("none-{}", rand::random::<u32>()),
        };
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            prefix: self.prefix,
            names: self.names.iter().map(|(parameter, name)| (parameter.clone(), other(name))).collect(),
            query: self.query,
            body: self.body.clone(),
        }
    }
}

/// A request whose path, or else its body, refers to the object named `it`.
fn refers(method: Method, path: &str, it: &str, body: Option<Value>) -> Request {
    Request {
        method,
        path: path.to_owned(),
        prefix: PREFIX,
        names: BTreeMap::from([("it".to_owned(), it.to_owned())]),
        query: "",
        body,
    }
}

/// Requests of an administrator that refer to an employee.
pub(super) fn of_employee(it: &str) -> Vec<Request> {
    vec![
        refers(Method::PUT, "/groups/smena-a/members/{it}", it, None),
        refers(Method::DELETE, "/groups/smena-a/members/{it}", it, None),
        refers(Method::POST, "/topics/kotly/grants", it, Some(json!({"grantee": {"employee": it}}))),
        refers(Method::POST, "/devices/invite", it, Some(json!({"employee": it}))),
        refers(
            Method::POST,
            "/messages",
            it,
            Some(json!({"title": "Проверка", "recipients": {"employees": [it]}})),
        ),
    ]
}

/// Requests of an administrator that refer to a group.
pub(super) fn of_group(it: &str) -> Vec<Request> {
    vec![
        refers(Method::PUT, "/groups/smena-a/groups/{it}", it, None),
        refers(Method::POST, "/topics/kotly/grants", it, Some(json!({"grantee": {"group": it}}))),
        refers(Method::POST, "/devices/invites", it, Some(json!({"groups": [it]}))),
        refers(
            Method::POST,
            "/messages",
            it,
            Some(json!({"title": "Проверка", "recipients": {"groups": [it]}})),
        ),
    ]
}

/// Requests of an administrator that refer to a topic.
pub(super) fn of_topic(it: &str) -> Vec<Request> {
    vec![refers(Method::POST, "/messages", it, Some(json!({"title": "Проверка", "topic": it})))]
}

/// Requests of an administrator that refer to an operator.
pub(super) fn of_operator(it: &str) -> Vec<Request> {
    vec![refers(Method::POST, "/tokens", it, Some(json!({"operator": it})))]
}

impl World<'_> {
    /// A request whose path names an object made for it alone, which it may change or remove.
    pub(super) async fn request(&self, operation: &Operation) -> Request {
        let names = self.names(operation).await;
        let body = self.body(operation).await;
        assert_eq!(
            body.is_some(),
            operation.has_body,
            "{}: say in matrix/requests.rs what its body is",
            operation.id
        );
        Request {
            method: operation.method.clone(),
            path: operation.path.clone(),
            prefix: operation.prefix,
            names,
            query: if operation.id == "explain" { "employee=001" } else { "" },
            body,
        }
    }

    async fn names(&self, operation: &Operation) -> BTreeMap<String, String> {
        let path = operation.path.as_str();
        let removes = operation.method == Method::DELETE;
        let mut names = BTreeMap::new();
        let mut name = |parameter: &str, value: String| names.insert(parameter.to_owned(), value);
        if !path.contains('{') {
            return names;
        }
        let mut parts = path.split('/').skip(1);
        match (parts.next().unwrap(), parts.nth(1)) {
            ("acs", None) => drop(name("name", self.new_acs().await)),
            ("clients", None) if removes => drop(name("slug", self.new_client().await)),
            ("clients", None) => drop(name("slug", MINE.to_owned())),
            ("device", _) if path.starts_with("/device/devices/") => {
                drop(name("id", self.new_device().await));
            }
            ("device" | "messages", _) => drop(name("id", self.new_message().await)),
            ("devices", Some(_)) => drop(name("id", self.new_batch().await)),
            ("devices", None) => drop(name("id", self.new_device().await)),
            ("employees", _) => drop(name("personnel_no", self.new_employee().await)),
            ("groups", None) => drop(name("slug", self.new_group().await)),
            ("groups", Some("groups")) => {
                let (group, included) = (self.new_group().await, self.new_group().await);
                if removes {
                    self.mine.admin.include_group(&group, &included).await.unwrap();
                }
                name("slug", group);
                name("included", included);
            }
            ("groups", Some("members")) => {
                let (group, employee) = (self.new_group().await, self.new_employee().await);
                if removes {
                    self.mine.admin.add_member(&group, &employee).await.unwrap();
                }
                name("slug", group);
                name("personnel_no", employee);
            }
            ("operators", None | Some("code")) => drop(name("name", self.new_operator().await)),
            ("operators", Some(_)) => {
                let operator = self.new_operator().await;
                if path.ends_with("{id}") {
                    name("id", self.new_session(&operator).await);
                }
                name("name", operator);
            }
            ("sessions", _) => drop(name("id", self.new_session("ivanov").await)),
            ("tokens", _) => drop(name("id", self.new_token().await)),
            ("topics", grants) => {
                let topic = self.new_topic().await;
                if removes && grants.is_some() {
                    name("id", self.new_grant(&topic).await);
                }
                name("slug", topic);
            }
            _ => panic!("{path}: say in matrix/requests.rs what it names"),
        }
        names
    }

    async fn body(&self, operation: &Operation) -> Option<Value> {
        let fresh = || self.fresh("new");
        let message = json!({"title": "Проверка", "recipients": {"employees": ["001"]}});
        let body = match operation.id.as_str() {
            "add_acs" | "add_client" | "add_group" | "add_topic" => json!({"slug": fresh()}),
            "edit_client" | "edit_device" | "edit_group" | "edit_topic" => json!({"name": "Иначе"}),
            "edit_acs" => json!({"name": fresh()}),
            "edit_employee" => json!({"full_name": "Иванова Мария Петровна"}),
            "change_channel" => json!({"kind": "stream"}),
            "pair" => {
                json!({"code": self.new_code().await, "channel": {"kind": "stream"}, "name": "Т", "platform": "android"})
            }
            "preview_pairing" => json!({"code": self.new_code().await}),
            "send_receipts" => {
                json!([{"message_id": self.new_message().await, "kind": "read", "at": "2026-01-01T00:00:00Z"}])
            }
            "invite_device" | "erase_audit" => json!({"employee": "001"}),
            "invite_devices" => json!({"groups": ["smena-a"]}),
            "add_employee" => json!({"personnel_no": fresh(), "full_name": "Новый"}),
            "import_employees" => {
                json!([{"line": 1, "employee": {"personnel_no": fresh(), "full_name": "Новый"}}])
            }
            "post_message" => message,
            "post_batch" => json!([message]),
            "add_operator" | "edit_operator" => json!({"name": fresh(), "role": "viewer"}),
            "issue_token" => json!({"acs": "1c"}),
            "login_code" => json!({}),
            "log_in" => json!({"code": self.new_login_code().await, "name": "ноутбук"}),
            "plan_site" => json!({"site": {}}),
            "apply_site" => {
                let nothing = PlanSite::default();
                let plan = self.mine.admin.plan_site(&nothing).await.unwrap();
                json!({"site": {}, "revision": plan.revision})
            }
            "grant" => json!({"grantee": {"employee": "001"}}),
            _ => return None,
        };
        Some(body)
    }
}
