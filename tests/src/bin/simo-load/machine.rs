//! The machine and disk that the figures were measured on.

use std::{
    fmt, fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Properties of the machine that the figures depend on.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    directory: PathBuf,
    file_system: String,
    /// The median time to write 4 KiB to a file and sync it.
    pub(crate) sync: Duration,
}

impl Machine {
    /// Examines this machine, and the file system of `directory`.
    pub(crate) fn look(directory: &Path) -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or("?", |(_, value)| value.trim()).to_owned()
        };
        let kibibytes = field("/proc/meminfo", "MemTotal");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gib: kibibytes.trim_end_matches(" kB").parse().unwrap_or(0) / 1_048_576,
            kernel: kernel.trim().to_owned(),
            directory: directory.to_owned(),
            file_system: file_system(directory),
            sync: sync_time(directory),
        }
    }

    /// Exits when the directory is in memory, where a sync costs nothing and the figures mean nothing.
    pub(crate) fn refuse_memory(&self) {
        if matches!(self.file_system.as_str(), "tmpfs" | "ramfs") {
            eprintln!(
                "{} is on {}: a sync costs nothing there. Name a directory on a disk with --directory.",
                self.directory.display(),
                self.file_system
            );
            std::process::exit(2);
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} cores, {} GiB, Linux {}",
            self.processor, self.cores, self.memory_gib, self.kernel
        )?;
        write!(
            f,
            "{} on {}, fdatasync of 4 KiB: {:.2} ms (median)",
            self.directory.parent().unwrap_or(&self.directory).display(),
            self.file_system,
            self.sync.as_secs_f64() * 1e3
        )
    }
}

/// The type of the file system that `directory` is on: that of the longest mount point above it.
fn file_system(directory: &Path) -> String {
    let directory = directory.canonicalize().expect("the directory is there");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| directory.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map_or_else(|| "?".to_owned(), |(_, kind)| kind.to_owned())
}

fn sync_time(directory: &Path) -> Duration {
    let mut file = tempfile::tempfile_in(directory).expect("a file can be made");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            // Overwritten in place after the first time, as a write-ahead log is.
            file.rewind().expect("a file can be rewound");
            file.write_all(&[7; 4096]).expect("a file can be written");
            let started = Instant::now();
            file.sync_data().expect("a file can be synced");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
