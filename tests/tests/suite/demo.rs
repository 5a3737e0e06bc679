//! `simod demo`, as a newcomer to SiMO runs it: its output, and the commands it suggests.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use simo_tests::{eventually, programs::program, skip};

/// A running demo and its output so far. It ends when dropped.
struct Demo {
    process: Child,
    screen: Arc<Mutex<Vec<String>>>,
}

impl Demo {
    fn start(lang: &str) -> Self {
        let mut process = Command::new(program("simod"))
            .args(["--lang", lang, "demo"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let written = BufReader::new(process.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = screen.clone();
        thread::spawn(move || {
            for line in written.lines().map_while(Result::ok) {
                seen.lock().unwrap().push(line);
            }
        });
        Self { process, screen }
    }

    fn lines(&self) -> Vec<String> {
        self.screen.lock().unwrap().clone()
    }

    /// The suggested command with this text, for a second terminal.
    fn line(&self, part: &str) -> String {
        let offered = self.lines();
        let found = offered.iter().find(|line| line.contains(part) && !line.starts_with(' '));
        found.unwrap_or_else(|| panic!("no line with {part}:\n{}", offered.join("\n"))).clone()
    }

    fn folder(&self) -> PathBuf {
        let lines = self.lines();
        let found = lines.iter().find_map(|line| line.split(", ").find(|word| word.contains("simo-demo-")));
        PathBuf::from(found.unwrap())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command in a shell without any simoctl profiles.
fn shell(line: &str, home: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("HOME", home);
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        shell.env_remove(variable);
    }
    shell
}

fn typed(line: &str, home: &Path) -> String {
    let ended = shell(line, home).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{line}: {said}");
    String::from_utf8(ended.stdout).unwrap()
}

#[tokio::test]
async fn the_demo_shows_the_way_of_a_message_and_its_lines_work() {
    // The suggested commands use it.
    program("simoctl");
    let home = tempfile::tempdir().unwrap();
    for (lang, title, end) in
        [("en", "Pressure in boiler 2", "Ctrl-C ends the demo"), ("ru", "Давление в котле 2", "Ctrl-C")]
    {
        let mut demo = Demo::start(lang);
        eventually("the demo has shown everything", || async {
            demo.lines().last().is_some_and(|line| line.contains(end)).then_some(())
        })
        .await;
        let shown = demo.lines();
        let posted = shown.iter().filter(|line| line.contains("POST /api/v1/messages  202")).count();
        assert_eq!(posted, 5, "{}", shown.join("\n"));
        let of_phones = shown.iter().filter(|line| line.starts_with("    ")).count();
        assert_eq!(of_phones, 9, "{}", shown.join("\n"));

        let history = demo.line("message list");
        assert!(typed(&demo.line("topic who boiler"), home.path()).lines().count() >= 2);
        if Command::new("curl").arg("--version").output().is_ok() {
            let answer: serde_json::Value =
                serde_json::from_str(&typed(&demo.line("curl "), home.path())).unwrap();
            assert_eq!(answer["recipients"]["accepted"], 3, "{answer}");
            assert!(typed(&history, home.path()).contains(title), "{lang}");
        } else {
            skip("the demo's line for curl, which is not installed");
        }
        let phone = format!("exec {}", demo.line("listen --code"));
        let mut phone = shell(&phone, home.path()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(phone.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.next().is_some(), "the phone was not paired");
        assert!(phone.try_wait().unwrap().is_none(), "the phone ended: {:?}", said.next());
        phone.kill().unwrap();
        phone.wait().unwrap();

        let folder = demo.folder();
        assert!(folder.exists());
        typed(&format!("kill -TERM {}", demo.process.id()), home.path());
        assert!(demo.process.wait().unwrap().success());
        assert!(!folder.exists(), "the demo left {}", folder.display());
    }
}
