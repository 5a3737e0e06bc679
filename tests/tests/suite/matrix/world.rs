//! Two clients with the same names for everything, and one caller of each kind.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::Method;
use simo_common::{
    api::{
        access::{ClientSpec, Grantee, Named, NewOperator, NewToken},
        invites::NewBatch,
        login::NewLoginCode,
        people::NewInvite,
        problem::Problem,
    },
    client::{Client, ListQuery},
    people::Role,
    token::{self, Scope, TokenKind},
};
use simo_tests::{
    Plant, Simod, clock, eventually,
    plant::{post, to_employees},
};
use tokio::sync::Mutex;

use super::requests::Request;

/// The client whose objects are requested.
pub(super) const MINE: &str = "zavod";

/// A caller.
pub(super) struct Caller {
    /// The name of the caller's column.
    pub(super) name: &'static str,
    credential: Credential,
    /// The client named in the caller's requests.
    pub(super) client: Option<&'static str>,
    /// Whether the caller has no rights in the client.
    pub(super) stranger: bool,
}

enum Credential {
    /// No token, over TCP.
    Nothing,
    /// No token, over the local socket.
    Socket,
    /// A token, over TCP.
    Token(String),
    /// The token of this employee's phone, over TCP; an unpaired phone is replaced.
    Phone(&'static str),
}

/// The two clients, and the callers.
pub(super) struct World<'a> {
    simod: &'a Simod,
    pub(super) mine: Plant,
    acs: Client,
    callers: Vec<Caller>,
    http: reqwest::Client,
    local: reqwest::Client,
    phones: Mutex<HashMap<&'static str, String>>,
    made: AtomicUsize,
}

impl<'a> World<'a> {
    pub(super) async fn new(simod: &'a Simod) -> Self {
        let (mine, theirs) = (plant(simod, MINE).await, plant(simod, "fabrika").await);
        let acs = mine.token("1c").await;
        Self {
            callers: callers(simod, &mine, &theirs, acs.clone()).await,
            simod,
            acs: simod.caller(&acs),
            mine,
            http: reqwest::Client::new(),
            local: reqwest::Client::builder().unix_socket(simod.socket()).build().unwrap(),
            phones: Mutex::default(),
            made: AtomicUsize::new(0),
        }
    }

    pub(super) fn callers(&self) -> &[Caller] {
        &self.callers
    }

    pub(super) fn caller(&self, name: &str) -> &Caller {
        self.callers.iter().find(|caller| caller.name == name).unwrap()
    }

    /// The status, and the problem if refused. Does not wait for the body of a stream.
    pub(super) async fn call(
        &self,
        caller: &Caller,
        request: &Request,
        client: Option<&str>,
    ) -> (u16, Option<Problem>) {
        let target = request.target(client);
        let (http, url) = match caller.credential {
            Credential::Socket => (&self.local, format!("http://localhost{target}")),
            _ => (&self.http, format!("{}{target}", self.simod.url())),
        };
        let mut asked = http.request(request.method.clone(), url);
        match &caller.credential {
            Credential::Nothing | Credential::Socket => {}
            Credential::Token(token) => asked = asked.bearer_auth(token),
            Credential::Phone(employee) => {
                let mut phones = self.phones.lock().await;
                if !phones.contains_key(employee) {
                    let phone = self.mine.stream_phone(self.simod, employee).await;
                    phones.insert(employee, phone.token);
                }
                asked = asked.bearer_auth(&phones[employee]);
            }
        }
        if let Some(body) = &request.body {
            asked = asked.json(body);
        }
        let answer = asked.send().await.unwrap();
        let status = answer.status();
        if status.is_success() {
            if let (Credential::Phone(employee), &Method::DELETE) = (&caller.credential, &request.method) {
                self.phones.lock().await.remove(employee);
            }
            return (status.as_u16(), None);
        }
        (status.as_u16(), Some(answer.json().await.unwrap()))
    }
}

/// The token of the ACS whose messages are named, with one scope.
async fn limited(plant: &Plant, scope: Scope) -> String {
    let token =
        NewToken { acs: Some("1c".to_owned()), scopes: Some(vec![scope.to_string()]), ..NewToken::default() };
    plant.admin.issue_token(&token).await.unwrap().token
}

/// Every kind of caller, in the order of the table's columns.
async fn callers(simod: &Simod, mine: &Plant, theirs: &Plant, acs: String) -> Vec<Caller> {
    use Credential::{Nothing, Phone, Socket, Token};
    let caller = |name, credential| Caller { name, credential, client: None, stranger: false };
    let stranger = |name, credential| Caller { stranger: true, ..caller(name, credential) };
    // Callers who can see several clients must name one.
    let naming = |name, credential| Caller { client: Some(MINE), ..caller(name, credential) };
    let blocked = mine.stream_phone(simod, "003").await.token;
    mine.admin.block_employee("003").await.unwrap();
    let other = operator(theirs, "petrov", Role::Admin).await;
    vec![
        caller("none", Nothing),
        caller("wrong", Token(token::generate(TokenKind::Operator))),
        caller("expired", Token(expired(simod, mine).await)),
        caller("revoked", Token(revoked(mine).await)),
        caller("acs", Token(acs)),
        caller("sends", Token(limited(mine, Scope::Send).await)),
        caller("reads", Token(limited(mine, Scope::Read).await)),
        stranger("acs-2", Token(mine.token("scada-2").await)),
        stranger("acs-b", Token(theirs.token("1c").await)),
        caller("phone", Phone("001")),
        stranger("phone-2", Phone("002")),
        caller("blocked", Token(blocked)),
        caller("viewer", Token(operator(mine, "sidorov", Role::Viewer).await)),
        stranger("other", Token(other.clone())),
        naming("other?", Token(other)),
        caller("admin", Token(operator(mine, "ivanov", Role::Admin).await)),
        naming("owner", Token(operator(mine, "glavny", Role::Owner).await)),
        naming("local", Socket),
    ]
}

async fn operator(plant: &Plant, name: &str, role: Role) -> String {
    let new = NewOperator { name: name.to_owned(), role };
    plant.admin.add_operator(&new).await.unwrap();
    let token = NewToken { operator: Some(name.to_owned()), ..NewToken::default() };
    let admin = match role {
        Role::Owner => plant.admin.clone().for_client(None),
        Role::Admin | Role::Viewer => plant.admin.clone(),
    };
    admin.issue_token(&token).await.unwrap().token
}

/// An admin's token that was revoked.
async fn revoked(plant: &Plant) -> String {
    let token = operator(plant, "gone", Role::Admin).await;
    let tokens = plant.admin.tokens(&ListQuery::default()).await.unwrap().items;
    let id = tokens.iter().find(|token| token.holder == "gone").unwrap().id;
    plant.admin.revoke_token(id).await.unwrap();
    token
}

/// An admin's token that has expired.
async fn expired(simod: &Simod, plant: &Plant) -> String {
    operator(plant, "late", Role::Admin).await;
    let token = NewToken {
        operator: Some("late".to_owned()),
        expires_at: Some(clock::in_seconds(1)),
        ..NewToken::default()
    };
    let token = plant.admin.issue_token(&token).await.unwrap().token;
    eventually("the token expires", || async { simod.caller(&token).whoami().await.is_err().then_some(()) })
        .await;
    token
}

/// A client; all have the same names for their objects.
async fn plant(simod: &Simod, slug: &str) -> Plant {
    let plant = Plant::new(simod, slug).await;
    plant.employees(&["001", "002", "003"], &["smena-a"]).await;
    plant.topic("kotly", &[Grantee::Everyone]).await;
    plant
}

/// Creates objects for a request's path, each for one request alone.
impl World<'_> {
    pub(super) fn fresh(&self, noun: &str) -> String {
        format!("{noun}-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    fn named(&self, noun: &str) -> Named {
        Named { slug: self.fresh(noun), name: None }
    }

    pub(super) async fn new_acs(&self) -> String {
        self.mine.admin.add_acs(&self.named("acs")).await.unwrap().name
    }

    pub(super) async fn new_client(&self) -> String {
        let spec = ClientSpec { slug: Some(self.fresh("client")), ..ClientSpec::default() };
        self.simod.owner().add_client(&spec).await.unwrap().client.slug
    }

    pub(super) async fn new_message(&self) -> String {
        post(&self.acs, &to_employees("Проверка", &["001"])).await.id.to_string()
    }

    pub(super) async fn new_batch(&self) -> String {
        let batch = NewBatch { groups: vec!["smena-a".to_owned()], ..NewBatch::default() };
        self.mine.admin.invite_devices(&batch).await.unwrap().id.to_string()
    }

    pub(super) async fn new_code(&self) -> String {
        let invite = NewInvite { employee: "001".to_owned(), valid_for: None };
        self.mine.admin.invite_device(&invite).await.unwrap().code
    }

    pub(super) async fn new_device(&self) -> String {
        self.mine.stream_phone(self.simod, "001").await.id.to_string()
    }

    pub(super) async fn new_employee(&self) -> String {
        let number = self.fresh("employee");
        self.mine.employees(&[&number], &[]).await;
        number
    }

    pub(super) async fn new_group(&self) -> String {
        self.mine.admin.add_group(&self.named("group")).await.unwrap().slug
    }

    pub(super) async fn new_operator(&self) -> String {
        let new = NewOperator { name: self.fresh("operator"), role: Role::Viewer };
        self.mine.admin.add_operator(&new).await.unwrap().name
    }

    pub(super) async fn new_login_code(&self) -> String {
        let name = self.new_operator().await;
        let new = NewLoginCode::default();
        self.mine.admin.login_code(&name, &new).await.unwrap().code
    }

    pub(super) async fn new_session(&self, operator: &str) -> String {
        let token = NewToken { operator: Some(operator.to_owned()), ..NewToken::default() };
        self.mine.admin.issue_token(&token).await.unwrap().id.to_string()
    }

    pub(super) async fn new_token(&self) -> String {
        let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
        self.mine.admin.issue_token(&token).await.unwrap().id.to_string()
    }

    pub(super) async fn new_topic(&self) -> String {
        let slug = self.fresh("topic");
        self.mine.topic(&slug, &[]).await;
        slug
    }

    pub(super) async fn new_grant(&self, topic: &str) -> String {
        let grant = self.mine.admin.grant(topic, &Grantee::Everyone.into()).await.unwrap();
        grant.id.to_string()
    }
}
