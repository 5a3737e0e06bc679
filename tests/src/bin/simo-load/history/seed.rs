//! Three clients with a history: messages to crews and shifts, receipts, dead phones, blocked people, canceled and
//! expired messages. All of it is made through the API, as in a plant.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use simo_common::{
    api::{
        access::Grantee,
        device::Receipt,
        message::{PostMessage, Recipients},
        people::{ImportRow, NewEmployee},
    },
    client::{Client, ListQuery},
    delivery::DeliveryState,
    message::Priority,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{Phone, Plant, Simod, clock, wait::within};
use uuid::Uuid;

use crate::site;

/// The properties of a client.
pub(crate) struct Shape {
    pub(crate) slug: &'static str,
    /// Its share of all deliveries.
    share: f64,
    /// Employees per million deliveries of all clients.
    employees: usize,
    /// A word that two messages in five of this client contain, and none of the others'.
    word: &'static str,
}

/// The large client comes first.
pub(crate) const SHAPES: [Shape; 3] = [
    Shape { slug: "steelworks", share: 0.80, employees: 4_000, word: "давление" },
    Shape { slug: "bakery", share: 0.15, employees: 800, word: "мука" },
    Shape { slug: "harbour", share: 0.05, employees: 300, word: "кран" },
];

/// Topics and their weights out of a hundred messages; the rest are personal.
const TOPICS: [(&str, u32); 5] =
    [("boiler", 30), ("conveyor", 20), ("payroll", 12), ("safety", 6), ("canteen", 4)];
/// One message in this many is about this topic instead.
const FIRE: (&str, u32) = ("fire", 2_000);
const SHIFTS: [&str; 4] = ["shift-a", "shift-b", "shift-c", "shift-d"];
const SURNAMES: [&str; 20] = [
    "Абрамов",
    "Белов",
    "Васильев",
    "Громов",
    "Дмитриев",
    "Ёлкин",
    "Жуков",
    "Зайцев",
    "Иванов",
    "Козлов",
    "Лебедев",
    "Морозов",
    "Николаев",
    "Орлов",
    "Петров",
    "Романов",
    "Сидоров",
    "Титов",
    "Фёдоров",
    "Яковлев",
];
const FIRST_NAMES: [&str; 10] =
    ["Алексей", "Борис", "Виктор", "Григорий", "Денис", "Евгений", "Иван", "Михаил", "Олег", "Сергей"];
const THINGS: [&str; 16] = [
    "насос",
    "клапан",
    "котёл",
    "конвейер",
    "печь",
    "компрессор",
    "вентилятор",
    "редуктор",
    "датчик",
    "фильтр",
    "турбина",
    "задвижка",
    "трансформатор",
    "подшипник",
    "муфта",
    "теплообменник",
];
/// Messages per request: those of three clients together stay below the thousand deliveries that one transaction makes, so
/// that few are expanded later.
const BATCH: usize = 25;
/// Seconds until a short-lived message expires.
const SHORT: i64 = 60;
/// The longest time to settle.
const PATIENCE: Duration = Duration::from_mins(15);

/// A client with its history.
pub(crate) struct Site {
    pub(crate) shape: &'static Shape,
    pub(crate) plant: Plant,
    employees: usize,
    crews: usize,
    phones: Vec<Phone>,
    /// The last message to a whole shift, which takes longest to expand.
    last_wide: Option<Uuid>,
    /// The last short-lived message.
    last_short: Option<Uuid>,
}

impl Site {
    /// Creates its employees, groups, topics and phones.
    pub(crate) async fn new(simod: &Simod, shape: &'static Shape, deliveries: u64) -> Self {
        let employees = (shape.employees as u64 * deliveries / 1_000_000).max(100) as usize;
        let plant = Plant::new(simod, shape.slug).await;
        let mut dice = StdRng::seed_from_u64(shape.employees as u64);
        let (mut rows, mut crews) = (Vec::with_capacity(employees), 0);
        while rows.len() < employees {
            for _ in 0..dice.random_range(5..=20) {
                let number = rows.len();
                let name = [pick(&mut dice, &SURNAMES), pick(&mut dice, &FIRST_NAMES)].join(" ");
                rows.push(ImportRow {
                    line: number as u64 + 1,
                    employee: NewEmployee {
                        personnel_no: site::personnel_no(number),
                        full_name: name,
                        groups: vec![crew(crews), SHIFTS[number % SHIFTS.len()].to_owned()],
                        ..NewEmployee::default()
                    },
                    person: None,
                });
            }
            crews += 1;
        }
        plant.import(&rows).await;
        for (slug, _) in TOPICS.iter().chain([&FIRE]) {
            let grantee = match *slug {
                "safety" => Grantee::Group(SHIFTS[0].to_owned()),
                _ => Grantee::Everyone,
            };
            plant.topic(slug, &[grantee]).await;
        }
        let mut phones = Vec::new();
        for number in 0..rows.len() {
            let no = site::personnel_no(number);
            match number % 20 {
                0 | 7 => phones.push(plant.stream_phone(simod, &no).await),
                3 | 11 | 17 => {
                    let address = format!("{}-{no}", shape.slug);
                    plant.fcm_phone(simod, &no, &address).await;
                }
                // Dismissed: denied what their crew gets.
                9 if number % 3 == 0 => {
                    plant.admin.block_employee(&no).await.expect("he can be blocked");
                }
                _ => {}
            }
        }
        Self { shape, plant, employees: rows.len(), crews, phones, last_wide: None, last_short: None }
    }

    /// Values for the placeholders of a query asked for the n-th time; times lie between `first` and `last`.
    pub(crate) fn values(&self, number: usize, first: i64, last: i64) -> Vec<(&'static str, String)> {
        let window = (last - first) / 20;
        let from = first + window * (number as i64 * 7 % 20);
        let moment = |at: i64| time::from_us(at).to_string();
        vec![
            ("no", site::personnel_no(number * 131 % self.employees)),
            ("surname", SURNAMES[number % SURNAMES.len()].to_lowercase()),
            ("shift", SHIFTS[number % SHIFTS.len()].to_owned()),
            ("crew", crew(number * 7 % self.crews)),
            ("from", moment(from)),
            ("to", moment(from + window)),
        ]
    }

    /// Posts until its share of all deliveries is there; `posted` counts those of all clients.
    pub(crate) async fn post(&mut self, simod: &Simod, deliveries: u64, posted: &AtomicU64) {
        let part = (deliveries as f64 * self.shape.share) as u64;
        let mut dice = StdRng::seed_from_u64(part);
        let mut all_acs: Vec<(&str, Client)> = Vec::new();
        for name in ["1c", "scada-2", "monitor"] {
            all_acs.push((name, self.plant.acs(simod, name).await));
        }
        let (mut done, mut to_cancel) = (0, Vec::new());
        while done < part {
            let (acs, client) = &all_acs[[0, 0, 0, 0, 0, 0, 1, 1, 1, 2][dice.random_range(0..10)]];
            let messages: Vec<PostMessage> = (0..BATCH).map(|_| self.message(&mut dice, acs)).collect();
            let answer = client.post_batch(&messages).await.expect("a batch is accepted");
            let mut count = 0;
            for (message, item) in messages.iter().zip(answer.items) {
                let answer = item.message.expect("each message is accepted");
                count += answer.recipients.accepted + answer.recipients.denied;
                let is_wide =
                    message.recipients.as_ref().is_some_and(|to| SHIFTS.contains(&to.groups[0].as_str()));
                if is_wide {
                    self.last_wide = Some(answer.id);
                } else if message.ttl.is_some() {
                    self.last_short = Some(answer.id);
                } else if dice.random_range(0..200) == 0 {
                    to_cancel.push(answer.id);
                }
            }
            done += count;
            let before = posted.fetch_add(count, Ordering::Relaxed);
            if (before + count) / 100_000 > before / 100_000 {
                eprintln!("history: {} deliveries of {deliveries} …", before + count);
            }
        }
        for id in to_cancel {
            self.plant.admin.cancel_message(id).await.expect("a message can be canceled");
        }
    }

    fn message(&self, dice: &mut StdRng, acs: &str) -> PostMessage {
        let drawn = dice.random_range(0..100);
        let mut sum = 0;
        let topic = TOPICS.iter().find(|(_, weight)| {
            sum += weight;
            drawn < sum
        });
        let mut topic = topic.map(|(slug, _)| (*slug).to_owned());
        if dice.random_range(0..FIRE.1) == 0 {
            topic = Some(FIRE.0.to_owned());
        }
        if acs == "monitor" && topic.as_deref() == Some("payroll") {
            topic = None;
        }
        let is_wide = dice.random_range(0..3_000) == 0;
        let group =
            if is_wide { pick(dice, &SHIFTS).to_owned() } else { crew(dice.random_range(0..self.crews)) };
        let word = match dice.random_range(0..5) {
            0 | 1 => self.shape.word,
            _ => pick(dice, &THINGS),
        };
        let rare = if dice.random_range(0..4_000) == 0 { "Авария! " } else { "" };
        PostMessage {
            title: format!("{rare}Наряд № {}: {}", dice.random_range(0..1_000_000), pick(dice, &THINGS)),
            body: format!(
                "Цех {}, {word}: показание {:.1} при норме 6,0. Проверить {} и доложить мастеру смены.",
                dice.random_range(1..=40),
                dice.random_range(1.0..12.0),
                pick(dice, &THINGS)
            ),
            topic,
            priority: Some(match dice.random_range(0..100) {
                0 => Priority::Critical,
                1..=15 => Priority::High,
                16..=20 => Priority::Low,
                _ => Priority::Normal,
            }),
            recipients: Some(Recipients { groups: vec![group], ..Recipients::default() }),
            ttl: (!is_wide && dice.random_range(0..100) == 0).then_some(SHORT),
            require_ack: dice.random_range(0..20) == 0,
            allow_empty: true,
            ..PostMessage::default()
        }
    }

    /// Sends receipts from its phones for the messages that they have.
    pub(crate) async fn report(&self) {
        let mut dice = StdRng::seed_from_u64(self.phones.len() as u64);
        for phone in &self.phones {
            let list = ListQuery { limit: Some(1_000), ..ListQuery::default() };
            let own = phone.client.own_messages(&list).await.expect("a phone reads its own");
            let at = time::from_us(clock::now_us());
            let receipts: Vec<Receipt> = own
                .items
                .iter()
                .filter_map(|message| {
                    let kind = match dice.random_range(0..10) {
                        0..=3 => ReceiptKind::Delivered,
                        4..=6 => ReceiptKind::Read,
                        7 => ReceiptKind::Acknowledged,
                        _ => return None,
                    };
                    let message_id = message.id;
                    Some(Receipt { message_id, kind, at, by: None })
                })
                .collect();
            phone.client.send_receipts(&receipts).await.expect("receipts are taken");
        }
    }

    /// Waits until every delivery exists and no longer changes.
    pub(crate) async fn settled(&self) {
        let look = async |id: Uuid| self.plant.admin.message(id).await.expect("a message can be read");
        if let Some(id) = self.last_wide {
            within(PATIENCE, "the last wide message is handed out", || async {
                let message = look(id).await;
                let there: u64 = message.states.iter().map(|state| state.count).sum();
                (there >= message.counts.accepted + message.counts.denied).then_some(())
            })
            .await;
        }
        if let Some(id) = self.last_short {
            within(PATIENCE, "the last short message expires", || async {
                let queued = look(id).await.states.iter().any(|state| state.state == DeliveryState::Queued);
                (!queued).then_some(())
            })
            .await;
        }
        // A search waits for the index.
        let list =
            ListQuery { query: Some(self.shape.word.to_owned()), limit: Some(1), ..ListQuery::default() };
        self.plant.admin.messages(&list).await.expect("words can be searched");
    }
}

fn crew(number: usize) -> String {
    format!("crew-{number}")
}

fn pick(dice: &mut StdRng, from: &[&'static str]) -> &'static str {
    from[dice.random_range(0..from.len())]
}
