//! What was accepted is never lost, and two daemons never share a file.

use simo_tests::{Simod, simod::Setup};

#[tokio::test]
async fn a_second_daemon_on_the_same_file_refuses_and_says_who_holds_it() {
    let first = Simod::start().await;
    let refusal = Setup::new().database(first.database()).start_in_vain().await;
    assert!(!refusal.status.success());
    assert!(
        refusal.stderr.contains(&first.pid().to_string()),
        "does not name process {}: {}",
        first.pid(),
        refusal.stderr
    );
}

#[tokio::test]
async fn it_goes_in_peace_and_comes_back() {
    let mut simod = Simod::start().await;
    simod.terminate().await;
    simod.restart().await;
    simod.kill9();
    simod.restart().await;
    assert!(simod.owner().readiness().await.unwrap().ready);
}
