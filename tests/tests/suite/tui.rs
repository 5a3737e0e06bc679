//! `simo-tui` in a terminal, against a real daemon: what the operator sees after each key.

use std::{
    future::ready,
    io::{ErrorKind, Write as _},
    num::NonZeroU16,
    process::Command,
};

use expectrl::{
    process::unix::WaitStatus,
    session::{OsSession, Session},
};
use jiff::Timestamp;
use simo_common::{
    api::{access::Grantee, device::Receipt},
    receipt::ReceiptKind,
};
use simo_tests::{
    Plant, Simod, eventually,
    plant::{post, to_employees, to_topic},
    programs::program,
};

const COLUMNS: NonZeroU16 = NonZeroU16::new(110).unwrap();
const LINES: NonZeroU16 = NonZeroU16::new(40).unwrap();

/// The program in its own terminal.
struct Screen {
    session: OsSession,
    terminal: vt100::Parser,
}

impl Screen {
    fn open(simod: &Simod, arguments: &[&str]) -> Self {
        let mut command = Command::new(program("simo-tui"));
        command
            .arg("--socket")
            .arg(simod.socket())
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .env("TZ", "Europe/Moscow");
        let mut session = Session::spawn(command).expect("simo-tui starts");
        session.get_process_mut().set_window_size(COLUMNS.get(), LINES.get()).expect("a terminal has a size");
        Self { session, terminal: vt100::Parser::new(LINES, COLUMNS, 0) }
    }

    fn type_in(&mut self, keys: &str) {
        self.session.write_all(keys.as_bytes()).expect("it reads keys");
        self.session.flush().expect("it reads keys");
    }

    /// Reads the output so far.
    fn read(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            match self.session.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => self.terminal.process(&buffer[..count]),
                // Linux says EIO once the other end is closed.
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(5) => {
                    return;
                }
                Err(error) => panic!("the terminal cannot be read: {error}"),
            }
        }
    }

    fn text(&self) -> String {
        self.terminal.screen().contents()
    }

    /// Waits until the screen satisfies `is_so`.
    async fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        eventually(what, || {
            self.read();
            ready(is_so(&self.text()).then_some(()))
        })
        .await;
    }

    /// Waits until the screen shows this text.
    async fn says(&mut self, text: &str) {
        self.until(&format!("the screen says {text:?}"), |screen| screen.contains(text)).await;
    }

    /// Waits until the program has ended; returns its exit status.
    async fn exited(&mut self) -> WaitStatus {
        eventually("simo-tui ends", || {
            self.read();
            let status = self.session.get_process().status().expect("our own child");
            ready((status != WaitStatus::StillAlive).then_some(status))
        })
        .await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen:\n{}", self.text());
        }
    }
}

/// The line of the screen with this text.
fn line<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_default()
}

async fn plant(simod: &Simod) -> Plant {
    let plant = Plant::new(simod, "romashka").await;
    plant.employees(&["100001", "100002"], &["smena-a"]).await;
    plant.topic("boiler", &[Grantee::Everyone]).await;
    plant
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_history_live_and_finds_what_he_looks_for() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let acs = plant.acs(&simod, "scada").await;
    post(&acs, &to_topic("Давление в котле № 3", "boiler")).await;

    let mut screen = Screen::open(&simod, &["--client", "romashka", "--lang", "ru"]);
    screen.says("● в эфире").await;
    screen
        .until("both deliveries are there", |screen| screen.matches("Давление в котле № 3").count() == 2)
        .await;

    // New deliveries appear by themselves, newest first.
    let phone = plant.stream_phone(&simod, "100001").await;
    let message = post(&acs, &to_employees("Зайдите в отдел кадров", &["100001"])).await;
    screen
        .until("the new delivery is on top", |screen| {
            line(screen, "Зайдите").contains("… ") && screen.find("Зайдите") < screen.find("Давление")
        })
        .await;
    let receipt =
        Receipt { message_id: message.id, kind: ReceiptKind::Read, at: Timestamp::UNIX_EPOCH, by: None };
    phone.client.send_receipts(&[receipt]).await.expect("receipts are taken");
    screen.until("the delivery is read", |screen| line(screen, "Зайдите").contains("✓✓ прочитано")).await;

    // A query filters; an error in it is marked.
    screen.type_in("/state:prochitano ");
    screen.says("`prochitano`").await;
    screen.type_in("\u{15}состояние:прочитано\r");
    screen
        .until("only what was read", |screen| screen.contains("Зайдите") && !screen.contains("Давление"))
        .await;

    // Opens the full story, and returns.
    screen.type_in("\r");
    screen
        .until("the story", |screen| {
            screen.contains("История") && screen.contains("Сотрудник 100001 (100001)")
        })
        .await;
    screen.type_in("\t");
    screen.until("the pane is closed", |screen| !screen.contains("История")).await;

    screen.type_in("?");
    screen.says("Клавиши").await;
    screen.type_in("q");
    assert!(matches!(screen.exited().await, WaitStatus::Exited(_, 0)));
    assert!(!screen.terminal.screen().alternate_screen(), "the terminal is given back");
    assert!(!screen.terminal.screen().hide_cursor(), "the cursor is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_loses_the_operator_nothing() {
    let mut simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("scada").await;
    post(&simod.caller(&token), &to_topic("Первое", "boiler")).await;
    let mut screen = Screen::open(&simod, &["--client", "romashka", "--lang", "en"]);
    screen.says("Первое").await;
    screen.says("● live").await;

    simod.kill9();
    screen.says("server unreachable since").await;
    screen.says("Первое").await;
    simod.restart().await;
    post(&simod.caller(&token), &to_topic("Второе", "boiler")).await;
    screen.says("● live").await;
    screen.says("Второе").await;

    screen.type_in("\u{3}");
    assert!(matches!(screen.exited().await, WaitStatus::Exited(_, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_of_several_clients_chooses_one_inside() {
    let simod = Simod::start().await;
    let mut screen = Screen::open(&simod, &["--lang", "en"]);
    screen.says("There is no client yet").await;
    plant(&simod).await;
    let vasilek = Plant::new(&simod, "vasilek").await;
    vasilek.employees(&["7"], &[]).await;
    post(&vasilek.acs(&simod, "1c").await, &to_employees("Только для Василька", &["7"])).await;
    screen.type_in("r");
    screen.says("vasilek").await;
    screen.type_in("j\r");
    screen.says("Только для Василька").await;
    screen.says("vasilek · ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_it_says_so_and_what_to_do_instead() {
    let output = Command::new(program("simo-tui")).args(["--lang", "en"]).output().expect("simo-tui starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("simoctl message list"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_program_gives_the_terminal_back() {
    let simod = Simod::start().await;
    plant(&simod).await;
    let mut screen = Screen::open(&simod, &["--lang", "en"]);
    screen.says("● live").await;
    assert!(screen.terminal.screen().alternate_screen());
    screen
        .session
        .get_process_mut()
        .signal(expectrl::process::unix::Signal::SIGTERM)
        .expect("our own child can be signalled");
    screen.exited().await;
    assert!(!screen.terminal.screen().alternate_screen());
}
