//! `simod`: the daemon's commands.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}
