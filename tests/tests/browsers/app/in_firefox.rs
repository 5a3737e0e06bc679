//! The complete path in Firefox: an invitation's link, a subscription, simod's encrypted post, the worker, the notification,
//! a click, the receipt in the history.

use std::time::Duration;

use serde_json::json;
use simo_common::{api::device::Receipt, delivery::DeliveryState, receipt::ReceiptKind, time::from_us};
use simo_tests::{
    browser::{Firefox, Screen as _, firefoxes},
    clock, eventually,
};

use super::site::{ANNA, Site};

async fn start(site: &Site, binary: &std::path::Path) -> Firefox {
    let russian = [("intl.accept_languages", json!("ru"))];
    let mut firefox = Firefox::start(binary, &site.service, &site.desktop, &russian).await;
    firefox.go(&format!("{}/app/", site.front.url)).await;
    firefox.permit(&site.front.origin, "ALLOW_ACTION").await;
    firefox
}

/// Pairs it and allows notifications.
async fn pair(site: &Site, firefox: &mut Firefox) {
    firefox.pair(&site.link().await).await;
    firefox.says("Подключено.").await;
    firefox.press("button.big").await;
    firefox.says("Уведомления включены").await;
}

#[tokio::test]
async fn an_alarm_rings_in_a_firefox_and_comes_back_acknowledged() {
    for binary in firefoxes() {
        let site = Site::new().await;
        let mut firefox = start(&site, &binary).await;
        let link = site.link().await;
        firefox.go(&link).await;
        firefox.says("zavod: Анна. Это вы?").await;
        let address = firefox.value("location.href").await.as_str().unwrap().to_owned();
        assert!(!address.contains(link.split_once('=').unwrap().1), "the code leaves {address}");
        assert_eq!(site.phones().await.len(), 0, "nothing happened yet");
        pair(&site, &mut firefox).await;
        let phone = site.phones().await.remove(0);
        assert_eq!((phone.channel.as_str(), phone.platform.as_str()), ("webpush", "web-desktop"));

        let first = site.alarm("Котёл 2").await;
        let shown = site.desktop.see("Котёл 2").await;
        assert_eq!(shown.body.trim(), "критично\n8,5 бар", "{}", firefox.version());
        site.reaches(first, DeliveryState::Delivered).await;
        // Firefox shows buttons only after release 140.
        if firefox.value("Notification.maxActions || 0").await == 0 {
            site.desktop.click(&shown).await;
            firefox.until("Boolean(document.querySelector('.act button'))").await;
            site.reaches(first, DeliveryState::Read).await;
            firefox.press(".act button").await;
        } else {
            site.desktop.press(&shown, "Подтвердить").await;
            site.desktop.see("Подтверждено, SiMO знает").await;
        }
        site.reaches(first, DeliveryState::Acknowledged).await;

        // The browser is killed while the stream is open: the next alarm comes by push.
        firefox.settle().await;
        firefox.kill9();
        eventually("the service notices", async || (site.service.connected() == 0).then_some(())).await;
        let second = site.alarm("Насос 3").await;
        firefox.run(&site.desktop).await;
        let shown = site.desktop.see("Насос 3").await;
        site.reaches(second, DeliveryState::Delivered).await;
        let of_it = site.desktop.shown().into_iter().filter(|shown| shown.open && shown.summary == "Насос 3");
        assert_eq!(of_it.count(), 1);

        // A message read on another phone disappears here.
        firefox.go(&format!("{}/app/", site.front.url)).await;
        let other = site.plant.stream_phone(&site.simod, ANNA).await;
        site.desktop.see("Новый телефон: Телефон").await;
        let at = from_us(clock::now_us());
        let read = Receipt { message_id: second, kind: ReceiptKind::Read, at, by: None };
        other.client.send_receipts(&[read]).await.unwrap();
        eventually("the notification goes", async || {
            (!site.desktop.shown().iter().any(|now| now.id == shown.id && now.open)).then_some(())
        })
        .await;

        // After unpairing, nothing is left on the server, in the browser or at the push service.
        site.plant.admin.remove_device(phone.id).await.unwrap();
        firefox.says("больше не подключён").await;
        let left = "const worker = await navigator.serviceWorker.ready;
            const asked = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
            const kept = (await asked(indexedDB.open('simo /simo/app/'))).transaction(['facts', 'messages', 'receipts']);
            const keys = await Promise.all(Array.from(kept.objectStoreNames, (name) => asked(kept.objectStore(name).getAllKeys())));
            return [await worker.pushManager.getSubscription(), keys.flat(), localStorage.length, document.cookie]";
        assert_eq!(firefox.script(left, json!([])).await, json!([null, [], 0, ""]));
    }
}

/// A push that shows nothing costs the subscription, so each must show something, whatever else fails.
#[tokio::test]
async fn a_push_is_shown_while_the_server_hangs_and_when_the_phone_is_unknown_to_it() {
    for binary in firefoxes() {
        let site = Site::new().await;
        let mut firefox = start(&site, &binary).await;
        pair(&site, &mut firefox).await;
        firefox.settle().await;

        site.front.hang(Some("/api/"));
        let id = site.alarm("Сервер молчит").await;
        site.desktop.see("Сервер молчит").await;
        site.front.hang(None);
        firefox.go(&format!("{}/app/", site.front.url)).await;
        site.reaches(id, DeliveryState::Delivered).await;

        let endpoint =
            "return (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).endpoint";
        let endpoint = firefox.script(endpoint, json!([])).await.as_str().unwrap().to_owned();
        firefox.kill9();
        eventually("the service notices", async || (site.service.connected() == 0).then_some(())).await;
        site.alarm("В последний раз").await;
        eventually("the push waits", async || (site.service.waiting(&endpoint) == 1).then_some(())).await;
        let phone = site.phones().await.remove(0);
        site.plant.admin.remove_device(phone.id).await.unwrap();
        firefox.run(&site.desktop).await;
        site.desktop.see("Этот телефон больше не подключён").await;
    }
}

#[tokio::test]
async fn a_lost_subscription_comes_back_and_a_refused_permission_is_reported() {
    for binary in firefoxes() {
        let site = Site::new().await;
        let mut firefox = start(&site, &binary).await;
        pair(&site, &mut firefox).await;
        let app = format!("{}/app/", site.front.url);
        let lose = "const worker = await navigator.serviceWorker.ready;
            return await (await worker.pushManager.getSubscription()).unsubscribe()";
        assert_eq!(firefox.script(lose, json!([])).await, true);
        firefox.go("about:blank").await;
        site.front.hang(Some("/api/v1/device/channel"));
        firefox.go(&app).await;
        firefox.says("Сообщения").await;
        let subscribed =
            "return Boolean(await (await navigator.serviceWorker.ready).pushManager.getSubscription())";
        let end = tokio::time::Instant::now() + Duration::from_mins(1);
        while firefox.script(subscribed, json!([])).await != true {
            assert!(tokio::time::Instant::now() < end, "it subscribes again");
        }
        // The server does not know the new subscription: the page shows messages from its stream.
        site.alarm("Пока сервер не знает").await;
        site.desktop.see("Пока сервер не знает").await;

        site.front.hang(None);
        firefox.go("about:blank").await;
        firefox.go(&app).await;
        firefox.until("performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/device/channel'))").await;
        let id = site.alarm("После потери").await;
        site.desktop.see("После потери").await;
        site.reaches(id, DeliveryState::Delivered).await;

        firefox.permit(&site.front.origin, "DENY_ACTION").await;
        firefox.go("about:blank").await;
        firefox.go(&app).await;
        eventually("the server knows", async || {
            (site.phones().await.remove(0).notifications == Some(false)).then_some(())
        })
        .await;
    }
}
