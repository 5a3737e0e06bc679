//! Mistakes of administrators.

use super::*;

#[tokio::test]
async fn bad_administration_is_named_too() {
    let simod = Simod::start().await;
    let (plant, _) = plant(&simod).await;
    let http = reqwest::Client::builder().unix_socket(simod.socket()).build().unwrap();
    let cases = [
        ("clients", json!({"slug": "Завод"}), "slug"),
        ("clients", json!({}), "slug"),
        ("clients", json!({"slug": "b", "timezone": "Mars/Olympus"}), "timezone"),
        ("clients", json!({"slug": "b", "default_ttl": 0}), "default_ttl"),
        ("clients", json!({"slug": "b", "payload": "half"}), "payload"),
        ("topics?client=zavod", json!({"slug": "с пробелом"}), "slug"),
        ("groups?client=zavod", json!({"slug": ""}), "slug"),
        ("acs?client=zavod", json!({"slug": "x".repeat(65)}), "slug"),
        ("employees?client=zavod", json!({"personnel_no": "", "full_name": "И"}), "personnel_no"),
        ("employees?client=zavod", json!({"personnel_no": "2", "full_name": ""}), "full_name"),
        (
            "employees?client=zavod",
            json!({"personnel_no": "2", "full_name": "И", "groups": ["net"]}),
            "groups",
        ),
        ("employees?client=zavod", json!({"personnel_no": "2", "full_name": "И", "locale": "de"}), "locale"),
        ("tokens?client=zavod", json!({}), "acs"),
        ("tokens?client=zavod", json!({"acs": "1c", "expires_at": "никогда"}), "expires_at"),
        ("tokens?client=zavod", json!({"acs": "1c", "operator": "x"}), "acs"),
        ("devices/invite?client=zavod", json!({"employee": "777"}), ""),
        ("devices/invite?client=zavod", json!({"employee": "001", "valid_for": 0}), "valid_for"),
        ("topics", json!({"slug": "ok", "name": "x".repeat(201)}), "name"),
        ("operators?client=zavod", json!({"name": "a", "role": "king"}), "role"),
    ];
    for (path, body, field) in cases {
        let answer = http
            .post(format!("http://localhost/api/v1/{path}"))
            .header("accept-language", "ru")
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_client_error(), "{path} {body}: {status} {text}");
        let problem: Problem =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} {body}: {text}"));
        assert!(has_cyrillic(&problem.detail), "{path} {body}: {problem:?}");
        let named = field.is_empty() || problem.errors.iter().any(|error| error.field.contains(field));
        assert!(named, "{path} {body}: {problem:?}");
    }
    nothing_is_taken_from_lists(&simod, &http).await;
    let twice = NewTopic { slug: "tema".to_owned(), ..NewTopic::default() };
    plant.admin.add_topic(&twice).await.unwrap();
    assert_eq!(plant.admin.add_topic(&twice).await.unwrap_err().status(), Some(409));
}

/// serde would also fill an object from a list, in the order of the fields in the source.
async fn nothing_is_taken_from_lists(simod: &Simod, http: &reqwest::Client) {
    for (method, path, body) in [
        (Method::PATCH, "employees/001?client=zavod", json!(["Другое имя"])),
        (Method::POST, "employees?client=zavod", json!(["002", "Имя", []])),
        (Method::POST, "employees/import?client=zavod", json!([[2, ["002", "Имя"]]])),
        (Method::POST, "clients", json!(["b", "Имя"])),
        (Method::POST, "site/plan", json!([[]])),
        (Method::POST, "operators?client=zavod", json!({"name": "petrov", "role": {"admin": null}})),
    ] {
        let url = format!("http://localhost/api/v1/{path}");
        let answer = http.request(method, url).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}: {text}");
        assert!(text.contains("errors"), "{path} {body}: {text}");
    }
    let owner = simod.owner();
    assert_eq!(owner.clients(&ListQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_names_every_bad_line() {
    let simod = Simod::start().await;
    let (plant, _) = plant(&simod).await;
    let http = reqwest::Client::builder().unix_socket(simod.socket()).build().unwrap();
    let row = |line: u64, number: &str, name: &str| json!({"line": line, "employee": {"personnel_no": number, "full_name": name, "groups": ["novaya"]}});
    let rows =
        json!([row(2, "010", "Первый"), row(3, "", "Второй"), row(4, "012", ""), row(5, "010", "Опять")]);
    let answer =
        http.post("http://localhost/api/v1/employees/import?client=zavod").json(&rows).send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    let problem: Problem = answer.json().await.unwrap();
    for line in ["3", "4", "5"] {
        assert!(problem.errors.iter().any(|error| error.field.contains(line)), "line {line}: {problem:?}");
    }
    assert_eq!(plant.admin.employees(&ListQuery::default(), None).await.unwrap().items.len(), 1);
    assert_eq!(plant.admin.groups(&ListQuery::default()).await.unwrap().items.len(), 1);
}
