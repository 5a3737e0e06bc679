//! simod's router inside another axum program, nested under a path.

use std::sync::Arc;

use axum::{Router, routing::get};
use simo_common::{
    client::{Client, ListQuery, Server},
    lang::Lang,
};
use simo_tests::{
    Plant, Simod, eventually,
    plant::{post, to_employees},
    raw,
};
use simod::{app::App, clock::Clock, config::Config, store::Store};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::test]
async fn the_router_works_under_a_path_of_another_program() {
    let mut daemon = Simod::start().await;
    let plant = Plant::new(&daemon, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = plant.token("1c").await;
    daemon.terminate().await;

    let store = Arc::new(Store::open(&daemon.database_url(), Clock::System).await.unwrap());
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let app = App::new(Config::default(), Arc::clone(&store), None, &tracker, shutdown.clone());
    let portal =
        Router::new().route("/", get(async || "портал")).nest("/communication/simo", simod::api::router(app));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stopped = shutdown.clone().cancelled_owned();
    let server = tokio::spawn(axum::serve(listener, portal).with_graceful_shutdown(stopped).into_future());

    let base = format!("{url}/communication/simo").parse().unwrap();
    let acs = Client::new(&Server::Url(base), Lang::Ru).unwrap().with_token(&token);
    assert_eq!(acs.whoami().await.unwrap().name, "1c");
    let posted = post(&acs, &to_employees("Из портала", &["001"])).await;
    eventually("it is ready", async || acs.readiness().await.unwrap().ready.then_some(())).await;
    assert_eq!(acs.message(posted.id).await.unwrap().title, "Из портала");
    let refused = acs.post_message(&to_employees("", &["001"]), false).await.unwrap_err();
    assert_eq!(refused.status(), Some(422));
    // Connections there carry no peer address, so no caller is an owner by address.
    let nobody = raw::ask(http::Method::GET, &format!("{url}/communication/simo/api/v1/clients"));
    assert_eq!(nobody.send().await.status.as_u16(), 401);
    assert_eq!(raw::ask(http::Method::GET, &url).send().await.text, "портал");

    shutdown.cancel();
    drop(acs);
    server.await.unwrap().unwrap();
    tracker.close();
    tracker.wait().await;
    store.close().await;
    drop(store);
    daemon.restart().await;
    assert_eq!(plant.admin.messages(&ListQuery::default()).await.unwrap().items.len(), 1);
}
