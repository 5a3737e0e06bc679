//! `simoctl apply` of a whole client: 5,000 employees, 200 groups, 100 topics, 1,000 grants, while another client posts.

use std::{path::Path, time::Instant};

use serde_json::{Value, json};
use simo_common::api::site::{ApplySite, PlanSite};

use crate::{
    blast::quantile,
    latency,
    site::{self, personnel_no},
    table::Row,
};

const EMPLOYEES: usize = 5_000;
const GROUPS: usize = 200;
const TOPICS: usize = 100;
const GRANTS: usize = 10;
const OTHERS: usize = 100;
/// Messages per second, one per request.
const RATE: usize = 100;
const SECONDS: usize = 12;

pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let simod = site::setup(directory, "provision").start().await;
    let token = site::plant(&simod, "other", OTHERS).await.token("1c").await;
    latency::steadily(&simod, &token, RATE, RATE, OTHERS).await;
    let owner = simod.owner();
    let asked =
        PlanSite { site: serde_json::from_value(wanted()).expect("it is a site"), ..PlanSite::default() };
    let provisioned = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let begun = Instant::now();
        let plan = owner.plan_site(&asked).await.expect("it can be planned");
        let planned = begun.elapsed();
        let apply = ApplySite {
            site: asked.site.clone(),
            prune: false,
            prune_clients: false,
            revision: plan.revision,
        };
        let begun = Instant::now();
        let applied = owner.apply_site(&apply).await.expect("it can be applied");
        assert_eq!(applied.changes.len(), plan.changes.len());
        let applied = begun.elapsed();
        let begun = Instant::now();
        let again = owner.plan_site(&asked).await.expect("it can be planned");
        assert_eq!(again.changes, [], "it is as the site says");
        [planned, applied, begun.elapsed()].map(|time| time.as_secs_f64() * 1e3)
    };
    let (posted, [planned, applied, again]) =
        tokio::join!(latency::steadily(&simod, &token, RATE, RATE * SECONDS, OTHERS), provisioned);
    let mut answers: Vec<f64> =
        posted.iter().map(|message| (message.answered_us - message.sent_us) as f64 / 1e3).collect();
    vec![
        Row::at_most("5,000 employees, 1,000 grants: plan", planned, 1_000.0, "ms"),
        Row::at_most("  apply", applied, 3_000.0, "ms"),
        Row::at_most("  plan again, nothing to do", again, 1_000.0, "ms"),
        Row::at_most("  other client meanwhile: POST to 202, p99", quantile(&mut answers, 0.99), 250.0, "ms"),
        Row::at_most(
            "  other client meanwhile: POST to 202, slowest",
            quantile(&mut answers, 1.0),
            250.0,
            "ms",
        ),
    ]
}

fn wanted() -> Value {
    let group = |number: usize| format!("smena-{number}");
    let groups: Vec<Value> = (0..GROUPS)
        .map(|number| {
            let includes: Vec<String> =
                (number % 10 == 0 && number > 0).then(|| group(number - 1)).into_iter().collect();
            json!({"slug": group(number), "name": format!("Смена {number}"), "includes": includes})
        })
        .collect();
    let employees: Vec<Value> = (0..EMPLOYEES)
        .map(|number| {
            json!({
                "personnel_no": personnel_no(number), "full_name": format!("Сотрудник {number}"),
                "phone": format!("+7900{number:07}"), "groups": [group(number % GROUPS)],
            })
        })
        .collect();
    let topics: Vec<Value> = (0..TOPICS)
        .map(|number| {
            let grants: Vec<Value> = (0..GRANTS)
                .map(|grant| match grant {
                    0 => json!({"employee": personnel_no(number)}),
                    _ => json!({"group": group((number * GRANTS + grant) % GROUPS)}),
                })
                .collect();
            json!({"slug": format!("tema-{number}"), "grants": grants})
        })
        .collect();
    json!({"clients": {"zavod": {
        "acs": [{"name": "1c", "tokens": ["main"]}],
        "groups": groups, "employees": employees, "topics": topics,
    }}})
}
