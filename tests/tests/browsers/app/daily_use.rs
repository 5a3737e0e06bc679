//! Daily use of the app: iPhones, links, searches, the person's other phones, a refused permission, a portal that answers
//! in simod's place.

use serde_json::{Value, json};
use simo_common::api::message::PostMessage;
use simo_tests::{
    browser::{Chromium, Screen as _, chromium},
    eventually,
    plant::to_employees,
};

use super::site::{ANNA, Site};

/// A paired Chromium that shows the message list.
async fn paired(site: &Site) -> Option<Chromium> {
    let mut chromium =
        Chromium::start_with(&chromium()?, &site.desktop, &["--lang=ru-RU", "--accept-lang=ru-RU"]).await;
    chromium.viewport(360, 640, true).await;
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    Some(chromium)
}

#[tokio::test]
async fn an_iphone_is_shown_the_code_and_leaves_it_unused() {
    let Some(binary) = chromium() else { return };
    let site = Site::new().await;
    let mut chromium = Chromium::start(&binary, &site.desktop).await;
    let agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/26.0 Mobile/15E148 Safari/604.1";
    let said = json!({"userAgent": agent, "acceptLanguage": "ru-RU", "platform": "iPhone"});
    chromium.call("Emulation.setUserAgentOverride", said).await.unwrap();
    let link = site.link().await;
    chromium.open(&link).await;
    chromium.says(link.split_once('=').unwrap().1).await;
    chromium.says("Откройте SiMO с экрана «Домой»").await;
    chromium.reload().await;
    assert!(site.phones().await.is_empty());
    // In another browser the same link still works.
    let mut other = Chromium::start(&binary, &site.desktop).await;
    other.pair(&link).await;
    assert_eq!(site.phones().await.len(), 1);
}

#[tokio::test]
async fn a_message_is_shown_with_its_table_and_only_harmless_links() {
    let site = Site::new().await;
    let Some(mut chromium) = paired(&site).await else { return };
    let message = PostMessage {
        body: "<b>Схема</b>: https://scada.example.org/a?b=1. Дежурный tel:+7-900-000-00-00, javascript:alert(1)".to_owned(),
        data: Some(serde_json::from_value(json!({"Давление": 8.5, "Насос": "<i>3</i>"})).unwrap()),
        require_ack: true,
        ..to_employees("Котёл <b>2</b>", &[ANNA])
    };
    let id = site.acs.post_message(&message, false).await.unwrap().id;
    // A link from someone else asks first, and acknowledges nothing by itself.
    chromium.open(&format!("{}/app/#ack={id}", site.front.url)).await;
    chromium.says("Подтвердить это сообщение?").await;
    let found = chromium
        .evaluate(
            "[...document.querySelectorAll('article a[href]')].map((a) => a.getAttribute('href')).filter((href) => href !== '#')",
        )
        .await;
    assert_eq!(found, json!(["https://scada.example.org/a?b=1", "tel:+79000000000"]));
    chromium.says("(scada.example.org)").await;
    chromium.says("Котёл <b>2</b>").await;
    chromium.says("<i>3</i>").await;
    let text = chromium.evaluate("document.querySelector('article table, article .data').innerText").await;
    assert!(text.as_str().unwrap().contains("8,5") || text.as_str().unwrap().contains("8.5"), "{text}");
    let state = site.plant.admin.explain(id, ANNA).await.unwrap().delivery.unwrap();
    assert!(state.acknowledged_at.is_none());
}

#[tokio::test]
async fn people_search_and_filter_what_is_theirs() {
    let site = Site::new().await;
    let Some(mut chromium) = paired(&site).await else { return };
    for title in ["Насос 1 остановлен", "Котёл 2 перегрет"] {
        site.acs.post_message(&to_employees(title, &[ANNA]), false).await.unwrap();
        chromium.says(title).await;
    }
    site.alarm("Тревога").await;
    let type_in = async |chromium: &Chromium, text: &str| {
        let script = format!(
            "(() => {{ const field = document.querySelector('search input'); field.value = {};
                field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()",
            json!(text)
        );
        chromium.evaluate(&script).await;
    };
    type_in(&chromium, "насоса").await;
    chromium.says("Найдено").await;
    chromium.until("!document.body.innerText.includes('Котёл 2')").await;
    type_in(&chromium, "employee:0043").await;
    chromium.says("относятся к другим людям").await;
    type_in(&chromium, "").await;
    chromium.says("Котёл 2").await;
    let chip = "[...document.querySelectorAll('.chip')].find((chip) => chip.innerText.includes('Не подтверждено')).click()";
    chromium.evaluate(chip).await;
    chromium.says("Тревога").await;
    chromium.until("!document.body.innerText.includes('Котёл 2')").await;
}

#[tokio::test]
async fn a_lost_phone_is_unpaired_from_another_one() {
    let site = Site::new().await;
    let lost = site.plant.stream_phone(&site.simod, ANNA).await;
    let Some(mut chromium) = paired(&site).await else { return };
    chromium.open(&format!("{}/app/#/devices", site.front.url)).await;
    chromium.until("Boolean(document.querySelector(\"button[aria-label='Отключить: Телефон']\"))").await;
    chromium.press("button[aria-label='Отключить: Телефон']").await;
    chromium.until("Boolean(document.querySelector('dialog[open]'))").await;
    let yes = "[...document.querySelectorAll('dialog[open] button')].find((yes) => yes.innerText === 'Отключить').click()";
    chromium.evaluate(yes).await;
    eventually("it is out", async || lost.client.own_device().await.err()).await;
    assert_eq!(site.phones().await.iter().filter(|phone| phone.state == "active").count(), 1);
}

#[tokio::test]
async fn who_refuses_notifications_or_meets_a_portal_is_told_what_to_do() {
    let site = Site::new().await;
    let Some(mut chromium) = paired(&site).await else { return };
    chromium.permit(&site.front.origin, "notifications", "denied").await;
    chromium.open(&format!("{}/app/#/ring", site.front.url)).await;
    chromium.says("Зазвонит ли телефон?").await;
    chromium.reload().await;
    chromium.says("Уведомления для этой страницы запрещены").await;
    site.front.be_portal(true);
    chromium.open(&format!("{}/app/#/devices", site.front.url)).await;
    chromium.says("Wi-Fi").await;
    assert_eq!(chromium.evaluate("document.querySelectorAll('.cards li').length").await, json!(0));
    site.front.be_portal(false);
    let again =
        "[...document.querySelectorAll('button')].find((again) => again.innerText === 'Повторить').click()";
    chromium.evaluate(again).await;
    chromium.until("document.querySelectorAll('.cards li').length === 1").await;
    // The person chose the language, so it stays.
    chromium.open(&format!("{}/app/#/settings", site.front.url)).await;
    chromium.until("Boolean(document.querySelector('#language'))").await;
    let english = "(() => { const language = document.querySelector('#language'); language.value = 'en';
        language.dispatchEvent(new Event('change')); })()";
    chromium.evaluate(english).await;
    chromium.says("Settings").await;
    chromium.reload().await;
    chromium.says("Settings").await;
    assert_eq!(chromium.evaluate("document.documentElement.lang").await, Value::from("en"));
}

#[tokio::test]
async fn the_icon_counts_what_is_unread_until_the_phone_is_unpaired() {
    let Some(binary) = chromium() else { return };
    let site = Site::new().await;
    let mut chromium = Chromium::start(&binary, &site.desktop).await;
    let watch = "navigator.setAppBadge = async (count) => (window.badge = count);
        navigator.clearAppBadge = async () => (window.badge = 0);
        StorageManager.prototype.persist = async () => (sessionStorage.persisted = true);";
    chromium.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": watch })).await.unwrap();
    chromium.pair(&site.link().await).await;
    chromium.until("Boolean(sessionStorage.persisted)").await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    for (count, title) in [(1, "Котёл 2"), (2, "Насос 3")] {
        let id = site.alarm(title).await;
        chromium.until(&format!("window.badge === {count}")).await;
        if count == 2 {
            chromium.open(&format!("{}/app/#m={id}", site.front.url)).await;
            chromium.until("window.badge === 1").await;
        }
    }
    let phone = site.phones().await.remove(0);
    site.plant.admin.remove_device(phone.id).await.unwrap();
    chromium.until("window.badge === 0").await;
}
