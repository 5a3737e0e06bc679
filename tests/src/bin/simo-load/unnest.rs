//! The least that PostgreSQL could do for the same messages: insert their rows into the same tables with `unnest`, in
//! transactions as large as simod's.

use std::time::{Duration, Instant};

use simo_common::{id, time};
use simo_tests::{clock, postgres, simod::Setup};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    ingest::{self, EMPLOYEES},
    site,
};

/// Messages that simod takes into one transaction.
const BATCH: usize = 256;

/// Its own database with the same tables and people.
pub(crate) struct Unnest {
    // Kept because its database is removed with it.
    _simod: simo_tests::Simod,
    url: String,
    client_no: i64,
    /// Employees with their devices.
    phones: Vec<(i64, i64)>,
}

impl Unnest {
    pub(crate) async fn prepare(setup: Setup) -> Self {
        assert!(postgres::server().is_some(), "a server is measured");
        let (mut simod, _) = site::with_phones(setup, EMPLOYEES, "stream").await;
        simod.terminate().await;
        let url = simod.database_url();
        let mut connection = PgConnection::connect(&url).await.expect("the database opens");
        let phones: Vec<(i64, i64, i64)> = sqlx::query_as("select client_no, employee_no, no from device")
            .fetch_all(&mut connection)
            .await
            .expect("devices can be read");
        Self {
            _simod: simod,
            url,
            client_no: phones[0].0,
            phones: phones.into_iter().map(|phone| (phone.1, phone.2)).collect(),
        }
    }

    /// Messages a second.
    pub(crate) async fn rate(&self, length: Duration) -> f64 {
        let mut connection = PgConnection::connect(&self.url).await.expect("the database opens");
        let started = Instant::now();
        let mut inserted = 0;
        while started.elapsed() < length {
            self.insert(&mut connection, inserted).await.expect("rows can be inserted");
            inserted += BATCH;
        }
        inserted as f64 / started.elapsed().as_secs_f64()
    }

    async fn insert(&self, connection: &mut PgConnection, first: usize) -> sqlx::Result<()> {
        let now = clock::now_us();
        let ids: Vec<Uuid> = (0..BATCH).map(|_| id::new(now)).collect();
        let bodies: Vec<String> = (first..first + BATCH).map(ingest::message).collect();
        let titles: Vec<String> = (first..first + BATCH).map(|n| format!("Наряд № {n}")).collect();
        let phones = (first..first + BATCH).map(|n| self.phones[n % self.phones.len()]);
        let (employees, devices): (Vec<i64>, Vec<i64>) = phones.unzip();
        let expires_at = now + 3 * time::DAY;
        let mut transaction = connection.begin().await?;
        let numbers: Vec<i64> = sqlx::query_scalar(
            "insert into message (client_no, id, title, body, priority, require_ack, accepted_at, expires_at, accepted)
             select $1, id, title, body, 2, false, $2, $3, 1 from unnest($4::uuid[], $5::text[], $6::text[])
             as t (id, title, body) returning no",
        )
        .bind(self.client_no)
        .bind(now)
        .bind(expires_at)
        .bind(&ids)
        .bind(&titles)
        .bind(&bodies)
        .fetch_all(&mut *transaction)
        .await?;
        sqlx::query(
            "insert into delivery (client_no, message_no, employee_no, expires_at, target)
             select $1, message, employee, $2, 1 from unnest($3::bigint[], $4::bigint[])
             as t (message, employee)",
        )
        .bind(self.client_no)
        .bind(expires_at)
        .bind(&numbers)
        .bind(&employees)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
             select $1, message, employee, device, -1, 2, $2 from unnest($3::bigint[], $4::bigint[], $5::bigint[])
             as t (message, employee, device)",
        )
        .bind(self.client_no)
        .bind(now)
        .bind(&numbers)
        .bind(&employees)
        .bind(&devices)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "insert into event (client_no, at, kind, message_no)
             select $1, $2, 1, message from unnest($3::bigint[]) as t (message)",
        )
        .bind(self.client_no)
        .bind(now)
        .bind(&numbers)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}
