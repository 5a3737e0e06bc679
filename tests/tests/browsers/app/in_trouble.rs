//! The app when requests fail, with several windows, wrong clocks, and refused requests.

use serde_json::json;
use simo_common::{api::device::Receipt, delivery::DeliveryState, receipt::ReceiptKind, time::from_us};
use simo_tests::{
    browser::{Chromium, Screen as _},
    clock, eventually,
    plant::to_employees,
};

use super::{
    in_chromium::{new_id, push, start},
    site::{ANNA, Site},
};

/// Replaces the page's `fetch` with this expression; `real` is the original.
async fn intercept(chromium: &Chromium, fetch: &str) {
    let script = format!("window.real ??= fetch; window.fetch = (url, asked) => {fetch}; null");
    chromium.evaluate(&script).await;
}

/// An alarm beyond the list's first page, already delivered to another phone: neither the stream nor the first page has it.
#[tokio::test]
async fn a_page_of_the_list_that_failed_leaves_no_hole() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    let other = site.plant.stream_phone(&site.simod, ANNA).await;
    let mut ids = vec![site.alarm("Пожар").await];
    let many: Vec<_> = (0..230).map(|n| to_employees(&format!("Сводка {n}"), &[ANNA])).collect();
    for item in site.acs.post_batch(&many).await.unwrap().items {
        ids.push(item.message.unwrap().id);
    }
    let at = from_us(clock::now_us());
    let receipt = |message_id| Receipt { message_id, kind: ReceiptKind::Delivered, at, by: None };
    other.client.send_receipts(&ids.into_iter().map(receipt).collect::<Vec<_>>()).await.unwrap();

    chromium.open(&site.link().await).await;
    chromium.until("Boolean(document.querySelector('#phone'))").await;
    intercept(
        &chromium,
        "String(url).includes('cursor=') ? Promise.reject(new TypeError('cut')) : real(url, asked)",
    )
    .await;
    chromium.press("button.big").await;
    chromium.says("Подключено.").await;
    chromium.evaluate("location.hash = '#wall'").await;
    chromium.says("Подтверждать сейчас нечего").await;
    intercept(&chromium, "real(url, asked)").await;
    chromium.says("Пожар").await;
}

#[tokio::test]
async fn windows_of_one_browser_share_a_stream_and_an_end() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/#", site.front.url)).await;
    let opened = json!({"expression": "window.other = open('./#wall'), null", "userGesture": true});
    chromium.call("Runtime.evaluate", opened).await.unwrap();
    chromium.until("Boolean(other.document.querySelector('.wall'))").await;
    let shared = "navigator.locks.query().then(({ held, pending }) =>
        [held, pending].every((locks) => locks.filter(({ name }) => name === 'simo /simo/app/').length === 1))";
    chromium.until(shared).await;
    let id = site.alarm("Котёл 2").await;
    chromium.says("Котёл 2").await;
    chromium.until("other.document.querySelector('.alarms').innerText.includes('Котёл 2')").await;
    // An action in one window shows in the other.
    chromium.evaluate(&format!("location.hash = '#m={id}', null")).await;
    chromium.until("Boolean(document.querySelector('.act button'))").await;
    chromium.press(".act button").await;
    // Opening the wall made this a screen shared by several people.
    chromium.until("Boolean(document.querySelector('dialog[open] input'))").await;
    chromium.evaluate("document.querySelector('dialog[open] input').value = 'Петров'").await;
    chromium.press("dialog[open] button.big").await;
    chromium.until("other.document.body.innerText.includes('Подтверждать сейчас нечего')").await;
    assert_eq!(chromium.value("other.document.body.innerText.includes('НЕТ СВЯЗИ')").await, false);

    site.plant.admin.remove_device(site.phones().await[0].id).await.unwrap();
    chromium.says("больше не подключён").await;
    chromium.until("other.document.body.innerText.includes('больше не подключён')").await;
}

/// By the phone's clock every message has expired, by the server's none.
#[tokio::test]
async fn a_clock_that_is_wrong_silences_no_alarm() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    let ahead = "const now = Date.now; Date.now = () => now() + 80 * 365 * 86_400_000;";
    chromium.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": ahead })).await.unwrap();
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/#wall", site.front.url)).await;
    site.alarm("Котёл 2").await;
    chromium.until("Boolean(document.querySelector('.alarms button'))").await;
    // The page tells the worker, which has the same clock, how wrong it is.
    let wake = "navigator.serviceWorker.ready.then(({ active }) => active.postMessage({}))";
    chromium.evaluate(wake).await;
    chromium.in_worker(&format!("{{ {ahead} }}")).await;
    chromium.push(&site.front.origin, &push(new_id(), "Котёл 3")).await;
    site.desktop.see("Котёл 3").await;
}

#[tokio::test]
async fn a_receipt_that_the_server_does_not_take_has_no_tick() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    for (answer, status) in
        [(r#"{"code":"invalid","detail":"x"}"#, 422), (r#"{"stored":0,"refused":[{"index":0}]}"#, 200)]
    {
        let id = site.alarm("Котёл 2").await;
        site.reaches(id, DeliveryState::Delivered).await;
        chromium.open(&format!("{}/app/#m={id}", site.front.url)).await;
        chromium.until("Boolean(document.querySelector('.act button'))").await;
        site.reaches(id, DeliveryState::Read).await;
        let refuse = format!(
            "asked?.body?.includes('acknowledged') ? Promise.resolve(new Response('{answer}', {{ status: {status} }})) : real(url, asked)"
        );
        intercept(&chromium, &refuse).await;
        chromium.press(".act button").await;
        chromium.says("в SiMO не принято").await;
        intercept(&chromium, "real(url, asked)").await;
        // The alarm is still open.
        chromium.press(".act button").await;
        site.reaches(id, DeliveryState::Acknowledged).await;
    }
}

#[tokio::test]
async fn a_pairing_takes_the_place_of_another_whenever_the_page_is_closed() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    let old = site.phones().await.remove(0).id;
    chromium.open(&site.link().await).await;
    chromium.until("Boolean(document.querySelector('#phone'))").await;
    let lose =
        "real(url, asked).then((answer) => (String(url).endsWith('/pair') ? new Promise(() => {}) : answer))";
    intercept(&chromium, lose).await;
    chromium.press("button.big").await;
    eventually("the server has both", async || (site.phones().await.len() == 2).then_some(())).await;
    chromium.reload().await;
    chromium.says("Подключено.").await;
    let left = eventually("the old one is gone", async || {
        let phones = site.phones().await;
        (phones.len() == 1).then_some(phones)
    })
    .await;
    assert_ne!(left[0].id, old);
}

#[tokio::test]
async fn two_servers_of_one_origin_know_nothing_of_each_other() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    let ready = "navigator.serviceWorker.ready.then(() => 1)";
    chromium.pair(&site.link().await).await;
    chromium.evaluate(ready).await;
    chromium.pair(&site.link().await.replace("/simo/", "/other/")).await;
    chromium.evaluate(ready).await;
    assert_eq!(site.phones().await.len(), 2);
    let kept = "Promise.all([caches.keys(), indexedDB.databases()]).then((kept) => kept.every(({ length }) => length === 2))";
    chromium.until(kept).await;
    site.plant.admin.remove_device(site.phones().await[0].id).await.unwrap();
    chromium.says("больше не подключён").await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    site.alarm("Котёл 2").await;
    chromium.says("Котёл 2").await;
}

/// While it waits, the person can leave, and it must not complete later without asking.
#[tokio::test]
async fn a_pairing_without_an_answer_can_be_left() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.open(&site.link().await).await;
    chromium.until("Boolean(document.querySelector('#phone'))").await;
    let late = "String(url).endsWith('/pair') ? new Promise((done) => (window.answer = () => real(url, asked).then((said) => (done(said), 0))))
        : real(url, asked)";
    intercept(&chromium, late).await;
    chromium.press("button.big").await;
    chromium.says("SiMO пока не отвечает").await;
    chromium.press("button").await;
    chromium.until("Boolean(document.querySelector('#code'))").await;
    // The server pairs it only now: the app gives that up again.
    chromium.evaluate("window.answer()").await;
    eventually("nobody is paired", async || site.phones().await.is_empty().then_some(())).await;
    assert_eq!(chromium.value("document.querySelector('#code').value").await, "");
    chromium.reload().await;
    chromium.until("Boolean(document.querySelector('#code'))").await;
    assert!(site.phones().await.is_empty());
}

/// A push sent for the browser's previous owner.
#[tokio::test]
async fn what_is_pushed_for_somebody_else_does_not_stay() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    chromium.until("Boolean(navigator.serviceWorker.controller)").await;
    let foreign = site.acs.post_message(&to_employees("Зарплата Олега", &["0043"]), false).await.unwrap().id;
    chromium.push(&site.front.origin, &push(foreign, "Зарплата Олега")).await;
    let own = site.alarm("Котёл 2").await;
    chromium.push(&site.front.origin, &push(own, "Котёл 2")).await;
    site.desktop.see("Котёл 2").await;
    chromium.says("Котёл 2").await;
    eventually("its notification goes", async || {
        (!site.desktop.shown().iter().any(|shown| shown.open && shown.summary == "Зарплата Олега"))
            .then_some(())
    })
    .await;
    chromium.until("!document.body.innerText.includes('Зарплата Олега')").await;
}

#[tokio::test]
async fn who_is_blocked_or_removed_leaves_nothing_behind_and_is_told() {
    let site = Site::new().await;
    let Some(mut chromium) = start(&site).await else { return };
    chromium.pair(&site.link().await).await;
    site.plant.admin.block_employee(ANNA).await.unwrap();
    chromium.open(&format!("{}/app/#/settings", site.front.url)).await;
    chromium.until("Boolean(document.querySelector('button.grave'))").await;
    chromium.press("button.grave").await;
    let yes = "[...document.querySelectorAll('dialog[open] button')].find((yes) => yes.innerText === 'Отключить').click()";
    chromium.until("Boolean(document.querySelector('dialog[open]'))").await;
    chromium.evaluate(yes).await;
    chromium.says("Удалить всё только здесь?").await;
    chromium.evaluate(yes).await;
    chromium.says("Вы отключили его").await;

    // The app says so even on the page for a new pairing.
    site.plant.admin.unblock_employee(ANNA).await.unwrap();
    chromium.pair(&site.link().await).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    chromium.says("Сообщения").await;
    chromium.evaluate("location.hash = '#pair'").await;
    chromium.until("Boolean(document.querySelector('#code'))").await;
    let phone = site.phones().await.remove(0);
    site.plant.admin.remove_device(phone.id).await.unwrap();
    let forgotten = "indexedDB.databases().then(() => new Promise((done) => {
        const open = indexedDB.open('simo /simo/app/');
        open.onsuccess = () => {
            const asked = open.result.transaction('facts').objectStore('facts').get('gone');
            asked.onsuccess = () => done(asked.result === 'dead');
        };
    }))";
    chromium.until(forgotten).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    chromium.says("Этот телефон больше не подключён").await;
}
