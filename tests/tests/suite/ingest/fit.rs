//! `?fit=true` and tokens that ask for it: for systems that cannot correct what they post.

use simo_common::message::{Part, limits};

use super::*;

fn large(title_end: &str) -> Value {
    json!({
        "title": format!("{}{title_end}", "Котёл 👨‍👩‍👧‍👦 ".repeat(40)),
        "body": "Давление 9,1 бар\n".repeat(20_000),
        "data": {"dump": "x".repeat(5_000)},
        "recipients": {"employees": ["001"]},
        "external_id": "7",
    })
}

async fn send(simod: &Simod, token: &str, query: &str, message: &Value) -> raw::Answer {
    raw::post(&simod.api(&format!("/messages{query}")), token, message.to_string()).send().await
}

#[tokio::test]
async fn what_does_not_fit_is_cut_where_that_is_asked_for_and_everybody_is_told() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let strict = plant.token("1c").await;
    let patient = NewToken { acs: Some("smartd".to_owned()), fit: Some(true), ..NewToken::default() };
    let patient = plant.admin.issue_token(&patient).await.unwrap();
    assert!(plant.admin.token(patient.id).await.unwrap().fit);
    for (token, query) in [(&strict, "?fit=true"), (&patient.token, "")] {
        let message = large("!");
        let answer = send(&simod, token, query, &message).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        let posted: PostedMessage = answer.json();
        assert_eq!(posted.fitted, [Part::Title, Part::Body, Part::Data]);
        let kept = plant.admin.message(posted.id).await.unwrap();
        assert_eq!(kept.fitted, posted.fitted);
        assert!(
            kept.title.chars().count() <= limits::TITLE_CHARS && kept.title.ends_with('…'),
            "{}",
            kept.title
        );
        assert!(kept.body.len() <= limits::BODY_BYTES && kept.body.len() > limits::BODY_BYTES - 8);
        assert!(kept.data.is_none());
        let story = plant.admin.explain(posted.id, "001").await.unwrap().story;
        assert!(story.iter().any(|line| line.text.contains("did not fit")), "{story:?}");
        // The key belongs to the message as posted, not as cut.
        let again: PostedMessage = send(&simod, token, query, &message).await.json();
        assert_eq!(again, PostedMessage { duplicate: true, ..posted });
        let other = send(&simod, token, query, &large("?")).await;
        assert_eq!(other.problem().code, "key_reused");
        // Only texts that can be cut are cut; other limits still apply.
        let wrong =
            json!({"title": "a", "recipients": {"employees": ["001"]}, "external_id": "x".repeat(201)});
        assert_eq!(send(&simod, token, query, &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let mut huge = large("");
        huge["body"] = "x".repeat(1024 * 1024).into();
        assert_eq!(send(&simod, token, query, &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut long = to_employees("", &["001"]);
    long.title = "x".repeat(limits::TITLE_CHARS + 1);
    let long = serde_json::to_value(long).unwrap();
    for (token, query) in [(&strict, ""), (&patient.token, "?fit=false")] {
        let answer = send(&simod, token, query, &long).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem().errors[0].field), (422, "title"));
        assert_eq!(send(&simod, token, query, &large("")).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let small = json!({"title": "a", "recipients": {"employees": ["001"]}});
    let answer = send(&simod, &patient.token, "", &small).await;
    assert!(!answer.text.contains("fitted"), "{}", answer.text);
}
