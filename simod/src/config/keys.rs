//! The known keys: which variables may set them, and suggestions for misspelled ones.

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Texts, separated by commas in the environment.
    List,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// Its path in the file: `fcm.base_url`.
    pub path: &'static str,
    /// The type of its value.
    pub kind: ValueKind,
}

const fn key(path: &'static str, kind: ValueKind) -> ConfigKey {
    ConfigKey { path, kind }
}

/// All keys. A test compares them with [`super::Config`].
pub const KEYS: &[ConfigKey] = &[
    key("database", ValueKind::Text),
    key("database_direct", ValueKind::Text),
    key("listen", ValueKind::Text),
    key("tls_certificate", ValueKind::Text),
    key("tls_key", ValueKind::Text),
    key("allow_plain_http", ValueKind::Switch),
    key("socket", ValueKind::Text),
    key("public_url", ValueKind::Text),
    key("log", ValueKind::Text),
    key("log_format", ValueKind::Text),
    key("shutdown_grace", ValueKind::Whole),
    key("shutdown_delay", ValueKind::Whole),
    key("trusted_proxies", ValueKind::List),
    key("cors_origins", ValueKind::List),
    key("rate_limit_per_token", ValueKind::Whole),
    key("failures_per_minute", ValueKind::Whole),
    key("alarm_command", ValueKind::Text),
    key("http.head_timeout_seconds", ValueKind::Number),
    key("http.body_timeout_seconds", ValueKind::Number),
    key("http.write_timeout_seconds", ValueKind::Number),
    key("http.connections", ValueKind::Whole),
    key("app.worker", ValueKind::Switch),
    key("fcm.service_account", ValueKind::Text),
    key("fcm.token_url", ValueKind::Text),
    key("fcm.base_url", ValueKind::Text),
    key("fcm.connections", ValueKind::Whole),
    key("fcm.streams_per_connection", ValueKind::Whole),
    key("fcm.timeout_seconds", ValueKind::Number),
    key("fcm.proxy", ValueKind::Text),
    key("fcm.ca", ValueKind::Text),
    key("webpush.enabled", ValueKind::Switch),
    key("webpush.subject", ValueKind::Text),
    key("webpush.allowed_hosts", ValueKind::List),
    key("webpush.connections", ValueKind::Whole),
    key("webpush.streams_per_connection", ValueKind::Whole),
    key("webpush.timeout_seconds", ValueKind::Number),
    key("webpush.proxy", ValueKind::Text),
    key("webpush.ca", ValueKind::Text),
    key("delivery.retry_first_seconds", ValueKind::Number),
    key("delivery.retry_max_seconds", ValueKind::Number),
    key("delivery.quarantine_probe_seconds", ValueKind::Number),
    key("delivery.brake_share", ValueKind::Number),
    key("delivery.brake_minimum", ValueKind::Whole),
];

impl ConfigKey {
    /// Its name in the environment: `SIMO_FCM__BASE_URL`.
    pub fn variable(self) -> String {
        format!("SIMO_{}", self.path.to_uppercase().replace('.', "__"))
    }
}

/// The known variable that `name` probably means: nearly the same, with a suffix (`SIMO_DATABASE_URL`), without its section
/// (`SIMO_SERVICE_ACCOUNT`), or another key of a section (`SIMO_FCM__TIMEOUT`). Other variables that begin with `SIMO_` are
/// ignored: they belong to the other programs, or to the person who runs this one.
pub(super) fn mistyped(name: &str) -> Option<String> {
    if !is_foreign(name) {
        return None;
    }
    let known = || KEYS.iter().map(|key| key.variable());
    let section = name.split_once("__").map(|(section, _)| format!("{section}__"));
    let own = format!("__{}", &name["SIMO_".len()..]);
    let is_meant = |known: &String| {
        strsim::damerau_levenshtein(name, known) <= 2
            || name.replace("__", "_") == known.replace("__", "_")
            || name.strip_prefix(known).is_some_and(|more| more.starts_with('_'))
            || known.ends_with(&own)
            || section.as_ref().is_some_and(|section| known.starts_with(&**section))
    };
    let likeness = |known: &String| strsim::jaro_winkler(name, known);
    known().filter(is_meant).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// Whether a variable looks like a setting, but is neither one nor known to belong to another program.
pub fn is_foreign(name: &str) -> bool {
    let others =
        ["SIMO_CONFIG", "SIMO_URL", "SIMO_TOKEN", "SIMO_CLIENT", "SIMO_CONTEXT", "SIMO_LANG", "SIMO_CA"];
    let is_known = || KEYS.iter().any(|key| key.variable() == name);
    name.starts_with("SIMO_") && !others.contains(&name) && !is_of_kubernetes(name) && !is_known()
}

/// Variables that Kubernetes sets for services whose names begin with `simo`: `SIMO_SERVICE_HOST`,
/// `SIMO_PORT_7466_TCP_ADDR`.
fn is_of_kubernetes(name: &str) -> bool {
    name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.contains("_PORT")
}

/// The known key most like `path`, if any is similar; for a name without a dot also a section.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let sections =
        KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0)).filter(|_| !path.contains('.'));
    KEYS.iter()
        .map(|key| key.path)
        .chain(sections)
        .map(|known| (strsim::jaro_winkler(path, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use toml::Value;

    use super::KEYS;
    use crate::config::Config;

    /// The manual's rows: keys and defaults written as code.
    fn manual(text: &str) -> Vec<(&str, Option<&str>)> {
        text.lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let key = cells.next()?.strip_suffix('`')?;
                let default = cells.next()?.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
                Some((key, default))
            })
            .collect()
    }

    #[test]
    fn the_manuals_name_every_key_and_its_default() {
        let Value::Table(defaults) = Value::try_from(Config::default()).unwrap() else {
            panic!("not a table")
        };
        let english = manual(include_str!("../../../docs/configuration.en.md"));
        let russian = manual(include_str!("../../../docs/configuration.ru.md"));
        assert_eq!(english, russian);
        let keys: Vec<_> = english.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, KEYS.iter().map(|key| key.path).collect::<Vec<_>>());
        for (key, default) in english {
            let real = match key.split_once('.') {
                Some((section, key)) => defaults[section].get(key),
                None => defaults.get(key),
            };
            let real = real.map(|value| value.to_string().trim_matches('"').to_owned());
            if !["database", "socket"].contains(&key) {
                assert_eq!(default.map(str::to_owned), real, "{key}");
            }
        }
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_struct() {
        let mut config = Config {
            database_direct: Some(String::new()),
            public_url: Some(String::new()),
            tls_certificate: Some(PathBuf::new()),
            tls_key: Some(PathBuf::new()),
            shutdown_delay: Some(0),
            alarm_command: Some(PathBuf::new()),
            ..Config::default()
        };
        config.fcm.service_account = Some(PathBuf::new());
        config.fcm.token_url = Some(String::new());
        config.fcm.proxy = Some(String::new());
        config.fcm.ca = Some(PathBuf::new());
        config.webpush.subject = Some(String::new());
        config.webpush.proxy = Some(String::new());
        config.webpush.ca = Some(PathBuf::new());
        let Value::Table(table) = Value::try_from(config).unwrap() else { panic!("not a table") };
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
