//! TLS: what is served, and what becomes of new certificates.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Server, crm, eventually};

/// Makes `cert.pem` and `key.pem` in a folder.
fn certificate(folder: &Path, prefix: &str) {
    let args = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    let mut command = Command::new("openssl");
    command.args(args).arg("-keyout").arg(folder.join(format!("{prefix}key.pem")));
    let output = command.arg("-out").arg(folder.join(format!("{prefix}cert.pem"))).output().expect("run openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A client that believes this certificate alone.
fn believing(cert: &Path) -> reqwest::blocking::Client {
    let cert = reqwest::Certificate::from_pem(&fs::read(cert).unwrap()).unwrap();
    let builder = reqwest::blocking::Client::builder().no_proxy().tls_built_in_root_certs(false);
    builder.add_root_certificate(cert).timeout(Duration::from_secs(20)).build().unwrap()
}

#[test]
fn https_is_served_and_new_certificates_are_taken_when_they_are_good() {
    let home = Server::with(&[("s/integrations/crm.toml", crm())])
        .config("[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n")
        .home();
    let root = home.root().to_owned();
    certificate(&root, "");
    certificate(&root, "next-");
    let server = home.start();
    let base = server.base().replace("http://", "https://");
    let answer = |client: &reqwest::blocking::Client, path: &str| client.get(format!("{base}{path}")).send();
    let first = believing(&root.join("cert.pem"));
    let reply = answer(&first, "/healthz").unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["strict-transport-security"], "max-age=31536000");

    // Plain HTTP gets no answer that could be mistaken, and harms nobody.
    let mut plain = TcpStream::connect(base.trim_start_matches("https://")).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut got = Vec::new();
    let _ = plain.read_to_end(&mut got);
    assert!(!got.starts_with(b"HTTP/"), "{got:?}");

    // A certificate without its key: the old one is served on, and that is told.
    fs::copy(root.join("next-cert.pem"), root.join("cert.new")).unwrap();
    fs::copy(root.join("cert.pem"), root.join("first.pem")).unwrap();
    fs::rename(root.join("cert.new"), root.join("cert.pem")).unwrap();
    server.logs("the new certificate can't be used");
    let reply: Value = answer(&first, "/readyz").unwrap().json().unwrap();
    assert_eq!(reply["status"], "ready");
    assert!(reply["warnings"].to_string().contains("certificate"), "{reply}");
    fs::write(root.join("cert.pem"), "no certificate at all").unwrap();
    let fresh = believing(&root.join("first.pem"));
    assert_eq!(answer(&fresh, "/healthz").unwrap().status(), 200);

    // Both: new connections get the new one.
    fs::copy(root.join("next-key.pem"), root.join("key.pem")).unwrap();
    fs::copy(root.join("next-cert.pem"), root.join("cert.pem")).unwrap();
    eventually("the new certificate is served", || {
        let next = believing(&root.join("next-cert.pem"));
        answer(&next, "/readyz").map_err(|error| format!("{error:?}")).and_then(|reply| {
            let reply: Value = reply.json().map_err(|error| error.to_string())?;
            if reply["warnings"].to_string().contains("certificate") { Err(reply.to_string()) } else { Ok(()) }
        })
    });
    assert!(answer(&believing(&root.join("first.pem")), "/healthz").is_err());
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_certificate_that_is_none_keeps_the_server_from_starting() {
    let home = Server::with(&[("s/integrations/crm.toml", crm())])
        .config("[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n")
        .home();
    let Err((home, ended)) = home.try_start() else { panic!("it starts without a certificate") };
    ended.refused("no certificate");
    assert!(ended.stderr.contains("cert.pem"), "{}", ended.stderr);
    certificate(home.root(), "");
    certificate(home.root(), "other-");
    fs::rename(home.root().join("other-key.pem"), home.root().join("key.pem")).unwrap();
    let Err((_, ended)) = home.try_start() else { panic!("it starts with another key") };
    assert!(ended.stderr.contains("can't be used together"), "{}", ended.stderr);
}
