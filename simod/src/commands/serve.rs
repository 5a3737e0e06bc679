//! `simod serve` and `simod migrate`.

use std::{
    io::{IsTerminal as _, Write as _},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::Signal;
use simo_common::{lang::Lang, paths};
use simod::{
    Listeners, api,
    clock::Clock,
    config::{self, Config, LogFormat},
    store::Store,
    tls::Tls,
};
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{ConfigArguments, open, print};

#[derive(Debug, Clone, Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// How long to wait at the start for a PostgreSQL server that cannot be reached or takes no writes: 30s, 5m; 0 for not at all
    #[arg(long, value_name = "TIME", value_parser = open::wait, default_value = "60s")]
    wait: Duration,
    /// Go on at another address than the one at which browsers were paired; they have to be paired anew
    #[arg(long)]
    new_origin: bool,
}

/// Runs the daemon until SIGTERM or SIGINT.
pub(super) fn serve(arguments: &ServeArguments, lang: Lang) -> anyhow::Result<()> {
    let config = arguments.config.load()?;
    start_logging(&config)?;
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if config::is_foreign(&name) {
            tracing::warn!(variable = &*name, "unknown setting: it has no effect");
        }
    }
    api::prepare();
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(&shutdown)?;
        // Under a limit on file sizes, a write then fails as on a full disk instead of ending the process.
        let _handled = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        let Some(store) = open::store(&config.place()?, arguments.wait, &shutdown, lang).await? else {
            tracing::info!("simod ends");
            return Ok(());
        };
        let store = Arc::new(store);
        let listeners = bind(&config, lang).await?;
        settle_origin(&store, &config, arguments.new_origin, lang).await?;
        let address = listeners.tcp.local_addr()?;
        let scheme = config.scheme();
        let mut stdout = std::io::stdout();
        // The parent may have closed our stdout; that is no reason not to serve.
        let _closed = writeln!(stdout, "listening on {scheme}://{address}").and_then(|()| stdout.flush());
        tracing::info!(%address, socket = %config.socket.display(), database = %config.shown_database(), "simod starts");
        if !store.has_clients().await? {
            say_how_to_begin(&config.socket, lang);
        }
        simod::run(config, store, listeners, shutdown).await?;
        tracing::info!("simod ends");
        Ok(())
    })
}

/// Browsers know the app by its address: changing it must be deliberate.
async fn settle_origin(store: &Store, config: &Config, is_new: bool, lang: Lang) -> anyhow::Result<()> {
    let Some(known) = store.web_origin().await? else { return Ok(()) };
    let (url, phones) = (&known.url, known.phones);
    match config.origin() {
        None => bail!(lang.pick(
            format!("browsers know the app at {url}, and `public_url` is not set: set it to that"),
            format!("браузеры знают приложение по адресу {url}, а `public_url` не задан: задайте этот адрес"),
        )),
        Some(said) if said == known.url => Ok(()),
        Some(said) if is_new => {
            store.change_web_origin(&said).await?;
            tracing::warn!(from = %url, to = %said, phones, "browsers know the app at another address: they have to be paired anew");
            Ok(())
        }
        _ => bail!(lang.pick(
            format!(
                "browsers know the app at {url}, and `public_url` is another address now. {phones} of them would have to be paired \
                 anew, and get no messages until then. Set `public_url` to {url}, or start once with --new-origin"
            ),
            format!(
                "браузеры знают приложение по адресу {url}, а `public_url` теперь другой. Телефонов, которые придётся подключить \
                 заново и которые до этого не получат сообщений: {phones}. Задайте `public_url` = {url} или запустите один раз с \
                 --new-origin"
            ),
        )),
    }
}

/// What to do after the very first start.
fn say_how_to_begin(socket: &Path, lang: Lang) {
    let simoctl = if socket == paths::default_socket() {
        "simoctl".to_owned()
    } else {
        format!("simoctl --socket {}", socket.display())
    };
    say_aside!(
        "{}\n  {simoctl} client add my-company --admin my-name\n  {simoctl} token issue --client my-company --acs my-erp",
        lang.pick(
            "There is no client yet. Make the first one with its admin, and a token for its first system, as this user or root:",
            "Клиентов ещё нет. Создайте первого с его администратором и токен для его первой системы (от имени этого пользователя или root):",
        )
    );
}

/// Creates or migrates the database; with `check` only prints what would be run.
pub(super) fn migrate(arguments: &ConfigArguments, check: bool, lang: Lang) -> anyhow::Result<()> {
    let config = arguments.load()?;
    runtime()?.block_on(async {
        let place = config.place()?;
        let pending = Store::pending_migrations(&place).await?;
        if !check {
            Store::open_at(&place, Clock::System).await?.close().await;
        }
        if pending.is_empty() {
            return print(lang.pick("nothing to migrate\n", "обновлять нечего\n"), lang);
        }
        let done = if check {
            lang.pick("pending", "предстоит")
        } else {
            lang.pick("migrated", "выполнено")
        };
        let lines: Vec<String> = pending.iter().map(|name| format!("{done} {name}")).collect();
        print(&(lines.join("\n") + "\n"), lang)
    })
}

/// The runtime of every command.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Binds the configured addresses.
pub(super) async fn bind(config: &Config, lang: Lang) -> anyhow::Result<Listeners> {
    let tls = match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Arc::new(Tls::read(certificate, key)?)),
        (None, None) => None,
        (Some(_), None) => bail!(lang.pick(
            "`tls_certificate` needs its key: `tls_key`, --tls-key, SIMO_TLS_KEY",
            "к `tls_certificate` нужен ключ: `tls_key`, --tls-key, SIMO_TLS_KEY",
        )),
        (None, Some(_)) => bail!(lang.pick(
            "`tls_key` needs its certificate: `tls_certificate`, --tls-certificate, SIMO_TLS_CERTIFICATE",
            "к `tls_key` нужен сертификат: `tls_certificate`, --tls-certificate, SIMO_TLS_CERTIFICATE",
        )),
    };
    let listen = &config.listen;
    let tcp = TcpListener::bind(listen).await.with_context(|| {
        lang.pick(
            format!("cannot listen on {listen} (`listen`, --listen, SIMO_LISTEN)"),
            format!("не удаётся принимать соединения на {listen} (`listen`, --listen, SIMO_LISTEN)"),
        )
    })?;
    if tls.is_none() && !config.allow_plain_http && !tcp.local_addr()?.ip().is_loopback() {
        bail!(lang.pick(
            format!(
                "other machines reach {listen}, and tokens and messages would go there unencrypted. Give a certificate \
                 (`tls_certificate` and `tls_key`), listen on 127.0.0.1, or, behind a proxy that speaks HTTPS, say \
                 `allow_plain_http = true` (--allow-plain-http)"
            ),
            format!(
                "адрес {listen} доступен другим машинам, и токены с сообщениями шли бы без шифрования. Укажите сертификат \
                 (`tls_certificate` и `tls_key`), принимайте соединения на 127.0.0.1 или, за прокси с HTTPS, укажите \
                 `allow_plain_http = true` (--allow-plain-http)"
            ),
        ));
    }
    let unix = bind_socket(&config.socket, lang).await.with_context(|| {
        let socket = config.socket.display();
        lang.pick(
            format!("cannot listen on {socket} (`socket`, --socket, SIMO_SOCKET)"),
            format!("не удаётся принимать соединения на {socket} (`socket`, --socket, SIMO_SOCKET)"),
        )
    })?;
    Ok(Listeners { tcp, tls, unix: Some(unix) })
}

/// Binds the Unix socket, for this user only; one left behind by a dead daemon is taken over.
async fn bind_socket(path: &Path, lang: Lang) -> anyhow::Result<UnixListener> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(path).await.is_ok() {
                bail!(lang.pick("another daemon answers there", "там отвечает другой сервер"));
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => bail!(lang.pick("there is a file that is not a socket", "там файл, который не сокет")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Logs to stderr, as configured; colours only for a terminal.
pub(super) fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("`log`: {}", config.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // On a full disk, or without a reader, a line is lost; reporting that would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match config.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// The first SIGTERM or SIGINT cancels `shutdown`; a second one ends the process.
pub(super) fn stop_on_signals(shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
