//! `rollcall doctor`: looks at everything that an installation stands on, and says what is wrong and how to mend it.
//!
//! Changes nothing: a store is opened only where there is one and no server runs on it, which is then asked instead. Each
//! check is one function that gives findings; a finding is in order, worth a look, or wrong.

use std::fs;
use std::io::{self, IsTerminal};
use std::net::ToSocketAddrs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::accounts::{KEY_FILE, KEY_VARIABLE};
use crate::app::{Examined, examine};
use crate::backup;
use crate::clock::Clock;
use crate::config::{Config, Flags, MailTransport};
use crate::http::check_tls;
use crate::model::Timestamp;
use crate::ruleset::{self, RulesOptions};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The year 2024 began then, in milliseconds: a clock before it was never set.
const EARLIEST: i64 = 1_704_067_200_000;
/// Open files that as many connections as the server takes need.
const FILES: u64 = 20_256;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON: `{"findings": [{"what", "state", "found", "mend"}]}`
    #[arg(long)]
    json: bool,
    /// The data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The rules folder
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Look,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    mend: Option<String>,
}

fn fine(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, state: State::Ok, found: found.into(), mend: None }
}

fn look(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, state: State::Look, found: found.into(), mend: Some(mend.into()) }
}

fn wrong(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, state: State::Wrong, found: found.into(), mend: Some(mend.into()) }
}

pub(super) fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let flags = Flags { listen: None, data: args.data.clone(), rules: args.rules.clone() };
    let config = super::load_config(config, flags)?;
    let findings: Vec<Finding> = [folder, disk, store, rules, clock, mail, files, address, backups]
        .iter()
        .flat_map(|check| check(&config))
        .collect();
    let is_wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    if args.json {
        super::print(&format!("{:#}\n", serde_json::json!({ "findings": findings })))?;
    } else {
        super::print(&shown(&findings, io::stdout().is_terminal()))?;
    }
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// On a terminal a table; off it a line a finding, with tabs between.
fn shown(findings: &[Finding], terminal: bool) -> String {
    let word = |state| match state {
        State::Ok => "ok",
        State::Look => "look",
        State::Wrong => "WRONG",
    };
    let row = |finding: &Finding| {
        let mend = finding.mend.clone().unwrap_or_default();
        [word(finding.state).to_owned(), finding.what.to_owned(), finding.found.clone(), mend]
    };
    if !terminal {
        return findings.iter().map(|finding| row(finding).join("\t").replace('\n', " ") + "\n").collect();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["", "What", "Found", "How to mend it"]);
    for finding in findings {
        table.add_row(row(finding));
    }
    format!("{}\n", table.trim_fmt())
}

fn folder(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "data folder";
    let path = &config.storage.path;
    let shown = path.display();
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![fine(WHAT, format!("{shown} is not there yet: the first start makes it"))];
        }
        Err(error) => return vec![wrong(WHAT, format!("{shown}: {error}"), "let the server's user into it")],
        Ok(about) => about,
    };
    let mut findings = Vec::new();
    if !about.is_dir() {
        return vec![wrong(WHAT, format!("{shown} is no folder"), "set `storage.path` to a folder")];
    }
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        findings.push(wrong(WHAT, format!("{shown} can't be written by this user"), "chown it to the server's user"));
    }
    if about.mode() & 0o077 != 0 {
        let mode = format!("{shown} has mode {:04o}", about.mode() & 0o7777);
        findings.push(look(WHAT, mode, format!("other users can look into it: chmod 700 {shown}")));
    }
    let key = path.join(KEY_FILE);
    if let Ok(about) = fs::metadata(&key)
        && about.mode() & 0o077 != 0
    {
        let mode = format!("{} has mode {:04o}", key.display(), about.mode() & 0o7777);
        findings.push(wrong("secret key", mode, format!("others can read it: chmod 600 {}", key.display())));
    }
    if findings.is_empty() {
        findings.push(fine(WHAT, format!("{shown} is this user's own")));
    }
    findings
}

/// Room on the disk of a folder, or of the nearest one above it that is there, in MiB.
fn free_mib(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}

fn disk(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "disk";
    let floor = config.storage.min_free_mib;
    let size = fs::metadata(config.storage.path.join("store/db")).map_or(0, |file| file.len() >> 20);
    vec![match free_mib(&config.storage.path) {
        None => look(WHAT, "how much room there is can't be told", "look with `df`"),
        Some(free) if free < floor => {
            let found = format!("{free} MiB free, and updates are refused below {floor} (`storage.min_free_mib`)");
            wrong(WHAT, found, "make room; `rollcall compact` makes the store smaller")
        }
        Some(free) if free < floor.saturating_add(2 * size) => {
            let found = format!("{free} MiB free, the store has {size} MiB");
            look(WHAT, found, "for restoring or compacting, as much room as the store has is needed, too")
        }
        Some(free) => fine(WHAT, format!("{free} MiB free, the store has {size} MiB")),
    }]
}

fn store(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "store";
    let (held, key) = match examine(config) {
        Examined::None => return vec![fine(WHAT, "there is none yet: the first start makes it")],
        Examined::InUse => return vec![fine(WHAT, "a server runs on it"), server(config)],
        Examined::Broken(error) => return vec![wrong(WHAT, error, "`rollcall restore --replace` a backup")],
        Examined::Sound(held, key) => (held, key),
    };
    let key = match key {
        Ok(Some(source)) => fine("secret key", format!("{source} is the store's")),
        Ok(None) => fine("secret key", "the store has none yet"),
        Err(error) => wrong("secret key", error.to_string(), format!("put it back, or set {KEY_VARIABLE}")),
    };
    let systems: Vec<String> = held.end_users.iter().map(|(id, count)| format!("{id}: {count}")).collect();
    vec![fine(WHAT, format!("whole, up to commit {}; end users {}", held.commit, systems.join(", "))), key]
}

/// Asks the server that runs here how it is.
fn server(config: &Config) -> Finding {
    const WHAT: &str = "server";
    let mut address = config.server.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let scheme = if config.server.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}/readyz");
    // Its certificate is of its public name, and it is asked on this machine.
    let client = reqwest::blocking::Client::builder().timeout(PATIENCE).danger_accept_invalid_certs(true).build();
    let answer = client.and_then(|client| client.get(&url).send()).and_then(reqwest::blocking::Response::text);
    let Ok(text) = answer else {
        return look(WHAT, format!("no answer from {url}"), "is `server.listen` the one that it was started with?");
    };
    let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let warnings = body.get("warnings").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let warnings: Vec<&str> = warnings.iter().filter_map(|warning| warning.as_str()).collect();
    match (body.get("status").and_then(|status| status.as_str()), warnings.is_empty()) {
        (Some("ready"), true) => fine(WHAT, "ready"),
        (Some("ready"), false) => look(WHAT, warnings.join("; "), "its log says more"),
        _ => wrong(WHAT, format!("not ready: {}", warnings.join("; ")), "its log says more"),
    }
}

fn rules(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "rules";
    let root = &config.rules.path;
    let options = RulesOptions { watch: false, read_only: true, script_us: config.limits.script_us };
    if !root.is_dir() {
        return vec![wrong(WHAT, format!("there is no folder {}", root.display()), "set `rules.path`")];
    }
    let checked = ruleset::check(root, &options);
    let errors: usize = checked.iter().map(|system| system.errors.len()).sum();
    vec![match errors {
        0 => fine(WHAT, format!("{} systems in {}", checked.len(), root.display())),
        count => wrong(WHAT, format!("{count} mistakes in {}", root.display()), "`rollcall check` lists them"),
    }]
}

fn clock(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "clock";
    let now = Clock::system().now();
    let mend = "set the clock, and keep it right with NTP: tokens, sessions and date segments depend on it";
    let sealed = fs::metadata(config.storage.path.join("seal")).and_then(|file| file.modified()).ok();
    let ahead = sealed.and_then(|at| at.duration_since(std::time::SystemTime::now()).ok());
    vec![match ahead {
        _ if now.as_millis() < EARLIEST => wrong(WHAT, format!("it says {now}"), mend),
        Some(ahead) if ahead > Duration::from_secs(60) => {
            wrong(WHAT, format!("it says {now}, and the store was written {} s later", ahead.as_secs()), mend)
        }
        _ => fine(WHAT, format!("it says {now}")),
    }]
}

fn mail(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "mail";
    match &config.mail.transport {
        MailTransport::File => {
            let outbox = config.storage.path.join("outbox");
            let found = format!("mails are written to {}, and nobody gets them", outbox.display());
            vec![look(WHAT, found, "set `mail.transport = \"smtp\"` and [mail.smtp]")]
        }
        MailTransport::Smtp { host, port, password_env, .. } => {
            if let Some(variable) = password_env.as_ref().filter(|name| std::env::var_os(name).is_none()) {
                let mend = "set it for the server (and for this command)";
                return vec![look(
                    WHAT,
                    format!("{variable}, which `mail.smtp.password_env` names, is not set here"),
                    mend,
                )];
            }
            let reached = (host.as_str(), *port).to_socket_addrs().and_then(|mut addresses| {
                let address = addresses.next().ok_or_else(|| io::Error::other("it has no address"))?;
                std::net::TcpStream::connect_timeout(&address, PATIENCE)
            });
            vec![match reached {
                Ok(_) => fine(WHAT, format!("{host}:{port} answers")),
                Err(error) => wrong(WHAT, format!("{host}:{port}: {error}"), "see [mail.smtp] and the network"),
            }]
        }
    }
}

fn files(_: &Config) -> Vec<Finding> {
    const WHAT: &str = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    vec![match limit.maximum {
        Some(most) if most < FILES => {
            let found = format!("at most {most}, so at most {} connections at once", most.saturating_sub(256));
            look(WHAT, found, format!("raise the limit: LimitNOFILE={FILES} in the unit, or `ulimit -Hn`"))
        }
        _ => fine(WHAT, "enough for as many connections as the server takes"),
    }]
}

fn address(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "address";
    let server = &config.server;
    let url = &server.public_url;
    let mut findings = Vec::new();
    if let (Some(cert), Some(key)) = (&server.tls_cert, &server.tls_key) {
        findings.push(match check_tls(cert, key) {
            Ok(()) => fine("TLS", format!("{} and its key belong together", cert.display())),
            Err(error) => {
                wrong("TLS", error.to_string(), "put the certificate's whole chain and its key there, as PEM")
            }
        });
    }
    let is_local = server.listen.ip().is_loopback();
    findings.push(match url.starts_with("https://") {
        true => fine(WHAT, format!("callers reach it at {url}")),
        false if is_local && (url.contains("//127.") || url.contains("//localhost") || url.contains("//[::1]")) => {
            look(WHAT, format!("{url} is this machine only"), "set `server.public_url` to the address that callers use")
        }
        false => wrong(
            WHAT,
            format!("callers reach it at {url}, unencrypted: passwords and tokens can be read on the way"),
            "set `server.tls_cert` and `server.tls_key`, or put a proxy before it; set `server.public_url` to https",
        ),
    });
    if url.starts_with("https://") && server.tls_cert.is_none() && server.trusted_proxies.is_empty() {
        let mend = "set `server.trusted_proxies`, else every caller counts as the proxy's address";
        findings.push(look(WHAT, "TLS is a proxy's work, and no proxy is trusted", mend));
    }
    findings
}

fn backups(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "backups";
    let Some(settings) = &config.backup else {
        return vec![look(
            WHAT,
            "none are scheduled",
            "add [backup] to the configuration, with a folder on another disk",
        )];
    };
    let every = i64::try_from(settings.every_hours).unwrap_or(i64::MAX);
    let folder = settings.folder.display();
    vec![match backup::last_in(&settings.folder) {
        None => look(WHAT, format!("there is none in {folder} yet"), "the server makes one when it starts"),
        Some(last) if hours_since(last) > every.saturating_mul(2) => {
            wrong(WHAT, format!("the last one in {folder} is of {last}"), "the server's log says why")
        }
        Some(last) => fine(WHAT, format!("the last one is of {last}")),
    }]
}

fn hours_since(at: Timestamp) -> i64 {
    (Clock::system().now().as_millis() - at.as_millis()) / 3_600_000
}
