//! `?strict=true`: for systems that check only the status.

use super::*;

async fn strict(simod: &Simod, token: &str, items: &[Value]) -> raw::Answer {
    let url = simod.api("/messages/batch?strict=true");
    raw::post(&url, token, Value::from(items.to_vec()).to_string()).send().await
}

async fn stored(plant: &Plant) -> usize {
    plant.admin.messages(&ListQuery::default()).await.unwrap().items.len()
}

fn item(title: &str, no: &str) -> Value {
    json!({"title": title, "recipients": {"employees": [no]}, "external_id": title})
}

#[tokio::test]
async fn a_strict_batch_is_stored_whole_or_not_at_all() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let fields = |answer: &raw::Answer| -> Vec<String> {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        let problem = answer.problem();
        assert_eq!(problem.code, "batch_refused");
        problem.errors.into_iter().map(|error| error.field).collect()
    };
    // All errors are reported at once: those in the items and those found only in the transaction.
    let mut elsewhere = item("f", "001");
    elsewhere["topic"] = "net-takoy".into();
    let reused = json!({"title": "другое", "recipients": {"employees": ["001"]}, "external_id": "a"});
    let mixed = [
        item("a", "001"),
        item(" ", "001"),
        item("c", "777"),
        json!({"title": 5, "recipients": {"employees": ["001"]}}),
        elsewhere.clone(),
        json!("text"),
    ];
    let refused = strict(&simod, &token, &mixed).await;
    let expected = ["[1].title", "[2].recipients.employees[0]", "[3].title", "[4].topic", "[5]"];
    assert_eq!(fields(&refused), expected);
    let refused = strict(&simod, &token, &[item("a", "001"), item("b", "002"), elsewhere]).await;
    assert_eq!(fields(&refused), ["[2].topic"]);
    let refused = strict(&simod, &token, &[item("a", "001"), reused]).await;
    assert_eq!(fields(&refused), ["[1].external_id"]);
    assert_eq!(stored(&plant).await, 0);
    // Without it the valid items are stored as usual.
    let whole = [item("a", "001"), item("b", "002")];
    let accepted = strict(&simod, &token, &whole).await;
    assert_eq!((accepted.status, accepted.json::<BatchAnswer>().accepted), (StatusCode::OK, 2));
    let again: BatchAnswer = strict(&simod, &token, &whole).await.json();
    assert!(again.items.iter().all(|item| item.message.as_ref().unwrap().duplicate));
    assert_eq!(stored(&plant).await, 2);

    let many: Vec<Value> = (0..1_001).map(|n| item(&n.to_string(), "001")).collect();
    let refused = strict(&simod, &token, &many).await;
    assert_eq!(
        (refused.status, refused.problem().code.as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
    );
    let accepted: BatchAnswer = strict(&simod, &token, &many[1..]).await.json();
    assert_eq!(accepted.accepted, 1_000);
    let mut large = item("large", "001");
    large["data"] = json!("x".repeat(5 << 20));
    let refused = strict(&simod, &token, &[large]).await;
    assert!(refused.text.contains("a strict batch may have 4 MiB"), "{}", refused.text);
    let gone = plant.token("1c").await;
    let listed = plant.admin.tokens(&ListQuery::default()).await.unwrap().items;
    plant.admin.revoke_token(listed[0].id).await.unwrap();
    assert_eq!(strict(&simod, &gone, &whole).await.status, StatusCode::UNAUTHORIZED);
}

/// All of these names in memory would take hundreds of megabytes for a request of 64 MiB.
#[tokio::test]
async fn the_answer_to_a_batch_names_few_of_those_who_do_not_exist() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let strangers: Vec<String> = (0..10_000).map(|n| format!("x{n}")).collect();
    let nobody = json!({"title": "nobody", "recipients": {"employees": strangers}});
    let mostly: Vec<&str> = strangers[1..].iter().map(String::as_str).chain(["001"]).collect();
    let one = json!({"title": "one", "recipients": {"employees": mostly}});
    let answer =
        raw::post(&simod.api("/messages/batch"), &token, json!([nobody, one, one]).to_string()).send().await;
    let answer: BatchAnswer = answer.json();
    let problem = answer.items[0].problem.as_ref().unwrap();
    assert_eq!((problem.code.as_str(), problem.errors.len()), ("no_recipients", 10));
    assert!(problem.detail.contains("10000 unknown"), "{}", problem.detail);
    for item in &answer.items[1..] {
        let counts = &item.message.as_ref().unwrap().recipients;
        assert_eq!((counts.unknown.len(), counts.more_unknown), (10, 9_989));
    }
}

#[tokio::test]
async fn strict_batches_of_the_same_keys_at_once_are_one() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let batch: Vec<Value> = (0..50).map(|n| item(&n.to_string(), "001")).collect();
    let answers = join_all((0..8).map(|_| strict(&simod, &token, &batch))).await;
    let new = answers.iter().map(|answer| {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let answer: BatchAnswer = answer.json();
        answer.items.iter().filter(|item| !item.message.as_ref().unwrap().duplicate).count()
    });
    assert_eq!(new.sum::<usize>(), 50);
}
