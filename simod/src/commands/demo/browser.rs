//! The demo's last act: a browser becomes a phone of the company, and the terminal shows what it does.

use std::{collections::HashSet, net::UdpSocket, time::Duration};

use simo_common::{
    api::{
        history::Sort,
        message::PostMessage,
        people::{NewEmployee, NewInvite},
    },
    client::{Client, ListQuery, Result},
    lang::Lang,
    message::Priority,
    qr,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How many seconds a code works when other machines can reach the demo.
pub(super) const LAN_SECONDS: i64 = 600;

/// Time to look at the phone before the next message.
const PAUSE: Duration = Duration::from_secs(3);
/// How long a person may take to allow notifications.
const ALLOWED_WITHIN: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(300);
/// How long an alarm is watched.
const WATCHED: Duration = Duration::from_mins(30);

/// This machine's address on its network, if it has one.
pub(super) fn lan_address() -> Option<String> {
    // Nothing is sent: the system only chooses the route that it would take.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// Invites the person who tries the demo, and shows the link with which a browser becomes a phone.
pub(super) async fn invite(admin: &Client, guest: &NewEmployee, is_lan: bool) -> Result<()> {
    admin.add_employee(guest).await?;
    let valid_for = is_lan.then_some(LAN_SECONDS);
    let invite = admin.invite_device(&NewInvite { employee: guest.personnel_no.clone(), valid_for }).await?;
    say!("{}\n", qr::picture(&invite.uri).unwrap_or_default());
    say!("{}\n", invite.uri);
    Ok(())
}

/// Waits for browsers, and sends each that comes its messages.
pub(super) async fn follow(admin: Client, acs: Client, guest: String, lang: Lang) -> Result<()> {
    let mut known = HashSet::new();
    loop {
        for phone in admin.devices(&ListQuery::default(), Some(&guest)).await?.items {
            if phone.platform.starts_with("web") && known.insert(phone.id) {
                say!(
                    "  {} «{}»",
                    lang.pick("A browser is a phone now:", "Браузер теперь телефон:"),
                    phone.name
                );
                say!(
                    "  … {}",
                    lang.pick(
                        "waits until notifications are allowed there",
                        "ждёт, пока на нём разрешат уведомления"
                    )
                );
                until_it_rings(&admin, phone.id, lang).await?;
                alarm(&admin, &acs, &guest, lang).await?;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the person has allowed notifications; without them, messages only reach the open page.
async fn until_it_rings(admin: &Client, id: Uuid, lang: Lang) -> Result<()> {
    let until = Instant::now() + ALLOWED_WITHIN;
    while Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        if admin.device(id).await?.channel == "webpush" {
            say!("  … {}", lang.pick("it rings", "он звонит"));
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
    }
    Ok(())
}

/// Posts the night's alarm, and follows it on the phone.
async fn alarm(admin: &Client, acs: &Client, guest: &str, lang: Lang) -> Result<()> {
    let message = PostMessage {
        title: lang.pick("Boiler 2: pressure is too high", "Котёл 2: давление выше нормы").to_owned(),
        body: lang.pick("9.1 bar, the limit is 8.5", "9,1 бар при допустимых 8,5").to_owned(),
        topic: Some("boiler".to_owned()),
        priority: Some(Priority::Critical),
        require_ack: true,
        ..PostMessage::default()
    };
    let id = acs.post_message(&message, false).await?.id;
    say!("  {} «{}»", lang.pick("The ACS posts", "АСУ отправляет"), message.title);
    let own = ListQuery { query: Some(format!("message:{id} employee:{guest}")), ..ListQuery::default() };
    let mut told = 0;
    let until = Instant::now() + WATCHED;
    while told < 3 && Instant::now() < until {
        let Some(delivery) = admin.deliveries(&own, Sort::default()).await?.items.pop() else {
            return Ok(());
        };
        let steps = [
            (delivery.delivered_at, lang.pick("it is on the phone", "оно на телефоне")),
            (delivery.read_at, lang.pick("it was opened", "его открыли")),
            (delivery.acknowledged_at, lang.pick("it was acknowledged", "его подтвердили")),
        ];
        // A message acknowledged from its notification was never opened.
        let last = steps.iter().rposition(|(at, _)| at.is_some()).map_or(0, |last| last + 1);
        for (_, text) in steps[told..last.max(told)].iter().filter(|(at, _)| at.is_some()) {
            say!("  … {text}");
        }
        told = last.max(told);
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
