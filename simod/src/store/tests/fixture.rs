//! A client with an ACS, three employees with a phone each, a group and a topic.

use std::path::PathBuf;

use simo_common::{api::message::Recipients, people, token};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    channel::ChannelKind,
    clock::Clock,
    store::{
        AcsNo, ClientNo, Draft, Expiry, Incoming, Poster, Store,
        db::engine::{query, query_scalar},
    },
};

/// 2026-11-01 12:00 in Moscow.
pub(crate) const NOON: i64 = 1_793_523_600_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;

pub(crate) struct Fixture {
    pub store: Store,
    pub clock: Clock,
    pub client_no: ClientNo,
    token: String,
    url: String,
    folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::by(Clock::manual(NOON)).await
    }

    /// The same with this clock.
    pub(crate) async fn by(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = crate::testing::empty_database(&folder).await;
        let store = Store::open(&url, clock.clone()).await.unwrap();
        let (client_no, token) = add_client(&store, "zavod").await;
        let fixture = Self { store, clock, client_no, token, url, folder };
        for no in 1..=3 {
            add_employee(&fixture.store, client_no, no, Some(&format!("address-{no}"))).await;
        }
        fixture
            .execute(&format!(
                "insert into \"group\" (client_no, slug, name, created_at) values ({client}, 'smena-a', 'Смена А', 1);
                 insert into group_member select client_no, no, 1 from \"group\";
                 insert into topic (client_no, slug, name, created_at) values ({client}, 'boiler', 'Котельная', 1)",
                client = client_no.0,
            ))
            .await;
        fixture
    }

    /// Another instance's view of the same database, with the same clock; a file has only one.
    pub(crate) async fn another_store(&self) -> Store {
        Store::open(&self.url, self.clock.clone()).await.unwrap()
    }

    /// The database file, if there is one.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("simo.db")
    }

    /// A message without recipients yet.
    pub(crate) fn incoming(&self, title: &str) -> Incoming {
        incoming(&self.token, title)
    }

    pub(crate) fn personal(&self, title: &str, personnel_nos: &[&str]) -> Incoming {
        let mut incoming = self.incoming(title);
        incoming.draft.recipients = Some(Recipients {
            employees: personnel_nos.iter().map(|no| (*no).to_owned()).collect(),
            ..Recipients::default()
        });
        incoming
    }

    pub(crate) async fn grant_group(&self, topic: &str, group: &str) {
        self.execute(&format!(
            "insert into topic_grant (client_no, id, topic_no, group_no, created_at)
             select t.client_no, x'{}', t.no, g.no, 1 from topic t, \"group\" g
             where t.slug = '{topic}' and g.slug = '{group}'",
            Uuid::from_u128(9).simple(),
        ))
        .await;
    }

    /// More employees, without devices.
    pub(crate) async fn add_employees(&self, count: usize) {
        let known: usize = self.rows("select count(*) from employee").await[0].parse().unwrap();
        for no in known + 1..=known + count {
            add_employee(&self.store, self.client_no, no, None).await;
        }
    }

    /// Another client with one employee, and a message to them.
    pub(crate) async fn second_client(&self) -> Incoming {
        let (client_no, token) = add_client(&self.store, "kombinat").await;
        add_employee(&self.store, client_no, 1, Some("other-1")).await;
        let mut incoming = incoming(&token, "чужое");
        incoming.draft.recipients =
            Some(Recipients { employees: vec!["1".to_owned()], ..Recipients::default() });
        incoming
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let mut tx = self.store.write().await.unwrap();
        tx.run(sql).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The first column of each row, as text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        query_scalar(format!("with r(x) as ({sql}) select cast(x as text) from r"))
            .fetch_all(&mut self.store.read().await.unwrap())
            .await
            .unwrap()
    }
}

fn incoming(token: &str, title: &str) -> Incoming {
    Incoming {
        poster: Poster::Token(token::hash(token)),
        from: None,
        draft: Draft {
            title: title.to_owned(),
            body: String::new(),
            topic: None,
            priority: None,
            recipients: None,
            data: None,
            send_at: None,
            expiry: Expiry::Default,
            require_ack: false,
            external_id: None,
            allow_empty: false,
            fitted: Vec::new(),
            fingerprint: None,
        },
        idempotency_key: None,
        dry_run: false,
        budget: None,
        memory: None,
    }
}

async fn add_client(store: &Store, slug: &str) -> (ClientNo, String) {
    let token = token::generate(token::TokenKind::Acs);
    let mut tx = store.write().await.unwrap();
    let client_no: ClientNo = query_scalar(
        "insert into client (slug, name, timezone, default_ttl, created_at) values ($1, $1, 'Europe/Moscow', 7200, 1)
         returning no",
    )
    .bind(slug)
    .fetch_one(&mut tx)
    .await
    .unwrap();
    let acs_no: AcsNo =
        query_scalar("insert into acs (client_no, name, created_at) values ($1, '1c', 1) returning no")
            .bind(client_no)
            .fetch_one(&mut tx)
            .await
            .unwrap();
    query(
        "insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at)
         values ($1, $2, $3, 'acs', $4, '', '', 1)",
    )
    .bind(Uuid::from_u128(rand::random()))
    .bind(client_no)
    .bind(token::hash(&token).to_vec())
    .bind(acs_no)
    .execute(&mut tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    (client_no, token)
}

async fn add_employee(store: &Store, client_no: ClientNo, no: usize, address: Option<&str>) {
    let mut tx = store.write().await.unwrap();
    let name = format!("Сотрудник {no}");
    query(
        "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, devices, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, 1)",
    )
    .bind(client_no)
    .bind(no as i64)
    .bind(no.to_string())
    .bind(&name)
    .bind(people::fold_name(&name))
    .bind(people::sort_key(&name, &no.to_string()))
    .bind(i64::from(address.is_some()))
    .execute(&mut tx)
    .await
    .unwrap();
    // The next employee added through the store takes the next number.
    query("update client set next_employee_no = $2 where no = $1")
        .bind(client_no)
        .bind(no as i64 + 1)
        .execute(&mut tx)
        .await
        .unwrap();
    if let Some(address) = address {
        query(
            "insert into device (client_no, id, employee_no, channel, address, name, platform, paired_at)
             values ($1, $2, $3, $5, $4, 'phone', 'android', 1)",
        )
        .bind(client_no)
        .bind(Uuid::from_u128(rand::random()))
        .bind(no as i64)
        .bind(address)
        .bind(ChannelKind::Fcm)
        .execute(&mut tx)
        .await
        .unwrap();
        tx.run(
            "insert into way (client_no, device_no, no, channel, address, name, since)
             select client_no, no, way_no, channel, address, name, paired_at from device where true on conflict do nothing",
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}
