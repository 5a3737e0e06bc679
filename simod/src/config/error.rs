//! Configuration errors, and the source that they come from.

use std::path::PathBuf;

use simo_common::lang::{Lang, Text};

/// Where a value came from, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// A flag, named by the key that it sets.
    Flag(&'static str),
    /// Several sources together.
    Together,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--{}", key.replace('_', "-")),
            Self::Together => f.write_str("configuration"),
        }
    }
}

/// Why the configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    Unreadable(PathBuf, std::io::Error),
    /// The file is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error. The line itself is not shown, because it may contain a password.
        message: String,
    },
    /// An unknown key.
    #[error("{from}: unknown key `{key}`{}", nearest.map_or_else(|| "; `simod config` prints those that there are".to_owned(), |n| format!("; did you mean `{n}`?")))]
    UnknownKey {
        /// Its source.
        from: Source,
        /// The key.
        key: String,
        /// The probable intended key.
        nearest: Option<&'static str>,
    },
    /// A variable that is no setting, but looks like one.
    #[error("unknown variable {name}; did you mean `{nearest}`?")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The probable intended variable.
        nearest: String,
    },
    /// A value that does not fit its key.
    #[error("{from}: `{key}`: {}", .detail.en)]
    Value {
        /// Its source.
        from: Source,
        /// The key.
        key: String,
        /// The error.
        detail: Text,
    },
}

impl ConfigError {
    /// The error in the language of the person who started simod.
    pub fn in_words(&self, lang: Lang) -> String {
        match (lang, self) {
            (Lang::Ru, Self::UnknownKey { from, key, nearest }) => {
                let meant = nearest.map_or_else(
                    || "; какие есть, покажет `simod config`".to_owned(),
                    |n| format!("; может быть, «{n}»?"),
                );
                format!("{from}: неизвестный ключ `{key}`{meant}")
            }
            (Lang::Ru, Self::UnknownVariable { name, nearest }) => {
                format!("неизвестная переменная {name}; может быть, «{nearest}»?")
            }
            (Lang::Ru, Self::Value { from, key, detail }) => format!("{from}: `{key}`: {}", detail.ru),
            // Errors of the system and of the TOML parser.
            _ => self.to_string(),
        }
    }
}
