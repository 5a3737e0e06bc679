//! A topic with 1,000 grants over nested groups and 100,000 employees: its audience, and one message to it.

use std::{path::Path, time::Instant};

use futures_util::{StreamExt as _, stream};
use simo_common::{
    api::access::{Grantee, Named},
    client::ListQuery,
};
use simo_tests::Plant;

use crate::{
    site::{self, Provider},
    table::Row,
    wide::{OTHERS, PEOPLE, announce},
};

/// Groups of people, ten to a group of the next size, and ten of those to one of the largest.
const GROUPS: [(&str, usize); 3] = [("smena", 900), ("ceh", 90), ("zavod", 9)];

pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let provider = Provider::start(directory);
    let simod = site::setup(directory, "granted").fcm_at(&provider.url, &provider.files).start().await;
    eprintln!("granted: importing 100,000 employees, giving 1,000 grants …");
    let shift = |number: usize| Some(name(0, number % GROUPS[0].1));
    let plant = site::plant_in(&simod, "granted", PEOPLE, shift).await;
    nest(&plant).await;
    let groups = (0..GROUPS.len()).flat_map(|level| (0..GROUPS[level].1).map(move |n| name(level, n)));
    let mut grantees: Vec<_> = groups.map(Grantee::Group).collect();
    grantees.push(Grantee::Employee(site::personnel_no(0)));
    plant.topic("trevoga", &grantees).await;
    site::give_phones(&simod, &plant, "fcm").await;
    let other = site::plant(&simod, "other", OTHERS).await;
    site::give_phones(&simod, &other, "fcm").await;
    let (wide, other) = (plant.token("1c").await, other.token("scada").await);

    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let all = ListQuery { limit: Some(PEOPLE as u32), ..ListQuery::default() };
        let page = plant.admin.who_receives("trevoga", &all).await.expect("it is answered");
        assert_eq!(page.items.len(), PEOPLE, "everyone is in a group that holds a grant");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let mut rows = vec![Row::at_most(
        "topic who: 100,000 people by 1,000 grants",
        times[times.len() / 2],
        1_000.0,
        "ms",
    )];
    let body = r#"{"title":"Тревога","body":"Покинуть цех.","topic":"trevoga","priority":"critical"}"#;
    let name = "100,000 recipients by 1,000 grants";
    rows.extend(announce(&simod, &provider, [&wide, &other], body).await.rows(name));
    rows
}

fn name(level: usize, number: usize) -> String {
    format!("{}-{number}", GROUPS[level].0)
}

/// Creates the larger groups and puts the smaller ones into them.
async fn nest(plant: &Plant) {
    for level in 1..GROUPS.len() {
        let outer = stream::iter((0..GROUPS[level].1).map(|number| name(level, number)));
        outer
            .for_each_concurrent(16, async |slug| {
                let named = Named { slug, name: None };
                plant.admin.add_group(&named).await.expect("a group can be made");
            })
            .await;
        for number in 0..GROUPS[level - 1].1 {
            let (outer, inner) = (name(level, number / 10), name(level - 1, number));
            plant.admin.include_group(&outer, &inner).await.expect("a group can be included");
        }
    }
}
