//! Loads the configuration from its sources, each overriding the one before.

use std::{collections::BTreeMap, path::Path};

use simo_common::text;
use toml::{Table, Value};

use super::{
    Config, KEYS,
    check::{check, library_says, parse},
    error::{ConfigError, Source},
    keys::{ValueKind, mistyped, nearest},
};

/// Loads the configuration: defaults, `file`, `variables` of the environment, `flags` (key and value).
pub fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    flags: &[(&'static str, String)],
) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.to_owned(), e))?;
        table = text.parse().map_err(|error: toml::de::Error| {
            let before = &text[..error.span().map_or(0, |span| span.start)];
            let line = before.matches('\n').count() + 1;
            ConfigError::Syntax { path: path.to_owned(), line, message: error.message().to_owned() }
        })?;
        refuse_unknown(&table, "", &Source::File(path.to_owned()))?;
        check(&table, &Source::File(path.to_owned()))?;
    }
    let variables: BTreeMap<String, String> = variables.into_iter().collect();
    for name in variables.keys() {
        if let Some(nearest) = mistyped(name) {
            return Err(ConfigError::UnknownVariable { name: name.clone(), nearest });
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
        let kind = KEYS.iter().find(|key| key.path == *path).map_or(ValueKind::Text, |key| key.kind);
        set(&mut table, path, typed(text, kind, path, &source)?);
        check(&table, &source)?;
    }
    let config: Config = parse(&table).map_err(|(key, detail)| ConfigError::Value {
        from: Source::Together,
        key,
        detail: library_says(&detail),
    })?;
    Ok(config)
}

fn refuse_unknown(table: &Table, prefix: &str, from: &Source) -> Result<(), ConfigError> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        match value {
            Value::Table(inner) if is_section(&path) => {
                refuse_unknown(inner, &format!("{path}."), from)?;
            }
            _ if KEYS.iter().any(|key| key.path == path) => {}
            _ if is_section(&path) => {
                return Err(ConfigError::Value {
                    from: from.clone(),
                    detail: text!(
                        "is a section: write [{path}], and its keys below",
                        "это раздел: пишите [{path}], а ниже его ключи"
                    ),
                    key: path,
                });
            }
            _ => {
                let nearest = nearest(&path);
                return Err(ConfigError::UnknownKey { from: from.clone(), key: path, nearest });
            }
        }
    }
    Ok(())
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.starts_with(&format!("{path}.")))
}

fn typed(text: &str, kind: ValueKind, key: &str, from: &Source) -> Result<Value, ConfigError> {
    let wrong = |expected: &str, in_russian: &str| ConfigError::Value {
        from: from.clone(),
        key: key.to_owned(),
        detail: text!("`{text}` is not {expected}", "`{text}` не {in_russian}"),
    };
    match kind {
        ValueKind::Text => Ok(Value::String(text.to_owned())),
        ValueKind::Whole => {
            text.parse().map(Value::Integer).map_err(|_| wrong("a whole number", "целое число"))
        }
        ValueKind::Switch => {
            text.parse().map(Value::Boolean).map_err(|_| wrong("true or false", "true и не false"))
        }
        ValueKind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        ValueKind::Number => text.parse().map(Value::Float).map_err(|_| wrong("a number", "число")),
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

#[cfg(test)]
mod tests {
    use simo_common::lang::Lang;

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
            ("SIMO_DATABASE_URL", "SIMO_DATABASE"),
            ("SIMO_SOCKET_PATH", "SIMO_SOCKET"),
            ("SIMO_LOG_LEVEL", "SIMO_LOG"),
            ("SIMO_SERVICE_ACCOUNT", "SIMO_FCM__SERVICE_ACCOUNT"),
            ("SIMO_FCM__TIMEOUT", "SIMO_FCM__TIMEOUT_SECONDS"),
            ("SIMO_DELIVERY__RETRY_FIRST", "SIMO_DELIVERY__RETRY_FIRST_SECONDS"),
        ] {
            let error = load(None, environment(&[(name, "x")]), &[]).unwrap_err();
            assert_eq!(error.to_string(), format!("unknown variable {name}; did you mean `{nearest}`?"));
        }
        for name in [
            "SIMO_TOKEN",
            "SIMO_LANG",
            "SIMO_SERVICE_HOST",
            "SIMO_PORT",
            "SIMO_PORT_7466_TCP_ADDR",
            "SIMO_DATABASE_SERVICE_PORT",
            "SIMO_DATABASE_PORT_5432_TCP",
            "SIMO_HELM_RELEASE",
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
        assert_eq!((config.listen.as_str(), config.log.as_str()), ("3.3.3.3:3", "warn"));
        assert_eq!((config.fcm.connections, config.fcm.streams_per_connection), (3, 90));
    }

    #[test]
    fn a_line_that_is_not_toml_is_named_and_not_shown() {
        let file = file("log = 'warn'\ndatabase = 'postgres://u:se'cret@db/simo'\n");
        let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:2: ", file.path().display())), "{error}");
        assert!(!error.contains("cret"), "{error}");
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let file = file("[fcm]\nbase_ulr = 'x'\n");
        let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
        assert!(error.contains("unknown key `fcm.base_ulr`; did you mean `fcm.base_url`?"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_its_source_and_key() {
        let env = environment(&[("SIMO_SHUTDOWN_GRACE", "soon")]);
        let error = load(None, env, &[]).unwrap_err().to_string();
        assert_eq!(error, "SIMO_SHUTDOWN_GRACE: `shutdown_grace`: `soon` is not a whole number");
    }

    #[test]
    fn a_value_that_is_none_of_its_key_is_named_with_it() {
        for (text, says) in [
            ("trusted_proxies = ['10.0.0.0/8', 'bogus']", "`trusted_proxies[1]`: `bogus`: "),
            ("log_format = 'xml'", "`log_format`: unknown variant `xml`"),
            ("[fcm]\nconnections = 'two'", "`fcm.connections`: invalid type"),
        ] {
            let file = file(text);
            let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let env = environment(&[("SIMO_TRUSTED_PROXIES", "bogus")]);
        let error = load(None, env, &[]).unwrap_err().to_string();
        assert!(error.starts_with("SIMO_TRUSTED_PROXIES: `trusted_proxies[0]`: `bogus`: "), "{error}");
    }

    #[test]
    fn a_value_in_the_place_of_a_section_is_told() {
        let file = file("fcm = 5\n");
        let error = load(Some(file.path()), [], &[]).unwrap_err().to_string();
        assert!(error.ends_with("`fcm`: is a section: write [fcm], and its keys below"), "{error}");
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
}
