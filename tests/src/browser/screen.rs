//! The web app's page as a person sees it, in either browser.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Chromium, Firefox};

/// A page of the app.
#[allow(async_fn_in_trait, reason = "only tests call it, on one thread")]
pub trait Screen {
    /// The value of an expression.
    async fn value(&mut self, expression: &str) -> Value;

    /// Clicks the selected element.
    async fn press(&mut self, selector: &str);

    /// Opens this address.
    async fn open(&mut self, url: &str);

    /// Waits until an expression is true.
    async fn until(&mut self, expression: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        while self.value(expression).await != true {
            if Instant::now() > end {
                let seen = self.value("document.body.innerText").await;
                panic!("never: {expression}; the page says: {seen}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows this text.
    async fn says(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Opens an invitation's link and confirms the pairing.
    async fn pair(&mut self, link: &str) {
        self.open(link).await;
        self.until("Boolean(document.querySelector('#phone'))").await;
        self.press("button.big").await;
        self.until("Boolean(document.querySelector('h1')) && !document.querySelector('#phone') && !document.querySelector('#code')").await;
    }
}

impl Screen for Firefox {
    async fn value(&mut self, expression: &str) -> Value {
        self.script(&format!("return ({expression})"), json!([])).await
    }

    async fn press(&mut self, selector: &str) {
        self.click(selector).await.expect("it can be clicked");
    }

    async fn open(&mut self, url: &str) {
        self.go(url).await;
    }
}

impl Screen for Chromium {
    async fn value(&mut self, expression: &str) -> Value {
        self.evaluate(expression).await
    }

    async fn press(&mut self, selector: &str) {
        self.click(selector).await;
    }

    async fn open(&mut self, url: &str) {
        self.go(url).await.expect("the page loads");
    }
}
