//! How many connections the process's file limit allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files besides clients' connections: the database's, the log, connections to providers.
const OWN: u64 = 256;

/// The most connections at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) tcp: usize,
    pub(crate) socket: usize,
}

impl Room {
    /// Room for the wanted connections on each listener, as far as the limit of open files allows; it is raised first.
    pub(crate) fn for_each(wanted: usize) -> Self {
        let files = open_files();
        let room = Self::within(files, wanted);
        if room.tcp < wanted {
            tracing::warn!(
                files,
                connections = room.tcp,
                wanted,
                "there may not be as many connections as `http.connections` says: too few files may be open at once \
                 (`ulimit -n`, `LimitNOFILE`)"
            );
        }
        room
    }

    fn within(files: u64, wanted: usize) -> Self {
        let all = files.saturating_sub(OWN).max(files / 2);
        // Administrators must get in even when TCP is full.
        let socket = (all / 8).max(1);
        let at_most = |places: u64| usize::try_from(places).map_or(wanted, |places| places.clamp(1, wanted));
        Self { tcp: at_most(all.saturating_sub(socket)), socket: at_most(socket) }
    }
}

/// The most open files, after raising the limit as far as possible: most systems start a process far below its maximum, for
/// the sake of programs that use select(2).
fn open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => most,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let room = |files, wanted| {
            let Room { tcp, socket } = Room::within(files, wanted);
            (tcp, socket)
        };
        assert_eq!(room(u64::MAX, 50_000), (50_000, 50_000));
        assert_eq!(room(524_288, 50_000), (50_000, 50_000));
        assert_eq!(room(1_024, 50_000), (672, 96));
        assert_eq!(room(1_024, 10), (10, 10));
        assert_eq!(room(64, 50_000), (28, 4));
        assert_eq!(room(0, 50_000), (1, 1));
    }
}
