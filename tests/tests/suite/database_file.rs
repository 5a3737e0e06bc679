//! Which file a daemon opens, by whatever name, and that it opens it exclusively.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use simo_tests::{
    Plant,
    plant::{post, to_employees},
    simod::Setup,
};
use sqlx::{Connection as _, SqliteConnection};

#[tokio::test]
async fn a_second_daemon_on_the_same_file_refuses_and_says_who_holds_it() {
    let first = Setup::new().embedded().start().await;
    let names = tempfile::tempdir().unwrap();
    let (symbolic, hard) = (names.path().join("symbolic.db"), names.path().join("hard.db"));
    symlink(first.database(), &symbolic).unwrap();
    fs::hard_link(first.database(), &hard).unwrap();
    let refused = async |name: &Path| {
        let refusal = Setup::new().database(name).start_in_vain().await;
        assert!(!refusal.status.success());
        assert!(
            refusal.stderr.contains(&first.pid().to_string()),
            "{} does not name process {}: {}",
            name.display(),
            first.pid(),
            refusal.stderr
        );
    };
    refused(first.database()).await;
    refused(&symbolic).await;
    refused(&hard).await;
    fs::remove_file(format!("{}.lock", first.database().display())).unwrap();
    refused(first.database()).await;
}

#[tokio::test]
async fn a_database_behind_a_symbolic_link_takes_messages() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link.db");
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real/simo.db", &link).unwrap();
    let mut simod = Setup::new().database(&link).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    post(&plant.acs(&simod, "1c").await, &to_employees("Раз", &["001"])).await;
    simod.terminate().await;
    simod.restart().await;
    post(&plant.acs(&simod, "scada").await, &to_employees("Два", &["001"])).await;
    assert!(folder.path().join("real/simo.db").exists());
}

#[tokio::test]
async fn nobody_else_reads_the_database() {
    let simod = Setup::new().embedded().start().await;
    Plant::new(&simod, "zavod").await;
    for end in ["", "-wal", "-shm"] {
        let file = format!("{}{end}", simod.database().display());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_refused_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("simo.db");
    fs::write(&file, "это не база данных".repeat(100)).unwrap();
    let refusal = Setup::new().database(&file).start_in_vain().await;
    assert!(!refusal.status.success());
    assert!(refusal.stderr.contains("simo.db"), "{}", refusal.stderr);

    // A file migrated by a newer simod is refused too.
    let mut simod = Setup::new().embedded().start().await;
    simod.terminate().await;
    let url = format!("sqlite:{}", simod.database().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (99999999999999, 'from the future', true, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let refusal = Setup::new().database(simod.database()).start_in_vain().await;
    assert!(!refusal.status.success(), "{}", refusal.stderr);
}
