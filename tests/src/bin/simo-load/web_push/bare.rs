//! The bare loop of web pushes, in its own process as simod is: it only encrypts with fresh keys and posts over HTTP/2.

use std::{fs, path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderMap, StatusCode};
use reqwest::Client;
use simo_tests::{
    fcm::sender::trusting,
    push_service::{Sender, encryption::encrypt},
};
use url::Url;

use super::Work;
use crate::{cpu, drain};

/// A subscription, decoded.
struct Browser {
    endpoint: Url,
    p256dh: Vec<u8>,
    auth: Vec<u8>,
}

/// Sends this many pushes, to each subscription in turn.
pub(crate) async fn send(work: &Path, pushes: usize) {
    let work = fs::read(work).expect("the file can be read");
    let Work { ca, text, subscriptions } = serde_json::from_slice(&work).expect("it says what to send");
    let decoded = |text: &str| BASE64.decode(text).expect("keys are base64url");
    let browsers = subscriptions.iter().map(|browser| Browser {
        endpoint: browser.endpoint.parse().expect("an endpoint is a URL"),
        p256dh: decoded(&browser.keys.p256dh),
        auth: decoded(&browser.keys.auth),
    });
    let browsers: Arc<[Browser]> = browsers.collect();
    let sender = Sender::at(&browsers[0].endpoint.origin().ascii_serialization(), &ca);
    let headers: HeaderMap = sender
        .headers()
        .into_iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect();
    let text: Arc<str> = text.into();
    let send = move |client: Client, number: usize| {
        let (browsers, headers, text) = (Arc::clone(&browsers), headers.clone(), Arc::clone(&text));
        async move {
            let to = &browsers[number % browsers.len()];
            let body = encrypt(&to.p256dh, &to.auth, text.as_bytes());
            let answer = client.post(to.endpoint.clone()).headers(headers).body(body).send().await;
            let answer = answer.expect("the stand-in answers");
            assert_eq!(answer.status(), StatusCode::CREATED);
            answer.bytes().await.expect("the answer is whole");
        }
    };
    let connect = || trusting(&ca).http2_prior_knowledge().no_proxy().build().expect("a client");
    drain::send_all(pushes, connect, send).await;
    println!("{}", cpu::used_us(std::process::id()));
}
