//! A mistake that a person must correct ends a start at once, whatever the allowed wait, and the error says what to do.

use std::process::Command;

use simo_tests::{postgres::OwnServer, programs::program, simod::Setup};

/// The error of a start that is refused.
async fn refused(url: String) -> String {
    Setup::new().database_url(url).wait("60s").start_in_vain().await.stderr
}

/// The URL of a database of the server, for one of its roles.
fn url(server: &OwnServer, role: &str, database: &str) -> String {
    format!("postgres://{role}@/{database}?host={}", server.home())
}

#[tokio::test]
async fn a_role_that_lacks_rights_is_told_the_grants() {
    let Some(server) = OwnServer::start() else { return };
    server
        .execute("postgres", "create role keeper login; create role plain login; create role \"Other\" login")
        .await;
    server.execute("postgres", "create database firm owner keeper").await;

    let stderr = refused(url(&server, "plain", "firm")).await;
    assert!(stderr.contains(": grant create, usage on schema public to plain\n"), "{stderr}");

    // Another role has created the tables.
    Setup::new().database_url(url(&server, "keeper", "firm")).start().await.terminate().await;
    let stderr = refused(url(&server, "plain", "firm")).await;
    let grants = "grant create, usage on schema public to plain; grant keeper to plain";
    assert!(stderr.contains(grants), "{stderr}");
    let russian = Command::new(program("simod"))
        .args(["migrate", "--lang", "ru", "--database", &url(&server, "plain", "firm")])
        .output()
        .unwrap();
    let russian = String::from_utf8(russian.stderr).unwrap();
    assert!(russian.contains("Чего не хватает роли") && russian.contains(grants), "{russian}");
    server.execute("firm", grants).await;
    Setup::new().database_url(url(&server, "plain", "firm")).start().await.terminate().await;

    server.execute("firm", "revoke connect on database firm from public").await;
    let stderr = refused(url(&server, "Other", "firm")).await;
    assert!(stderr.contains("`grant connect on database firm to \"Other\"`"), "{stderr}");
}

/// The remedy must not make the role a member of a superuser's role.
#[tokio::test]
async fn tables_of_a_superuser_are_granted_by_themselves() {
    let Some(server) = OwnServer::start() else { return };
    Setup::new().database_url(server.url()).start().await.terminate().await;
    server.execute("postgres", "create role plain login; revoke usage on schema public from public").await;
    let stderr = refused(url(&server, "plain", "postgres")).await;
    let (_, grants) =
        stderr.trim_end().split_once("owner of the database: ").unwrap_or_else(|| panic!("{stderr}"));
    assert!(!grants.contains("grant simo"), "{grants}");
    server.execute("postgres", grants).await;
    Setup::new().database_url(url(&server, "plain", "postgres")).start().await.terminate().await;
}

#[tokio::test]
async fn what_is_not_there_and_a_wrong_password_are_told_with_what_to_do() {
    let Some(server) = OwnServer::start() else { return };
    server.execute("postgres", "create role locked login password 'right'").await;
    let stderr = refused(url(&server, "simo", "nowhere")).await;
    assert!(stderr.contains("`create database nowhere owner simo`"), "{stderr}");
    let stderr = refused(url(&server, "nobody", "postgres")).await;
    assert!(stderr.contains("`create role nobody login`"), "{stderr}");
    server.demand_passwords();
    let stderr = refused(url(&server, "locked:wr0ng", "postgres")).await;
    assert!(stderr.contains("Check the user and the password") && !stderr.contains("wr0ng"), "{stderr}");
}
