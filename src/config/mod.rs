//! `config.toml`, environment and flags, as one checked [`Config`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::model::Permission;

/// Everything that the server is told when it starts. Paths are already resolved against the configuration's folder.
#[derive(Debug, Clone, PartialEq)]
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
    /// Origins that may call the page-load endpoint from a browser.
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
