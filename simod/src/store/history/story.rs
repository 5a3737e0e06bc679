//! The story of one message and one person, sentence by sentence: pure, from the known facts.

mod absent;
mod grants;

use jiff::{Timestamp, tz::TimeZone};
use simo_common::{
    api::{
        access::HeldGrant,
        history::{Attempt, Delivery, PhoneTimes, Push, StoryLine},
        message::Message,
    },
    delivery::{DeliveryState, Outcome, Reason},
    lang::Lang,
    message::{OPERATOR, Part},
    time::{from_us, whole_seconds},
};
use uuid::Uuid;

use self::grants::grant_in_words;
use crate::{
    channel::ChannelKind,
    store::{clock_steps::ClockThen, queue::close::HoldEnding},
};

/// All known facts about one message and one person.
#[derive(Debug)]
pub(super) struct StoryFacts {
    /// The client's time zone when the message was accepted, for times within sentences.
    pub(super) zone: TimeZone,
    /// The state of the clock when the message was accepted (a scheduled one: came due), if it was wrong then.
    pub(super) clock: Option<ClockThen>,
    pub(super) message: Message,
    pub(super) person: StoryPerson,
    /// Whether they had a device when it was accepted.
    pub(super) had_device: bool,
    pub(super) delivery: Option<Delivery>,
    /// As in [`simo_common::api::history::Explanation`].
    pub(super) target: Option<String>,
    pub(super) grant: Option<String>,
    /// The grants by which they could receive the topic when it was accepted, the widest first.
    pub(super) held: Vec<HeldGrant>,
    pub(super) phone_times: PhoneTimes,
    /// The person who acknowledged at a shared screen.
    pub(super) acknowledged_by: Option<String>,
    /// How it ended without a receipt.
    pub(super) outcome: Option<Ended>,
    /// When it was denied because of a block, and how that ended.
    pub(super) holds: Vec<Hold>,
    pub(super) pushes: Vec<Push>,
    /// The names of the pushes' devices, and since when, the last name last.
    pub(super) device_names: Vec<(Uuid, Timestamp, String)>,
    /// Their names at each attempt.
    pub(super) tried_as: Vec<(Uuid, Timestamp, String)>,
    /// Some of the message's deliveries are not made yet.
    pub(super) still_expanding: bool,
}

/// How a delivery ended without a receipt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<Reason>,
    /// `None`: on acceptance.
    pub(super) at: Option<Timestamp>,
}

/// A delivery that was denied for the duration of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) since: Timestamp,
    pub(super) until: Option<Timestamp>,
    /// How that ended.
    pub(super) ending: Option<HoldEnding>,
}

/// The person. The story describes them as of the message's acceptance: they may have changed since.
#[derive(Debug)]
pub(super) struct StoryPerson {
    /// Their number today.
    pub(super) personnel_no: String,
    pub(super) full_name: String,
    /// The groups they were in, each with the path from their own group to it, by slug.
    pub(super) groups: Vec<Vec<String>>,
    pub(super) added_at: Timestamp,
    pub(super) was_blocked: bool,
    pub(super) was_archived: bool,
}

/// Lines under construction.
struct Teller<'a> {
    known: &'a StoryFacts,
    lang: Lang,
    lines: Vec<StoryLine>,
}

impl StoryFacts {
    /// Why they were kept out when the message was accepted.
    fn kept_out(&self) -> Option<Reason> {
        let ended = self.outcome.filter(|ended| ended.outcome == Outcome::Denied && ended.at.is_none())?;
        ended.reason
    }

    /// When it was posted: for a scheduled message `accepted_at` is when it came due, but its id was made when it was
    /// posted.
    fn posted_at(&self) -> Timestamp {
        let made = self.message.id.get_timestamp().map(|made| made.to_unix());
        let made = made.and_then(|(seconds, nanos)| Timestamp::new(seconds as i64, nanos as i32).ok());
        made.filter(|_| self.message.send_at.is_some()).unwrap_or(self.message.accepted_at)
    }

    /// Whether it was canceled while scheduled: it never came due.
    fn was_canceled_early(&self) -> bool {
        let message = &self.message;
        let waited = message.send_at.is_some_and(|at| at > message.accepted_at);
        message.canceled_at.is_some() && !message.scheduled && waited
    }

    /// The story: events in order of time, then the present state.
    pub(super) fn story(&self, lang: Lang) -> Vec<StoryLine> {
        let mut teller = Teller { known: self, lang, lines: Vec::new() };
        teller.posted();
        teller.clock();
        if self.message.scheduled {
            teller.scheduled();
        } else if self.was_canceled_early() {
            teller.canceled_early();
        } else if let Some(delivery) = &self.delivery {
            teller.why_he();
            teller.without_device();
            let fixed = teller.lines.len();
            for push in &self.pushes {
                teller.push(push);
            }
            teller.receipts(delivery);
            teller.end(delivery);
            // Lines with a time in order of time; the present state comes last.
            teller.lines[fixed..].sort_by_key(|line| line.at.map_or((1, Timestamp::MIN), |at| (0, at)));
        } else {
            teller.why_not_he();
        }
        teller.lines
    }
}

impl Teller<'_> {
    fn tell(&mut self, at: Option<Timestamp>, en: impl Into<String>, ru: impl Into<String>) {
        let text = self.lang.pick(en.into(), ru.into());
        self.lines.push(StoryLine { at, text });
    }

    /// A time within a sentence, in the client's time zone.
    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.known.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    fn posted(&mut self) {
        let message = &self.known.message;
        let (english, russian) = (message.priority.as_str(), message.priority.as_russian());
        let (who_en, who_ru) = if message.acs == OPERATOR {
            ("an operator posted".to_owned(), "оператор отправил".to_owned())
        } else {
            let acs = &message.acs;
            (format!("the ACS {acs} posted"), format!("АСУ {acs} отправила"))
        };
        let (topic_en, topic_ru) = match &message.topic {
            Some(topic) => (format!("on the topic {topic}"), format!("по теме {topic}")),
            None => ("without a topic".to_owned(), "без темы".to_owned()),
        };
        self.tell(
            Some(self.known.posted_at()),
            format!("{who_en} the message {topic_en}, priority {english}"),
            format!("{who_ru} сообщение {topic_ru}, приоритет: {russian}"),
        );
        self.fitted();
        let decided = !message.scheduled && !self.known.was_canceled_early();
        if let Some(at) = message.send_at.filter(|_| decided) {
            let time = self.time(at);
            self.tell(
                Some(message.accepted_at),
                format!("it had been scheduled for {time}; who receives it was decided then"),
                format!("оно было запланировано на {time}; получатели определены в этот момент"),
            );
        }
    }

    /// Tells which parts were cut to fit.
    fn fitted(&mut self) {
        let fitted = &self.known.message.fitted;
        if fitted.is_empty() {
            return;
        }
        let words = fitted.iter().map(|part| match part {
            Part::Title => ("the title was cut", "заголовок сокращён"),
            Part::Body => ("the text was cut", "текст сокращён"),
            Part::Data => ("the data was left out", "данные не вошли"),
        });
        let (en, ru): (Vec<_>, Vec<_>) = words.unzip();
        self.tell(
            Some(self.known.posted_at()),
            format!("it did not fit the limits of a message: {}", en.join(", ")),
            format!("оно не поместилось в пределы сообщения: {}", ru.join(", ")),
        );
    }

    fn scheduled(&mut self) {
        let time = self.known.message.send_at.map(|at| self.time(at)).unwrap_or_default();
        self.tell(
            None,
            format!("it waits until {time}; who receives it is decided then"),
            format!("оно ждёт до {time}; получатели определятся в этот момент"),
        );
    }

    /// Tells how reliable the times are.
    fn clock(&mut self) {
        let at = self.known.message.accepted_at;
        match self.known.clock {
            None => {}
            Some(ClockThen::Ahead(by)) => {
                let (seconds, right) = (whole_seconds(by), self.time(from_us(at.as_microsecond() - by)));
                self.tell(
                    Some(at),
                    format!("it was accepted while the clock was {seconds} s ahead: really at {right}"),
                    format!("оно принято, когда часы спешили на {seconds} с: на самом деле в {right}"),
                );
            }
            Some(ClockThen::SetBack(by)) => {
                let seconds = whole_seconds(by);
                self.tell(
                    Some(at),
                    format!("shortly before, the clock was set back by {seconds} s: earlier messages may bear later times"),
                    format!("незадолго до этого часы перевели назад на {seconds} с: у более ранних сообщений время может быть более поздним"),
                );
            }
        }
    }

    /// Canceled while scheduled: no one received it.
    fn canceled_early(&mut self) {
        let message = &self.known.message;
        let time = message.send_at.map(|at| self.time(at)).unwrap_or_default();
        self.tell(
            Some(self.known.posted_at()),
            format!("it was scheduled for {time}"),
            format!("оно было запланировано на {time}"),
        );
        let why = |lang| {
            let code = message.cancel_reason.as_deref();
            code.map(|code| format!(": {}", Reason::code_in_words(code, lang))).unwrap_or_default()
        };
        let (en, ru) = (why(Lang::En), why(Lang::Ru));
        self.tell(
            message.canceled_at,
            format!("it was canceled before its recipients were decided{en}"),
            format!("оно отменено раньше, чем определились получатели{ru}"),
        );
    }

    fn canceled(&mut self) {
        let at = self.known.message.canceled_at;
        self.tell(at, "the message was canceled", "сообщение отменено");
    }

    /// How they were in a group other than their own: `(smena-a › ceh-1)`.
    fn through(&self, group: &str) -> String {
        let groups = &self.known.person.groups;
        let way = groups.iter().find(|way| way.last().is_some_and(|last| last == group));
        way.map(|way| in_words(way)).unwrap_or_default()
    }

    fn tell_group(&mut self, slug: &str) {
        let through = self.through(slug);
        self.tell(
            Some(self.known.message.accepted_at),
            format!("it was addressed to the group {slug}, which they belonged to{through}"),
            format!("оно адресовано группе {slug}, в которой сотрудник состоял{through}"),
        );
    }

    /// Which target named them, and what let them in or kept them out.
    fn why_he(&mut self) {
        let at = Some(self.known.message.accepted_at);
        let target = self.known.target.clone().unwrap_or_default();
        match target.split_once(':').unwrap_or((&target, "")) {
            ("employee", _) => self.tell(
                at,
                "it was addressed to them by their personnel number",
                "оно адресовано лично, по табельному номеру",
            ),
            ("group", slug) => self.tell_group(slug),
            ("everyone", _) => self.tell(at, "it was addressed to everyone", "оно адресовано всем"),
            _ => self.tell(
                at,
                "it was addressed to all who hold a grant for the topic",
                "оно адресовано всем, у кого есть доступ к теме",
            ),
        }
        if let Some(reason) = self.known.kept_out() {
            let (en, ru) = (reason.in_words(Lang::En), reason.in_words(Lang::Ru));
            self.tell(at, format!("they were kept out: {en}"), format!("отказано: {ru}"));
            self.held_then();
            return;
        }
        let Some(grant) = self.known.grant.clone() else {
            if self.known.message.topic.is_none() {
                self.tell(
                    at,
                    "a message without a topic needs no grant",
                    "сообщению без темы доступ не нужен",
                );
            }
            return;
        };
        let (en, ru) = grant_in_words(&grant);
        self.tell(at, format!("{en} gave them access"), format!("основание: {ru}"));
    }

    fn without_device(&mut self) {
        if !self.known.had_device && self.known.kept_out().is_none() {
            let at = Some(self.known.message.accepted_at);
            self.tell(at, "they had no device then", "устройства тогда не было");
        }
    }

    /// The name of a device at a time.
    fn device(&self, id: Uuid, at: Timestamp) -> String {
        // An attempt has it; else it is found by time.
        let tried = self.known.tried_as.iter().find(|(of, when, _)| *of == id && *when == at);
        let mut names = self.known.device_names.iter().filter(|(of, since, _)| *of == id && *since <= at);
        let name = tried.or_else(|| names.next_back()).map(|(.., name)| name);
        name.filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| id.to_string())
    }

    fn push(&mut self, push: &Push) {
        // Later entries belong to another claim, and that this one was taken over is told next to them.
        let until = push.done_at.unwrap_or(Timestamp::MAX);
        let counts = |attempt: &&Attempt| attempt.at <= until && Some(attempt.at) != push.sent_at;
        let attempts: Vec<&Attempt> = push.attempts.iter().filter(counts).collect();
        let (channel, tries) = (&push.channel, push.tries);
        let answer = attempts.last().map(|attempt| &*attempt.answer).filter(|answer| !answer.is_empty());
        let (answer_en, answer_ru) = answer.map_or_else(Default::default, |answer| {
            (format!("; its last answer: {answer}"), format!("; последний ответ: {answer}"))
        });
        if let Some(at) = push.sent_at {
            // The phone may have changed its channel, and may have been tried again.
            let taken = push.attempts.iter().position(|attempt| attempt.at == at);
            let by = taken.map_or(channel, |place| &push.attempts[place].channel);
            let tries = taken.map_or(tries, |place| place as u32 + 1);
            let device = self.device(push.device_id, at);
            self.tell(
                Some(at),
                format!("{by} took it for the device {device} (tries: {tries})"),
                format!("{by} принял отправку на устройство {device} (попыток: {tries})"),
            );
        }
        let code = push.reason.as_deref().unwrap_or_default();
        let is_blocked = code == Reason::Blocked.as_str();
        let (why_en, why_ru) = (Reason::code_in_words(code, Lang::En), Reason::code_in_words(code, Lang::Ru));
        let at = push.done_at;
        let device = self.device(push.device_id, until);
        match push.state.as_str() {
            "failed" => self.tell(
                at,
                format!(
                    "the push to the device {device} failed after {} tries: {why_en}{answer_en}",
                    attempts.len()
                ),
                format!(
                    "отправка на устройство {device} не удалась, попыток: {}: {why_ru}{answer_ru}",
                    attempts.len()
                ),
            ),
            // It goes on when the block is lifted.
            "canceled" if is_blocked && self.known.holds.is_empty() => self.tell(
                None,
                format!("the push to the device {device} is withheld, because they were blocked"),
                format!("отправка на устройство {device} придержана: сотрудника заблокировали"),
            ),
            "canceled" if is_blocked => {}
            "expired" | "canceled" => self.tell(
                at,
                format!("the push to the device {device} was stopped: {why_en}{answer_en}"),
                format!("отправка на устройство {device} остановлена: {why_ru}{answer_ru}"),
            ),
            "waiting" if ChannelKind::from_name(channel).is_some_and(ChannelKind::is_pulled) => self.tell(
                None,
                format!("it waits for the device {device} to connect"),
                format!("оно ждёт, когда подключится устройство {device}"),
            ),
            "waiting" => {
                let due = push.due_at.map(|at| self.time(at)).unwrap_or_default();
                self.tell(
                    None,
                    format!("the push to the device {device} is due at {due} (tries so far: {tries}){answer_en}"),
                    format!("отправка на устройство {device} назначена на {due} (попыток было: {tries}){answer_ru}"),
                );
            }
            _ => {}
        }
    }

    fn receipts(&mut self, delivery: &Delivery) {
        let times = self.known.phone_times;
        let (by_en, by_ru) = self.known.acknowledged_by.as_ref().map_or_else(Default::default, |name| {
            (format!(" by {name}, at a screen that several share"), format!(" у общего экрана: {name}"))
        });
        let acknowledged = (format!("they acknowledged it{by_en}"), format!("подтверждено{by_ru}"));
        let receipts = [
            (
                delivery.delivered_at,
                times.delivered_at,
                "the phone reported that it has it",
                "телефон сообщил, что получил его",
            ),
            (delivery.read_at, times.read_at, "they read it", "прочитано"),
            (delivery.acknowledged_at, times.acknowledged_at, &acknowledged.0, &acknowledged.1),
        ];
        for (at, by_phone, en, ru) in receipts {
            if at.is_none() {
                continue;
            }
            let (clock_en, clock_ru) = by_phone.map_or_else(Default::default, |at| {
                let time = self.time(at);
                (format!(" (by the phone's clock at {time})"), format!(" (по часам телефона: {time})"))
            });
            self.tell(at, format!("{en}{clock_en}"), format!("{ru}{clock_ru}"));
        }
    }

    /// How it ended, or what it waits for.
    fn end(&mut self, delivery: &Delivery) {
        let message = &self.known.message;
        if message.canceled_at.is_some() {
            self.canceled();
        }
        for hold in &self.known.holds {
            self.tell(
                Some(hold.since),
                "they were blocked: from then on it was withheld",
                "блокировка: с этого времени сообщение придержано",
            );
            let ending = match hold.ending {
                None => continue,
                Some(HoldEnding::Lifted) => (
                    "they were unblocked: it is not withheld any more",
                    "блокировка снята: сообщение больше не придержано",
                ),
                Some(HoldEnding::Final) => (
                    "they were archived: what was withheld will not come any more",
                    "сотрудник отправлен в архив: придержанное уже не придёт",
                ),
                Some(HoldEnding::Sent) => (
                    "a provider had it already: it could not be withheld",
                    "провайдер его уже принял: придержать не удалось",
                ),
            };
            self.tell(hold.until, ending.0, ending.1);
        }
        if let Some(Ended { outcome, reason: Some(reason), at: Some(at) }) = self.known.outcome {
            let (why_en, why_ru) = (reason.in_words(Lang::En), reason.in_words(Lang::Ru));
            let at = Some(at);
            match outcome {
                Outcome::Failed => self.tell(
                    at,
                    format!("it was given up: {why_en}"),
                    format!("попытки прекращены: {why_ru}"),
                ),
                Outcome::Expired => {
                    self.tell(at, format!("it expired: {why_en}"), format!("оно истекло: {why_ru}"));
                }
                // The withholding itself is already told.
                Outcome::Denied if reason != Reason::Blocked => {
                    self.tell(at, format!("it was stopped: {why_en}"), format!("оно остановлено: {why_ru}"));
                }
                Outcome::Denied | Outcome::Canceled => {}
            }
        }
        let expires = self.time(message.expires_at);
        match delivery.state {
            DeliveryState::Queued if self.known.pushes.is_empty() => self.tell(
                None,
                format!("they have no device yet: it waits for their first one until {expires}"),
                format!("устройства ещё нет: сообщение ждёт первого до {expires}"),
            ),
            DeliveryState::Queued if delivery.waits_for_device() => self.tell(
                None,
                format!("they have no device any more: it waits for their next one until {expires}"),
                format!("устройства больше нет: сообщение ждёт следующего до {expires}"),
            ),
            DeliveryState::Queued => {
                self.tell(None, format!("it is tried until {expires}"), format!("попытки идут до {expires}"));
            }
            DeliveryState::Sent => {
                self.tell(None, "no phone has reported it yet", "ни один телефон о нём ещё не сообщил");
            }
            DeliveryState::Delivered | DeliveryState::Read if delivery.require_ack => {
                self.tell(None, "it still has to be acknowledged", "его ещё нужно подтвердить");
            }
            _ => {}
        }
    }
}

/// The path from a person's own group to another one; empty for their own.
fn in_words(way: &[String]) -> String {
    if way.len() < 2 { String::new() } else { format!(" ({})", way.join(" › ")) }
}
