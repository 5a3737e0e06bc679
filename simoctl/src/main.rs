//! `simoctl`: administers SiMO from the command line. `cli` defines the command line, `commands` runs it (one file per noun),
//! `session` holds the state common to all commands, `output` writes data to stdout, `failure` reports errors.

mod ask;
mod cli;
mod clock;
mod commands;
mod examples;
mod failure;
mod live;
mod output;
mod russian;
mod session;
mod terminal;

use std::process::ExitCode;

use simo_common::lang::Lang;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let lang = Lang::of_terminal(Lang::said(&arguments));
    let parsed = match cli::parse(arguments, lang) {
        Ok(parsed) => parsed,
        Err(refusal) => return cli::refuse(&refusal, lang),
    };
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            terminal::talk(&format!("simoctl: {cause}"));
            return ExitCode::FAILURE;
        }
    };
    let session = session::Session::new(parsed.globals, lang);
    let done = runtime.block_on(commands::run(&session, parsed.noun));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => session.report(&failure),
    }
}
