//! The checked configuration, section by section, with the default of every key.
//!
//! Owns the shape and the defaults; knows nothing of files, variables and flags. Invariant: a value that
//! [`load`](super::load) hands out is within the limits that `read.rs` states.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::model::Permission;

/// Everything that the server is told when it starts. Paths are already resolved against the configuration's folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[storage]`.
    pub storage: Storage,
    /// `[backup]`; absent: none is scheduled.
    pub backup: Option<Backup>,
    /// `[rules]`.
    pub rules: Rules,
    /// `[limits]`.
    pub limits: Limits,
    /// `[audit]`.
    pub audit: Audit,
    /// `[auth]`.
    pub auth: Auth,
    /// `[mail]`.
    pub mail: Mail,
    /// `[sso]`; absent: SSO is off.
    pub sso: Option<Sso>,
    /// `[[roles]]`, beside the built-in ones.
    pub roles: Vec<Role>,
}

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Address and port to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The address at which callers reach the server: used in endpoints shown and in e-mailed links. No trailing slash.
    pub public_url: String,
    /// Origins whose pages may ask for segments; `*`: any.
    pub cors_origins: Vec<String>,
    /// Addresses whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// PEM file with the certificate chain; with `tls_key`, the server speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key.
    pub tls_key: Option<PathBuf>,
}

/// The store.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// The data folder.
    pub path: PathBuf,
    /// The store's page cache, in MiB.
    pub cache_mib: u64,
    /// Free disk below which updates are refused with 507, in MiB.
    pub min_free_mib: u64,
}

/// Scheduled backups.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Where they go.
    pub folder: PathBuf,
    /// Hours between two.
    pub every_hours: u64,
    /// How many are kept.
    pub keep: usize,
}

/// The rule files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The folder with one folder a system.
    pub path: PathBuf,
    /// Git is the only writer: the API and the console refuse to write rules (409).
    pub read_only: bool,
}

/// Limits on what callers send.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Most records in one update call.
    pub records_per_call: usize,
    /// Largest body of an update call, in MiB.
    pub body_mib: usize,
    /// Longest String value, in bytes.
    pub string_bytes: usize,
    /// Most update calls a second and client; 0: no limit.
    pub updates_per_second: u32,
    /// Microseconds a row above which a rule that runs as a script is refused when new.
    pub script_us: u64,
}

/// The audit.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Days that entries are kept.
    pub keep_days: u32,
}

/// Log-in and tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// The `{company}` of `/oauth/{company}/token`.
    pub company: String,
    /// Whether every operator must have a second factor.
    pub require_totp: bool,
}

/// Outgoing mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// How it goes out.
    pub transport: MailTransport,
    /// The sender.
    pub from: String,
}

/// How mail goes out.
#[derive(Debug, Clone, PartialEq)]
pub enum MailTransport {
    /// As `*.eml` files in `<storage.path>/outbox`.
    File,
    /// By an SMTP server.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// `"none"`, `"starttls"` or `"tls"`.
        tls: String,
        /// The user to log in as.
        user: Option<String>,
        /// The environment variable that holds the password.
        password_env: Option<String>,
    },
}

/// Single sign-on by OpenID Connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Sso {
    /// The provider's issuer URL.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// The environment variable that holds our client secret.
    pub client_secret_env: String,
}

/// A role beside the built-in ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

impl Server {
    /// The address to show to callers once the server listens on `bound`.
    ///
    /// It is `public_url`, unless that was derived from a `listen` with port 0: then the port that the system chose
    /// takes the 0's place.
    #[must_use]
    pub fn public_url_at(&self, bound: SocketAddr) -> String {
        match self.public_url.strip_suffix(":0") {
            Some(start) => format!("{start}:{}", bound.port()),
            None => self.public_url.clone(),
        }
    }
}

/// The address at which a server that listens on `listen` is reached from its own machine.
pub(super) fn local_url(listen: SocketAddr, tls: bool) -> String {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{}://{address}", if tls { "https" } else { "http" })
}

impl Default for Server {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        Self {
            listen,
            public_url: local_url(listen, false),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls_cert: None,
            tls_key: None,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), cache_mib: 64, min_free_mib: 256 }
    }
}

impl Default for Backup {
    fn default() -> Self {
        Self { folder: PathBuf::from("backups"), every_hours: 24, keep: 14 }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { path: PathBuf::from("rules"), read_only: false }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { records_per_call: 10_000, body_mib: 10, string_bytes: 1_024, updates_per_second: 0, script_us: 200 }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self { company: "default".to_owned(), require_totp: false }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self { transport: MailTransport::File, from: "Rollcall <rollcall@localhost>".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_chosen_by_the_system_is_shown_to_callers() {
        let bound = "127.0.0.1:41234".parse().unwrap();
        let derived = Server { public_url: local_url("0.0.0.0:0".parse().unwrap(), false), ..Server::default() };
        assert_eq!(derived.public_url_at(bound), "http://127.0.0.1:41234");
        let given = Server { public_url: "https://rollcall.example".to_owned(), ..Server::default() };
        assert_eq!(given.public_url_at(bound), "https://rollcall.example");
    }

    #[test]
    fn derived_address_can_be_opened_on_the_same_machine() {
        assert_eq!(local_url("0.0.0.0:9000".parse().unwrap(), false), "http://127.0.0.1:9000");
        assert_eq!(local_url("[::]:9000".parse().unwrap(), true), "https://[::1]:9000");
        assert_eq!(local_url("10.1.2.3:80".parse().unwrap(), false), "http://10.1.2.3:80");
    }
}
