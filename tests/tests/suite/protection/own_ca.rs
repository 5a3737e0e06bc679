//! A plant without certificates makes its own CA, and its phones learn to trust it.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use simo_tests::{eventually, programs, simod::Setup, skip};
use tempfile::TempDir;

fn make(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(programs::program("simod"))
        .args(["tls", "make", "--directory"])
        .arg(directory)
        .args(arguments)
        .env("LC_ALL", "en_US.UTF-8")
        .output()
        .unwrap()
}

fn made(directory: &Path, arguments: &[&str]) -> (String, String) {
    let output = make(directory, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{err}");
    (out, err)
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    entries.map(read).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn trusting(ca: &Path) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(&fs::read(ca).unwrap()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca]).build().unwrap()
}

#[tokio::test]
async fn what_is_made_serves_and_tells_phones_whom_to_trust() {
    let setup = Setup::new();
    let directory = setup.directory().join("tls");
    let (toml, told) = made(&directory, &["--host", "localhost", "--host", "127.0.0.1"]);
    assert_eq!(
        files(&directory).keys().collect::<Vec<_>>(),
        ["ca.crt", "ca.html", "ca.pem", "cert.pem", "key.pem"]
    );
    assert_eq!(mode(&directory.join("key.pem")), 0o600);
    let wanted: toml::Table = toml.parse().unwrap();
    assert_eq!(wanted["public_url"].as_str(), Some("https://localhost:7466"));
    let path = |key: &str| Path::new(wanted[key].as_str().unwrap()).to_owned();
    let ca = directory.join("ca.pem");
    let simod = setup.https(&ca, &path("tls_certificate"), &path("tls_key")).start().await;
    let phone = trusting(&ca);
    let port = simod.url().rsplit(':').next().unwrap();
    let get = async |path: &str, lang: &str| {
        let url = format!("https://localhost:{port}{path}");
        phone.get(url).header("accept-language", lang).send().await.unwrap()
    };

    let fingerprint: Vec<_> = told.lines().filter(|line| line.len() == 23).collect();
    assert_eq!(fingerprint.len(), 4, "{told}");
    let fingerprint = fingerprint.join("\n");
    let sheet = fs::read_to_string(directory.join("ca.html")).unwrap();
    assert_eq!(sheet.matches(&fingerprint).count(), 2, "a page in each language");
    assert!(sheet.contains("<b>https://localhost:7466/app/ca</b>") && sheet.contains("<svg"));
    for (lang, said) in [("ru", "Доверие сертификатам"), ("en", "Certificate Trust Settings")]
    {
        let page = get("/app/ca", lang).await;
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(
            page.headers()["content-security-policy"],
            get("/app/", lang).await.headers()["content-security-policy"]
        );
        let page = page.text().await.unwrap();
        assert!(
            page.contains(said) && page.contains(&fingerprint) && page.contains("<b>127.0.0.1</b>"),
            "{page}"
        );
        assert!(!page.contains("{{") && !page.contains("<script"), "{page}");
    }
    for name in ["ca.crt", "ca.pem"] {
        let file = get(&format!("/app/{name}"), "en").await;
        assert_eq!(file.headers()["content-type"], "application/x-x509-ca-cert");
        let bytes = file.bytes().await.unwrap();
        let own = CertificateDer::from_pem_file(&ca).unwrap();
        let served = if name == "ca.crt" {
            bytes.to_vec()
        } else {
            CertificateDer::from_pem_slice(&bytes).unwrap().to_vec()
        };
        assert_eq!(served, own.to_vec(), "{name}");
    }

    // Other programs trust it too.
    let url = format!("https://localhost:{port}/healthz");
    match Command::new("curl").args(["-sSf", "--cacert"]).arg(&ca).arg(&url).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("a CA of one's own with curl: curl is not there");
        }
        curl => assert!(curl.as_ref().unwrap().status.success(), "{curl:?}"),
    }
}

#[tokio::test]
async fn a_kept_key_renews_and_nothing_else_is_overwritten() {
    let setup = Setup::new();
    let directory = setup.directory().join("tls");
    let hosts = ["--host", "127.0.0.1"];
    made(&directory, &[&hosts[..], &["--days", "5", "--keep-key"]].concat());
    let [ca, certificate, key, ca_key] =
        ["ca.pem", "cert.pem", "key.pem", "ca-key.pem"].map(|name| directory.join(name));
    assert_eq!(mode(&ca_key), 0o600);
    let simod = setup.https(&ca, &certificate, &key).start().await;
    let before = files(&directory);
    let ends = async || simod.owner().health().await.unwrap().certificate_expires_at.unwrap();
    let first = ends().await;

    // simod's group can still read the key.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    made(&directory, &[]);
    let after = files(&directory);
    for (name, text) in &before {
        assert_eq!(after[name] != *text, ["cert.pem", "key.pem"].contains(&name.as_str()), "{name}");
    }
    assert_eq!(mode(&key), 0o640);
    // Phones that trust the CA notice no change.
    let later =
        eventually("the new certificate is served", async || Some(ends().await).filter(|ends| *ends > first))
            .await;
    assert!((later.as_second() - first.as_second()) / 86_400 >= 391, "{first} {later}");
    assert!(trusting(&ca).get(format!("{}/healthz", simod.url())).send().await.is_ok());

    let refuses = |arguments: &[&str], says: &str| {
        let before = files(&directory);
        let refused = make(&directory, arguments);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(says), "{arguments:?}: {said}");
        assert!(files(&directory) == before, "{arguments:?}");
    };
    refuses(&["--host", "10.0.0.5"], "is not good for 10.0.0.5");
    refuses(
        &["--host", "https://simo.example.org"],
        "only the host, without scheme, port and path: simo.example.org",
    );
    refuses(&["--host", "*.example.org", "--lang", "ru"], "назовите каждый узел");
    refuses(&["--days", "398", "--lang", "ru"], "от 1 до 397");
    fs::rename(&ca_key, directory.join("away")).unwrap();
    refuses(&[], "--host is missing");
    refuses(&hosts, "ca.pem, ca.crt, cert.pem, ca.html, key.pem already");
    fs::rename(directory.join("away"), &ca_key).unwrap();
    let other = TempDir::new().unwrap();
    made(other.path(), &hosts);
    fs::copy(other.path().join("cert.pem"), &certificate).unwrap();
    refuses(&[], "not from this CA");

    // The old CA's key, now useless, is removed.
    made(&directory, &[&hosts[..], &["--force"]].concat());
    assert!(!ca_key.exists() && fs::read(&ca).unwrap() != before["ca.pem"]);
}

/// Whether rustls accepts this certificate for this host.
fn verified(ca: &CertificateDer<'_>, certificate: &CertificateDer<'_>, host: &str) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).map(drop)
}

#[test]
fn a_ca_whose_key_was_stolen_is_good_for_its_hosts_alone() {
    for (hosts, foreign) in [
        (&["simo.plant.example"][..], &["other.example", "10.0.0.5", "fd00::5"][..]),
        (&["10.0.0.5"], &["simo.plant.example", "10.0.0.6", "fd00::5"]),
        (&["fd00::5"], &["simo.plant.example", "10.0.0.5", "fd00::6"]),
        (&["simo.plant.example", "10.0.0.5"], &["other.example", "10.0.0.6", "fd00::5"]),
    ] {
        let directory = TempDir::new().unwrap();
        let wanted: Vec<_> = hosts.iter().flat_map(|host| ["--host", host]).chain(["--keep-key"]).collect();
        made(directory.path(), &wanted);
        let at = |name: &str| directory.path().join(name);
        let ca = CertificateDer::from_pem_file(at("ca.pem")).unwrap();
        let own = CertificateDer::from_pem_file(at("cert.pem")).unwrap();
        for host in hosts {
            verified(&ca, &own, host).unwrap();
        }
        let openssl = |file: &str| {
            let mut command = Command::new("openssl");
            command.args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"]);
            command.arg(at("ca.pem")).arg(at(file)).output()
        };
        let is_there = match openssl("cert.pem") {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skip("the limits of a CA of one's own with OpenSSL: openssl is not there");
                false
            }
            own => {
                assert!(own.as_ref().unwrap().status.success(), "{own:?}");
                true
            }
        };
        let key = KeyPair::from_pem(&fs::read_to_string(at("ca-key.pem")).unwrap()).unwrap();
        let issuer = Issuer::from_ca_cert_der(&ca, key).unwrap();
        for host in foreign {
            let mut params = CertificateParams::new(vec![(*host).to_owned()]).unwrap();
            params.use_authority_key_identifier_extension = true;
            let forged = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
            let refused = verified(&ca, forged.der(), host).unwrap_err();
            assert!(
                matches!(&refused, Error::InvalidCertificate(CertificateError::Other(why)) if why.to_string().contains("NameConstraint")),
                "{hosts:?} {host}: {refused:?}"
            );
            fs::write(at("forged.pem"), forged.pem()).unwrap();
            if is_there {
                let refused = openssl("forged.pem").unwrap();
                let said = String::from_utf8(refused.stderr).unwrap();
                assert!(said.contains("subtree violation"), "{hosts:?} {host}: {said}");
            }
        }
    }
}
