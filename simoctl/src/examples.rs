//! Examples at the end of `simoctl NOUN --help`. A test parses every one of them as a command line.

pub(crate) const CLIENT: &str = "\
Examples:
  simoctl client add romashka --name 'ООО «Ромашка»' --admin anna
  simoctl client edit romashka --timezone Asia/Krasnoyarsk --payload doorbell
  simoctl client list";

pub(crate) const OPERATOR: &str = "\
Examples:
  simoctl operator add anna --client romashka --role viewer
  simoctl operator code anna --valid-for 2h
  simoctl operator edit anna --role admin
  simoctl operator sessions anna
  simoctl operator logout anna";

pub(crate) const ACS: &str = "\
Examples:
  simoctl acs list
  simoctl acs edit 1c --name 1c-zup
  simoctl acs remove scada-2";

pub(crate) const TOKEN: &str = "\
Examples:
  TOKEN=$(simoctl token issue --acs scada-2 --scope send --topic boiler)
  simoctl token list
  simoctl token rotate ID --grace 24h
  simoctl token revoke ID";

pub(crate) const EMPLOYEE: &str = "\
Examples:
  simoctl employee add 100001 'Исаева Прасковья Егоровна' --group smena-a
  simoctl employee import employees.csv --dry-run
  simoctl employee edit 100001 --phone '+7 391 200-00-00' --group smena-b
  simoctl employee access 100001
  simoctl employee block 100001
  simoctl employee list исаева";

pub(crate) const GROUP: &str = "\
Examples:
  simoctl group add smena-a --name 'Смена А'
  simoctl group add-member smena-a 100001 100002
  simoctl group include kotelnaya smena-a smena-b
  simoctl employee list --group smena-a";

pub(crate) const TOPIC: &str = "\
Examples:
  simoctl topic add boiler --name 'Котельная' --priority high
  simoctl topic grant boiler --group smena-a,smena-b
  simoctl topic grant boiler --employee 100001 --hours 'mon-fri 08:00-20:00; sat,sun 10:00-14:00'
  simoctl topic grant boiler --everyone --until 2027-01-01
  simoctl topic edit boiler --to-group smena-a
  simoctl topic who boiler
  simoctl topic revoke boiler --everyone";

pub(crate) const DEVICE: &str = "\
Examples:
  simoctl device invite 100001
  simoctl device test 100001
  simoctl device list --silent 7d
  simoctl device remove ID";

pub(crate) const MESSAGE: &str = "\
Examples:
  simoctl message send --topic boiler --title 'Котёл №2: давление' --priority critical
  simoctl message list state:failed,expired after:today
  simoctl message explain ID --employee 100001
  simoctl message watch topic:boiler -state:queued
  simoctl message cancel ID";

pub(crate) const AUDIT: &str = "\
Examples:
  simoctl audit list --action topic.grant --after -7d
  simoctl audit list --employee 100001
  simoctl audit export --file audit.ndjson
  simoctl audit verify --file audit.ndjson
  simoctl audit refused --acs scada-2";

pub(crate) const CLOCK: &str = "\
Examples:
  simoctl clock show
  simoctl clock accept";

pub(crate) const CONTEXT: &str = "\
Examples:
  simoctl context list
  simoctl context use zavod
  simoctl --context kombinat message list";

pub(crate) const EXPORT: &str = "\
Examples:
  simoctl export --file site.yaml
  simoctl export --dir site
  simoctl apply -f site.yaml --dry-run";

pub(crate) const LOGOUT: &str = "\
Examples:
  simoctl logout
  simoctl logout --everywhere";

pub(crate) const MAN: &str = "\
Examples:
  simoctl man | man -l -
  simoctl man --dir ~/.local/share/man/man1";

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, process::Command};

    use simo_common::lang::Lang;

    use crate::cli;

    /// The arguments of a command line, split by a shell.
    fn words(line: &str) -> Vec<OsString> {
        let line = line.replace(" ID", " 0193a5f0-7c00-7000-8000-000000000000");
        // Only the simoctl part of a pipeline is tested.
        let line = line.split(['|', '>']).find(|part| part.contains("simoctl ")).unwrap();
        let line = &line[line.find("simoctl").unwrap()..];
        let line = line.trim_end().trim_end_matches(')');
        let script = format!("simoctl() {{ printf '%s\\0' simoctl \"$@\"; }}; {line}");
        let out = Command::new("sh").args(["-euc", &script]).env("CODE", "K7QD-M2XA-9F").output();
        let out = String::from_utf8(out.unwrap().stdout).unwrap();
        out.split_terminator('\0').map(OsString::from).collect()
    }

    fn read_examples(command: &clap::Command, path: &str) -> usize {
        let mut read = 0;
        if let Some(text) = command.get_after_help() {
            let text = text.to_string();
            for line in text.lines().filter(|line| line.contains("simoctl ") && line.starts_with("  ")) {
                let words = words(line.trim());
                assert!(words.len() > 1, "{path}: {line}");
                if let Err(refusal) = cli::parse(words, Lang::En) {
                    panic!("{path}: {line}: {refusal}");
                }
                read += 1;
            }
        }
        for inner in command.get_subcommands() {
            read += read_examples(inner, &format!("{path} {}", inner.get_name()));
        }
        read
    }

    #[test]
    fn every_example_is_a_command_line() {
        let command = cli::command(Lang::En);
        assert!(read_examples(&command, "simoctl") > 60);
        for noun in command.get_subcommands().filter(|noun| noun.has_subcommands()) {
            assert!(noun.get_after_help().is_some(), "{}", noun.get_name());
        }
    }
}
