//! Profiles: the servers that a person works with, kept with their tokens in one TOML file that only that person may read.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::lang::{Lang, Wrong};

/// The file's name in the directory of profiles.
const FILE: &str = "contexts.toml";

/// All contexts of a person, and the default one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profiles {
    /// The default context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts by name.
    pub contexts: BTreeMap<String, Profile>,
}

/// One server, and as which caller to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where it is.
    pub url: Url,
    /// The operator's token.
    pub token: String,
    /// The client to act for, if the operator may see several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// A PEM file with CA certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Why the profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Others can read the file, and so the tokens in it.
    #[error("{}: readable by others (mode {mode:03o})", path.display())]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// It is not a valid profile file.
    #[error("{}: {cause}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The parser's error, with its position.
        cause: String,
    },
    /// There is no such context.
    #[error("there is no context {name}")]
    Unknown {
        /// The requested name.
        name: String,
        /// The existing contexts.
        known: Vec<String>,
    },
    /// An environment variable with an invalid value.
    #[error("{variable}: {cause}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// The error in its value.
        cause: Wrong,
    },
}

impl ProfileError {
    /// What happened, and what to do next.
    pub fn in_words(&self, lang: Lang) -> (String, Option<String>) {
        match self {
            Self::Loose { path, mode } => {
                let path = path.display();
                (
                    lang.pick(
                        format!("{path} holds tokens, and others may read it (mode {mode:03o})."),
                        format!("В {path} лежат токены, а читать его могут посторонние (права {mode:03o})."),
                    ),
                    Some(format!("chmod 600 {path}")),
                )
            }
            Self::Io { path, cause } => {
                let path = path.display();
                (
                    lang.pick(
                        format!("{path} cannot be used: {cause}."),
                        format!("Не удаётся открыть {path}: {cause}."),
                    ),
                    None,
                )
            }
            Self::Broken { path, cause } => {
                let path = path.display();
                (
                    lang.pick(
                        format!("{path} cannot be understood: {cause}"),
                        format!("Не удаётся разобрать {path}: {cause}"),
                    ),
                    Some(
                        lang.pick(
                            "Mend the file, or remove it and run `simoctl login` again.",
                            "Исправьте файл или удалите его и снова выполните `simoctl login`.",
                        )
                        .to_owned(),
                    ),
                )
            }
            Self::Unknown { name, known } => (
                lang.pick(format!("There is no context `{name}`."), format!("Контекста `{name}` нет.")),
                Some(if known.is_empty() {
                    lang.pick("`simoctl login` makes one.", "Создать его: `simoctl login`.").to_owned()
                } else {
                    let known = known.join(", ");
                    lang.pick(format!("Known contexts: {known}."), format!("Есть контексты: {known}."))
                }),
            ),
            Self::Variable { variable, cause } => {
                let cause = cause.0.get(lang);
                (
                    lang.pick(
                        format!("The environment variable {variable} is wrong: {cause}."),
                        format!("Неверная переменная окружения {variable}: {cause}."),
                    ),
                    None,
                )
            }
        }
    }
}

impl Profiles {
    /// Reads the profiles in a directory; none if there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or parsed, or others may read it.
    pub fn load(directory: &Path) -> Result<Self, ProfileError> {
        let path = directory.join(FILE);
        let failed = |cause| ProfileError::Io { path: path.clone(), cause };
        let text = match fs::metadata(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(failed(cause)),
            Ok(about) => {
                let mode = about.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(ProfileError::Loose { path, mode });
                }
                fs::read_to_string(&path).map_err(failed)?
            }
        };
        toml::from_str(&text)
            .map_err(|cause| ProfileError::Broken { path, cause: cause.to_string().trim_end().to_owned() })
    }

    /// Writes them atomically, readable by their owner only: a reader sees the old file or the new one.
    ///
    /// # Errors
    /// When the directory or the file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), ProfileError> {
        let path = directory.join(FILE);
        let text = toml::to_string(self)
            .map_err(|cause| ProfileError::Broken { path: path.clone(), cause: cause.to_string() })?;
        write_private(&path, text.as_bytes()).map_err(|cause| ProfileError::Io { path, cause })
    }

    /// The context of this name.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn named(&self, name: &str) -> Result<&Profile, ProfileError> {
        self.contexts.get(name).ok_or_else(|| ProfileError::Unknown {
            name: name.to_owned(),
            known: self.contexts.keys().cloned().collect(),
        })
    }
}

/// Writes a file that only its owner may read, makes its directory just as private, and replaces the file atomically.
///
/// # Errors
/// The system's error.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let fresh = path.with_extension(format!("new{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn romashka() -> Profiles {
        let profile = Profile {
            url: "https://simo.example.org/".parse().unwrap(),
            token: "simo_op_x".into(),
            client: Some("romashka".into()),
            ca: Some("/etc/plant-ca.pem".into()),
        };
        Profiles { current: Some("prod".into()), contexts: BTreeMap::from([("prod".into(), profile)]) }
    }

    #[test]
    fn profiles_come_back_as_they_were_saved_and_belong_to_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("simo");
        assert_eq!(Profiles::load(&directory).unwrap(), Profiles::default());
        romashka().save(&directory).unwrap();
        assert_eq!(Profiles::load(&directory).unwrap(), romashka());
        let mode = fs::metadata(directory.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        romashka().save(home.path()).unwrap();
        fs::set_permissions(home.path().join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Profiles::load(home.path()).unwrap_err();
        assert!(matches!(refused, ProfileError::Loose { mode: 0o640, .. }));
        assert!(refused.in_words(Lang::En).1.unwrap().starts_with("chmod 600 "));
    }

    #[test]
    fn an_unknown_context_names_those_there_are() {
        let refused = romashka().named("test").unwrap_err();
        assert_eq!(refused.in_words(Lang::Ru).1.as_deref(), Some("Есть контексты: prod."));
    }
}
