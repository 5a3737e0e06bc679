//! `simod tls make`: HTTPS for a plant without certificates.

mod authority;
mod files;
mod host;
mod sheet;
mod tell;

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use simo_common::{
    lang::{Lang, Wrong},
    text,
};
use simod::clock::Clock;
use url::Host;

use self::{authority::Authority, files::File};

/// Apple accepts certificates for at most 398 days where phones know the CA, and 825 otherwise.
const MOST_DAYS: u16 = 397;

/// How long a CA with a kept key is valid.
const CA_DAYS: u16 = 3650;

const CA: &str = "ca.pem";
/// The same in the form for phones and Windows.
const CA_BINARY: &str = "ca.crt";
const CA_KEY: &str = "ca-key.pem";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const SHEET: &str = "ca.html";

#[derive(Debug, Args)]
pub(super) struct TlsArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a CA that is good for these hosts alone, and the server's certificate; where a CA's key was kept, only a new
    /// certificate from it.
    Make(MakeArguments),
}

#[derive(Debug, Args)]
struct MakeArguments {
    /// A name or IP address of this server, as phones write it; links use the first one. Repeat it for each.
    #[arg(long, value_name = "NAME_OR_IP", value_parser = host::host)]
    host: Vec<Host>,
    /// Where the files are to be.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// For how many days the certificate is valid, 397 at most.
    #[arg(long, value_name = "N", default_value_t = MOST_DAYS, value_parser = days)]
    days: u16,
    /// Keep the CA's key too, so that the next certificate is from the same CA and phones need nothing new.
    #[arg(long)]
    keep_key: bool,
    /// The port that simod listens on.
    #[arg(long, value_name = "N", default_value_t = 7466, value_parser = u16::from_str)]
    port: u16,
    /// Replace the files that are there by those of a new CA: every phone has to take it.
    #[arg(long)]
    force: bool,
}

fn days(text: &str) -> Result<u16, Wrong> {
    let days = text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    days.ok_or_else(|| {
        Wrong(text!(
            "from 1 to {MOST_DAYS}: phones take no longer ones",
            "от 1 до {MOST_DAYS}: на больший срок телефоны не принимают"
        ))
    })
}

/// Makes the files.
pub(super) fn tls(arguments: TlsArguments, lang: Lang) -> anyhow::Result<()> {
    let Verb::Make(arguments) = arguments.verb;
    let directory = &std::path::absolute(&arguments.directory)?;
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let is_renewal = !arguments.force && directory.join(CA_KEY).exists();
    if is_renewal { renew(directory, &arguments, lang) } else { make(directory, &arguments, lang) }
}

/// A new CA and all files.
fn make(directory: &Path, arguments: &MakeArguments, lang: Lang) -> anyhow::Result<()> {
    let hosts = host::each_once(&arguments.host);
    let Some(first) = hosts.first() else {
        bail!(lang.pick(
            "--host is missing: a name or IP address of this server, as phones write it",
            "нет --host: имени или IP-адреса этого сервера, как его пишут телефоны",
        ));
    };
    // A CA without a kept key can sign no other certificate, so it ends with its only one.
    let authority = Authority::new(&hosts, if arguments.keep_key { CA_DAYS } else { arguments.days })?;
    let (certificate, key) = authority.issue(&hosts, arguments.days)?;
    let url = tell::url(first, arguments.port);
    let mut made = vec![
        File::open(CA, authority.ca.pem()),
        File::open(CA_BINARY, authority.ca.der().to_vec()),
        File::open(CERTIFICATE, certificate),
        File::open(SHEET, sheet::html(&authority.ca, &url)),
        File::secret(KEY, key),
    ];
    if arguments.keep_key {
        made.push(File::secret(CA_KEY, authority.key()));
    }
    if arguments.force {
        // The old key belongs to a CA that is gone.
        files::replace(directory, &made)?;
        if !arguments.keep_key {
            files::remove(&directory.join(CA_KEY))?;
        }
    } else {
        files::create(directory, &made, lang)?;
    }
    tell::made(directory, arguments, &hosts, &authority.ca, lang)
}

/// Another certificate from the CA with the kept key.
fn renew(directory: &Path, arguments: &MakeArguments, lang: Lang) -> anyhow::Result<()> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let Some(authority) = Authority::read(&read(CA)?, &read(CA_KEY)?) else {
        bail!(lang.pick(
            format!("{CA} and {CA_KEY} are not a CA of this command and its key; --force makes another CA"),
            format!("{CA} и {CA_KEY} — не УЦ этой команды и его ключ; --force создаст другой УЦ"),
        ));
    };
    if authority.ca.ends_at.as_microsecond() <= Clock::System.now() {
        bail!(lang.pick(
            "the CA there has expired: --force makes another CA, which every phone needs",
            "срок этого УЦ истёк: --force создаст другой УЦ, его нужно добавить в каждый телефон",
        ));
    }
    if directory.join(CERTIFICATE).exists() && !authority.has_issued(&read(CERTIFICATE)?) {
        bail!(lang.pick(
            format!("{CERTIFICATE} there is not from this CA and is not replaced"),
            format!("{CERTIFICATE} там выдан не этим УЦ и не заменяется"),
        ));
    }
    let hosts = match host::each_once(&arguments.host) {
        none if none.is_empty() => authority.ca.hosts.clone(),
        hosts => hosts,
    };
    if let Some(foreign) = hosts.iter().find(|host| !authority.ca.hosts.contains(host)) {
        bail!(lang.pick(
            format!(
                "the CA there is not good for {foreign}, and no phone would take it: --force makes another CA, which \
                 every phone has to be told of"
            ),
            format!(
                "этот УЦ не годится для {foreign}, телефоны не примут: --force создаст другой УЦ, его нужно добавить в \
                 каждый телефон"
            ),
        ));
    }
    let (certificate, key) = authority.issue(&hosts, arguments.days)?;
    files::replace(directory, &[File::open(CERTIFICATE, certificate), File::secret(KEY, key)])?;
    tell::renewed(directory, lang);
    Ok(())
}
