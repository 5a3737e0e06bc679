//! `simoctl listen` next to another phone that uses its token.

use std::time::Duration;

use futures_util::StreamExt as _;
use simo_common::client::Error;

use super::*;

#[tokio::test]
async fn a_phone_whose_token_was_copied_says_so_and_comes_back() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let send = |title: &str| ctl.ok(&["message", "send", "--employee", "1", "--title", title]);
    send("Первое");
    let code = ctl.ok(&["device", "invite", "1"]);
    ctl.ok(&["listen", "--code", code.trim_end(), "--count", "1"]);
    let file = ctl.home.path().join(".local/state/simo/listen/simoctl.json");
    let phone: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let double = simod.caller(phone["token"].as_str().unwrap());

    let said = ctl.home.path().join("said");
    let mut listen = ctl.command(&["listen", "--count", "1"]);
    listen.stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
    let mut listening = tokio::process::Command::from(listen).kill_on_drop(true).spawn().unwrap();
    let says = async |text: &str| {
        let said = || async { fs::read_to_string(&said).unwrap().contains(text).then_some(()) };
        eventually(text, said).await;
    };
    says("Listening for").await;
    let mut stream = double.own_stream().await.unwrap();
    says("Another phone with the same identity").await;
    let patience = Duration::from_secs(20);
    let replaced = tokio::time::timeout(patience, stream.next()).await.expect("it comes back");
    assert!(matches!(replaced, Some(Err(Error::Replaced))), "{replaced:?}");
    send("Второе");
    let ended = tokio::time::timeout(patience, listening.wait()).await.expect("it receives the message");
    assert!(ended.unwrap().success());
}
