//! Copies between a real file and a real server. Without `SIMO_TEST_POSTGRES` only what needs no server is tested.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tempfile::TempDir;
use uuid::Uuid;

use super::{
    tables::{LEFT_OUT, ONLY_ON_POSTGRES, Schema},
    *,
};
use crate::{
    channel::ChannelKind,
    clock::Clock,
    store::{Error, Store, db::engine::query_scalar},
    testing::{START, empty_database, make_old},
};

/// A file with an installation, and an empty database on the server.
struct Ends {
    file: std::path::PathBuf,
    server: String,
    _directory: TempDir,
}

impl Ends {
    /// `None` without a server.
    async fn new() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let server = empty_database(&directory).await;
        if server.starts_with("sqlite:") {
            return None;
        }
        let file = directory.path().join("source.db");
        let ends = Self { file, server, _directory: directory };
        ends.on_file(&installation()).await;
        Some(ends)
    }

    /// Runs statements on the file through a daemon's store, and closes it.
    async fn on_file(&self, statements: &str) {
        on(&format!("sqlite:{}", self.file.display()), statements).await;
    }

    async fn open(&self) -> Result<Copier> {
        let mut copier = Copier::open(&self.file, &self.server).await?;
        copier.chunk_rows = 7;
        Ok(copier)
    }

    async fn copy(&self) -> Result<Copied> {
        self.open().await?.run(&mut |_| {}).await
    }

    /// Copies until this many progress reports have arrived, then drops the copy; returns whether it was dropped.
    async fn copy_until(&self, times: usize) -> bool {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut follow = move |progress: Progress| tell.send(progress.doing).unwrap();
        let copier = self.open().await.unwrap();
        let cut = async {
            for _ in 0..times {
                if told.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            () = cut => true,
            copied = copier.run(&mut follow) => {
                copied.unwrap();
                false
            }
        }
    }

    async fn server_says(&self, query: &str) -> Vec<String> {
        says(&self.server, query).await
    }
}

async fn on(url: &str, statements: &str) {
    let store = Store::open(url, Clock::manual(START)).await.unwrap();
    let mut tx = store.write().await.unwrap();
    tx.run(statements).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}

async fn says(url: &str, query: &str) -> Vec<String> {
    let store = Store::open(url, Clock::manual(START)).await.unwrap();
    let found = query_scalar(query.to_owned()).fetch_all(&mut store.read().await.unwrap()).await.unwrap();
    store.close().await;
    found
}

fn id(number: u128) -> String {
    format!("x'{}'", Uuid::from_u128(number).simple())
}

/// Rows in most tables, with every kind of value.
fn installation() -> String {
    let mut statements = format!(
        r"insert into client (slug, name, timezone, notification, default_ttl, created_at)
          values ('zavod', 'Завод', 'UTC', true, 3600, 1), ('a\N', '\.', 'UTC', false, 1, -1);
          insert into operator (client_no, name, role, created_at) values (null, 'владелец', 'owner', 1);
          insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at)
          values ({}, null, x'00ff5c6e', 'operator', 1, '', '', 1);
          insert into topic_grant (client_no, id, topic_no, created_at) values (1, {}, 1, 1);
          insert into pairing_failure (address, hour, count)
          values ('192.0.2.1', 1, 1), ('192.0.2.1', 2, 9), ('я', 1, 1), ('Z', 1, 1), ('a', 1, 1);
          insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, created_at)
          values (1, 1, '001', 'Я', 'я', x'01', 1);
          insert into device (client_no, id, employee_no, channel, address, name, platform, paired_at)
          values (1, {}, 1, 1, 'a', '', '', 1);
          insert into message_span (first_no, earliest_at, latest_at) values (1, 1, 40);
          insert into event (client_no, at, kind, message_no) values (1, 1, 3, 1), (1, 1, 3, 2);",
        id(1),
        id(2),
        id(3),
    );
    for no in [-7].into_iter().chain(1..=40) {
        let title = format!("'a\tb\\\u{8}\u{b}\u{c}\u{1}\u{7f}' || char(10) || char(13) || '{no} 🦀'");
        let row = format!(
            "insert into message (no, client_no, id, title, body, priority, require_ack, accepted_at, expires_at)
             values ({no}, 1, {}, {title}, '', 1, false, {no}, {no});",
            id((1_000 + no) as u128),
        );
        statements.push_str(&row);
    }
    statements
        + "insert into delivery (client_no, message_no, employee_no, expires_at, sent_at, target)
           select 1, no, 1, 1, 1, 1 from message where no > 0
           union all select 1, no, 2, 1, null, 1 from message where no > 0;
           insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
           select 1, no, 1, 1, 1, 1, 1 from message where no > 0;"
        // Numbers have gaps, and the last ones given out belong to deleted rows.
        + "delete from push where message_no = 3; delete from message where no in (20, 40);
           delete from event where seq = 2; insert into \"group\" (client_no, slug, name, created_at)
           values (1, 'a', '', 1); delete from \"group\""
}

async fn schema_of_file() -> Schema {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("simo.db");
    on(&format!("sqlite:{}", file.display()), "").await;
    let mut source = Source::open(&file).await.unwrap();
    source.schema().await.unwrap()
}

/// `None` without a server.
async fn schema_of_server() -> Option<Schema> {
    let url = empty_database(&TempDir::new().unwrap()).await;
    if url.starts_with("sqlite:") {
        return None;
    }
    let (mut target, _) = Target::open(&url).await.unwrap();
    Some(target.schema().await.unwrap())
}

#[tokio::test]
async fn every_table_is_carried_or_left_out_by_name() {
    let known: BTreeSet<&str> = tables::CARRIED.into_iter().chain(LEFT_OUT).collect();
    let schemas = [Some(schema_of_file().await), schema_of_server().await];
    for schema in schemas.iter().flatten() {
        for table in schema.keys() {
            assert!(known.contains(table.as_str()), "the copy does not know {table}");
        }
    }
}

#[tokio::test]
async fn both_engines_migrations_make_the_same_tables() {
    let ours = schema_of_file().await;
    let Some(theirs) = schema_of_server().await else {
        return;
    };
    // The word index, the feed and the sums differ between the engines (decisions 0013, 0014 and 0053).
    let of_one =
        ["message_word", "message_unworded", "event", "event_floor", "message_sum", "_sqlx_migrations"];
    let columns = |schema: &Schema| -> BTreeSet<(String, String, bool)> {
        let tables = schema.iter().filter(|(table, _)| !of_one.contains(&table.as_str()));
        let columns = tables.flat_map(|(table, columns)| {
            let of_table =
                |column: &tables::Described| (table.clone(), column.name.clone(), column.is_generated);
            columns.iter().map(of_table).collect::<Vec<_>>()
        });
        columns.filter(|(table, column, _)| !ONLY_ON_POSTGRES.contains(&(table, column))).collect()
    };
    assert_eq!(columns(&ours), columns(&theirs));
    for (table, column) in ONLY_ON_POSTGRES {
        assert!(theirs[table].iter().any(|found| found.name == column), "{table}.{column}");
    }
}

#[tokio::test]
async fn everything_goes_over_and_the_file_stays_as_it_was() {
    let Some(ends) = Ends::new().await else { return };
    let before = std::fs::read(&ends.file).unwrap();
    let copied = ends.copy().await.unwrap();
    assert_eq!(copied.tables, tables::CARRIED.len());
    assert_eq!(std::fs::read(&ends.file).unwrap(), before);
    let folder = ends.file.parent().unwrap().read_dir().unwrap();
    let mut left: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["source.db", "source.db.lock"]);

    let title = "select title from message where no = 1";
    assert_eq!(ends.server_says(title).await, ["a\tb\\\u{8}\u{b}\u{c}\u{1}\u{7f}\n\r1 🦀"]);
    assert_eq!(ends.server_says("select no::text from message where no < 0").await, ["-7"]);
    let states = "select state || ':' || count(*) from delivery group by state order by state";
    assert_eq!(ends.server_says(states).await, ["0:40", "1:40"]);
    let sums = "select sum(queued) || ':' || sum(sent) from message_sum";
    assert_eq!(ends.server_says(sums).await, ["40:40"]);
    let facts =
        "select name || notification::text || coalesce(retention_days::text, '-') from client order by name";
    assert_eq!(ends.server_says(facts).await, [r"\.false-", "Заводtrue-"]);
    let unworded = "select count(*)::text from message_unworded";
    assert_eq!(ends.server_says(unworded).await, ["38"]);
    // New rows are numbered after the copied and after the deleted ones.
    let next = [
        (
            "client (slug, name, timezone, default_ttl, created_at) values ('b', '', 'UTC', 1, 1) returning no",
            "3",
        ),
        ("acs (client_no, name, created_at) values (1, 'a', 1) returning no", "1"),
        ("\"group\" (client_no, slug, name, created_at) values (1, 'b', '', 1) returning no", "2"),
    ];
    for (row, no) in next {
        assert_eq!(ends.server_says(&format!("insert into {row}::text")).await, [no], "{row}");
    }
    assert_eq!(ends.server_says("select nextval('message_no_seq')::text").await, ["41"]);
    // A finished copy counts as an installation.
    assert!(matches!(ends.copy().await, Err(CopyError::Occupied(CLIENT))));
}

#[tokio::test]
async fn cut_off_anywhere_it_goes_on_and_ends_in_the_same_state() {
    let Some(ends) = Ends::new().await else { return };
    ends.on_file(
        "insert into refusal (client_no, hour, address, reason, count, first_at, last_at)
         values (1, 1, '10.0.0.1', 'blocked', 1, 1, 1), (1, 1, '::1', 'blocked', 1, 1, 1)",
    )
    .await;
    // A server whose text collation is not bytewise: there the first of the two sorts last.
    let other_order = "alter table refusal alter column address type text collate \"und-x-icu\"";
    on(&ends.server, other_order).await;
    let mut cuts = 0;
    // Each time one step further than before, which may have copied nothing.
    for times in (1..).step_by(2) {
        if !ends.copy_until(times).await {
            break;
        }
        match Store::open(&ends.server, Clock::manual(START)).await {
            Err(Error::HalfCopied(_)) => cuts += 1,
            // The last step was reported after it was done.
            opened => {
                opened.unwrap().close().await;
                break;
            }
        }
    }
    assert!(cuts > 10, "{cuts}");
    let states = "select state || ':' || count(*) from delivery group by state order by state";
    assert_eq!(ends.server_says(states).await, ["0:40", "1:40"]);
}

#[tokio::test]
async fn a_source_that_was_used_in_between_is_noticed_and_starts_anew() {
    let Some(ends) = Ends::new().await else { return };
    assert!(ends.copy_until(30).await);
    ends.on_file("update client set name = 'Комбинат' where slug = 'zavod'").await;
    let refused = ends.copy().await;
    assert!(matches!(refused, Err(CopyError::SourceChanged { .. })), "{refused:?}");
    let mut copier = ends.open().await.unwrap();
    let (_, rows) = copier.unfinished().unwrap();
    assert!(rows > 0);
    copier.empty().await.unwrap();
    copier.run(&mut |_| {}).await.unwrap();
    let name = "select name from client where slug = 'zavod'";
    assert_eq!(ends.server_says(name).await, ["Комбинат"]);
}

#[tokio::test]
async fn the_key_of_web_push_goes_along_and_takes_the_place_of_one_that_the_server_has_made() {
    let Some(ends) = Ends::new().await else { return };
    ends.on_file("insert into installation (name, value) values ('vapid_key', 'ours')").await;
    on(&ends.server, "insert into installation (name, value) values ('vapid_key', 'of the server')").await;
    assert!(ends.copy_until(1).await);
    ends.copy().await.unwrap();
    assert_eq!(ends.server_says("select name || ' ' || value from installation").await, ["vapid_key ours"]);
}

#[tokio::test]
async fn a_target_with_data_is_left_alone() {
    let Some(ends) = Ends::new().await else { return };
    on(&ends.server, "insert into operator (name, role, created_at) values ('я', 'owner', 1)").await;
    assert!(matches!(ends.copy().await, Err(CopyError::Occupied("operator"))));
    // Not even an unfinished copy with a client in it, which we did not make.
    let Some(ends) = Ends::new().await else { return };
    let running = Store::open(&ends.server, Clock::manual(START)).await.unwrap();
    assert!(matches!(ends.copy().await, Err(CopyError::Served)));
    running.close().await;
    assert!(ends.copy_until(30).await);
}

#[tokio::test]
async fn a_daemon_that_was_there_before_sends_nothing_and_what_it_changes_is_noticed() {
    let Some(ends) = Ends::new().await else { return };
    let copier = ends.open().await.unwrap();
    // Between the check for daemons and the mark.
    let daemon = Arc::new(Store::open(&ends.server, Clock::manual(START)).await.unwrap());
    let meddling = daemon.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let meddle = tokio::spawn(async move {
        told.await.unwrap();
        let mut tx = meddling.write().await.unwrap();
        tx.run("update token set name = 'x'").await.unwrap();
        tx.commit().await.unwrap();
    });
    let mut tell = Some(tell);
    let mut follow = |progress: Progress| {
        if progress.doing == Doing::Copying && progress.table == "message" {
            let _told = tell.take().map(|tell| tell.send(()));
        }
    };
    let refused = copier.run(&mut follow).await;
    meddle.await.unwrap();
    let differs = matches!(refused, Err(CopyError::Differs { table: "token", .. }));
    assert!(differs, "{refused:?}");
    let refused = Store::open(&ends.server, Clock::manual(START)).await;
    assert!(matches!(refused, Err(Error::HalfCopied(_))), "{refused:?}");

    // Only the clients are missing for it to be sent.
    let claim = || daemon.claim(ChannelKind::Fcm, 100, Duration::from_mins(1));
    assert_eq!(claim().await.unwrap().pushes.len(), 0);
    let mut tx = daemon.write().await.unwrap();
    let client = "insert into client (no, slug, name, timezone, default_ttl, created_at)
                  values (1, 'zavod', '', 'UTC', 1, 1)";
    tx.run(client).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim().await.unwrap().pushes.len(), 37);
}

#[tokio::test]
async fn behind_a_pooler_it_works_on_a_database_that_is_migrated() {
    let Some(mut ends) = Ends::new().await else { return };
    let direct = ends.server.clone();
    // The server may be named by a parameter: its socket's directory.
    ends.server += if direct.contains('?') { "&" } else { "?" };
    ends.server += "statement-cache-capacity=0";
    let refused = ends.open().await;
    let unmigrated = matches!(refused, Err(CopyError::Store(Error::Unmigrated(_))));
    assert!(unmigrated, "{refused:?}");
    on(&direct, "").await;
    ends.copy().await.unwrap();
    assert_eq!(ends.server_says("select count(*)::text from delivery").await, ["80"]);
}

#[tokio::test]
async fn a_value_that_the_server_does_not_take_is_named() {
    let Some(ends) = Ends::new().await else { return };
    for (value, why) in [("'a' || char(0)", "NUL"), ("x'00'", "mismatched")] {
        ends.on_file(&format!("update message set body = {value} where no = 9")).await;
        let mut copier = ends.open().await.unwrap();
        copier.empty().await.unwrap();
        let refused = copier.run(&mut |_| {}).await.unwrap_err().to_string();
        assert!(refused.contains("`message`, column `body`") && refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_or_older_is_refused() {
    let Some(ends) = Ends::new().await else { return };
    let missing = ends.file.with_extension("missing");
    let refused = Copier::open(&missing, &ends.server).await;
    assert!(matches!(refused, Err(CopyError::NoSource(_))));
    assert!(!missing.exists());
    ends.on_file("delete from _sqlx_migrations").await;
    let refused = ends.open().await;
    assert!(matches!(refused, Err(CopyError::SourceUnmigrated { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_the_old_form_is_refused_on_either_side() {
    let Some(ends) = Ends::new().await else { return };
    let empty = empty_database(&TempDir::new().unwrap()).await;
    make_old(&empty).await;
    let refused = Copier::open(&ends.file, &empty).await;
    assert!(matches!(refused, Err(CopyError::Store(Error::Of01))), "{refused:?}");
    let old = ends.file.with_extension("old");
    make_old(&format!("sqlite:{}", old.display())).await;
    let before = std::fs::read(&old).unwrap();
    let refused = Copier::open(&old, &ends.server).await;
    assert!(matches!(refused, Err(CopyError::Store(Error::Of01))), "{refused:?}");
    assert_eq!(std::fs::read(&old).unwrap(), before);
    assert!(!old.with_extension("old-wal").exists());
}
