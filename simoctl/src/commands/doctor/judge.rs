//! Judges the server's health: each check says whether all is well, and if not what to do.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use simo_common::{
    api::service::{ChannelHealth, Disk, Health, Unprotected},
    lang::{Lang, Text},
    text,
};

use super::Check;

/// A certificate or a disk with less time left needs attention now.
const SOON_DAYS: f64 = 14.0;

/// Bytes that a disk should have free at any growth rate: a day's alarms, and a growing log.
const LEAST_FREE: u64 = 1_000_000_000;

/// Tolerated difference between the two machines' clocks, besides the duration of the request.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// When the request was sent and answered, by this machine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Timestamp,
    pub(super) answered_at: Timestamp,
}

/// All checks of the server's health.
pub(super) fn judge(
    health: &Health,
    channels: &[ChannelHealth],
    asked: Asked,
    zone: &TimeZone,
    lang: Lang,
) -> Vec<Check> {
    let mut checks = vec![ways(health, channels), people(health), clock(health.now, asked)];
    checks.extend(health.certificate_expires_at.map(|expires| certificate(expires, asked.answered_at, zone)));
    checks.extend(health.disk.as_ref().map(disk));
    checks.extend(health.unprotected.iter().map(|what| ("database", false, unprotected(*what))));
    checks.extend((health.left_behind > 0).then(|| left_behind(health.left_behind)));
    checks
        .into_iter()
        .map(|(what, ok, detail)| Check { what, ok, detail: detail.get(lang).to_owned() })
        .collect()
}

type Judged = (&'static str, bool, Text);

/// Whether any phone can be reached.
fn ways(health: &Health, channels: &[ChannelHealth]) -> Judged {
    let is_off =
        |name: &str| channels.iter().any(|channel| channel.channel == name && channel.state == "off");
    let (cut_off, reached): (Vec<_>, Vec<_>) =
        health.phones.iter().partition(|phones| is_off(&phones.channel));
    if let Some(cut_off) = cut_off.first() {
        let (channel, phones) = (&cut_off.channel, cut_off.phones);
        let detail = text!(
            "{phones} phones are paired with `{channel}`, which is not set up: messages to them wait until they expire. Set it \
             up in simod's configuration, or pair these phones anew",
            "Телефонов с каналом «{channel}», который не настроен: {phones}. Сообщения им ждут, пока не истекут. Настройте канал в \
             конфигурации simod или подключите эти телефоны заново"
        );
        return ("ways", false, detail);
    }
    let phones: u64 = reached.iter().map(|phones| phones.phones).sum();
    if phones > 0 {
        return ("ways", true, text!("phones that can be reached: {phones}", "телефонов на связи: {phones}"));
    }
    let detail = if channels.iter().any(|channel| channel.channel != "stream" && channel.state != "off") {
        text!(
            "no phone is paired: invite the first with `simoctl device invite NO`",
            "нет ни одного телефона: пригласите первый командой `simoctl device invite НОМЕР`"
        )
    } else {
        text!(
            "no way to any phone: no push service is set up and no phone holds a stream. Set `public_url` and \
             `webpush.subject`, or `fcm.service_account`, in simod's configuration, or pair a phone with `simoctl device invite NO`",
            "нет ни одного пути к телефонам: служба доставки не настроена, и ни один телефон не держит поток. Задайте \
             `public_url` и `webpush.subject` или `fcm.service_account` в настройках simod или подключите телефон: `simoctl device invite НОМЕР`"
        )
    };
    ("ways", false, detail)
}

fn people(health: &Health) -> Judged {
    let (people, without) = (health.people, health.without_phone);
    let detail = match (people, without) {
        (0, _) => text!(
            "there are no employees yet: `simoctl employee import FILE`",
            "сотрудников ещё нет: `simoctl employee import ФАЙЛ`"
        ),
        (_, 0) => text!("all {people} employees have a phone", "телефон есть у всех сотрудников ({people})"),
        _ => text!(
            "{without} of {people} employees have no phone and receive nothing: `simoctl device invite --without-device`",
            "без телефона, и ничего не получат: {without} из {people}. Пригласите их: `simoctl device invite --without-device`"
        ),
    };
    ("people", people > 0 && without == 0, detail)
}

fn clock(server: Timestamp, asked: Asked) -> Judged {
    let middle = asked.at + asked.answered_at.duration_since(asked.at) / 2;
    let off = server.duration_since(middle);
    let tolerated = CLOCK_TOLERANCE + asked.answered_at.duration_since(asked.at);
    let seconds = off.as_secs_f64().round();
    if off.abs() <= tolerated {
        return ("clock", true, text!("agrees with this machine's", "сходятся с часами этой машины"));
    }
    let detail = text!(
        "the server's clock is {seconds:+} s off this machine's: see which of them is wrong (`timedatectl`), and let NTP set it",
        "часы сервера расходятся с этой машиной на {seconds:+} с: выясните, какие неверны (`timedatectl`), и включите NTP"
    );
    ("clock", false, detail)
}

fn certificate(expires: Timestamp, now: Timestamp, zone: &TimeZone) -> Judged {
    let day = expires.to_zoned(zone.clone()).date();
    let days = expires.duration_since(now).as_secs_f64() / 86_400.0;
    let detail = if days <= 0.0 {
        text!(
            "expired on {day}: phones and programs refuse to connect. Renew it; simod reads the files again by itself",
            "истёк {day}: телефоны и программы не подключаются. Обновите его; simod перечитает файлы сам"
        )
    } else if days <= SOON_DAYS {
        text!(
            "expires on {day}: renew it; simod reads the files again by itself",
            "истекает {day}: обновите его; simod перечитает файлы сам"
        )
    } else {
        text!("valid until {day}", "действует до {day}")
    };
    ("certificate", days > SOON_DAYS, detail)
}

fn disk(disk: &Disk) -> Judged {
    let gigabytes = disk.free as f64 / 1e9;
    match disk.full_in_days {
        _ if disk.free < LEAST_FREE => {
            let detail = text!(
                "only {gigabytes:.1} GB free: make room, or keep history for a shorter time (`simoctl client edit SLUG \
                 --retention-days`)",
                "свободно только {gigabytes:.1} ГБ: освободите место или храните историю меньше (`simoctl client edit КЛИЕНТ \
                 --retention-days`)"
            );
            ("disk", false, detail)
        }
        Some(days) if days <= SOON_DAYS => {
            let days = days.floor();
            let detail = text!(
                "full in {days} days at last week's rate ({gigabytes:.1} GB free): make room, or keep history for a shorter time \
                 (`simoctl client edit SLUG --retention-days`)",
                "заполнится через {days} дн. с темпом последней недели (свободно {gigabytes:.1} ГБ): освободите место или \
                 храните историю меньше (`simoctl client edit КЛИЕНТ --retention-days`)"
            );
            ("disk", false, detail)
        }
        Some(days) => {
            let days = days.floor();
            let detail = text!(
                "{gigabytes:.1} GB free, for {days} days at last week's rate",
                "свободно {gigabytes:.1} ГБ, на {days} дн. с темпом последней недели"
            );
            ("disk", true, detail)
        }
        None => ("disk", true, text!("{gigabytes:.1} GB free", "свободно {gigabytes:.1} ГБ")),
    }
}

fn left_behind(phones: u64) -> Judged {
    let detail = text!(
        "browsers paired at another address than today's `public_url`: {phones}. To them the app is still there: invite their people \
         anew (`simoctl device list`: platform web)",
        "Браузеров, подключённых по другому адресу, чем нынешний `public_url`: {phones}. Для них приложение осталось там. \
         Пригласите этих людей заново (`simoctl device list`: платформа web)"
    );
    ("address", false, detail)
}

fn unprotected(what: Unprotected) -> Text {
    match what {
        Unprotected::FsyncOff => text!(
            "fsync = off: a power failure can lose everything. Set it to `on` in postgresql.conf",
            "fsync = off: сбой питания может уничтожить всё. Задайте `on` в postgresql.conf"
        ),
        Unprotected::CommitNotSynced => text!(
            "synchronous_commit = off: a crash loses messages that were accepted. Set it to `on`",
            "synchronous_commit = off: при аварии пропадут принятые сообщения. Задайте `on`"
        ),
        Unprotected::NoStandbyAwaited => text!(
            "standbys are connected, and commits wait for none of them: a fail-over loses messages that were accepted. Set \
             synchronous_standby_names, and synchronous_commit to `on` (Patroni: synchronous_mode and synchronous_mode_strict)",
            "реплики подключены, но фиксация не ждёт ни одной: при переключении пропадут принятые сообщения. Задайте \
             synchronous_standby_names и synchronous_commit = on (Patroni: synchronous_mode и synchronous_mode_strict)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use simo_common::api::service::ChannelPhones;

    use super::*;

    const NOW: i64 = 1_796_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A healthy server.
    fn well() -> Health {
        Health {
            now: at(NOW),
            people: 10,
            without_phone: 0,
            phones: vec![ChannelPhones { channel: "fcm".to_owned(), phones: 12 }],
            certificate_expires_at: Some(at(NOW + 90 * 86_400)),
            disk: Some(Disk { free: 5_000_000_000, full_in_days: Some(400.0) }),
            unprotected: Vec::new(),
            left_behind: 0,
        }
    }

    /// The failed checks, in English.
    fn wrong(health: &Health, fcm: &str) -> Vec<String> {
        let channels = [("fcm", fcm), ("stream", "ok")].map(|(channel, state)| ChannelHealth {
            channel: channel.to_owned(),
            state: state.to_owned(),
            detail: None,
        });
        let asked = Asked { at: at(NOW), answered_at: at(NOW) };
        let checks = judge(health, &channels, asked, &TimeZone::UTC, Lang::En);
        checks.into_iter().filter(|check| !check.ok).map(|c| format!("{}: {}", c.what, c.detail)).collect()
    }

    #[test]
    fn what_is_well_is_left_alone() {
        assert!(wrong(&well(), "ok").is_empty());
        let stream = ChannelPhones { channel: "stream".to_owned(), phones: 1 };
        assert!(wrong(&Health { phones: vec![stream], ..well() }, "off").is_empty());
    }

    #[test]
    fn each_fault_is_named_with_the_next_step() {
        let none = Vec::new;
        let cases = [
            (Health { phones: none(), ..well() }, "off", "fcm.service_account"),
            (Health { phones: none(), ..well() }, "ok", "device invite"),
            (well(), "off", "12 phones are paired with `fcm`"),
            (Health { without_phone: 3, ..well() }, "ok", "3 of 10"),
            (Health { people: 0, ..well() }, "ok", "employee import"),
            (Health { now: at(NOW + 7_200), ..well() }, "ok", "+7200 s"),
            (Health { now: at(NOW - 60), ..well() }, "ok", "-60 s"),
            (Health { certificate_expires_at: Some(at(NOW)), ..well() }, "ok", "expired on"),
            (Health { certificate_expires_at: Some(at(NOW + 13 * 86_400)), ..well() }, "ok", "expires on"),
            (Health { disk: Some(Disk { free: 1, full_in_days: None }), ..well() }, "ok", "only 0.0 GB free"),
            (
                Health { disk: Some(Disk { free: 2_000_000_000, full_in_days: Some(3.7) }), ..well() },
                "ok",
                "full in 3 days",
            ),
            (
                Health { unprotected: vec![Unprotected::NoStandbyAwaited], ..well() },
                "ok",
                "synchronous_standby_names",
            ),
            (Health { left_behind: 4, ..well() }, "ok", "`public_url`: 4"),
        ];
        for (health, fcm, expected) in cases {
            let wrong = wrong(&health, fcm);
            assert!(wrong.len() == 1 && wrong[0].contains(expected), "{expected}: {wrong:?}");
        }
    }
}
