//! Test fixtures for phones: a real database with one client, written row by row, and the router on it.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::ConnectInfo};
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use simo_common::{
    hex::hex,
    id,
    lang::Lang,
    time::{DAY, SECOND},
    token::{self, TokenKind},
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    api::{self, Peer},
    app::App,
    channel::{Address, ChannelKind},
    clock::Clock,
    config::Config,
    store::{
        AcsNo, ClientNo, DeviceCaller, DeviceNo, EmployeeNo, MessageNo, NewDevice, Pairing, Store,
        TokenHolder, TopicNo, Way, Write,
        db::engine::{Column, query_scalar},
    },
};

/// The time when tests begin: 2026-11-21T09:00:00Z.
pub(crate) const START: i64 = 1_795_251_600 * SECOND;

/// The URL of an empty database: on the PostgreSQL server in `SIMO_TEST_POSTGRES`, else a file.
pub(crate) async fn empty_database(directory: &TempDir) -> String {
    use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
    let Ok(server) = std::env::var("SIMO_TEST_POSTGRES") else {
        return format!("sqlite:{}", directory.path().join("simo.db").display());
    };
    let name = format!("simo_{:032x}", rand::random::<u128>());
    let options: PgConnectOptions = server.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let create = format!("create database {name}");
    sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    url.to_string()
}

/// Makes a database in the old format, as far as simod checks it.
pub(crate) async fn make_old(url: &str) {
    use sqlx::{AnyConnection, Connection as _, any, raw_sql};
    any::install_default_drivers();
    let (url, before, hash) = if url.starts_with("sqlite:") {
        (format!("{url}?mode=rwc"), "pragma journal_mode = wal", "blob not null default x'00'")
    } else {
        (url.to_owned(), "", "bytea not null default '\\x00'")
    };
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let made = format!(
        "{before}; create table _sqlx_migrations (version bigint primary key, success boolean not null, checksum {hash});
         insert into _sqlx_migrations (version, success) values (1, true)"
    );
    raw_sql(sqlx::AssertSqlSafe(made)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A client with an ACS, a topic, and employees as they are added.
pub(crate) struct Plant {
    pub(crate) store: Arc<Store>,
    pub(crate) client_no: ClientNo,
    pub(crate) acs_no: AcsNo,
    pub(crate) acs_token: String,
    topic_no: TopicNo,
    url: String,
    _directory: TempDir,
}

/// A phone paired through the store.
#[derive(Debug, Clone)]
pub(crate) struct TestPhone {
    pub(crate) caller: DeviceCaller,
    pub(crate) token: String,
}

/// A message in the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestMessage {
    pub(crate) no: MessageNo,
    pub(crate) id: Uuid,
}

impl Plant {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = empty_database(&directory).await;
        let store = Store::open(&url, Clock::manual(START)).await.unwrap();
        let acs_token = token::generate(TokenKind::Acs);
        let mut tx = store.write().await.unwrap();
        let client_no = made::<ClientNo>(
            &mut tx,
            &format!(
                "client (slug, name, timezone, default_ttl, created_at) values ('zavod', 'Завод', 'UTC', 3600, {START})"
            ),
        )
        .await;
        let client = client_no.0;
        let acs = format!("acs (client_no, name, created_at) values ({client}, 'scada', {START})");
        let acs_no = made::<AcsNo>(&mut tx, &acs).await;
        let topic = format!(
            "topic (client_no, slug, name, created_at) values ({client}, 'boiler', 'Котельная', {START})"
        );
        let topic_no = made(&mut tx, &topic).await;
        tx.run(&format!(
            "insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at)
             values (x'{}', {client}, x'{}', 'acs', {}, 'scada', '', {START})",
            id::new(START).simple(),
            hex(&token::hash(&acs_token)),
            acs_no.0,
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
        Self { store: Arc::new(store), client_no, acs_no, acs_token, topic_no, url, _directory: directory }
    }

    /// Whether other instances may work on the same database.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// Another instance's view of the same database.
    pub(crate) async fn another_store(&self) -> Store {
        let clock = Clock::manual(self.store.clock().now());
        Store::open(&self.url, clock).await.unwrap()
    }

    /// Runs statements that return nothing.
    pub(crate) async fn run(&self, statements: &str) {
        let mut tx = self.store.write().await.unwrap();
        tx.run(statements).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The first column of the first row, as a number; `None` if it is null or there is no row.
    pub(crate) async fn number(&self, query: &str) -> Option<i64> {
        let mut reader = self.store.read().await.unwrap();
        query_scalar::<Option<i64>>(query).fetch_optional(&mut reader).await.unwrap().flatten()
    }

    /// The first column of all rows, as text.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let mut reader = self.store.read().await.unwrap();
        query_scalar(query).fetch_all(&mut reader).await.unwrap()
    }

    /// The number of unfinished pushes to a phone.
    pub(crate) async fn open_pushes(&self, device: DeviceNo) -> Option<i64> {
        let device = device.0;
        self.number(&format!("select count(*) from push where device_no = {device} and done_at is null"))
            .await
    }

    /// How many phones an employee has, according to the employee's row.
    pub(crate) async fn devices_of(&self, employee: EmployeeNo) -> Option<i64> {
        self.number(&format!("select devices from employee where no = {}", employee.0)).await
    }

    pub(crate) fn advance(&self, us: i64) {
        self.store.clock().set(self.store.clock().now() + us);
    }

    pub(crate) async fn employee(&self, no: u32) -> EmployeeNo {
        self.run(&format!(
            "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, created_at)
             values ({}, {no}, '{no:04}', 'Иванов {no}', 'иванов', x'{no:08x}', {START})",
            self.client_no.0,
        ))
        .await;
        no.into()
    }

    /// An invitation; returns its code.
    pub(crate) async fn invite(&self, employee: EmployeeNo) -> String {
        let code = token::generate_code();
        let now = self.store.clock().now();
        self.run(&format!(
            "insert into invite (code_hash, client_no, employee_no, created_at, expires_at)
             values (x'{}', {}, {}, {now}, {})",
            hex(&token::hash(&token::normalize_code(&code))),
            self.client_no.0,
            employee.0,
            now + DAY,
        ))
        .await;
        code
    }

    /// A paired phone; without an address it holds a stream.
    pub(crate) async fn phone(&self, employee: EmployeeNo, address: Option<&str>) -> TestPhone {
        let code = self.invite(employee).await;
        let token = token::generate(TokenKind::Device);
        let device = new_device(&code, &token, address);
        let paired = self.store.pair(&device).await.unwrap();
        assert!(matches!(paired, Pairing::Done(_)), "the code works");
        let Some(TokenHolder::Device(caller)) = self.store.token_holder(&device.token_hash).await.unwrap()
        else {
            panic!("the token works")
        };
        TestPhone { caller, token }
    }

    /// A message for these employees, with deliveries, and pushes for their devices.
    pub(crate) async fn message(&self, title: &str, employees: &[EmployeeNo]) -> TestMessage {
        let now = self.store.clock().now();
        let id = id::new(now);
        let (client, expires_at) = (self.client_no.0, now + DAY);
        let message = format!(
            "message (client_no, id, acs_no, topic_no, title, body, priority, data, require_ack, external_id,
                 accepted_at, expires_at)
             values ({client}, x'{}', {}, {}, '{title}', 'текст', 2, '{{\"unit\":3}}', true, '{title}', {now},
                 {expires_at})",
            id.simple(),
            self.acs_no.0,
            self.topic_no.0,
        );
        let mut tx = self.store.write().await.unwrap();
        let no: MessageNo = made(&mut tx, &message).await;
        let mut statements = String::new();
        for employee in employees {
            let (no, employee) = (no.0, employee.0);
            let rows = format!(
                "insert into delivery (client_no, message_no, employee_no, expires_at, target)
                 values ({client}, {no}, {employee}, {expires_at}, 1);
                 insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
                 select client_no, {no}, employee_no, no, channel, 2, {now} from device
                 where client_no = {client} and employee_no = {employee} and retired_at is null;"
            );
            statements.push_str(&rows);
        }
        tx.run(&statements).await.unwrap();
        tx.commit().await.unwrap();
        TestMessage { no, id }
    }

    /// The parts of a running simod on this database.
    pub(crate) fn app(&self) -> Arc<App> {
        App::new(Config::default(), self.store.clone(), None, &TaskTracker::new(), CancellationToken::new())
    }
}

/// A phone as the API passes it to the store.
pub(crate) fn new_device(code: &str, token: &str, address: Option<&str>) -> NewDevice {
    NewDevice {
        code_hash: token::hash(&token::normalize_code(code)),
        key_hash: None,
        way: Way {
            channel: if address.is_some() { ChannelKind::Fcm } else { ChannelKind::Stream },
            address: address.map(|address| Address::new(address.to_owned())),
            endpoint: None,
            lang: Lang::Ru,
            notifications: None,
        },
        name: "Телефон".to_owned(),
        platform: "android".to_owned(),
        token_hash: token::hash(token),
        token_shown: token::shown(token),
    }
}

/// Inserts a row, and returns the number that the database assigned.
async fn made<T: Column>(tx: &mut Write, row: &str) -> T {
    query_scalar(format!("insert into {row} returning no")).fetch_one(tx).await.unwrap()
}

/// Calls the API with `token`.
pub(crate) async fn call(
    app: &Arc<App>,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (StatusCode, Value) {
    call_from(app, Peer::Tcp(None), method, path, token, body).await
}

/// The same from a given peer.
pub(crate) async fn call_from(
    app: &Arc<App>,
    peer: Peer,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(format!("{}{path}", simo_common::api::PREFIX));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.extension(ConnectInfo(peer)).body(body).unwrap();
    let response = tower::ServiceExt::oneshot(api::router(app.clone()), request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Reads a response's server-sent events.
pub(crate) struct Events {
    body: axum::body::BodyDataStream,
    read: String,
}

/// An event.
#[derive(Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Events {
    /// Opens a stream.
    pub(crate) async fn open(app: &Arc<App>, path: &str, token: &str, last_id: Option<&str>) -> Self {
        let mut request = Request::builder()
            .uri(format!("{}{path}", simo_common::api::PREFIX))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(api::router(app.clone()), request).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: response.into_body().into_data_stream(), read: String::new() }
    }

    /// The id sent before the first event.
    pub(crate) async fn first_id(&mut self) -> String {
        loop {
            let id = self.read.lines().find_map(|line| line.strip_prefix("id: "));
            if let Some(id) = id.filter(|_| self.read.ends_with("\n\n")) {
                return id.to_owned();
            }
            let chunk = self.body.next().await.unwrap().unwrap();
            self.read.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start_matches(": ").to_owned()
                };
                let received = Received {
                    id: field("id"),
                    event: field("event"),
                    data: serde_json::from_str(&field("data")).unwrap_or_default(),
                };
                self.read = rest.to_owned();
                if !received.data.is_null() {
                    return Some(received);
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.body.next())
                .await
                .expect("the stream says something, or ends");
            self.read += std::str::from_utf8(&chunk?.unwrap()).unwrap();
        }
    }
}
