//! The URL of a server, as libpq understands it: several hosts, and connection parameters.
//!
//! <https://www.postgresql.org/docs/15/libpq-connect.html#id-1.7.3.8.3.6>, but stricter where `psql` and other programs
//! read the same text differently: separators are percent-encoded inside the parts of a URL.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use simo_common::{lang::Text, text};
use sqlx::postgres::PgSslMode;

/// Parameters allowed in the query. The manuals list them; a test compares the two.
pub(super) const WORDS: [&str; 13] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "target_session_attrs",
    "connect_timeout",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "options",
    "statement-cache-capacity",
];

/// How long a host may take to accept us, unless the URL says otherwise: alone, and beside others.
const LIMIT: Duration = Duration::from_secs(5);
const LIMIT_BESIDE_OTHERS: Duration = Duration::from_secs(2);

/// The required state of a host (`target_session_attrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any server that answers.
    Any,
    /// A server whose sessions may write.
    ReadWrite,
    /// A server that is not in recovery.
    Primary,
}

/// Where a server may be. Omitted parts have libpq's defaults: `PGHOST`, `PGPORT`, a socket, 5432.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// A name, an address, or the directory of a Unix socket.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct ServerUrl {
    /// At least one.
    pub(super) addresses: Vec<Address>,
    pub(super) wanted: Wanted,
    /// How long a host may take to accept us.
    pub(super) limit: Duration,
    /// How many prepared statements a connection keeps; 0 behind a pooler.
    pub(super) statements: Option<usize>,
    /// Parameters passed on to sqlx, with their values.
    pub(super) passed_on: Vec<(String, String)>,
}

impl ServerUrl {
    /// Parses `postgres://user:password@host:port,host:port/database?word=value&…`.
    ///
    /// # Errors
    /// The mistake, without any part of the text that may belong to a password.
    pub(in crate::store) fn parse(url: &str) -> Result<Self, Text> {
        let parts = Parts::of(url).ok_or_else(unencoded)?;
        let mut passed_on = Vec::new();
        let mut pass_on = |word: &str, value: String| passed_on.push((word.to_owned(), value));
        if let Some(user_info) = parts.user_info {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            for (word, value) in [("user", user), ("password", password)] {
                if !value.is_empty() {
                    pass_on(word, decoded(value)?);
                }
            }
        }
        if let Some(database) = parts.database.filter(|database| !database.is_empty()) {
            pass_on("dbname", decoded(database)?);
        }
        let (mut hosts, mut ports) = places(parts.hosts)?;
        let (mut wanted, mut limit, mut statements) = (None, None, None);
        for pair in parts.pairs() {
            let (word, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (word, value) = (decoded(word)?, decoded(value)?);
            match &*word {
                "host" => hosts = value.split(',').map(str::to_owned).collect(),
                "port" => ports = value.split(',').map(port).collect::<Result<_, _>>()?,
                "target_session_attrs" => wanted = Some(Wanted::of(&value)?),
                "connect_timeout" => limit = Some(seconds(&value)?),
                "statement-cache-capacity" => statements = Some(value.parse().map_err(|_| not_whole(&word))?),
                "sslmode" if value.parse::<PgSslMode>().is_err() => return Err(not_a_mode()),
                word if WORDS.contains(&word) => pass_on(word, value),
                word => return Err(not_understood(word)),
            }
        }
        let addresses = addresses(hosts, &ports)?;
        let is_alone = addresses.len() == 1;
        Ok(Self {
            wanted: wanted.unwrap_or(if is_alone { Wanted::Any } else { Wanted::ReadWrite }),
            limit: limit.unwrap_or(if is_alone { LIMIT } else { LIMIT_BESIDE_OTHERS }),
            addresses,
            statements,
            passed_on,
        })
    }
}

impl Wanted {
    fn of(value: &str) -> Result<Self, Text> {
        match value {
            "any" => Ok(Self::Any),
            "read-write" => Ok(Self::ReadWrite),
            "primary" => Ok(Self::Primary),
            _ => Err(text!(
                "`target_session_attrs` may be any, read-write or primary: simod writes, which a standby or a read-only \
                 server refuses",
                "`target_session_attrs` может быть any, read-write или primary: simod записывает, а резервный сервер и \
                 сервер только для чтения этого не позволяют"
            )),
        }
    }
}

/// The parts of a URL, still encoded.
struct Parts<'u> {
    scheme: &'u str,
    user_info: Option<&'u str>,
    hosts: &'u str,
    database: Option<&'u str>,
    query: Option<&'u str>,
}

impl<'u> Parts<'u> {
    /// `None` where the parts cannot be told apart: a character should have been encoded.
    fn of(url: &'u str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (before, query) = split(rest, '?');
        let (authority, database) = split(before, '/');
        let (user_info, hosts) = match authority.split_once('@') {
            Some((user_info, hosts)) => (Some(user_info), hosts),
            None => (None, authority),
        };
        let is_clear = !rest.contains('#')
            && !hosts.contains('@')
            && !database.is_some_and(|database| database.contains(['/', '@']))
            && !query.is_some_and(|query| query.contains('@'))
            && rest.split('%').skip(1).all(begins_with_two_digits);
        is_clear.then_some(Self { scheme, user_info, hosts, database, query })
    }

    fn pairs(&self) -> impl Iterator<Item = &'u str> {
        self.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty())
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Hexadecimal digits, which must follow a `%`.
fn begins_with_two_digits(text: &str) -> bool {
    text.get(..2).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// A URL with its password, if any, hidden: `postgres://user:***@host/simo`.
pub(crate) fn without_password(url: &str, hidden: &str, hide_in_query: impl Fn(&str) -> String) -> String {
    let Some(parts) = Parts::of(url) else {
        let scheme = url.split_once(':').map_or("postgres", |(scheme, _)| scheme);
        return format!("{scheme}://{hidden}");
    };
    let user_info = match parts.user_info.map(|user_info| split(user_info, ':')) {
        Some((user, Some(_))) => format!("{user}:{hidden}@"),
        Some((user, None)) => format!("{user}@"),
        None => String::new(),
    };
    let database = parts.database.map(|database| format!("/{database}")).unwrap_or_default();
    let query = parts.query.map(|query| format!("?{}", hide_in_query(query))).unwrap_or_default();
    format!("{}://{user_info}{}{database}{query}", parts.scheme, parts.hosts)
}

/// Hosts and ports, from the part before the database's name.
fn places(text: &str) -> Result<(Vec<String>, Vec<Option<u16>>), Text> {
    text.split(',')
        .map(|place| {
            let (host, after) = match place.strip_prefix('[') {
                Some(rest) => rest.split_once(']').ok_or_else(not_in_brackets)?,
                None => place.split_at(place.find(':').unwrap_or(place.len())),
            };
            let port = match after.strip_prefix(':') {
                Some(port) if port.contains(':') => return Err(not_in_brackets()),
                Some(number) => port(number)?,
                None if after.is_empty() => None,
                None => return Err(not_in_brackets()),
            };
            Ok((decoded(host)?, port))
        })
        .collect()
}

/// A single port applies to all hosts.
fn addresses(hosts: Vec<String>, ports: &[Option<u16>]) -> Result<Vec<Address>, Text> {
    let ports = if ports.iter().all(Option::is_none) { &[None] } else { ports };
    let (named, numbered) = (hosts.len(), ports.len());
    if numbered != 1 && numbered != named {
        return Err(text!(
            "{named} hosts and {numbered} ports: give one port for all hosts, or one for each",
            "хостов {named}, портов {numbered}: укажите один порт для всех хостов или по порту на каждый"
        ));
    }
    if named > 1 && hosts.iter().any(String::is_empty) {
        return Err(text!("there is an empty host between commas", "между запятыми пустой хост"));
    }
    let ports = ports.iter().cycle();
    let address = |(host, &port): (String, _)| Address { host: (!host.is_empty()).then_some(host), port };
    Ok(hosts.into_iter().zip(ports).map(address).collect())
}

/// An empty text is the default port.
fn port(text: &str) -> Result<Option<u16>, Text> {
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(port @ 1..) => Ok(Some(port)),
        // The text is not shown: behind `user:` without a host it is a password.
        _ => Err(text!(
            "a port is a number from 1 to 65535. If it was meant for a part of the password: {ENCODED_AS}",
            "порт — число от 1 до 65535. Если это часть пароля: {ENCODED_AS_RU}"
        )),
    }
}

fn seconds(text: &str) -> Result<Duration, Text> {
    match text.parse() {
        Ok(seconds @ 1..=60) => Ok(Duration::from_secs(seconds)),
        _ => Err(text!(
            "`connect_timeout` is a whole number of seconds from 1 to 60, for each host",
            "`connect_timeout` — целое число секунд от 1 до 60, на каждый хост"
        )),
    }
}

fn decoded(text: &str) -> Result<String, Text> {
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into_owned()),
        _ => Err(text!("the percent-encoded part is not UTF-8", "закодированное через % — не текст в UTF-8")),
    }
}

/// The separators of a URL, and how they are encoded inside its parts.
const ENCODED_AS: &str = "inside of a name or a password @ is written %40, # %23, / %2F, ? %3F, % %25";
const ENCODED_AS_RU: &str = "внутри имени и пароля @ пишется как %40, # — %23, / — %2F, ? — %3F, % — %25";

/// Why a URL cannot be parsed at all.
pub(super) fn unencoded() -> Text {
    text!(
        "the server's URL cannot be taken apart: {ENCODED_AS}",
        "адрес сервера не разобрать на части: {ENCODED_AS_RU}"
    )
}

fn not_in_brackets() -> Text {
    text!(
        "an IPv6 address is written in brackets: [::1]:5432. If it was meant for a part of the password: {ENCODED_AS}",
        "адрес IPv6 пишется в скобках: [::1]:5432. Если это часть пароля: {ENCODED_AS_RU}"
    )
}

fn not_whole(word: &str) -> Text {
    text!("`{word}` is a whole number", "`{word}` — целое число")
}

fn not_a_mode() -> Text {
    text!(
        "`sslmode` may be disable, allow, prefer, require, verify-ca or verify-full",
        "`sslmode` может быть disable, allow, prefer, require, verify-ca или verify-full"
    )
}

fn not_understood(word: &str) -> Text {
    if word == "application_name" {
        return text!(
            "`application_name` cannot be set: simod connects as `simod`, which `simod copy` looks for",
            "`application_name` занято: simod подключается под именем `simod`, по которому его находит `simod copy`"
        );
    }
    let likeness = |known: &&str| strsim::jaro_winkler(word, known);
    let nearest = WORDS.into_iter().filter(|known| likeness(known) > 0.75);
    if let Some(nearest) = nearest.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        return text!(
            "unknown parameter `{word}` in the server's URL; did you mean `{nearest}`?",
            "слово `{word}` в адресе сервера непонятно; может быть, `{nearest}`?"
        );
    }
    let known = WORDS.join(", ");
    text!(
        "unknown parameter `{word}` in the server's URL; known are {known}",
        "слово `{word}` в адресе сервера непонятно; известны {known}"
    )
}

#[cfg(test)]
mod tests;
