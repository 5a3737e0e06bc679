//! The stand-in for Google's endpoints as a program: for the load tool, and to try simod by hand against it.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use simo_tests::FakeFcm;

/// Serves a stand-in for FCM, prints the configuration that makes simod use it, and ends with its standard input.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the service account and the CA.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Answer after so many milliseconds.
    #[arg(long, default_value_t = 0)]
    delay: u64,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let fcm = FakeFcm::listen(arguments.listen);
    fcm.script().delay(std::time::Duration::from_millis(arguments.delay));
    fcm.journal().without_bodies();
    let files = fcm.write_files(&arguments.directory);
    println!("[fcm]");
    println!("base_url = \"{}\"", fcm.url());
    println!("service_account = \"{}\"", files.service_account.display());
    println!("ca = \"{}\"", files.ca.display());
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}
