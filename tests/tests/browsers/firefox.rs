//! Firefox, end to end: subscription, encrypted push, worker, notification, click.

use serde_json::{Value, json};
use simo_tests::{
    PushService,
    browser::{Desktop, Firefox, firefoxes},
    push_service::{Sender, Subscription},
    wait::eventually,
};

use crate::page::Page;

/// A subscription in the form that a page sends to its server.
fn subscription(json: &Value) -> Subscription {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Subscription {
        endpoint: text(&json["endpoint"]),
        p256dh: text(&json["keys"]["p256dh"]),
        auth: text(&json["keys"]["auth"]),
    }
}

#[tokio::test]
async fn a_push_is_shown_and_clicked_and_waits_for_a_firefox_that_was_killed() {
    for binary in firefoxes() {
        let (desktop, service, page) = (Desktop::start().await, PushService::start(), Page::serve().await);
        let sender = Sender::to(&service);
        let mut firefox = Firefox::start(&binary, &service, &desktop, &[]).await;
        firefox.go(&page.origin).await;
        firefox.script("await install()", json!([])).await;
        let refused = firefox.try_script("return await subscribe(args[0])", json!([sender.public()]));
        firefox_says_denied(&refused.await);
        firefox.permit(&page.origin, "ALLOW_ACTION").await;
        let subscribed = firefox.script("return await subscribe(args[0])", json!([sender.public()])).await;
        let subscription = subscription(&subscribed);
        assert!(subscription.endpoint.starts_with(service.origin()), "{subscription:?}");

        let text = json!({"title": "Котёл 2", "body": "8,5 бар", "tag": "1"}).to_string();
        assert_eq!(sender.push(&subscription, &text).await.status(), 201);
        let shown = desktop.see("Котёл 2").await;
        assert_eq!(shown.body.trim(), "8,5 бар", "{}", firefox.version());
        page.hear("showed Котёл 2").await;
        desktop.click(&shown).await;
        page.hear("clicked Котёл 2 ").await;
        eventually("the push is acknowledged", async || {
            (service.waiting(&subscription.endpoint) == 0).then_some(())
        })
        .await;

        // Firefox shows buttons only after release 140.
        if firefox.script("return Notification.maxActions || 0", json!([])).await != json!(0) {
            let text = json!({"title": "Котёл 3", "actions": [{"action": "ack", "title": "Подтвердить"}]});
            sender.push(&subscription, &text.to_string()).await;
            desktop.press(&desktop.see("Котёл 3").await, "Подтвердить").await;
            page.hear("clicked Котёл 3 ack").await;
        }

        firefox.settle().await;
        firefox.kill9();
        eventually("the service notices", async || (service.connected() == 0).then_some(())).await;
        sender.push(&subscription, r#"{"title": "Meanwhile"}"#).await;
        assert_eq!(service.waiting(&subscription.endpoint), 1);
        firefox.run(&desktop).await;
        let shown = desktop.see("Meanwhile").await;
        desktop.dismiss(&shown).await;
        page.hear("closed Meanwhile").await;

        // Other features that a page needs.
        firefox.go(&page.origin).await;
        firefox.size(800, 600).await;
        firefox.click("#button").await.unwrap();
        assert_eq!(firefox.script("return clicked", json!([])).await, json!(true));
        assert!(firefox.screenshot().await.starts_with(b"\x89PNG"));
    }
}

#[tokio::test]
async fn a_subscription_ends_from_either_side_and_outlives_a_lost_connection() {
    for binary in firefoxes() {
        let (desktop, service, page) = (Desktop::start().await, PushService::start(), Page::serve().await);
        let sender = Sender::to(&service);
        let mut firefox = Firefox::start(&binary, &service, &desktop, &[]).await;
        firefox.go(&page.origin).await;
        firefox.permit(&page.origin, "ALLOW_ACTION").await;
        firefox.script("await install()", json!([])).await;
        let subscribe = "return await subscribe(args[0])";
        let first = subscription(&firefox.script(subscribe, json!([sender.public()])).await);

        // Not JSON, so the worker throws; Firefox sends a nack after its ack.
        sender.push(&first, "x").await;
        eventually("Firefox says that the worker threw", async || {
            service.frames().iter().any(|frame| frame["messageType"] == "nack").then_some(())
        })
        .await;

        service.hang_up();
        sender.push(&first, r#"{"title": "After all"}"#).await;
        desktop.see("After all").await;

        let pushes = "const { pushManager } = await navigator.serviceWorker.ready;";
        let unsubscribe = format!("{pushes} await (await pushManager.getSubscription()).unsubscribe()");
        firefox.script(&unsubscribe, json!([])).await;
        eventually("the push is refused", async || {
            (sender.push(&first, r#"{"title": "Never"}"#).await.status() == 410).then_some(())
        })
        .await;

        let second = subscription(&firefox.script(subscribe, json!([sender.public()])).await);
        service.forget_browsers();
        assert_eq!(sender.push(&second, "x").await.status(), 410);
        let lost =
            "while (await pushManager.getSubscription()) await new Promise(done => setTimeout(done, 100));";
        firefox.script(&format!("{pushes} {lost}"), json!([])).await;
        let third = subscription(&firefox.script(subscribe, json!([sender.public()])).await);
        assert_ne!(third, second, "Firefox noticed and subscribed anew");
    }
}

/// Without permission there is no subscription.
fn firefox_says_denied(result: &Result<Value, String>) {
    let error = result.as_ref().expect_err("nobody permitted it");
    assert!(error.contains("NotAllowedError"), "{error}");
}
