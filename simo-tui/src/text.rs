//! The texts on the screen, in English and Russian.

use jiff::{Timestamp, tz::TimeZone};
use simo_common::{
    api::history::{Delivery, Sort, SortKey},
    delivery::DeliveryState,
    lang::Lang,
    message::Priority,
};

macro_rules! texts {
    ($($name:ident: $en:literal, $ru:literal;)*) => {
        $(pub(crate) fn $name(lang: Lang) -> &'static str {
            lang.pick($en, $ru)
        })*
    };
}

texts! {
    history: "delivery history", "история доставок";
    all: "all deliveries", "все доставки";
    time: "TIME", "ВРЕМЯ";
    employee: "EMPLOYEE", "СОТРУДНИК";
    topic: "TOPIC", "ТЕМА";
    title: "TITLE", "ЗАГОЛОВОК";
    state: "STATE", "СОСТОЯНИЕ";
    loading: "loading…", "загрузка…";
    connecting: "connecting…", "соединение…";
    live: "live", "в эфире";
    nothing_yet: "No deliveries yet.", "Доставок пока нет.";
    nothing_found: "Nothing matches the query.", "По запросу ничего не найдено.";
    show_all: "Esc shows everything", "Esc — показать всё";
    unreachable: "The server cannot be reached.", "Сервер недоступен.";
    closed: "the server closed the connection", "сервер закрыл соединение";
    refuses: "The server refuses.", "Сервер отказывает.";
    away_help: "Is simod running? Another server: simo-tui --url URL or --socket PATH.",
        "simod запущен? Другой сервер: simo-tui --url URL или --socket ПУТЬ.";
    refused_help: "Check the token: simo-tui --token TOKEN, or a context made by simoctl login.",
        "Проверьте токен: simo-tui --token ТОКЕН или контекст, созданный simoctl login.";
    no_clients: "There is no client yet: simoctl client add SLUG makes one.",
        "Клиентов ещё нет: simoctl client add ИМЯ создаст первого.";
    choose_client: "choose a client: c", "выберите клиента: c";
    no_client_yet: "no client yet", "клиентов ещё нет";
    order: "Order", "Порядок";
    clients: "Client", "Клиент";
    keys: "Keys", "Клавиши";
    delivery: "Delivery", "Доставка";
    from: "From", "От";
    person: "Employee", "Сотрудник";
    subject: "Topic", "Тема";
    personal: "personal message", "личное сообщение";
    urgency: "Priority", "Приоритет";
    must_acknowledge: "must be acknowledged", "нужно подтверждение";
    accepted: "Accepted", "Принято";
    expires: "expires", "истекает";
    addressed: "Because of", "Основание";
    phone_clock: "By the phone's clock", "По часам телефона";
    whole_message: "Whole message", "Всё сообщение";
    external_id: "External id", "Внешний номер";
    text: "Text", "Текст";
    data: "Data", "Данные";
    story: "Story", "История";
    devices: "Devices", "Устройства";
    no_devices: "no device had a push", "ни на одно устройство не отправлялось";
    receivers: "Who receives the topic now", "Кто получает тему сейчас";
    access: "What the employee may receive", "Что может получать сотрудник";
    log_in: "Give a token: `simoctl login`, --token or SIMO_TOKEN.",
        "Укажите токен: `simoctl login`, --token или SIMO_TOKEN.";
    needs_no_grant: "a personal message needs no grant", "личному сообщению доступ не нужен";
    nobody: "Nobody would receive it: no grant counts now.",
        "Никто не получил бы её: сейчас ни один доступ не действует.";
    holds_nothing: "They hold no grant.", "У сотрудника нет ни одного доступа.";
    is_blocked: "They are blocked and receive nothing.",
        "Сотрудник заблокирован и ничего не получает.";
    rest_of_receivers: "There are more; all of them: simoctl topic who",
        "Это не все; полный список: simoctl topic who";
    no_device: "no device", "нет устройства";
    dormant: "does not count now", "сейчас не действует";
    since: "since", "с";
    until: "until", "до";
    hint_receivers: "who", "кто";
    hint_access: "access", "доступ";
    next_try: "next try", "следующая попытка";
    hint_help: "help", "справка";
    hint_query: "query", "запрос";
    hint_client: "client", "клиент";
    hint_order: "order", "порядок";
    hint_open: "open", "открыть";
    hint_quit: "quit", "выход";
    hint_close: "close", "закрыть";
    hint_neighbours: "neighbours", "соседние";
    hint_scroll: "scroll", "прокрутка";
    hint_apply: "apply", "применить";
    hint_cancel: "cancel", "отменить";
    hint_complete: "complete", "дополнить";
    hint_past: "asked before", "прежние";
}

/// A state's sign: distinguishes states without colour. Each is one or two columns wide in every terminal.
pub(crate) fn sign(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "…",
        DeliveryState::Sent => "→",
        DeliveryState::Delivered => "✓",
        DeliveryState::Read => "✓✓",
        DeliveryState::Acknowledged => "★",
        DeliveryState::Failed => "✗",
        DeliveryState::Expired => "◷",
        DeliveryState::Canceled => "■",
        DeliveryState::Denied => "⊘",
    }
}

/// The sign of a delivery that waits for a device.
const NO_DEVICE: &str = "○";

/// A delivery's sign, and its name for where there is room.
pub(crate) fn state_of(delivery: &Delivery, lang: Lang) -> (&'static str, &'static str) {
    if delivery.waits_for_device() {
        (NO_DEVICE, lang.pick("no device", "нет телефона"))
    } else {
        (sign(delivery.state), state_name(delivery.state, lang))
    }
}

pub(crate) fn state_name(state: DeliveryState, lang: Lang) -> &'static str {
    lang.pick(state.as_str(), state.as_russian())
}

pub(crate) fn priority(priority: Priority, lang: Lang) -> &'static str {
    lang.pick(priority.as_str(), priority.as_russian())
}

/// A sort order, in words.
pub(crate) fn sort(sort: Sort, lang: Lang) -> &'static str {
    match (sort.key, sort.descending) {
        (SortKey::Date, true) => lang.pick("date: newest first", "дата: сначала новые"),
        (SortKey::Date, false) => lang.pick("date: oldest first", "дата: сначала старые"),
        (SortKey::Employee, false) => lang.pick("employee: A to Z", "сотрудник: от А до Я"),
        (SortKey::Employee, true) => lang.pick("employee: Z to A", "сотрудник: от Я до А"),
        (SortKey::State, false) => lang.pick("state: queued first", "состояние: сначала «в очереди»"),
        (SortKey::State, true) => lang.pick("state: denied first", "состояние: сначала «нет доступа»"),
    }
}

/// A push's state, for people.
pub(crate) fn push_state(state: &str, lang: Lang) -> &str {
    match state {
        "waiting" => lang.pick("waiting", "ожидает"),
        "accepted" => lang.pick("accepted by the provider", "принята провайдером"),
        "failed" => lang.pick("failed", "не удалась"),
        "expired" => lang.pick("expired", "истекла"),
        "canceled" => lang.pick("canceled", "отменена"),
        "received" => lang.pick("received", "получена"),
        other => other,
    }
}

/// The recipients that a target or a grant such as `group:smena-a` stands for.
pub(crate) fn whom(code: &str, lang: Lang) -> String {
    match code.split_once(':') {
        Some(("group", slug)) => format!("{} {slug}", lang.pick("group", "группа")),
        _ => match code {
            "employee" => lang.pick("by name", "поимённо"),
            "everyone" => lang.pick("everyone", "все"),
            "grant" => lang.pick("all who hold a grant", "все, у кого есть доступ"),
            other => other,
        }
        .to_owned(),
    }
}

/// Why a delivery exists: its target and its grant.
pub(crate) fn why(target: Option<&str>, grant: Option<&str>, lang: Lang) -> String {
    let named = target.map(|t| format!("{}: {}", lang.pick("addressed", "адресовано"), whom(t, lang)));
    let let_in = grant.map(|g| format!("{}: {}", lang.pick("grant", "доступ"), whom(g, lang)));
    named.into_iter().chain(let_in).collect::<Vec<_>>().join(" · ")
}

/// The number of tries, in words.
pub(crate) fn tries(count: u32, lang: Lang) -> String {
    match lang {
        Lang::En => format!("{count} {}", if count == 1 { "try" } else { "tries" }),
        Lang::Ru => format!("{count} {}", russian_plural(count.into(), ["попытка", "попытки", "попыток"])),
    }
}

/// The number of new rows above, in words.
pub(crate) fn new_rows(count: usize, more: bool, lang: Lang) -> String {
    let plus = if more { "+" } else { "" };
    match lang {
        Lang::En => format!("{count}{plus} new above (g)"),
        Lang::Ru => {
            let word = russian_plural(count as u64, ["новая", "новые", "новых"]);
            format!("{count}{plus} {word} выше (g)")
        }
    }
}

/// The message that the server is down, since when, and when it will be retried.
pub(crate) fn away(refused: bool, since: &str, seconds: i64, lang: Lang) -> String {
    let what = if refused {
        lang.pick("server refuses us", "сервер отказывает")
    } else {
        lang.pick("server unreachable", "сервер недоступен")
    };
    match lang {
        Lang::En if seconds > 0 => format!("{what} since {since}, retrying in {seconds} s"),
        Lang::En => format!("{what} since {since}, retrying now"),
        Lang::Ru if seconds > 0 => format!("{what} с {since}, повтор через {seconds} с"),
        Lang::Ru => format!("{what} с {since}, повтор сейчас"),
    }
}

fn russian_plural(count: u64, forms: [&'static str; 3]) -> &'static str {
    match (count % 10, count % 100) {
        (1, hundred) if hundred != 11 => forms[0],
        (2..=4, hundred) if !(12..=14).contains(&hundred) => forms[1],
        _ => forms[2],
    }
}

/// The operator's wall clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock<'a> {
    /// The operator's time zone.
    pub(crate) zone: &'a TimeZone,
    /// The present time.
    pub(crate) now: Timestamp,
    /// The operator's language.
    pub(crate) lang: Lang,
}

impl Clock<'_> {
    /// Whether a moment is of today.
    pub(crate) fn is_today(&self, at: Timestamp) -> bool {
        self.civil(at).date() == self.civil(self.now).date()
    }

    fn civil(&self, at: Timestamp) -> jiff::civil::DateTime {
        self.zone.to_datetime(at)
    }

    /// `03:04:05` for today, else with the full date.
    pub(crate) fn full(&self, at: Timestamp) -> String {
        if self.is_today(at) {
            self.format(at, "%H:%M:%S")
        } else {
            self.format(at, self.lang.pick("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S"))
        }
    }

    /// The same with the offset from UTC, for use beside times of another zone: `03:04:05 +03:00`.
    pub(crate) fn exact(&self, at: Timestamp) -> String {
        let offset = at.to_zoned(self.zone.clone()).strftime("%:z");
        format!("{} {offset}", self.full(at))
    }

    /// `03:04` for today, else with a short but complete date.
    pub(crate) fn short(&self, at: Timestamp) -> String {
        if self.is_today(at) {
            self.format(at, "%H:%M")
        } else {
            self.format(at, self.lang.pick("%y-%m-%d %H:%M", "%d.%m.%y %H:%M"))
        }
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        self.civil(at).strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn every_state_has_its_own_narrow_sign() {
        let signs: std::collections::HashSet<_> = DeliveryState::ALL.map(sign).into_iter().collect();
        assert_eq!(signs.len(), DeliveryState::ALL.len());
        assert!(signs.iter().all(|sign| sign.width() <= 2));
    }

    #[test]
    fn russian_counts_as_russians_do() {
        assert_eq!(new_rows(1, false, Lang::Ru), "1 новая выше (g)");
        assert_eq!(new_rows(22, false, Lang::Ru), "22 новые выше (g)");
        assert_eq!(new_rows(12, false, Lang::Ru), "12 новых выше (g)");
        assert_eq!(tries(111, Lang::Ru), "111 попыток");
    }

    #[test]
    fn only_today_goes_without_its_date() {
        let zone = TimeZone::get("Asia/Yekaterinburg").unwrap();
        let clock = Clock { zone: &zone, now: "2026-11-22T20:00:00Z".parse().unwrap(), lang: Lang::Ru };
        // In the operator's time zone it is already the 23rd.
        assert_eq!(clock.full("2026-11-22T19:30:00Z".parse().unwrap()), "00:30:00");
        assert_eq!(clock.full("2026-11-22T18:59:59Z".parse().unwrap()), "22.11.2026 23:59:59");
        assert_eq!(clock.exact("2026-11-22T19:30:00Z".parse().unwrap()), "00:30:00 +05:00");
        assert_eq!(clock.short("2026-11-22T18:59:59Z".parse().unwrap()), "22.11.26 23:59");
    }
}
