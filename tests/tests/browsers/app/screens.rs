//! Every screen, small and large, light and dark: axe finds no violation, and nothing is wider than the screen.

use serde_json::Value;
use simo_common::delivery::DeliveryState;
use simo_tests::browser::{Chromium, Screen as _, axe, chromium};

use super::site::Site;

#[tokio::test]
async fn every_screen_can_be_read_by_everybody() {
    let (Some(binary), Some(axe)) = (chromium(), axe()) else { return };
    let site = Site::new().await;
    let mut chromium = Chromium::start(&binary, &site.desktop).await;
    chromium.language("ru-RU").await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    look(&mut chromium, &axe, "an empty app").await;
    chromium.open(&site.link().await).await;
    chromium.until("Boolean(document.querySelector('#phone'))").await;
    look(&mut chromium, &axe, "the question").await;
    chromium.press("button.big").await;
    chromium.says("Подключено.").await;
    look(&mut chromium, &axe, "a phone that is paired").await;
    let id = site.alarm(&"Давление в котле 2 выше предела ".repeat(3)).await;
    chromium.open(&format!("{}/app/", site.front.url)).await;
    site.reaches(id, DeliveryState::Delivered).await;
    for address in ["#", "#/ring", "#/devices", "#/settings", &format!("#m={id}"), "#wall"] {
        chromium.open(&format!("{}/app/{address}", site.front.url)).await;
        look(&mut chromium, &axe, address).await;
    }
}

async fn look(chromium: &mut Chromium, axe: &str, what: &str) {
    chromium.until("Boolean(document.querySelector('h1, h2, [href^=\"#m=\"]'))").await;
    assert_eq!(chromium.evaluate("document.documentElement.lang").await, "ru", "{what}");
    for (width, height) in [(320, 568), (1440, 900), (3840, 2160)] {
        chromium.viewport(width, height, width < 400).await;
        let wide = chromium.evaluate("document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{what} is {wide} px wider than {width}");
    }
    for dark in [false, true] {
        chromium.dark(dark).await;
        assert_eq!(chromium.violations(axe).await, Vec::<Value>::new(), "{what}, dark: {dark}");
    }
}
