//! The hosts where a server may be, and the choice of the one that accepts us.
//!
//! sqlx knows one host, so we choose it: all are asked, and their state is compared with the URL's requirements.

use std::{fmt, io, path::Path, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use simo_common::lang::{Lang, Text};
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use url::Url;

use super::{
    advice,
    url::{Address, ServerUrl, Wanted, unencoded},
};
use crate::store::{Error, error::is_away};

/// How much earlier than the next one a host is asked. It is preferred, but its silence does not delay the others.
const HEAD_START: Duration = Duration::from_millis(200);

/// How many prepared statements a connection keeps without a pooler in between.
const STATEMENTS: usize = 256;

/// The hosts of a URL, in its order.
#[derive(Clone)]
pub(in crate::store) struct Hosts {
    options: Vec<PgConnectOptions>,
    wanted: Wanted,
    limit: Duration,
    is_pooled: bool,
}

impl Hosts {
    /// The hosts of a URL, for a program of this name. `is_pooled`: a pooler is known to be in front of them.
    ///
    /// # Errors
    /// [`Error::ServerUrl`].
    pub(in crate::store) fn of(url: &str, program: &str, is_pooled: bool) -> Result<Self, Error> {
        let url = ServerUrl::parse(url).map_err(Error::ServerUrl)?;
        let statements = if is_pooled { 0 } else { url.statements.unwrap_or(STATEMENTS) };
        let options = url.addresses.iter().map(|address| {
            Ok(options(address, &url.passed_on)?
                .application_name(program)
                .statement_cache_capacity(statements)
                // Servers since PostgreSQL 12 show floating-point numbers in full without this parameter, and PgBouncer
                // refuses clients that send it, unless it is configured not to.
                .extra_float_digits(None))
        });
        let options = options.collect::<Result<_, Text>>().map_err(Error::ServerUrl)?;
        Ok(Self { options, wanted: url.wanted, limit: url.limit, is_pooled: statements == 0 })
    }

    /// Whether a pooler is in front of them, which runs every transaction on any free connection, so that nothing may
    /// be prepared: known in advance, or by `statement-cache-capacity=0` in the URL.
    pub(in crate::store) fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    pub(super) fn are_several(&self) -> bool {
        self.options.len() > 1
    }

    /// Connect options of a host, by its place.
    pub(super) fn options(&self, place: usize) -> &PgConnectOptions {
        &self.options[place]
    }

    /// Connects to a host that accepts us and is in the wanted state, preferably the one at this place. Returns its
    /// place.
    ///
    /// # Errors
    /// Why none of them is suitable.
    pub(in crate::store) async fn connect(
        &self,
        preferred: usize,
    ) -> Result<(usize, PgConnection), Unreached> {
        let hosts = self.options.len();
        let mut asked: FuturesUnordered<_> = (0..hosts)
            .map(|turn| async move {
                tokio::time::sleep(HEAD_START * turn as u32).await;
                let place = (preferred + turn) % hosts;
                (place, self.ask(place).await)
            })
            .collect();
        let mut refusals = Vec::new();
        while let Some((place, answer)) = asked.next().await {
            match answer {
                Ok(connection) => return Ok((place, connection)),
                Err(why) => refusals.push((place, why)),
            }
        }
        refusals.sort_by_key(|(place, _)| *place);
        Err(Unreached(refusals.into_iter().map(|(place, why)| self.refusal(place, why)).collect()))
    }

    async fn ask(&self, place: usize) -> Result<PgConnection, Why> {
        let connected = tokio::time::timeout(self.limit, async {
            let mut connection = self.options[place].connect().await?;
            Ok(match self.unfit(&mut connection).await? {
                None => Ok(connection),
                Some(unfit) => Err(Why::Unfit(unfit)),
            })
        });
        match connected.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => Err(Why::Said(error)),
            Err(_) => Err(Why::Silent(self.limit)),
        }
    }

    /// Why the server at the other end is not suitable.
    pub(super) async fn unfit(&self, connection: &mut PgConnection) -> sqlx::Result<Option<Unfit>> {
        let (question, unfit) = match self.wanted {
            Wanted::Any => return Ok(None),
            Wanted::ReadWrite => ("select current_setting('transaction_read_only')::bool", Unfit::ReadOnly),
            Wanted::Primary => ("select pg_is_in_recovery()", Unfit::Standby),
        };
        let is_unfit: bool = sqlx::query_scalar(question).persistent(false).fetch_one(connection).await?;
        Ok(is_unfit.then_some(unfit))
    }

    fn refusal(&self, place: usize, why: Why) -> Refusal {
        let options = &self.options[place];
        let (passes, advice) = match &why {
            Why::Said(error) => (passes(error, is_socket(options)), advice::on_connecting(error, options)),
            Why::Silent(_) | Why::Unfit(_) => (true, None),
        };
        Refusal { host: shown(options), why, passes, advice }
    }
}

/// A derived one would show the password.
impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.options.iter().map(shown)).finish()
    }
}

/// Connect options for an address. sqlx reads `~/.pgpass` only when it is given a URL.
fn options(address: &Address, passed_on: &[(String, String)]) -> Result<PgConnectOptions, Text> {
    let port = address.port.map(|port| ("port".to_owned(), port.to_string()));
    let host = address.host.iter().map(|host| ("host".to_owned(), host.clone()));
    let words = host.chain(port).chain(passed_on.iter().cloned());
    let url = Url::parse_with_params("postgres:///", words);
    let options = url.ok().and_then(|url| PgConnectOptions::from_url(&url).ok());
    options.ok_or_else(unencoded)
}

fn is_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

/// A host's address and what we want there, for messages.
pub(super) fn shown(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    let host = match options.get_socket() {
        Some(directory) => return in_directory(directory, port),
        None if host.starts_with('/') => return in_directory(Path::new(host), port),
        None if host.contains(':') => format!("[{host}]"),
        None => host.to_owned(),
    };
    format!("postgres://{host}:{port}/{}", options.get_database().unwrap_or_default())
}

fn in_directory(directory: &Path, port: u16) -> String {
    directory.join(format!(".s.PGSQL.{port}")).display().to_string()
}

/// Why no host is suitable.
#[derive(Debug)]
pub struct Unreached(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    host: String,
    why: Why,
    /// Whether waiting may help.
    passes: bool,
    advice: Option<Text>,
}

#[derive(Debug)]
enum Why {
    Said(sqlx::Error),
    Silent(Duration),
    Unfit(Unfit),
}

/// How a server differs from the wanted one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unfit {
    ReadOnly,
    Standby,
}

impl Unfit {
    fn text(self) -> Text {
        match self {
            Self::ReadOnly => Text::new(
                "it is read-only, and `target_session_attrs` wants read-write",
                "он только для чтения, а `target_session_attrs` требует read-write",
            ),
            Self::Standby => Text::new(
                "it is a standby, and `target_session_attrs` wants primary",
                "он резервный, а `target_session_attrs` требует primary",
            ),
        }
    }
}

impl From<Unfit> for sqlx::Error {
    fn from(unfit: Unfit) -> Self {
        Self::Io(io::Error::other(unfit.text().en))
    }
}

impl Why {
    fn text(&self) -> Text {
        match self {
            // An error of the system or the server.
            Self::Said(error) => Text::new(error.to_string(), error.to_string()),
            Self::Silent(limit) => {
                let seconds = limit.as_secs();
                Text::new(format!("no answer in {seconds} s"), format!("нет ответа за {seconds} с"))
            }
            Self::Unfit(unfit) => unfit.text(),
        }
    }
}

impl Unreached {
    /// Whether waiting may help: nothing has to be changed on our side or the server's.
    pub(in crate::store) fn passes(&self) -> bool {
        self.0.iter().all(|refusal| refusal.passes)
    }

    pub(in crate::store) fn in_words(&self, lang: Lang) -> String {
        let said = |refusal: &Refusal| format!("{}: {}", refusal.host, refusal.why.text().get(lang));
        let all = self.0.iter().map(said).collect::<Vec<_>>().join("; ");
        let all = match self.0.len() {
            1 => all,
            _ => lang.pick(
                format!("no suitable database host: {all}"),
                format!("не подходит ни один хост базы данных: {all}"),
            ),
        };
        match self.0.iter().find_map(|refusal| refusal.advice.as_ref()) {
            Some(advice) => format!("{all}. {}", advice.get(lang)),
            None => all,
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(Lang::En))
    }
}

impl std::error::Error for Unreached {}

/// Whether an error of the server, or of the system in its place, may pass by itself.
fn passes(error: &sqlx::Error, is_socket: bool) -> bool {
    match error {
        sqlx::Error::Io(error) => match error.kind() {
            // An untrusted certificate; a socket that we may not use.
            io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied => false,
            // The socket of a server that is not started, or a certificate file.
            io::ErrorKind::NotFound => is_socket,
            _ => true,
        },
        sqlx::Error::Database(said) if advice::is_poolers_refusal(said.message()) => false,
        sqlx::Error::Database(_) => is_away(error),
        _ => false,
    }
}
