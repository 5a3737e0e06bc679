//! An administrator asks who would receive a topic, and which topics a person may receive.

use super::*;

#[tokio::test]
async fn an_administrator_sees_who_receives_a_topic_and_what_somebody_may_receive() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &["smena-a"]).await;
    let ctl = Ctl::new(&simod, "zavod");
    for words in [
        &["group", "add", "ceh-1"][..],
        &["group", "include", "ceh-1", "smena-a"],
        &["topic", "add", "boiler", "--priority", "high", "--to-group", "ceh-1"],
        &["topic", "grant", "boiler", "--group", "ceh-1", "--hours", "пн-вс"],
        &["employee", "block", "001"],
    ] {
        ctl.ok(words);
    }
    let held = ctl.json(&["employee", "access", "001"]);
    assert_eq!(held[0]["path"], serde_json::json!(["smena-a", "ceh-1"]));
    assert_eq!((&held[0]["grant"], &held[0]["hours"]), (&"group:ceh-1".into(), &"daily 00:00-24:00".into()));
    assert!(ctl.run(&["employee", "access", "001"]).err.contains("is blocked"));
    assert_eq!(ctl.ok(&["topic", "who", "boiler"]), "", "who is blocked receives nothing");
    ctl.ok(&["employee", "unblock", "001"]);
    let who = ctl.ok(&["topic", "who", "boiler", "-o", "csv"]);
    assert!(who.contains("001,Сотрудник 001,group:ceh-1,0"), "{who}");

    let topic = ctl.json(&["topic", "edit", "boiler", "--no-priority", "--no-recipients"]);
    assert!(topic["default_priority"].is_null() && topic["default_recipients"].is_null(), "{topic}");
    let looped = ctl.run(&["group", "include", "smena-a", "ceh-1"]);
    assert_eq!(looped.code, 5);
    assert!(looped.err.contains("ceh-1 › smena-a › ceh-1"), "{}", looped.err);
    assert_eq!(ctl.run(&["topic", "edit", "boiler"]).code, 2, "nothing to change");
}
