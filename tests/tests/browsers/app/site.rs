//! A plant whose employees open the app in browsers.

use simo_common::{
    api::{
        history::{Delivery, Sort},
        message::PostMessage,
        people::{Device, ImportRow, NewEmployee, NewInvite},
    },
    client::{Client, ListQuery},
    delivery::DeliveryState,
    message::Priority,
};
use simo_tests::{
    Plant, PushService, Simod, browser::Desktop, eventually, plant::to_employees, simod::Setup,
};
use uuid::Uuid;

use super::front::Front;

/// The employee at the browser.
pub(super) const ANNA: &str = "0042";

pub(super) struct Site {
    pub(super) front: Front,
    pub(super) service: PushService,
    pub(super) desktop: Desktop,
    pub(super) simod: Simod,
    pub(super) plant: Plant,
    pub(super) acs: Client,
}

impl Site {
    pub(super) async fn new() -> Self {
        Self::found_at(|front| front.url.clone()).await
    }

    /// A plant with this `public_url`.
    pub(super) async fn found_at(url: impl Fn(&Front) -> String) -> Self {
        let (front, service, desktop) = (Front::listen().await, PushService::start(), Desktop::start().await);
        let directory = tempfile::tempdir().unwrap();
        let simod = Setup::new()
            .set("public_url", url(&front))
            .set("webpush.subject", "mailto:it@example.org")
            .set("webpush.ca", service.write_ca(directory.path()).to_str().unwrap())
            .set("webpush.allowed_hosts", vec![service.host()])
            .set("delivery.retry_first_seconds", 0.1)
            .start()
            .await;
        front.lead_to(simod.url()).await;
        let plant = Plant::new(&simod, "zavod").await;
        let employee = |(line, (number, name)): (u64, (&str, &str))| ImportRow {
            line,
            employee: NewEmployee {
                personnel_no: number.to_owned(),
                full_name: name.to_owned(),
                ..NewEmployee::default()
            },
            person: None,
        };
        let people = [(ANNA, "Иванова Анна"), ("0043", "Петров Олег")];
        plant.import(&(1..).zip(people).map(employee).collect::<Vec<_>>()).await;
        let acs = plant.acs(&simod, "scada").await;
        Self { front, service, desktop, simod, plant, acs }
    }

    /// The link of a new invitation.
    pub(super) async fn link(&self) -> String {
        let invite = NewInvite { employee: ANNA.to_owned(), valid_for: None };
        self.plant.admin.invite_device(&invite).await.unwrap().uri
    }

    /// Posts an alarm to Anna.
    pub(super) async fn alarm(&self, title: &str) -> Uuid {
        let alarm = PostMessage {
            body: "8,5 бар".to_owned(),
            priority: Some(Priority::Critical),
            require_ack: true,
            ..to_employees(title, &[ANNA])
        };
        self.acs.post_message(&alarm, false).await.unwrap().id
    }

    /// Waits until the history shows Anna's delivery in this state.
    pub(super) async fn reaches(&self, id: Uuid, state: DeliveryState) -> Delivery {
        let own = ListQuery { query: Some(format!("message:{id} employee:{ANNA}")), ..ListQuery::default() };
        eventually(&format!("{id} is {state:?}"), async || {
            let found = self.plant.admin.deliveries(&own, Sort::default()).await;
            found.unwrap().items.pop().filter(|delivery| delivery.state == state)
        })
        .await
    }

    /// Anna's phones, newest first.
    pub(super) async fn phones(&self) -> Vec<Device> {
        let mut phones = self.plant.admin.devices(&ListQuery::default(), Some(ANNA)).await.unwrap().items;
        phones.sort_by_key(|phone| std::cmp::Reverse(phone.paired_at));
        phones
    }
}
