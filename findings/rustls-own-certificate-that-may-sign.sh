#!/usr/bin/env bash
# rustls 0.23.46 (webpki 0.103.17) and a server whose self-signed certificate says CA:TRUE; rcgen 0.14.10 makes it.
#
# Expected: a client that was given exactly this certificate as its only trust anchor accepts it from the server, whatever the
#           basic constraints are. OpenSSL does. `openssl req -x509` writes CA:TRUE by default, so plants have such
#           certificates on their internal servers.
# Seen: rustls refuses with CaUsedAsEndEntity; without basic constraints or with CA:FALSE the same certificate is accepted.
#       The server side loads and sends it without complaint; OpenSSL's clients connect, those in Rust do not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cd "$folder"
cat >Cargo.toml <<'TOML'
[package]
name = "own-certificate"
version = "0.0.0"
edition = "2021"
[dependencies]
rcgen = { version = "=0.14.10", default-features = false, features = ["ring", "pem"] }
rustls = { version = "=0.23.46", default-features = false, features = ["ring", "std", "tls12"] }
rustls-webpki = "=0.103.17"
TOML
cat >src/main.rs <<'RUST'
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{pki_types::PrivatePkcs8KeyDer, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::{fs, sync::Arc};

fn handshake(name: &str, is_ca: IsCa) -> Result<(), rustls::Error> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    fs::write(format!("{name}.pem"), certificate.pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut server = ServerConnection::new(Arc::new(server))?;
    let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap())?;
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        client.write_tls(&mut there).unwrap();
        server.read_tls(&mut &there[..]).unwrap();
        server.process_new_packets()?;
        server.write_tls(&mut back).unwrap();
        client.read_tls(&mut &back[..]).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

fn main() {
    println!("no constraints: {:?}", handshake("none", IsCa::NoCa));
    println!("CA:FALSE: {:?}", handshake("false", IsCa::ExplicitNoCa));
    println!("CA:TRUE: {:?}", handshake("true", IsCa::Ca(BasicConstraints::Unconstrained)));
}
RUST
cargo run -q | tee seen
openssl verify -purpose sslserver -verify_hostname localhost -CAfile true.pem true.pem | tee -a seen
grep -q '^no constraints: Ok' seen
grep -q '^CA:FALSE: Ok' seen
grep -q '^true.pem: OK' seen
grep -q '^CA:TRUE: Err.*CaUsedAsEndEntity' seen
