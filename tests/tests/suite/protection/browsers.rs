//! Headers for browsers.

use http::{HeaderMap, Method, StatusCode};
use simo_tests::{Plant, Simod, raw, simod::Setup};

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn no_answer_is_kept_guessed_at_or_framed() {
    let simod = Simod::start().await;
    let token = Plant::new(&simod, "zavod").await.token("1c").await;
    for (path, token) in
        [("/messages", token.as_str()), ("/messages", "wrong"), ("/nowhere", ""), ("/openapi.json", "")]
    {
        let answer = raw::ask(Method::GET, &simod.api(path)).token(token).send().await;
        let said = |name| header(&answer.headers, name);
        assert_eq!(said("cache-control"), Some("no-store"), "{path}");
        assert_eq!(said("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(said("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(said("content-security-policy").unwrap().contains("default-src 'none'"), "{path}");
        assert_eq!(said("strict-transport-security"), None, "not over plain HTTP");
        assert_eq!(said("set-cookie"), None, "{path}");
    }
}

async fn from_page(simod: &Simod, method: Method, origin: &str) -> raw::Answer {
    raw::ask(method, &simod.api("/whoami"))
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
}

#[tokio::test]
async fn pages_of_other_origins_get_nothing_unless_they_are_named() {
    let shut = Simod::start().await;
    for method in [Method::OPTIONS, Method::GET] {
        let answer = from_page(&shut, method, "https://admin.example.org").await;
        assert!(answer.status.is_client_error());
        assert_eq!(header(&answer.headers, "access-control-allow-origin"), None);
    }

    let named = vec!["https://admin.example.org"];
    let open = Setup::new().set("cors_origins", named).start().await;
    let asked = from_page(&open, Method::OPTIONS, "https://admin.example.org").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(header(&asked.headers, "access-control-allow-origin"), Some("https://admin.example.org"));
    assert!(header(&asked.headers, "access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(header(&asked.headers, "x-content-type-options"), Some("nosniff"));
    // The page can read a refusal too.
    let answer = from_page(&open, Method::GET, "https://admin.example.org").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(header(&answer.headers, "access-control-allow-origin"), Some("https://admin.example.org"));
    let stranger = from_page(&open, Method::OPTIONS, "https://evil.example").await;
    assert_eq!(header(&stranger.headers, "access-control-allow-origin"), None);

    let wrong = Setup::new().set("cors_origins", vec!["admin.example.org"]).start_in_vain().await;
    assert!(wrong.stderr.contains("`admin.example.org` is not an origin"), "{}", wrong.stderr);
}
