//! The app in Chromium, whose push service cannot be replaced: pushes are handed to the worker directly.

use serde_json::{Value, json};
use simo_common::{
    api::{message::PostMessage, people::NewInvite},
    delivery::DeliveryState,
    id,
};
use simo_tests::{
    browser::{Chromium, Screen as _, chromium},
    clock, eventually,
    plant::to_employees,
};
use uuid::Uuid;

use super::site::{ANNA, Site};

pub(super) async fn start(site: &Site) -> Option<Chromium> {
    // The worker uses the browser's language, not the page's.
    let russian = ["--lang=ru-RU", "--accept-lang=ru-RU"];
    let chromium = Chromium::start_with(&chromium()?, &site.desktop, &russian).await;
    chromium.viewport(360, 640, true).await;
    chromium.permit(&site.front.origin, "notifications", "granted").await;
    Some(chromium)
}

pub(super) fn new_id() -> Uuid {
    id::new(clock::now_us())
}

/// The push that simod sends to a browser, shortened.
pub(super) fn push(id: Uuid, title: &str) -> String {
    json!({"web_push": 8030, "notification": {"title": title, "body": "критично\n8,5 бар", "data": {
        "v": 1, "id": id, "body": "8,5 бар", "acs": "scada", "priority": "critical", "require_ack": true,
        "accepted_at": "2026-11-30T03:00:00Z", "expires_at": "2099-11-30T03:00:00Z"}}})
    .to_string()
}

#[tokio::test]
async fn what_was_seen_is_there_without_a_network_and_receipts_wait() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    assert_eq!(chromium.installability_errors().await, Vec::<Value>::new());
    chromium.open(&format!("{}/app/", site.front.url)).await;
    let id = site.alarm("Котёл 2").await;
    chromium.says("Котёл 2").await;
    site.reaches(id, DeliveryState::Delivered).await;

    chromium.offline(true).await;
    chromium.reload().await;
    chromium.says("Нет связи с SiMO").await;
    chromium.press("section.list a[href^='#m=']").await;
    chromium.until("Boolean(document.querySelector('.act button'))").await;
    chromium.press(".act button").await;
    chromium.says("только на этом телефоне").await;
    chromium.offline(false).await;
    let acknowledged = site.reaches(id, DeliveryState::Acknowledged).await;
    assert!(acknowledged.read_at <= acknowledged.acknowledged_at, "in their order");
    chromium.until("document.body.innerText.split('✓').length === 4").await;
}

#[tokio::test]
async fn a_worker_without_database_network_or_a_text_shows_something() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    chromium.evaluate("navigator.serviceWorker.ready.then(() => 1)").await;
    let app = site.front.origin.clone();
    for (what, text) in
        [("a broken text", "x"), ("no text", ""), ("another's text", r#"{"notification": {}}"#)]
    {
        let before = site.desktop.shown().len();
        chromium.push(&app, text).await;
        eventually(what, async || (site.desktop.shown().len() > before).then_some(())).await;
        assert_eq!(site.desktop.shown().pop().unwrap().summary, "Новое сообщение");
    }
    for (what, broken) in [
        ("Без базы", "IDBFactory.prototype.open = () => { throw new Error('refused'); }"),
        ("База молчит", "IDBFactory.prototype.open = () => ({})"),
        ("Сеть молчит", "self.fetch = () => new Promise(() => {})"),
        ("Всё ломается", "self.fetch = () => { throw 1; }; JSON.parse = () => { throw 1; }"),
    ] {
        // A fresh worker each time.
        chromium.stop_workers().await;
        chromium.push(&app, &push(new_id(), "Разбудить")).await;
        site.desktop.see("Разбудить").await;
        chromium.in_worker(broken).await;
        chromium.push(&app, &push(new_id(), what)).await;
        site.desktop.see(what).await;
    }
}

#[tokio::test]
async fn a_message_that_came_by_the_stream_too_has_one_notification() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    chromium.evaluate("navigator.serviceWorker.ready.then(() => 1)").await;
    site.alarm("До этого").await;
    chromium.says("До этого").await;
    let id = site.alarm("Котёл 2").await;
    // The page has no subscription, so it has the worker show messages from the stream.
    site.desktop.see("Котёл 2").await;
    chromium.push(&site.front.origin, &push(id, "Котёл 2")).await;
    let shown = site.desktop.see("Котёл 2").await;
    assert!(shown.actions.iter().any(|action| action == "Подтвердить"), "{shown:?}");
    let of_it = site.desktop.shown().into_iter().filter(|shown| shown.open && shown.summary == "Котёл 2");
    assert_eq!(of_it.count(), 1);
}

#[tokio::test]
async fn a_wrong_code_says_what_to_do_and_a_right_one_may_be_typed_in_cyrillic() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.open(&format!("{}/app/#pair=K7QD-M2XA-9F", site.front.url)).await;
    chromium.says("SiMO не знает такого кода").await;
    let invite = NewInvite { employee: ANNA.to_owned(), valid_for: None };
    let code = site.plant.admin.invite_device(&invite).await.unwrap().code;
    for (typed, said) in [
        ("К7ЙВ-Ь2ЧФ-9А", "В коде латинские буквы"),
        ("K7QD-M2XA-0F", "В коде нет 0, 1, I, L и O"),
        ("K7QD", "код состоит из десяти"),
    ] {
        chromium.evaluate(&format!("document.querySelector('#code').value = {}", json!(typed))).await;
        chromium.press("button.big").await;
        chromium.says(said).await;
    }
    // Typed with a Russian keyboard layout.
    let typed: String = format!("Your code is {code}, до пятницы")
        .to_lowercase()
        .chars()
        .map(|letter| {
            "авезкмнорстух"
                .chars()
                .zip("abe3kmhopctyx".chars())
                .find_map(|(russian, latin)| (latin == letter).then_some(russian))
                .unwrap_or(letter)
        })
        .collect();
    chromium.evaluate(&format!("document.querySelector('#code').value = {}", json!(typed))).await;
    chromium.press("button.big").await;
    chromium.says("zavod: Анна. Это вы?").await;
    chromium.press("button.big").await;
    chromium.says("Подключено.").await;
    // Chromium asks Google's push service, which cannot be reached here.
    chromium.press("button.big").await;
    chromium.says("Браузер не может связаться со своей службой уведомлений").await;
    // A second pairing never replaces this one without asking.
    chromium.open(&site.link().await).await;
    chromium.says("уже подключён").await;
}

/// After an update of the server, the app of the previous build keeps working with it, and nothing is lost.
#[tokio::test]
async fn the_app_outlives_a_server_of_another_build() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    chromium.evaluate("navigator.serviceWorker.ready.then(() => 1)").await;
    site.front.be_other_build(true);
    // The old page and worker with the new server.
    let first = site.alarm("До обновления").await;
    chromium.says("До обновления").await;
    chromium.push(&site.front.origin, &push(first, "До обновления")).await;
    site.desktop.see("До обновления").await;
    // A file that no longer exists anywhere makes the page reload once.
    chromium.call("Network.clearBrowserCache", json!({})).await.unwrap();
    chromium
        .evaluate("caches.keys().then((names) => Promise.all(names.map((name) => caches.delete(name))))")
        .await;
    chromium.evaluate("location.hash = '#/settings', null").await;
    chromium.until("Boolean(document.querySelector(\"script[src*='0123456789abcdef']\"))").await;
    chromium.until("Boolean(document.querySelector('nav')) && location.hash === '#/settings'").await;
    chromium.open(&format!("{}/app/#", site.front.url)).await;
    chromium.says("До обновления").await;
    site.alarm("После обновления").await;
    chromium.says("После обновления").await;
}

#[tokio::test]
async fn without_https_the_app_is_a_page_that_says_what_is_missing() {
    let site = Site::found_at(|front| front.url.replace("localhost", "plant.example")).await;
    let Some(binary) = chromium() else { return };
    let mut chromium =
        Chromium::start_with(&binary, &site.desktop, &["--host-resolver-rules=MAP plant.example 127.0.0.1"])
            .await;
    chromium.language("en-US").await;
    chromium.pair(&site.link().await).await;
    assert_eq!(
        chromium.value("[isSecureContext, navigator.serviceWorker === undefined]").await,
        json!([false, true])
    );
    let id = site.alarm("Boiler 2").await;
    chromium.open(&format!("{}/app/#m={id}", site.front.url.replace("localhost", "plant.example"))).await;
    chromium.says("without https").await;
    chromium.until("Boolean(document.querySelector('.act button'))").await;
    chromium.press(".act button").await;
    site.reaches(id, DeliveryState::Acknowledged).await;
}

#[tokio::test]
async fn a_wall_asks_who_acknowledges() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.viewport(1920, 1080, false).await;
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/#wall", site.front.url)).await;
    let short = PostMessage { ttl: Some(2), require_ack: true, ..to_employees("Коротко", &[ANNA]) };
    site.acs.post_message(&short, false).await.unwrap();
    chromium.says("Коротко").await;
    chromium.says("срок истёк, здесь не подтверждено").await;
    let id = site.alarm("Котёл 2").await;
    chromium.says("Котёл 2").await;
    chromium.press(".alarms button").await;
    chromium.until("Boolean(document.querySelector('dialog[open] input'))").await;
    chromium.evaluate("document.querySelector('dialog[open] input').value = 'Петров'").await;
    chromium.press("dialog[open] button.big").await;
    site.reaches(id, DeliveryState::Acknowledged).await;
    let story = site.plant.admin.explain(id, ANNA).await.unwrap().story;
    assert!(story.iter().any(|line| line.text.contains("Петров")), "{story:?}");
}
