//! `simod demo`: a message's whole way on one screen, against a daemon that lives until Ctrl-C.

mod browser;
mod company;
mod phone;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use simo_common::{
    api::{history::Sort, message::PostMessage, people::NewInvite},
    client::{Client, ListQuery, Server},
    delivery::DeliveryState,
    lang::Lang,
};
use simod::{
    clock::Clock,
    config::{Config, WebPush},
    store::Store,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{company::Company, phone::Phone};
use super::serve::{bind, runtime, start_logging, stop_on_signals};

/// How long the demo waits for its phones.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the demo; `is_lan`: for phones of this network, too.
pub(super) fn demo(lang: Lang, is_lan: bool) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("simo-demo-").tempdir()?;
    let mut config = Config {
        database: format!("sqlite:{}", folder.path().join("simo.db").display()),
        listen: if is_lan { "0.0.0.0:0" } else { "127.0.0.1:0" }.to_owned(),
        allow_plain_http: is_lan,
        socket: folder.path().join("simod.sock"),
        log: "warn".to_owned(),
        webpush: WebPush { subject: Some("mailto:demo@simo.example".to_owned()), ..WebPush::default() },
        ..Config::default()
    };
    start_logging(&config)?;
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(&shutdown)?;
        let store = Arc::new(Store::open(&config.database, Clock::System).await?);
        let listeners = bind(&config, lang).await?;
        let address = listeners.tcp.local_addr()?;
        let url = format!("http://127.0.0.1:{}", address.port());
        // Browsers treat localhost as secure.
        let host = if is_lan { browser::lan_address() } else { None };
        config.public_url =
            Some(format!("http://{}:{}", host.as_deref().unwrap_or("localhost"), address.port()));
        let socket = config.socket.clone();
        let daemon = tokio::spawn(simod::run(config, store, listeners, shutdown.clone()));
        let shown = tokio::select! {
            shown = show(lang, &url, &socket, folder.path(), is_lan) => shown,
            () = shutdown.cancelled() => Ok(()),
        };
        if shown.is_err() {
            shutdown.cancel();
        }
        daemon.await??;
        shown
    })
}

async fn show(lang: Lang, url: &str, socket: &Path, folder: &Path, is_lan: bool) -> anyhow::Result<()> {
    let address = Server::Url(url.parse()?);
    let admin = Client::new(&Server::Socket(socket.to_owned()), lang)?.for_client(Some("demo".to_owned()));
    headline(lang.pick("SiMO demo", "Демонстрация SiMO"));
    say!("{}: {url}, {}\n", lang.pick("the daemon runs at", "сервер работает по адресу"), folder.display());

    headline(lang.pick("1. A company", "1. Предприятие"));
    let company = Company::provision(&admin, lang).await.context("cannot provision the demo's company")?;
    company.print(lang);

    headline(lang.pick("2. Phones, one per employee", "2. Телефоны, по одному у сотрудника"));
    let mut phones = Vec::new();
    let total = watch::Sender::new(0);
    for employee in &company.employees {
        phones.push(Phone::pair(&admin, &address, employee, total.clone(), lang).await?);
    }

    headline(lang.pick("\n3. The ACS posts five messages", "\n3. АСУ отправляет пять сообщений"));
    let acs = Client::new(&address, lang)?.with_token(company.acs_token.clone());
    let mut expected = 0;
    for message in company::messages(lang) {
        let posted = acs.post_message(&message, false).await?;
        expected += posted.recipients.accepted;
        say!(
            "  POST /api/v1/messages  202  «{}»  → {}: {}, {}: {}",
            message.title,
            lang.pick("accepted", "принято"),
            posted.recipients.accepted,
            lang.pick("denied", "нет доступа"),
            posted.recipients.denied,
        );
    }

    headline(lang.pick("\n4. What each phone received", "\n4. Что получил каждый телефон"));
    let mut received = total.subscribe();
    tokio::time::timeout(PATIENCE, received.wait_for(|count| *count >= expected))
        .await
        .context("the phones did not receive everything in time")??;
    for phone in &phones {
        phone.print(lang);
    }

    headline(lang.pick("5. The history that operators see", "5. История, которую видит оператор"));
    print_history(&admin, expected, lang).await?;
    print_what_to_try(&admin, &company, url, socket, is_lan, lang).await?;

    headline(lang.pick(
        "7. Your own phone: open this link in a browser, or scan it",
        "7. Ваш телефон: откройте эту ссылку в браузере или наведите на неё камеру",
    ));
    let guest = company::guest(lang);
    browser::invite(&admin, &guest, is_lan).await?;
    say!(
        "{}",
        lang.pick(
            "Ctrl-C ends the demo and removes its files.",
            "Ctrl-C завершает демонстрацию и удаляет её файлы."
        )
    );
    for phone in &phones {
        phone.report_live();
    }
    browser::follow(admin, acs, guest.personnel_no, lang).await?;
    Ok(())
}

async fn print_history(admin: &Client, expected: u64, lang: Lang) -> anyhow::Result<()> {
    let list = ListQuery { limit: Some(50), ..ListQuery::default() };
    // The last receipts are still on their way; the history is shown once they are stored.
    let settled = async {
        loop {
            let page = admin.deliveries(&list, Sort::default()).await?;
            let received = page.items.iter().filter(|d| d.state >= DeliveryState::Delivered).count();
            let open =
                page.items.iter().any(|d| matches!(d.state, DeliveryState::Queued | DeliveryState::Sent));
            if !open && received as u64 >= expected {
                return anyhow::Ok(page.items);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rows =
        tokio::time::timeout(PATIENCE, settled).await.context("the history did not settle in time")??;
    for row in rows {
        let state = lang.pick(row.state.as_str(), row.state.as_russian());
        let topic = row.topic.unwrap_or_else(|| "—".to_owned());
        say!("  {:<14} {:<10} {:<26} {}", state, topic, row.employee, row.title);
    }
    say!();
    Ok(())
}

async fn print_what_to_try(
    admin: &Client,
    company: &Company,
    url: &str,
    socket: &Path,
    is_lan: bool,
    lang: Lang,
) -> anyhow::Result<()> {
    let invite = NewInvite {
        employee: company.employees[0].personnel_no.clone(),
        valid_for: is_lan.then_some(browser::LAN_SECONDS),
    };
    let code = admin.invite_device(&invite).await?.code;
    let message = PostMessage {
        title: lang.pick("Pressure in boiler 2", "Давление в котле 2").to_owned(),
        body: lang.pick("9.1 bar, the limit is 8.5", "9,1 бар при допустимых 8,5").to_owned(),
        topic: Some("boiler".to_owned()),
        ..PostMessage::default()
    };
    let socket = socket.display();
    let (ctl, tui) = (program("simoctl"), program("simo-tui"));
    headline(lang.pick(
        "6. Now you, in a second terminal (these lines work as long as this demo runs)",
        "6. Теперь вы, во втором терминале (строки работают, пока идёт демонстрация)",
    ));
    say!(
        "curl -sS {url}/api/v1/messages -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{}'\n",
        company.acs_token,
        serde_json::to_string(&message)?,
    );
    say!("{ctl} --socket {socket} message list");
    say!("{ctl} --socket {socket} topic who boiler");
    say!("{ctl} --url {url} listen --code {code}");
    say!("{tui} --socket {socket}\n");
    Ok(())
}

/// How to call a sister program: by its path if it was built beside this one, through cargo in a checkout.
fn program(name: &str) -> String {
    let sister = std::env::current_exe().ok().map(|path| path.with_file_name(name));
    match sister {
        Some(path) if path.exists() => path.display().to_string(),
        Some(path) if path.components().any(|part| part.as_os_str() == "target") => {
            let release =
                if path.components().any(|part| part.as_os_str() == "release") { " --release" } else { "" };
            format!("cargo run -q{release} --bin {name} --")
        }
        _ => name.to_owned(),
    }
}

fn headline(text: &str) {
    say!("{text}");
}
