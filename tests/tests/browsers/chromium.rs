//! Chromium: a push handed to the worker, its notification's buttons, and every check that a page goes through.

use std::time::Duration;

use serde_json::{Value, json};
use simo_tests::browser::{Chromium, Desktop, axe, chromium};

use crate::page::Page;

#[tokio::test]
async fn a_push_is_shown_with_buttons_that_can_be_pressed() {
    let Some(binary) = chromium() else { return };
    let (desktop, page) = (Desktop::start().await, Page::serve().await);
    let chromium = Chromium::start(&binary, &desktop).await;
    chromium.permit(&page.origin, "notifications", "granted").await;
    chromium.go(&page.origin).await.unwrap();
    chromium.evaluate("install()").await;

    let text = json!({
        "title": "Котёл 2", "body": "8,5 бар", "tag": "1", "requireInteraction": true,
        "actions": [{"action": "ack", "title": "Подтвердить"}, {"action": "open", "title": "Открыть"}],
    });
    chromium.push(&page.origin, &text.to_string()).await;
    let shown = desktop.see("Котёл 2").await;
    assert!(shown.body.ends_with("8,5 бар"), "{shown:?}");
    assert_eq!(shown.timeout, 0, "it stays");
    desktop.press(&shown, "Подтвердить").await;
    page.hear("clicked Котёл 2 ack").await;

    chromium.push(&page.origin, r#"{"title": "Second"}"#).await;
    desktop.click(&desktop.see("Second").await).await;
    page.hear("clicked Second ").await;
}

#[tokio::test]
async fn a_page_is_seen_small_dark_foreign_offline_and_at_work() {
    let Some(binary) = chromium() else { return };
    let (desktop, page) = (Desktop::start().await, Page::serve().await);
    let chromium = Chromium::start(&binary, &desktop).await;
    chromium.viewport(360, 640, true).await;
    chromium.dark(true).await;
    chromium.language("ru-RU").await;
    chromium.go(&page.origin).await.unwrap();
    chromium.evaluate("install()").await;
    let seen = chromium
        .evaluate(
            "[innerWidth, getComputedStyle(document.body).backgroundColor, navigator.language,
              new Date(0).toLocaleDateString(undefined, { month: 'long', timeZone: 'UTC' })]",
        )
        .await;
    assert_eq!(seen, json!([360, "rgb(0, 0, 0)", "ru-RU", "январь"]));
    assert_eq!(chromium.installability_errors().await, Vec::<Value>::new());
    assert!(chromium.screenshot().await.starts_with(b"\x89PNG"));
    chromium.click("#button").await;
    assert_eq!(chromium.evaluate("clicked").await, json!(true));
    let error = chromium.try_evaluate("Promise.reject(new TypeError('no'))").await.unwrap_err();
    assert!(error.starts_with("TypeError: no"), "{error}");

    chromium.trace().await;
    chromium.evaluate("new Promise(done => setTimeout(() => { const end = performance.now() + 80; while (performance.now() < end); done(); }))").await;
    let longest = chromium.tasks().await.into_iter().max().expect("there were tasks");
    assert!(longest >= Duration::from_millis(80), "{longest:?}");

    // The worker has cached the page, and nothing else.
    chromium.offline(true).await;
    chromium.reload().await;
    assert_eq!(chromium.evaluate("[document.title, navigator.onLine]").await, json!(["tiny", false]));
    chromium.try_evaluate("fetch('icon.svg')").await.unwrap_err();
    chromium.offline(false).await;
    chromium.evaluate("fetch('icon.svg')").await;
}

#[tokio::test]
async fn axe_finds_a_button_without_a_name() {
    let (Some(binary), Some(axe)) = (chromium(), axe()) else { return };
    let (desktop, page) = (Desktop::start().await, Page::serve().await);
    let chromium = Chromium::start(&binary, &desktop).await;
    chromium.go(&page.origin).await.unwrap();
    assert_eq!(chromium.violations(&axe).await, Vec::<Value>::new());
    chromium.evaluate("document.querySelector('#button').textContent = ''").await;
    let found = chromium.violations(&axe).await;
    assert_eq!(found[0]["id"], "button-name", "{found:?}");
}
