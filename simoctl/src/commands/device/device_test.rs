//! `simoctl device test`: sends a trial message the usual way, and shows its fate on each device.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use clap::Args;
use simo_common::{
    api::{
        history::{Explanation, Push},
        message::{PostMessage, Recipients},
        people::{Device, Employee},
    },
    client::{Client, Error, ListQuery},
    delivery::DeliveryState,
    lang::Lang,
    message::Priority,
};
use uuid::Uuid;

use super::super::message;
use crate::{
    clock,
    failure::{Exit, Failure},
    live,
    session::Session,
};

/// Interval between checks.
const EVERY: Duration = Duration::from_millis(500);
/// Seconds that the message outlives the wait: a late phone still shows up in history.
const LATE_SECONDS: i64 = 60;
/// The longest wait in seconds: an hour.
const LONGEST_SECONDS: i64 = 3_600;

#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// Whose phones: a personnel number; or the id of one device
    whom: String,
    /// How long to wait for the receipt: 30s, 5m; an hour at most
    #[arg(long, value_name = "TIME", value_parser = message::seconds, default_value = "60s")]
    wait: i64,
}

pub(super) async fn run(session: &Session, api: &Client, args: &Trial) -> Result<(), Failure> {
    if args.wait > LONGEST_SECONDS {
        return Err(Failure::usage(session.say("--wait: an hour at most", "--wait: не больше часа")));
    }
    let (employee, devices) = addressed(session, api, &args.whom).await?;
    let message = message_to(session, &employee, args.wait);
    let id = api.post_message(&message, false).await?.id;
    let (no, name) = (&employee.personnel_no, &employee.full_name);
    session.talk(
        &session.say(
            format!("Trial message {id} to {no} {name}."),
            format!("Пробное сообщение {id}: {no} {name}."),
        ),
    );
    let explained = follow(session, api, id, no, &devices, args.wait).await?;
    let pushes: Vec<&Push> = of(&explained, &devices).collect();
    let rows: Vec<Push> = pushes.iter().map(|push| (*push).clone()).collect();
    session.out.list(&rows)?;
    let received = pushes.iter().filter(|push| is_received(push)).count();
    if received == 0 {
        let story = explained.story.into_iter().map(|line| line.text).collect();
        let wait = args.wait;
        return Err(Failure::failed(
            session.say(
                format!("No receipt came within {wait} s."),
                format!("Квитанция не пришла за {wait} с."),
            ),
        )
        .details(story)
        .hint(later(session, id, no)));
    }
    let all = devices.len();
    if received < all {
        let wait = args.wait;
        let mut silent: Vec<String> = devices
            .values()
            .filter(|device| !pushes.iter().any(|push| push.device_id == device.id && is_received(push)))
            .map(|device| {
                let push = pushes.iter().find(|push| push.device_id == device.id);
                let step = push.map_or_else(
                    || session.say("nothing was sent", "ничего не отправлено").to_owned(),
                    |push| step(session, push),
                );
                format!("{}: {step}", device.name)
            })
            .collect();
        silent.sort();
        return Err(Failure::failed(session.say(
            format!("Devices that confirmed it within {wait} s: {received} of {all}. Not these:"),
            format!("Подтвердили получение за {wait} с: {received} из {all}. Не подтвердили:"),
        ))
        .details(silent)
        .hint(later(session, id, no)));
    }
    session.done(&session.say(
        format!("Devices that confirmed it: {received} of {all}."),
        format!("Подтвердили получение: {received} из {all}."),
    ));
    Ok(())
}

/// Hint: where later receipts show up.
fn later(session: &Session, id: Uuid, personnel_no: &str) -> String {
    session.say(
        format!("More may come later: simoctl message explain {id} --employee {personnel_no}"),
        format!("Ответ может прийти позже: simoctl message explain {id} --employee {personnel_no}"),
    )
}

/// The employee and the devices to test.
async fn addressed(
    session: &Session,
    api: &Client,
    whom: &str,
) -> Result<(Employee, HashMap<Uuid, Device>), Failure> {
    let found = match whom.parse::<Uuid>() {
        Ok(id) => match api.device(id).await {
            Ok(device) => Some(device),
            // A personnel number may look like an id.
            Err(Error::Problem(problem)) if problem.status == 404 => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    if let Some(device) = found {
        if device.state == "retired" {
            let name = &device.name;
            return Err(Failure::failed(session.say(
                format!("The device “{name}” is retired."),
                format!("Устройство «{name}» отключено."),
            )));
        }
        let employee = api.employee(&device.personnel_no).await?;
        may_receive(session, &employee)?;
        return Ok((employee, HashMap::from([(device.id, device)])));
    }
    let employee = match api.employee(whom).await {
        Err(Error::Problem(problem)) if problem.status == 404 && whom.parse::<Uuid>().is_ok() => {
            return Err(Failure::new(
                Exit::NotFound,
                session.say(
                    format!("There is no device with the id {whom}, and no employee with this number."),
                    format!("Нет ни устройства с id {whom}, ни сотрудника с таким номером."),
                ),
            )
            .hint("simoctl device list"));
        }
        employee => employee?,
    };
    may_receive(session, &employee)?;
    let query = ListQuery { limit: Some(1_000), ..ListQuery::default() };
    let devices = api.devices(&query, Some(whom)).await?.items;
    if devices.is_empty() {
        let name = &employee.full_name;
        return Err(Failure::failed(session.say(
            format!("{whom} {name} has no device."),
            format!("У сотрудника {whom} {name} нет устройств."),
        ))
        .hint(format!("simoctl device invite {whom}")));
    }
    Ok((employee, devices.into_iter().map(|device| (device.id, device)).collect()))
}

/// A blocked employee receives nothing, whatever topics and devices they have.
fn may_receive(session: &Session, employee: &Employee) -> Result<(), Failure> {
    if employee.blocked_at.is_none() {
        return Ok(());
    }
    let (no, name) = (&employee.personnel_no, &employee.full_name);
    Err(Failure::failed(session.say(
        format!("{no} {name} is blocked: nothing is sent to them."),
        format!("{no} {name}: доступ заблокирован, сообщения не отправляются."),
    ))
    .hint(format!("simoctl employee unblock {no}")))
}

/// In the recipient's language; its title, its data and its external id tell it from real messages.
#[expect(clippy::expect_used, reason = "what is parsed stands here")]
fn message_to(session: &Session, employee: &Employee, wait: i64) -> PostMessage {
    let locale = employee.locale.as_deref().and_then(|locale| locale.parse().ok());
    let lang: Lang = locale.unwrap_or(session.lang);
    let now = clock::now().as_microsecond();
    PostMessage {
        title: lang.pick("Test message", "Проверка связи").to_owned(),
        body: lang
            .pick(
                "The administrator checks whether messages reach your phone. There is nothing to do.",
                "Администратор проверяет, доходят ли сообщения до вашего телефона. Делать ничего не нужно.",
            )
            .to_owned(),
        priority: Some(Priority::High),
        recipients: Some(Recipients {
            employees: vec![employee.personnel_no.clone()],
            ..Recipients::default()
        }),
        data: Some(r#"{"simo_test":true}"#.parse().expect("it is an object")),
        ttl: Some(wait + LATE_SECONDS),
        external_id: Some(format!("device-test-{now}-{}", std::process::id())),
        ..PostMessage::default()
    }
}

/// Reports each step until every device has a final state or the time is up.
async fn follow(
    session: &Session,
    api: &Client,
    id: Uuid,
    personnel_no: &str,
    devices: &HashMap<Uuid, Device>,
    wait: i64,
) -> Result<Explanation, Failure> {
    let until = Instant::now() + Duration::from_secs(wait.unsigned_abs());
    let mut told: HashMap<String, String> = HashMap::new();
    loop {
        let explained = match api.explain(id, personnel_no).await {
            Ok(explained) => explained,
            Err(error) if live::may_pass(&error) && Instant::now() < until => {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let pushes: Vec<&Push> = of(&explained, devices).collect();
        for push in &pushes {
            let said = step(session, push);
            if told.insert(push.device_id.to_string(), said.clone()).as_ref() != Some(&said) {
                session.talk(&format!("  {}: {said}", push.device));
            }
        }
        if let Some(delivery) = &explained.delivery
            && let Some(said) = reported(session, delivery.state)
            && told.insert(String::new(), said.to_owned()).as_deref() != Some(said)
        {
            session.talk(&format!("  {personnel_no}: {said}"));
        }
        let is_over = |push: &&Push| push.state != "waiting" && push.state != "accepted";
        if (pushes.len() >= devices.len() && pushes.iter().all(is_over)) || Instant::now() >= until {
            return Ok(explained);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn of<'e>(explained: &'e Explanation, devices: &HashMap<Uuid, Device>) -> impl Iterator<Item = &'e Push> {
    explained.pushes.iter().filter(|push| devices.contains_key(&push.device_id))
}

fn is_received(push: &Push) -> bool {
    push.state == "received"
}

fn step(session: &Session, push: &Push) -> String {
    let reason = push.reason.as_deref().or(push.last_answer.as_deref());
    let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    match push.state.as_str() {
        "waiting" if push.tries > 0 => session.say(
            format!("not yet accepted, is tried again{why}"),
            format!("пока не принято, будет повтор{why}"),
        ),
        "waiting" => session.say("waits", "ждёт").to_owned(),
        "accepted" => session.say("accepted by the provider", "принято провайдером").to_owned(),
        "received" => session.say("a receipt came", "квитанция пришла").to_owned(),
        state => format!("{state}{why}"),
    }
}

/// The receipts of all the person's phones together.
fn reported(session: &Session, state: DeliveryState) -> Option<&'static str> {
    match state {
        DeliveryState::Delivered => Some(session.say("delivered", "доставлено")),
        DeliveryState::Read => Some(session.say("read", "прочитано")),
        DeliveryState::Acknowledged => Some(session.say("acknowledged", "подтверждено")),
        _ => None,
    }
}
