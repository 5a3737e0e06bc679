//! HTTPS with the operator's own certificate files.

use std::{fs, net::Ipv4Addr, sync::Arc};

use futures_util::StreamExt as _;
use http::Method;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use simo_tests::{
    Plant, Simod,
    authority::Authority,
    eventually,
    plant::{post, to_employees},
    programs, raw,
    simod::Setup,
};

fn client(simod: &Simod) -> reqwest::Client {
    let pem = fs::read(simod.directory().join("ca.pem")).unwrap();
    reqwest::Client::builder()
        .tls_certs_merge([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap()
}

/// The certificate that a new connection gets, in a handshake of this version.
fn certificate(simod: &Simod, version: &'static rustls::SupportedProtocolVersion) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    let pem = simod.directory().join("ca.pem");
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let address = simod.url().strip_prefix("https://").unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    assert_eq!(connection.protocol_version(), Some(version.version));
    connection.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn https_serves_what_http_does() {
    let simod = Setup::new().tls(&Authority::new()).start().await;
    assert!(simod.url().starts_with("https://"), "{}", simod.url());
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let posted = post(&plant.acs(&simod, "1c").await, &to_employees("Привет", &["001"])).await;
    assert_eq!(posted.recipients.accepted, 1);

    let answer = raw::ask_with(&client(&simod), Method::GET, &simod.api("/openapi.json")).send().await;
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");
    let answer = client(&simod).get(format!("{}/healthz", simod.url())).send().await;
    assert_eq!(answer.unwrap().version(), http::Version::HTTP_2);
    let answer = client(&simod).get(format!("{}/app/ca", simod.url())).send().await;
    assert_eq!(answer.unwrap().status(), 404, "the CA is not shown");
    // A caller that does not know the CA gets that error, not that simod is unreachable.
    let stranger = raw::ask(Method::GET, &simod.api("/openapi.json")).try_send().await;
    assert!(format!("{:?}", stranger.unwrap_err()).contains("UnknownIssuer"));
    for version in [&TLS12, &TLS13] {
        certificate(&simod, version);
    }

    // The same for an administrator's program, which works once it is given the CA.
    let ca = simod.directory().join("ca.pem");
    let doctor = |ca: &[&str]| {
        std::process::Command::new(programs::program("simoctl"))
            .args(["--url", simod.url(), "--token", "simo_op_x", "whoami"])
            .args(ca)
            .env_remove("SIMO_CA")
            .output()
            .unwrap()
    };
    let told = doctor(&["--ca", ca.to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(4), "it is let nowhere: {told:?}");
    assert_eq!(doctor(&[]).status.code(), Some(6), "it reaches nobody");
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_dropping_connections() {
    let authority = Authority::new();
    let simod = Setup::new().tls(&authority).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let mut stream = phone.client.own_stream().await.unwrap();
    let first = certificate(&simod, &TLS13);

    // A key that does not match: the old pair stays in use, and the log says so.
    let key = simod.directory().join("tls.key");
    let good = fs::read(&key).unwrap();
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    eventually("the broken pair is logged", || {
        std::future::ready(simod.log().contains("the old certificate goes on").then_some(()))
    })
    .await;
    assert_eq!(certificate(&simod, &TLS13), first);
    fs::write(&key, good).unwrap();

    authority.write(simod.directory());
    eventually("new connections meet the new certificate", || {
        std::future::ready((certificate(&simod, &TLS13) != first).then_some(()))
    })
    .await;
    let posted = post(&plant.acs(&simod, "1c").await, &to_employees("Привет", &["001"])).await;
    assert_eq!(stream.next().await.unwrap().unwrap().id, posted.id);
}

#[tokio::test]
async fn plain_http_for_other_machines_needs_a_word() {
    let refused = Setup::new().listen(Ipv4Addr::UNSPECIFIED).start_in_vain().await;
    for said in ["other machines reach", "tls_certificate", "allow_plain_http"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert!(!refused.status.success());
    let allowed = Setup::new().listen(Ipv4Addr::UNSPECIFIED).set("allow_plain_http", true).start().await;
    assert!(allowed.anyone().readiness().await.is_ok());

    let half = Setup::new().set("tls_certificate", "/nowhere.pem").start_in_vain().await;
    assert!(half.stderr.contains("needs its key"), "{}", half.stderr);
    let missing = Setup::new()
        .set("tls_certificate", "/nowhere.pem")
        .set("tls_key", "/nowhere.key")
        .start_in_vain()
        .await;
    assert!(missing.stderr.contains("/nowhere.pem"), "{}", missing.stderr);
}
