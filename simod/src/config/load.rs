//! Reading the configuration from its sources, each overriding the one before.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use simo_common::{
    lang::{Lang, Text},
    text,
};
use toml::{Table, Value};

use super::{
    Config, KEYS,
    keys::{Kind, mistyped, nearest},
    without_password,
};

/// Where a value came from, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    Unreadable(PathBuf, std::io::Error),
    /// The file is not TOML.
    #[error("{}: {}", .0.display(), .1)]
    Syntax(PathBuf, toml::de::Error),
    /// A key that does not exist.
    #[error("{from}: unknown key `{key}`{}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        from: Source,
        /// The key.
        key: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A variable that is none, but looks like one.
    #[error("unknown variable {name}; did you mean `{nearest}`?")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What was probably meant.
        nearest: String,
    },
    /// A value that does not fit its key.
    #[error("{from}: `{key}`: {}", .detail.en)]
    Value {
        /// Where it stands.
        from: Source,
        /// The key.
        key: String,
        /// What is wrong.
        detail: Text,
    },
}

impl ConfigError {
    /// For whoever started us, in his language.
    pub fn in_words(&self, lang: Lang) -> String {
        match (lang, self) {
            (Lang::Ru, Self::UnknownKey { from, key, nearest }) => {
                let meant = nearest.map(|n| format!("; может быть, «{n}»?"));
                format!("{from}: неизвестный ключ `{key}`{}", meant.unwrap_or_default())
            }
            (Lang::Ru, Self::UnknownVariable { name, nearest }) => {
                format!("неизвестная переменная {name}; может быть, «{nearest}»?")
            }
            (Lang::Ru, Self::Value { from, key, detail }) => format!("{from}: `{key}`: {}", detail.ru),
            // What the system and the reader of TOML say.
            _ => self.to_string(),
        }
    }
}

/// Loads the configuration: defaults, `file`, `variables` of the environment, `flags` (key and value).
pub fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    flags: &[(&'static str, String)],
) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.to_owned(), e))?;
        table = text
            .parse()
            .map_err(|e| ConfigError::Syntax(path.to_owned(), e))?;
        refuse_unknown(&table, "", &Source::File(path.to_owned()))?;
        check(&table, &Source::File(path.to_owned()))?;
    }
    let variables: BTreeMap<String, String> = variables.into_iter().collect();
    for name in variables.keys() {
        if let Some(nearest) = mistyped(name) {
            return Err(ConfigError::UnknownVariable {
                name: name.clone(),
                nearest,
            });
        }
    }
    for key in KEYS {
        if let Some(text) = variables.get(&key.variable()) {
            let source = Source::Variable(key.variable());
            set(&mut table, key.path, typed(text, key.kind, key.path, &source)?);
            check(&table, &source)?;
        }
    }
    for (path, text) in flags {
        let source = Source::Flag(path);
        let kind = KEYS
            .iter()
            .find(|key| key.path == *path)
            .map_or(Kind::Text, |key| key.kind);
        set(&mut table, path, typed(text, kind, path, &source)?);
        check(&table, &source)?;
    }
    let config: Config = parse(&table).map_err(|(key, detail)| ConfigError::Value {
        from: Source::Flag("configuration"),
        key,
        detail: library_says(&detail),
    })?;
    Ok(config)
}

fn refuse_unknown(table: &Table, prefix: &str, from: &Source) -> Result<(), ConfigError> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        match value {
            Value::Table(inner) if KEYS.iter().any(|key| key.path.starts_with(&format!("{path}."))) => {
                refuse_unknown(inner, &format!("{path}."), from)?;
            }
            _ if KEYS.iter().any(|key| key.path == path) => {}
            _ => {
                let nearest = nearest(&path);
                return Err(ConfigError::UnknownKey {
                    from: from.clone(),
                    key: path,
                    nearest,
                });
            }
        }
    }
    Ok(())
}

fn typed(text: &str, kind: Kind, key: &str, from: &Source) -> Result<Value, ConfigError> {
    let wrong = |expected: &str, in_russian: &str| ConfigError::Value {
        from: from.clone(),
        key: key.to_owned(),
        detail: text!("`{text}` is not {expected}", "`{text}` не {in_russian}"),
    };
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Whole => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| wrong("a whole number", "целое число")),
        Kind::Switch => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| wrong("true or false", "true и не false")),
        Kind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(
                parts.map(|part| Value::String(part.to_owned())).collect(),
            ))
        }
        Kind::Number => text
            .parse()
            .map(Value::Float)
            .map_err(|_| wrong("a number", "число")),
    }
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = section {
                set(inner, rest, value);
            }
        }
    }
}

/// The configuration in a table, or the key that does not hold what it must, and what is wrong with its value.
fn parse(table: &Table) -> Result<Config, (String, String)> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let said = error.inner().message();
        let detail = match value_at(table, error.path()) {
            Some(value) if !said.contains(value) => format!("`{value}`: {said}"),
            _ => said.to_owned(),
        };
        (error.path().to_string(), detail)
    })
}

/// The text that stands there.
fn value_at<'a>(table: &'a Table, path: &serde_path_to_error::Path) -> Option<&'a str> {
    use serde_path_to_error::Segment;
    let mut segments = path.iter();
    let Some(Segment::Map { key }) = segments.next() else {
        return None;
    };
    let value = segments.try_fold(table.get(key)?, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(*index),
        _ => None,
    });
    value?.as_str()
}

/// What a library says of a value, in English only.
fn library_says(said: &str) -> Text {
    Text::new(said, format!("значение не подходит ({said})"))
}

fn check(table: &Table, from: &Source) -> Result<(), ConfigError> {
    let value = |key: &str, detail: Text| ConfigError::Value {
        from: from.clone(),
        key: key.to_owned(),
        detail,
    };
    let config = parse(table).map_err(|(key, detail)| value(&key, library_says(&detail)))?;
    let seconds = [
        ("http.head_timeout_seconds", config.http.head_timeout_seconds),
        ("http.body_timeout_seconds", config.http.body_timeout_seconds),
        ("http.write_timeout_seconds", config.http.write_timeout_seconds),
        ("fcm.timeout_seconds", config.fcm.timeout_seconds),
        (
            "delivery.retry_first_seconds",
            config.delivery.retry_first_seconds,
        ),
        ("delivery.retry_max_seconds", config.delivery.retry_max_seconds),
        (
            "delivery.quarantine_probe_seconds",
            config.delivery.quarantine_probe_seconds,
        ),
    ];
    for (key, seconds) in seconds {
        if !(seconds > 0.0 && seconds <= 86_400.0 * 28.0) {
            return Err(value(
                key,
                text!(
                    "must be above 0 and at most 28 days",
                    "должно быть больше 0 и не больше 28 дней"
                ),
            ));
        }
    }
    if !(0.0..=1.0).contains(&config.delivery.brake_share) {
        return Err(value(
            "delivery.brake_share",
            text!("must be between 0 and 1", "должно быть от 0 до 1"),
        ));
    }
    if config.http.connections == 0 {
        return Err(value(
            "http.connections",
            text!("must be at least 1", "должно быть не меньше 1"),
        ));
    }
    for origin in &config.cors_origins {
        let parsed = url::Url::parse(origin).ok();
        if parsed.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
            let detail = text!(
                "`{origin}` is not an origin such as https://admin.example.org",
                "`{origin}` не источник вида https://admin.example.org"
            );
            return Err(value("cors_origins", detail));
        }
    }
    if config.fcm.connections == 0 || config.fcm.connections > 64 {
        return Err(value(
            "fcm.connections",
            text!("must be 1 to 64", "должно быть от 1 до 64"),
        ));
    }
    if config.fcm.streams_per_connection == 0 || config.fcm.streams_per_connection > 100 {
        return Err(value(
            "fcm.streams_per_connection",
            text!("must be 1 to 100", "должно быть от 1 до 100"),
        ));
    }
    if !is_address(&config.listen) {
        let listen = &config.listen;
        let detail = text!(
            "`{listen}` is not an address such as 127.0.0.1:7466",
            "`{listen}` не адрес вида 127.0.0.1:7466"
        );
        return Err(value("listen", detail));
    }
    let urls = [
        ("public_url", config.public_url.as_deref()),
        ("fcm.token_url", config.fcm.token_url.as_deref()),
        ("fcm.base_url", Some(config.fcm.base_url.as_str())),
        ("fcm.proxy", config.fcm.proxy.as_deref()),
    ];
    for (key, url) in urls {
        if let Some(url) = url.filter(|url| !is_web_url(url)) {
            let shown = without_password(url);
            let detail = text!(
                "`{shown}` is not a URL such as https://simo.example.org",
                "`{shown}` не URL вида https://simo.example.org"
            );
            return Err(value(key, detail));
        }
    }
    Ok(())
}

/// A host, or an IP address, and a port.
fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
        })
}

fn is_web_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn a_mistyped_variable_is_refused_and_a_foreign_one_is_let_alone() {
        for (name, nearest) in [
            ("SIMO_DATABSE", "SIMO_DATABASE"),
            ("SIMO_FCM_BASE_URL", "SIMO_FCM__BASE_URL"),
        ] {
            let error = load(None, environment(&[(name, "x")]), &[]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("unknown variable {name}; did you mean `{nearest}`?")
            );
        }
        for name in [
            "SIMO_TOKEN",
            "SIMO_LANG",
            "SIMO_SERVICE_HOST",
            "SIMO_PORT",
            "DATABASE",
        ] {
            assert!(load(None, environment(&[(name, "x")]), &[]).is_ok(), "{name}");
        }
    }

    #[test]
    fn each_source_overrides_the_one_before() {
        let file = file("listen = '1.1.1.1:1'\nlog = 'warn'\n[fcm]\nconnections = 2\n");
        let env = environment(&[("SIMO_LISTEN", "2.2.2.2:2"), ("SIMO_FCM__CONNECTIONS", "3")]);
        let config = load(Some(file.path()), env, &[("listen", "3.3.3.3:3".to_owned())]).unwrap();
        assert_eq!(
            (config.listen.as_str(), config.log.as_str()),
            ("3.3.3.3:3", "warn")
        );
        assert_eq!(
            (config.fcm.connections, config.fcm.streams_per_connection),
            (3, 90)
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let file = file("[fcm]\nbase_ulr = 'x'\n");
        let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
        assert!(
            error.contains("unknown key `fcm.base_ulr`; did you mean `fcm.base_url`?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_names_its_source_and_key() {
        let env = environment(&[("SIMO_SHUTDOWN_GRACE", "soon")]);
        let error = load(None, env, &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "SIMO_SHUTDOWN_GRACE: `shutdown_grace`: `soon` is not a whole number"
        );
    }

    #[test]
    fn a_value_that_is_none_of_its_key_is_named_with_it() {
        for (text, says) in [
            (
                "trusted_proxies = ['10.0.0.0/8', 'bogus']",
                "`trusted_proxies[1]`: `bogus`: ",
            ),
            ("log_format = 'xml'", "`log_format`: unknown variant `xml`"),
            ("[fcm]\nconnections = 'two'", "`fcm.connections`: invalid type"),
        ] {
            let file = file(text);
            let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let env = environment(&[("SIMO_TRUSTED_PROXIES", "bogus")]);
        let error = load(None, env, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("SIMO_TRUSTED_PROXIES: `trusted_proxies[0]`: `bogus`: "),
            "{error}"
        );
    }

    #[test]
    fn addresses_and_urls_that_are_none_are_refused() {
        for (name, bad) in [
            ("SIMO_LISTEN", "abc"),
            ("SIMO_LISTEN", "127.0.0.1"),
            ("SIMO_LISTEN", "127.0.0.1:99999"),
            ("SIMO_PUBLIC_URL", "ftp://x"),
            ("SIMO_PUBLIC_URL", "simo.example.org"),
            ("SIMO_FCM__PROXY", "not a url"),
            ("SIMO_FCM__BASE_URL", "fcm"),
        ] {
            let error = load(None, environment(&[(name, bad)]), &[])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(name) && error.contains(bad), "{error}");
        }
        for (name, good) in [
            ("SIMO_LISTEN", "localhost:0"),
            ("SIMO_LISTEN", "[::1]:7466"),
            ("SIMO_PUBLIC_URL", "https://simo.example.org/phones"),
            ("SIMO_FCM__PROXY", "http://user:secret@proxy:3128"),
        ] {
            assert!(load(None, environment(&[(name, good)]), &[]).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_mistyped_section_is_told_as_a_section() {
        let file = file("[htp]\nconnections = 1\n");
        let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `http`?"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_in_russian_too() {
        let said = |name: &str, value: &str| {
            let error = load(None, environment(&[(name, value)]), &[]).unwrap_err();
            error.in_words(Lang::Ru)
        };
        assert_eq!(
            said("SIMO_SHUTDOWN_GRACE", "soon"),
            "SIMO_SHUTDOWN_GRACE: `shutdown_grace`: `soon` не целое число"
        );
        assert!(said("SIMO_DATABSE", "x").contains("может быть, «SIMO_DATABASE»?"));
        assert!(said("SIMO_LISTEN", "abc").contains("не адрес"));
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_struct() {
        let mut config = Config {
            database_direct: Some(String::new()),
            public_url: Some(String::new()),
            tls_certificate: Some(PathBuf::new()),
            tls_key: Some(PathBuf::new()),
            shutdown_delay: Some(0),
            ..Config::default()
        };
        config.fcm.service_account = Some(PathBuf::new());
        config.fcm.token_url = Some(String::new());
        config.fcm.proxy = Some(String::new());
        config.fcm.ca = Some(PathBuf::new());
        let Value::Table(table) = Value::try_from(config).unwrap() else {
            panic!("not a table")
        };
        let mut paths = Vec::new();
        for (name, value) in &table {
            match value {
                Value::Table(inner) => paths.extend(inner.keys().map(|key| format!("{name}.{key}"))),
                _ => paths.push(name.clone()),
            }
        }
        paths.sort();
        let mut known: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        known.sort();
        assert_eq!(paths, known);
    }
}
