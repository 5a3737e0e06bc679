//! The history of a small company, for tests.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use simo_common::{
    api::{
        access::{GrantTimes, HeldGrant, Receiver},
        event::{Event, EventKind},
        history::{Delivery, Explanation, PhoneTimes, Push, StoryLine},
        message::{Message, RecipientCounts, StateCount},
        problem::{FieldError, Problem},
    },
    delivery::DeliveryState,
    lang::Lang,
    message::Priority,
    page::Page,
};
use uuid::Uuid;

use crate::{
    action::{Action, Answer, Client, Command, Effect, Failure, Feed, Load, Story},
    history::RowKey,
    model::{Model, Selection},
    update::update,
    view,
};

const PEOPLE: [(&str, &str); 5] = [
    ("100001", "Иванов Иван Иванович"),
    ("100002", "Ёлкина Мария Сергеевна"),
    ("0042-Ж", "Константинопольский Вениамин Аристархович"),
    ("100017", "Smith John"),
    ("100100", "Ким Ли"),
];

const TITLES: [(&str, Option<&str>); 5] = [
    ("Давление в котле № 3 выше нормы: 14,2 бар, проверьте клапан", Some("boiler")),
    ("Расчётный лист за октябрь", Some("payroll")),
    ("Смена А: выход на два часа раньше", Some("smena-a")),
    ("Зайдите в отдел кадров", None),
    ("Остановка линии 2 в 14:00", Some("line-2")),
];

pub(crate) fn now() -> Timestamp {
    "2026-11-22T09:03:45Z".parse().unwrap()
}

/// The row this many places below the newest; from the tenth on, rows are yesterday's.
pub(crate) fn row(number: u32) -> Delivery {
    let n = number as usize;
    let age = if n < 10 { 7 * i64::from(number) } else { 86_400 + 61 * i64::from(number) };
    let at = now() - SignedDuration::from_secs(age);
    let state = DeliveryState::ALL[n % 9];
    Delivery {
        message_id: id_of(number),
        client: "romashka".into(),
        accepted_at: at,
        personnel_no: PEOPLE[n % 5].0.into(),
        employee: PEOPLE[n % 5].1.into(),
        acs: ["1c", "scada-2"][n % 2].into(),
        topic: TITLES[n % 5].1.map(str::to_owned),
        title: TITLES[n % 5].0.into(),
        priority: Priority::ALL[(n + 3) % 4],
        state,
        reason: (state == DeliveryState::Denied).then(|| "no_grant".into()),
        require_ack: n.is_multiple_of(5),
        sent_at: None,
        delivered_at: None,
        read_at: None,
        acknowledged_at: None,
    }
}

pub(crate) fn id_of(number: u32) -> Uuid {
    Uuid::from_u128(0x018b_cfe5_6800_7000_8000_0000_0000_0000 + u128::from(number))
}

pub(crate) fn page(numbers: std::ops::Range<u32>, next: Option<&str>) -> Page<Delivery> {
    Page { items: numbers.map(row).collect(), next: next.map(str::to_owned) }
}

pub(crate) fn model(lang: Lang) -> Model {
    let zone = TimeZone::get("Europe/Moscow").unwrap();
    let server = "http://127.0.0.1:7466".into();
    let mut model = Model::new(lang, zone, server, Selection::default(), now());
    model.client = Some("romashka".into());
    model
}

pub(crate) fn clients() -> Vec<Client> {
    let client = |slug: &str, name: &str| Client { slug: slug.into(), name: name.into() };
    vec![client("romashka", "ООО «Ромашка»"), client("vasilek", "АО «Василёк»")]
}

/// Runs actions and drops their effects.
pub(crate) fn act(model: &mut Model, actions: impl IntoIterator<Item = Action>) {
    for action in actions {
        update(model, action);
    }
}

pub(crate) fn press(model: &mut Model, commands: impl IntoIterator<Item = Command>) {
    act(model, commands.into_iter().map(Action::Command));
}

pub(crate) fn type_in(model: &mut Model, text: &str) {
    let typed = text.chars().map(tui_input::InputRequest::InsertChar).map(Command::Edit);
    press(model, typed);
}

/// The page that an action makes the model request.
pub(crate) fn asked(model: &mut Model, action: Action) -> Option<Load> {
    update(model, action).into_iter().find_map(|effect| match effect {
        Effect::Load(load) => Some(load),
        _ => None,
    })
}

/// Answers the pending request for a page.
pub(crate) fn answer(model: &mut Model, result: Result<Page<Delivery>, Failure>) {
    let loads = &model.loads;
    let ticket = loads.first.or(loads.fresh).or(loads.more).unwrap();
    update(model, Action::Loaded(ticket, result));
}

/// A connected model that has loaded the newest rows; `size` is the terminal's.
pub(crate) fn loaded(lang: Lang, size: (u16, u16), rows: u32, next: Option<&str>) -> Model {
    let mut model = model(lang);
    act(&mut model, [Action::Resize(size.0, size.1), Action::Feed(Feed::Open)]);
    answer(&mut model, Ok(page(0..rows, next)));
    // The feed opened while the first page was loading, so the rows are loaded once more.
    answer(&mut model, Ok(page(0..rows, next)));
    model
}

/// Advances the time.
pub(crate) fn wait(model: &mut Model, seconds: i64) -> Vec<Effect> {
    let now = model.now + SignedDuration::from_secs(seconds);
    update(model, Action::Tick(now))
}

pub(crate) fn event(number: u32, kind: EventKind, state: Option<DeliveryState>) -> Event {
    let row = row(number);
    Event {
        kind,
        at: row.accepted_at,
        client: row.client,
        message_id: row.message_id,
        acs: row.acs,
        external_id: None,
        personnel_no: state.map(|_| row.personnel_no),
        state,
    }
}

pub(crate) fn away() -> Failure {
    Failure::Away("tcp connect error: Connection refused (os error 111)".into())
}

pub(crate) fn refused(field: &str, detail: &str) -> Failure {
    Failure::Refused(Box::new(Problem {
        kind: "about:blank#invalid".into(),
        title: "Bad Request".into(),
        status: 400,
        code: "invalid".into(),
        detail: detail.into(),
        hint: None,
        errors: vec![FieldError { field: field.into(), detail: detail.into() }],
        request_id: None,
    }))
}

/// The story of the newest row: acknowledged on the second try.
pub(crate) fn story(lang: Lang) -> Box<Story> {
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    let line =
        |seconds, en: &str, ru: &str| StoryLine { at: Some(at(seconds)), text: lang.pick(en, ru).to_owned() };
    let mut delivery = row(0);
    delivery.state = DeliveryState::Acknowledged;
    delivery.sent_at = Some(at(5));
    delivery.read_at = Some(at(90));
    delivery.acknowledged_at = Some(at(95));
    let message = Message {
        id: delivery.message_id,
        client: "romashka".into(),
        acs: "scada-2".into(),
        topic: Some("boiler".into()),
        title: delivery.title.clone(),
        body: "Котельная № 1, датчик PT-301.\nУставка 12,0 бар. Закройте подачу и сообщите диспетчеру."
            .into(),
        priority: Priority::Critical,
        recipients: None,
        data: r#"{"bar":14.2,"sensor":"PT-301"}"#.parse().ok(),
        fitted: Vec::new(),
        require_ack: true,
        external_id: Some("ALARM-7".into()),
        accepted_at: at(0),
        send_at: None,
        expires_at: at(72 * 3_600),
        canceled_at: None,
        cancel_reason: None,
        scheduled: false,
        counts: RecipientCounts { accepted: 14, ..RecipientCounts::default() },
        states: vec![
            StateCount { state: DeliveryState::Read, count: 2 },
            StateCount { state: DeliveryState::Acknowledged, count: 12 },
        ],
        changed_at: Some(at(95)),
        unacknowledged_since: Some(at(0)),
    };
    Box::new(Story {
        explanation: Explanation {
            title: delivery.title.clone(),
            personnel_no: delivery.personnel_no.clone(),
            employee: delivery.employee.clone(),
            delivery: Some(delivery),
            target: Some("group:smena-a".into()),
            grant: Some("everyone".into()),
            phone_times: PhoneTimes { read_at: Some(at(30)), ..PhoneTimes::default() },
            pushes: vec![Push {
                device_id: id_of(900),
                device: "Samsung A52".into(),
                channel: "fcm".into(),
                state: "received".into(),
                tries: 2,
                due_at: None,
                last_tried_at: Some(at(5)),
                last_answer: Some("200 projects/simo/messages/17".into()),
                reason: None,
                sent_at: Some(at(5)),
                done_at: Some(at(30)),
                attempts: Vec::new(),
            }],
            story: vec![
                line(
                    0,
                    "Accepted from ACS scada-2 for group smena-a.",
                    "Принято от АСУ scada-2 для группы smena-a.",
                ),
                line(
                    1,
                    "First push: 503 UNAVAILABLE, tried again 4 s later.",
                    "Первая отправка: 503 UNAVAILABLE, повтор через 4 с.",
                ),
                line(5, "FCM took the push.", "FCM принял отправку."),
                line(90, "Read.", "Прочитано."),
                line(95, "Acknowledged.", "Подтверждено."),
            ],
        },
        message,
    })
}

/// All employees, who may receive the boiler's alarms.
pub(crate) fn receivers(next: Option<&str>) -> Answer {
    let grants = ["group:smena-a", "everyone", "employee"];
    let receiver = |(n, (personnel_no, full_name)): (usize, &(&str, &str))| Receiver {
        personnel_no: (*personnel_no).into(),
        full_name: (*full_name).into(),
        grant: grants[n % 3].into(),
        devices: (n % 3) as u32,
    };
    Answer::Receivers(Page {
        items: PEOPLE.iter().enumerate().map(receiver).collect(),
        next: next.map(str::to_owned),
    })
}

/// One grant that counts now, one with hours, one that has ended.
pub(crate) fn access() -> Answer {
    let held = |topic: &str, name: &str, grant: &str, path: &[&str], times: GrantTimes| HeldGrant {
        topic: topic.into(),
        topic_name: name.into(),
        grant: grant.into(),
        path: path.iter().map(|slug| (*slug).into()).collect(),
        created_at: now(),
        times,
        blocked: false,
    };
    let always = GrantTimes { active: true, ..GrantTimes::default() };
    let nights = GrantTimes {
        from: Some(now() - SignedDuration::from_hours(48)),
        hours: Some("mon-fri 18:00-24:00".into()),
        ..GrantTimes::default()
    };
    let over = GrantTimes { until: Some(now() - SignedDuration::from_hours(24)), ..GrantTimes::default() };
    Answer::Access(vec![
        held("boiler", "Котельная", "group:zavod", &["smena-a", "ceh-1", "zavod"], always),
        held("line-2", "Линия 2", "employee", &[], nights),
        held("payroll", "Расчётные листы", "everyone", &[], over),
    ])
}

pub(crate) fn key(number: u32) -> RowKey {
    RowKey::of(&row(number))
}

/// The screen as drawn.
pub(crate) fn buffer(model: &Model) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view::draw(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen's lines.
pub(crate) fn screen(model: &Model) -> String {
    let buffer = buffer(model);
    buffer
        .content()
        .chunks(usize::from(buffer.area.width.max(1)))
        .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}
