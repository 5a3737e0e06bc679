//! The server's side of the web app: its fixed address, and the switch that removes its worker.

use simo_common::api::{
    device::{ChannelAddress, Pair},
    people::NewInvite,
};
use simo_tests::{Plant, Simod, simod::Setup};

use super::cli::Ctl;

async fn pair_browser(simod: &Simod, plant: &Plant) {
    let invite = NewInvite { employee: "001".to_owned(), valid_for: None };
    let pair = Pair {
        code: plant.admin.invite_device(&invite).await.unwrap().code,
        key: None,
        channel: ChannelAddress { kind: "stream".to_owned(), ..ChannelAddress::default() },
        name: "Firefox".to_owned(),
        platform: "web-desktop".to_owned(),
    };
    simod.anyone().pair(&pair).await.unwrap();
}

#[tokio::test]
async fn browsers_know_one_address_until_another_is_meant() {
    let mut simod = Setup::new().set("public_url", "https://Simo.Plant.example/").start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    pair_browser(&simod, &plant).await;
    simod.terminate().await;
    let at = |url: &str| Setup::new().on_database_of(&simod).set("public_url", url);
    for (wrong, wanted) in [
        (at("https://other.plant.example"), "start once with --new-origin"),
        (at("https://simo.plant.example/simo"), "1 of them"),
        (Setup::new().on_database_of(&simod), "`public_url` is not set"),
        (Setup::new().on_database_of(&simod).new_origin(), "`public_url` is not set"),
    ] {
        let refusal = wrong.start_in_vain().await;
        assert!(refusal.stderr.contains("https://simo.plant.example"), "{}", refusal.stderr);
        assert!(refusal.stderr.contains(wanted), "{wanted}: {}", refusal.stderr);
    }
    at("https://simo.plant.example").start().await.terminate().await;

    let mut moved = at("https://other.plant.example").new_origin().start().await;
    let doctor = Ctl::new(&moved, "zavod").run(&["doctor"]);
    assert!(doctor.out.contains("another address than today's `public_url`: 1"), "{}", doctor.out);
    moved.terminate().await;
    at("https://other.plant.example").start().await;
}

#[tokio::test]
async fn a_worker_can_be_taken_away() {
    let worker = async |simod: &Simod| {
        reqwest::get(format!("{}/app/sw.js", simod.url())).await.unwrap().text().await.unwrap()
    };
    assert!(worker(&Simod::start().await).await.contains("showNotification"));
    let off = worker(&Setup::new().set("app.worker", false).start().await).await;
    assert!(off.contains("registration.unregister()") && !off.contains("showNotification"), "{off}");
}
