//! A phone's state between runs: its token, its server, and the messages it has shown.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use serde::{Deserialize, Serialize};
use simo_common::{
    api::device::Paired,
    client::{Server, write_private},
};
use url::Url;
use uuid::Uuid;

use crate::{failure::Failure, session::Session};

/// Messages remembered to recognise repeats.
const REMEMBERED: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Phone {
    server: Address,
    pub(super) token: String,
    device_id: Uuid,
    personnel_no: String,
    pub(super) full_name: String,
    client: String,
    seen: VecDeque<Uuid>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Address {
    Url(Url),
    Socket(PathBuf),
}

impl Phone {
    /// A newly paired phone.
    pub(super) fn new(server: &Server, paired: Paired) -> Self {
        Self {
            server: match server {
                Server::Url(url) => Address::Url(url.clone()),
                Server::Socket(path) => Address::Socket(path.clone()),
            },
            token: paired.token,
            device_id: paired.device_id,
            personnel_no: paired.employee.personnel_no,
            full_name: paired.employee.full_name,
            client: paired.employee.client,
            seen: VecDeque::new(),
        }
    }

    /// The server it was paired with.
    pub(super) fn server(&self) -> Server {
        match self.server.clone() {
            Address::Url(url) => Server::Url(url),
            Address::Socket(path) => Server::Socket(path),
        }
    }

    /// Remembers a message; returns whether it is new.
    pub(super) fn remember(&mut self, id: Uuid) -> bool {
        if self.seen.contains(&id) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id);
        true
    }

    /// Loads a phone that was paired before.
    pub(super) fn load(session: &Session, file: &Path, name: &str) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::usage(session.say(
                    format!("The phone “{name}” is not paired yet."),
                    format!("Телефон «{name}» ещё не подключён."),
                ))
                .hint(session.say(
                    "Pair it once: simoctl listen --code CODE; the code comes from simoctl device invite NO.",
                    "Подключите его один раз: simoctl listen --code КОД; код выдаёт simoctl device invite НОМЕР.",
                )));
            }
            Err(cause) => return Err(unsaved(session, file, &cause)),
        };
        serde_json::from_str(&text).map_err(|cause| unsaved(session, file, &cause.into()))
    }

    /// Saves it, readable by its owner only.
    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        write_private(file, &serde_json::to_vec(self)?)
    }
}

pub(super) fn file(session: &Session, name: &str) -> Result<PathBuf, Failure> {
    let directories = ProjectDirs::from("", "", "simo").ok_or_else(|| {
        Failure::failed(session.say(
            "There is no home directory to keep the phone's token in.",
            "Нет домашнего каталога, где хранить токен телефона.",
        ))
    })?;
    let state = directories.state_dir().unwrap_or_else(|| directories.data_dir());
    Ok(state.join("listen").join(format!("{name}.json")))
}

/// Error: the phone's file cannot be read or written.
pub(super) fn unsaved(session: &Session, file: &Path, cause: &io::Error) -> Failure {
    let file = file.display();
    Failure::failed(session.say(
        format!("The phone's file {file} cannot be used: {cause}."),
        format!("Не удаётся использовать файл телефона {file}: {cause}."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone() -> Phone {
        Phone {
            server: Address::Socket("/run/simo/simod.sock".into()),
            token: "simo_dev_x".into(),
            device_id: Uuid::nil(),
            personnel_no: "1".into(),
            full_name: "Исаева".into(),
            client: "Ромашка".into(),
            seen: VecDeque::new(),
        }
    }

    #[test]
    fn a_repeat_is_recognised_after_a_restart_and_memory_stays_small() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("listen/simoctl.json");
        let mut before = phone();
        for n in 0..1_500 {
            assert!(before.remember(Uuid::from_u128(n)));
        }
        before.save(&file).unwrap();
        let mut after: Phone = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(after.seen.len(), REMEMBERED);
        assert!(!after.remember(Uuid::from_u128(1_499)));
        assert!(after.remember(Uuid::from_u128(9_999)));
    }
}
