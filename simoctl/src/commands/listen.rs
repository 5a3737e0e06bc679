//! `simoctl listen`: acts as a phone on the channel `stream`. It pairs once, keeps its state in a file of its name, shows every
//! message once, and sends receipts in batches; it waits for a server that is down.

mod phone;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use futures_util::{Stream, StreamExt as _};
use simo_common::{
    api::device::{ChannelAddress, DeviceMessage, Pair, Receipt},
    client::{self, Client, Connection, Origin},
    people::is_slug,
    receipt::ReceiptKind,
};
use tokio::time::Instant;

use self::phone::Phone;
use crate::{
    clock,
    failure::{Exit, Failure, place},
    live::{Backoff, may_pass, stopped},
    output::{Column, Record, value::local, write_text},
    session::Session,
    terminal::{harmless, one_line},
};

/// How long receipts are collected before they are sent.
const GATHERED: Duration = Duration::from_millis(100);
/// Receipts per request, at most.
const TOGETHER: usize = 500;

/// The longest wait after another phone with the same identity took over the stream.
const GIVE_WAY: Duration = Duration::from_mins(5);
/// A stream that lasted this long was not lost to such a conflict.
const HELD: Duration = Duration::from_mins(10);

const EXAMPLES: &str = "\
Examples:
  simoctl listen --code \"$(simoctl --client romashka device invite 100001)\"
  simoctl listen
  simoctl listen --name foreman --read -o ndjson | jq .title
  simoctl listen --name foreman --leave";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Listen {
    /// The pairing code from `device invite`; needed the first time
    #[arg(long, conflicts_with = "leave")]
    code: Option<String>,
    /// What this phone is called; each name is a phone of its own
    #[arg(long, default_value = "simoctl")]
    name: String,
    /// Report messages as read, too
    #[arg(long)]
    read: bool,
    /// Report messages as read and acknowledged, too
    #[arg(long)]
    ack: bool,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Give this phone up: it is unpaired and forgotten
    #[arg(long)]
    leave: bool,
}

pub(crate) async fn run(session: &Session, args: Listen) -> Result<(), Failure> {
    if !is_slug(&args.name) {
        return Err(Failure::usage(
            session.say("A phone's name is made of a–z 0–9 - _ .", "Имя телефона состоит из a–z 0–9 - _ ."),
        ));
    }
    let file = phone::file(session, &args.name)?;
    let (phone, api) = match &args.code {
        Some(code) => {
            if file.exists() {
                refuse_living(session, &file, &args.name).await?;
            }
            pair(session, code, &args.name).await?
        }
        None => resume(session, &file, &args.name)?,
    };
    if args.leave {
        return leave(session, &api, &phone, &file).await;
    }
    phone.save(&file).map_err(|cause| phone::unsaved(session, &file, &cause))?;
    let mut kinds = vec![ReceiptKind::Delivered];
    kinds.extend((args.read || args.ack).then_some(ReceiptKind::Read));
    kinds.extend(args.ack.then_some(ReceiptKind::Acknowledged));
    let receiver = Receiver {
        session,
        api,
        phone,
        file,
        kinds,
        left: args.count,
        shown: 0,
        pending: Vec::new(),
        send_at: None,
    };
    receiver.run().await
}

/// Refuses to replace a phone that is still paired: its token would be lost, and messages would keep waiting for it.
async fn refuse_living(session: &Session, file: &Path, name: &str) -> Result<(), Failure> {
    let (phone, api) = resume(session, file, name)?;
    match api.whoami().await {
        Err(error) if error.status() != Some(403) => Ok(()),
        _ => Err(Failure::new(
            Exit::Conflict,
            session.say(
                format!(
                    "The phone “{name}” is paired already: it is one of {}.",
                    phone.full_name
                ),
                format!(
                    "Телефон «{name}» уже подключён, это телефон сотрудника {}.",
                    phone.full_name
                ),
            ),
        )
        .hint(session.say(
            format!("Give the new one another name: --name NAME; or unpair this one first: simoctl listen --name {name} --leave."),
            format!("Назовите новый иначе: --name ИМЯ; или сначала отключите этот: simoctl listen --name {name} --leave."),
        ))),
    }
}

async fn pair(session: &Session, code: &str, name: &str) -> Result<(Phone, Client), Failure> {
    let connection = Connection { token: None, client: None, ..session.chosen()? };
    let (connection, api) = session.connect(connection)?;
    let paired = api
        .pair(&Pair {
            code: code.trim().to_owned(),
            key: None,
            channel: ChannelAddress {
                kind: "stream".to_owned(),
                address: None,
                address_kind: None,
                endpoint: None,
                keys: None,
                notifications: None,
            },
            name: name.to_owned(),
            platform: "cli".to_owned(),
        })
        .await?;
    let employee = &paired.employee;
    session.done(&session.say(
        format!("Paired: this is a phone of {} {} now.", employee.personnel_no, employee.full_name),
        format!(
            "Подключено: теперь это телефон сотрудника {} {}.",
            employee.personnel_no, employee.full_name
        ),
    ));
    let api = api.clone().with_token(paired.token.clone());
    Ok((Phone::new(&connection.server, paired), api))
}

/// Resumes a paired phone at the server it was paired with, unless a flag or the environment names another.
fn resume(session: &Session, file: &Path, name: &str) -> Result<(Phone, Client), Failure> {
    let phone = Phone::load(session, file, name)?;
    let chosen = session.chosen()?;
    let server = match chosen.origin {
        Origin::Flag | Origin::Environment => chosen.server,
        Origin::Context(_) | Origin::Default => phone.server(),
    };
    let connection = Connection {
        server,
        origin: chosen.origin,
        token: Some(phone.token.clone()),
        client: None,
        ca: chosen.ca,
    };
    let api = session.connect(connection)?.1.clone();
    Ok((phone, api))
}

async fn leave(session: &Session, api: &Client, phone: &Phone, file: &Path) -> Result<(), Failure> {
    let name = &phone.full_name;
    session.confirm(
        &session.say(format!("Unpair this phone of {name}?"), format!("Отключить этот телефон ({name})?")),
    )?;
    match api.leave().await {
        // The server has unpaired it already.
        Err(error) if error.status() == Some(401) => {}
        answer => answer?,
    }
    std::fs::remove_file(file).map_err(|cause| phone::unsaved(session, file, &cause))?;
    session.done(session.say("Unpaired.", "Отключено."));
    Ok(())
}

struct Receiver<'s> {
    session: &'s Session,
    api: Client,
    phone: Phone,
    file: PathBuf,
    /// Receipts to send for every message.
    kinds: Vec<ReceiptKind>,
    /// Messages to show before ending, if limited.
    left: Option<u64>,
    shown: u64,
    pending: Vec<Receipt>,
    send_at: Option<Instant>,
}

/// Why a stream ended.
enum Ended {
    Lost,
    /// Another phone with the same identity opened a stream.
    Replaced,
    /// All requested messages came, or the program was stopped.
    Done,
}

impl Receiver<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        let stop = stopped();
        tokio::pin!(stop);
        let mut backoff = Backoff::default();
        // Grows with replacements, not with failed connections: connecting itself succeeds each time.
        let mut giving_way = Backoff::up_to(GIVE_WAY);
        loop {
            let opened = tokio::select! {
                opened = self.api.own_stream() => opened,
                () = &mut stop => return Ok(()),
            };
            match opened {
                Ok(messages) => {
                    self.greet();
                    backoff.reset();
                    let since = Instant::now();
                    let ended = self.follow(messages, &mut stop).await?;
                    if since.elapsed() >= HELD {
                        giving_way.reset();
                    }
                    match ended {
                        Ended::Done => return Ok(()),
                        Ended::Lost => {}
                        Ended::Replaced => {
                            let wait = giving_way.next();
                            self.warn_of_double(wait);
                            tokio::select! {
                                () = tokio::time::sleep(wait) => continue,
                                () = &mut stop => return Ok(()),
                            }
                        }
                    }
                }
                Err(error) if may_pass(&error) => {}
                Err(error) => return Err(self.let_out(error)),
            }
            if backoff.is_fresh() {
                self.session.talk(
                    self.session.say("The server is away; trying again.", "Сервер недоступен; пробую снова."),
                );
            }
            let wait = backoff.next();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut stop => return Ok(()),
            }
        }
    }

    /// Why listening ends; a phone that was unpaired must be paired anew.
    fn let_out(&self, error: client::Error) -> Failure {
        match error {
            client::Error::Problem(problem) if problem.status == 401 => {
                Failure::new(Exit::NotAllowed, problem.detail).hint(self.session.say(
                    "Pair again: simoctl listen --code CODE, with a code of `simoctl device invite`.",
                    "Подключите заново: simoctl listen --code КОД, код даёт `simoctl device invite`.",
                ))
            }
            error => error.into(),
        }
    }

    fn greet(&self) {
        let (name, server) = (&self.phone.full_name, place(&self.phone.server()));
        self.session.talk(&self.session.say(
            format!("Listening for {name} at {server}; Ctrl-C ends."),
            format!("Жду сообщений для {name} от {server}; Ctrl-C завершает."),
        ));
    }

    fn warn_of_double(&self, wait: Duration) {
        let seconds = wait.as_secs().max(1);
        self.session.talk(&self.session.say(
            format!(
                "Another phone with the same identity has taken the place of this one; trying again in {seconds} s. \
                 If its file was copied, pair one of them anew: simoctl listen --name NAME --code CODE."
            ),
            format!(
                "Другой телефон с теми же данными занял место этого; новая попытка через {seconds} с. \
                 Если файл телефона скопирован, подключите один из них заново: simoctl listen --name ИМЯ --code КОД."
            ),
        ));
    }

    async fn follow(
        &mut self,
        mut messages: impl Stream<Item = client::Result<DeviceMessage>> + Unpin,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Ended, Failure> {
        loop {
            let due = self.send_at;
            let next = tokio::select! {
                next = messages.next() => next,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if self.report().await? {
                        continue;
                    }
                    return Ok(Ended::Lost);
                }
                () = &mut *stop => {
                    self.report().await?;
                    return Ok(Ended::Done);
                }
            };
            match next {
                Some(Ok(message)) => self.take(&message)?,
                Some(Err(client::Error::Replaced)) => return Ok(Ended::Replaced),
                Some(Err(error)) if !may_pass(&error) => return Err(self.let_out(error)),
                Some(Err(_)) | None => return Ok(Ended::Lost),
            }
            let done = self.left == Some(0);
            if (done || self.pending.len() >= TOGETHER) && !self.report().await? {
                return Ok(Ended::Lost);
            }
            if done {
                return Ok(Ended::Done);
            }
        }
    }

    /// Shows a message unless it was shown before; sends receipts in any case, since the server repeats messages that lack them.
    fn take(&mut self, message: &DeviceMessage) -> Result<(), Failure> {
        if self.phone.remember(message.id) {
            self.show(message)?;
            self.shown += 1;
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        let at = clock::now();
        self.pending.extend(self.kinds.iter().map(|kind| Receipt {
            message_id: message.id,
            kind: *kind,
            at,
            by: None,
        }));
        self.send_at.get_or_insert_with(|| Instant::now() + GATHERED);
        Ok(())
    }

    fn show(&self, message: &DeviceMessage) -> Result<(), Failure> {
        let out = &self.session.out;
        if !out.is_for_people() {
            out.live(message, self.shown == 0)?;
            return Ok(());
        }
        let at = local(message.accepted_at, out.zone());
        let priority = out.painted(&message.priority.into());
        let topic = message.topic_name.as_ref().or(message.topic.as_ref());
        let from = topic.map_or_else(|| message.acs.clone(), |topic| format!("{topic} · {}", message.acs));
        let mut text = format!("{at}  {priority}  {}  ({})", one_line(&message.title), one_line(&from));
        for line in harmless(&message.body).lines() {
            text.push_str("\n    ");
            text.push_str(line);
        }
        if message.require_ack {
            let asks = self.session.say("must be acknowledged", "нужно подтвердить");
            let _ = write!(text, "\n    ({asks})");
        }
        write_text(&text)?;
        Ok(())
    }

    /// Sends the pending receipts. If the server is down, they stay pending, and the result is `false`.
    async fn report(&mut self) -> Result<bool, Failure> {
        self.send_at = None;
        if self.pending.is_empty() {
            return Ok(true);
        }
        let saved = self.phone.save(&self.file);
        saved.map_err(|cause| phone::unsaved(self.session, &self.file, &cause))?;
        match self.api.send_receipts(&self.pending).await {
            Ok(_) => {
                self.pending.clear();
                Ok(true)
            }
            Err(error) if may_pass(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Record for DeviceMessage {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("accepted_at", "Accepted", "Принято", |m| m.accepted_at.into()),
        Column::new("priority", "Priority", "Важность", |m| m.priority.into()),
        Column::new("topic", "Topic", "Тема", |m| m.topic.as_deref().into()),
        Column::new("acs", "ACS", "АСУ", |m| (&m.acs).into()),
        Column::new("title", "Title", "Заголовок", |m| (&m.title).into()),
        Column::new("body", "Text", "Текст", |m| (&m.body).into()),
        Column::new("id", "Message", "Сообщение", |m| m.id.into()),
        Column::alone("topic_name", "Topic's name", "Название темы", |m| {
            m.topic_name.as_deref().into()
        }),
        Column::alone("require_ack", "Must acknowledge", "Нужно подтвердить", |m| {
            m.require_ack.into()
        }),
        Column::alone("expires_at", "Expires", "Истекает", |m| m.expires_at.into()),
        Column::alone("state", "State", "Состояние", |m| m.state.into()),
    ];
}
