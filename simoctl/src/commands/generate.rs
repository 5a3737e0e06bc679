//! `simoctl completions` and `simoctl man`: shell completions and man pages, generated from the command line's definition.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::unwritable;
use crate::{cli, failure::Failure, output::write_text, session::Session};

const COMPLETIONS: &str = "\
Examples:
  source <(simoctl completions bash)
  simoctl completions zsh > ~/.zfunc/_simoctl
  simoctl completions fish > ~/.config/fish/completions/simoctl.fish";

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page per command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions, session: &Session) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(session.lang), "simoctl", &mut text);
    write_text(&String::from_utf8_lossy(&text))?;
    Ok(())
}

pub(crate) fn man(args: &Man, session: &Session) -> Result<(), Failure> {
    let command = cli::command(session.lang).disable_help_subcommand(true);
    let Some(directory) = &args.dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command).render(&mut text)?;
        write_text(&String::from_utf8_lossy(&text))?;
        return Ok(());
    };
    clap_mangen::generate_to(command, directory).map_err(|cause| unwritable(session, directory, cause))
}
