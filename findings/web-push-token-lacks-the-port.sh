#!/usr/bin/env bash
# web-push-native 0.4.0 (crates.io): the VAPID token that WebPushBuilder makes.
#
# Expected: `aud` is the origin of the endpoint, with its port when that is not 443 (RFC 8292, 2, and RFC 6454), and the token
#           lives some hours, whatever the message; with_valid_duration() is the message's TTL, "the valid duration for
#           generated HTTP push requests".
# Seen: 1. the port is left out: a self-hosted service on :8443 that checks `aud` refuses every message.
#       2. token and message share one duration: TTL 0 (only phones that are online now) has a token that expires in the
#          second in which it was made, and a week has one over the 24 h of the RFC. A service refuses both as a bad token,
#          and the TTL is not an obvious cause.
# npm's web-push 3.6.7 gives https://push.example.org:8443 and 12 h for the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cd "$folder"
cat >Cargo.toml <<'TOML'
[package]
name = "token"
version = "0.0.0"
edition = "2021"
[dependencies]
web-push-native = { version = "=0.4.0", features = ["vapid"] }
TOML
cat >src/main.rs <<'RUST'
use std::time::Duration;
use web_push_native::{jwt_simple::algorithms::ES256KeyPair, p256::elliptic_curve::rand_core::OsRng, p256::SecretKey, Auth, WebPushBuilder};

fn main() {
    let endpoint: http::Uri = "https://push.example.org:8443/x".parse().unwrap();
    let (key, phone) = (ES256KeyPair::generate(), SecretKey::random(&mut OsRng).public_key());
    for seconds in [0, 600, 7 * 86_400] {
        let builder = WebPushBuilder::new(endpoint.clone(), phone, Auth::clone_from_slice(&[7; 16]));
        let builder = builder.with_valid_duration(Duration::from_secs(seconds)).with_vapid(&key, "mailto:plant@example.org");
        let request = builder.build(*b"text").unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        println!("{} {}", header("ttl"), header("authorization"));
    }
}
RUST
echo 'http = "1"' >>Cargo.toml
cargo run -q >seen
python3 - <<'PYTHON'
import base64, json
lives = {}
for line in open("seen"):
    ttl, _, token, _ = line.split()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    lives[int(ttl)] = claims["exp"] - claims["iat"]
    print(f"https://push.example.org:8443, TTL {ttl}: aud {claims['aud']}, token lives {lives[int(ttl)]} s")
    assert claims["aud"] == "https://push.example.org"
assert lives == {0: 0, 600: 600, 604800: 604800}
PYTHON
