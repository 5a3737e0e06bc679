//! The admin resources through the router, on a real database.

mod access;
mod employees;
mod import;
mod lists;

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use simo_common::{
    api::access::{ClientSpec, NewOperator},
    people::Role,
};

use crate::{
    app::App,
    store::{ClientNo, TokenFor, TokenTerms},
    testing::{Plant, call},
};

/// A plant (client `zavod`), a second client (`depo`), and tokens of operators.
struct Office {
    plant: Plant,
    app: Arc<App>,
    owner: String,
    admin: String,
    viewer: String,
    /// The admin of the other client.
    stranger: String,
}

impl Office {
    async fn open() -> Self {
        let plant = Plant::new().await;
        let app = plant.app();
        let store = &app.store;
        store.add_client("depo", &ClientSpec::default()).await.unwrap();
        let depo = store.client_no("depo").await.unwrap().unwrap();
        let zavod = plant.client_no;
        Self {
            owner: operator(&app, None, "root", Role::Owner).await,
            admin: operator(&app, Some(zavod), "anna", Role::Admin).await,
            viewer: operator(&app, Some(zavod), "boris", Role::Viewer).await,
            stranger: operator(&app, Some(depo), "vera", Role::Admin).await,
            plant,
            app,
        }
    }

    /// Calls as the admin; the answer must have this status.
    async fn admin(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
        self.call(&self.admin, method, path, body, status).await
    }

    async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
        let said = format!("{method} {path}");
        let (got, answer) = call(&self.app, method, path, Some(token), body).await;
        assert_eq!(got.as_u16(), status, "{said}: {answer}");
        answer
    }

    async fn status(&self, token: &str, method: Method, path: &str) -> StatusCode {
        call(&self.app, method, path, Some(token), None).await.0
    }

    /// Follows the pages of a list; returns `field` of each row.
    async fn all(&self, path: &str, field: &str) -> Vec<String> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.admin(Method::GET, &format!("{path}{mark}limit=2{cursor}"), None, 200).await;
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            rows.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    async fn employee(&self, no: &str, name: &str, groups: &[&str]) -> Value {
        let employee = json!({"personnel_no": no, "full_name": name, "groups": groups});
        self.admin(Method::POST, "/employees", Some(employee), 201).await
    }

    async fn group(&self, slug: &str) {
        self.admin(Method::POST, "/groups", Some(json!({"slug": slug})), 201).await;
    }
}

/// Makes an operator; returns a token of theirs.
async fn operator(app: &App, client: Option<ClientNo>, name: &str, role: Role) -> String {
    let new = NewOperator { name: name.to_owned(), role };
    app.store.add_operator(client, &new).await.unwrap();
    let holder = TokenFor::Operator { within: None, name };
    let issued = app.store.issue_token(holder, &TokenTerms::default()).await;
    issued.unwrap().token
}

/// The fields that a problem names.
fn wrong_fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|e| e["field"].as_str().unwrap()).collect()
}
