//! From what was written to a [`Config`]: types, limits, and what must go together.
//!
//! Owns the meaning of every key. Invariant: a mistake never stops the reading, so that all are told at once; what
//! was mistaken has its default until then.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::Flags;
use super::check::{self, Judged, Wrong, wrong};
use super::error::{ConfigError, Place};
use super::layers::{Given, GivenRole, Layers, Written, list_of_variable};
use super::types::{
    Audit, Auth, Backup, Config, Limits, Mail, MailTransport, Role, Rules, Server, Sso, Storage, local_url,
};
use crate::model::{BuiltInRole, Permission, spelling};

/// Up to a terabyte: more is a slip of the keyboard.
const CACHE_MIB: RangeInclusive<u64> = 1..=1_048_576;
/// Any disk that there is: who wants no updates at all may ask for more room than that.
const MIN_FREE_MIB: RangeInclusive<u64> = 0..=1 << 43;
/// A call is held in memory whole, several times over for a moment.
const BODY_MIB: RangeInclusive<u64> = 1..=1_024;
/// A call is one atomic commit.
const RECORDS: RangeInclusive<u64> = 1..=1_000_000;
/// Values are for segmenting, not for documents; each distinct one stays in memory.
const STRING_BYTES: RangeInclusive<u64> = 1..=65_536;
/// Up to a second a row: beyond that a rule can't be called live.
const SCRIPT_US: RangeInclusive<u64> = 1..=1_000_000;
/// 0 means no limit.
const UPDATES: RangeInclusive<u64> = 0..=1_000_000;
/// Up to a hundred years.
const KEEP_DAYS: RangeInclusive<u64> = 1..=36_500;
/// Up to a year.
const EVERY_HOURS: RangeInclusive<u64> = 1..=8_760;
/// At least the last one.
const KEEP_BACKUPS: RangeInclusive<u64> = 1..=10_000;
/// 0 is no port to send to.
const PORT: RangeInclusive<u64> = 1..=65_535;
/// Longest name of a role, in characters.
const ROLE_NAME: usize = 128;

/// Builds the configuration and notes every mistake.
pub(super) fn config(layers: &Layers, folder: &Path, flags: Flags, mistakes: &mut Vec<ConfigError>) -> Config {
    let mut reader = Reader { layers, folder, mistakes };
    let mut config = Config {
        server: reader.server(&flags),
        storage: reader.storage(),
        backup: reader.backup(),
        rules: reader.rules(),
        limits: reader.limits(),
        audit: Audit { keep_days: reader.number("audit.keep_days", KEEP_DAYS, Audit::default().keep_days) },
        auth: reader.auth(),
        mail: reader.mail(),
        sso: reader.sso(),
        roles: reader.roles(),
    };
    if let Some(data) = flags.data {
        config.storage.path = data;
    }
    if let Some(rules) = flags.rules {
        config.rules.path = rules;
    }
    reader.refuse_files_among_rules(&config);
    config
}

struct Reader<'a> {
    layers: &'a Layers,
    folder: &'a Path,
    mistakes: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    fn server(&mut self, flags: &Flags) -> Server {
        let default = Server::default();
        let given = self.text("server.listen", check::address);
        let listen = flags.listen.or(given).unwrap_or(default.listen);
        let tls_cert = self.path("server.tls_cert");
        let tls_key = self.path("server.tls_key");
        self.both_or_none("server.tls_cert", "server.tls_key");
        let public_url = self.text("server.public_url", |t| check::origin(t, true));
        Server {
            listen,
            public_url: public_url.unwrap_or_else(|| local_url(listen, tls_cert.is_some() && tls_key.is_some())),
            cors_origins: self.list("server.cors_origins", check::page_origin),
            trusted_proxies: self.list("server.trusted_proxies", check::ip),
            tls_cert,
            tls_key,
        }
    }

    fn storage(&mut self) -> Storage {
        let default = Storage::default();
        Storage {
            path: self.path("storage.path").unwrap_or_else(|| self.folder.join(default.path)),
            cache_mib: self.number("storage.cache_mib", CACHE_MIB, default.cache_mib),
            min_free_mib: self.number("storage.min_free_mib", MIN_FREE_MIB, default.min_free_mib),
        }
    }

    fn backup(&mut self) -> Option<Backup> {
        self.layers.section("backup")?;
        let default = Backup::default();
        Some(Backup {
            folder: self.path("backup.folder").unwrap_or_else(|| self.folder.join(default.folder)),
            every_hours: self.number("backup.every_hours", EVERY_HOURS, default.every_hours),
            keep: self.number("backup.keep", KEEP_BACKUPS, default.keep),
        })
    }

    fn rules(&mut self) -> Rules {
        let default = Rules::default();
        Rules {
            path: self.path("rules.path").unwrap_or_else(|| self.folder.join(default.path)),
            read_only: self.switch("rules.read_only", default.read_only),
        }
    }

    fn limits(&mut self) -> Limits {
        let default = Limits::default();
        Limits {
            records_per_call: self.number("limits.records_per_call", RECORDS, default.records_per_call),
            body_mib: self.number("limits.body_mib", BODY_MIB, default.body_mib),
            string_bytes: self.number("limits.string_bytes", STRING_BYTES, default.string_bytes),
            updates_per_second: self.number("limits.updates_per_second", UPDATES, default.updates_per_second),
            script_us: self.number("limits.script_us", SCRIPT_US, default.script_us),
        }
    }

    fn auth(&mut self) -> Auth {
        let default = Auth::default();
        Auth {
            company: self.text("auth.company", check::path_segment).unwrap_or(default.company),
            require_totp: self.switch("auth.require_totp", default.require_totp),
        }
    }

    fn mail(&mut self) -> Mail {
        let default = Mail::default();
        let smtp = self.smtp();
        let transport = match self.text("mail.transport", |t| one_of(t, &["file", "smtp"])) {
            Some("smtp") => smtp.unwrap_or_else(|| {
                if self.layers.get("mail.smtp.host").is_none() {
                    let hint = Some("add [mail.smtp] with the `host` of the mail server".to_owned());
                    self.miss("mail.transport", "`smtp` needs `mail.smtp.host`".to_owned(), hint);
                }
                MailTransport::File
            }),
            _ => MailTransport::File,
        };
        Mail { transport, from: self.text("mail.from", check::mailbox).unwrap_or(default.from) }
    }

    /// `[mail.smtp]`, judged even while `transport` is `file`; nothing without a host.
    fn smtp(&mut self) -> Option<MailTransport> {
        let tls = self.text("mail.smtp.tls", |t| one_of(t, &["none", "starttls", "tls"])).unwrap_or("starttls");
        let usual_port = match tls {
            "none" => 25,
            "tls" => 465,
            _ => 587,
        };
        let port = self.number("mail.smtp.port", PORT, usual_port);
        let user = self.text("mail.smtp.user", check::line);
        let password_env = self.text("mail.smtp.password_env", check::variable_name);
        self.both_or_none("mail.smtp.user", "mail.smtp.password_env");
        let host = self.text("mail.smtp.host", check::host)?;
        Some(MailTransport::Smtp { host, port, tls: tls.to_owned(), user, password_env })
    }

    fn sso(&mut self) -> Option<Sso> {
        let place = self.layers.section("sso")?.clone();
        let issuer = self.text("sso.issuer", check::issuer);
        if self.layers.get("sso.issuer").is_none() {
            let hint = Some("set it to the provider's issuer URL, or remove [sso] to leave SSO off".to_owned());
            self.mistakes.push(ConfigError::new(place, Some("sso.issuer"), "is missing".to_owned(), hint));
        }
        let client_id = self.text("sso.client_id", check::line);
        let client_secret_env = self.text("sso.client_secret_env", check::variable_name);
        Some(Sso {
            issuer: issuer.unwrap_or_default(),
            client_id: client_id.unwrap_or_else(|| "rollcall".to_owned()),
            client_secret_env: client_secret_env.unwrap_or_else(|| "ROLLCALL_SSO_SECRET".to_owned()),
        })
    }

    fn roles(&mut self) -> Vec<Role> {
        let mut roles: Vec<Role> = Vec::new();
        for given in self.layers.roles() {
            let name = self.role_name(given, &roles);
            let permissions = self.role_permissions(given);
            roles.extend(name.map(|name| Role { name, permissions }));
        }
        roles
    }

    fn role_name(&mut self, given: &GivenRole, earlier: &[Role]) -> Option<String> {
        let Some(written) = &given.name else {
            self.role_lacks(given, "roles.name", "name = \"Agent\"");
            return None;
        };
        let judged = text_of(written).and_then(|name| {
            if let Some(role) = BuiltInRole::ALL.iter().find(|r| r.name().eq_ignore_ascii_case(name)) {
                return wrong(format!("`{}` is a built-in role", role.name()), "choose another name".to_owned());
            }
            if earlier.iter().any(|r| r.name == name) {
                return wrong(format!("there is another role `{name}`"), "give each role once".to_owned());
            }
            if name.chars().count() > ROLE_NAME || name.trim() != name {
                let what = "is too long, or begins or ends with a space";
                return wrong(what, format!("use at most {ROLE_NAME} characters"));
            }
            check::line(name)
        });
        self.note("roles.name", &written.place, judged)
    }

    fn role_permissions(&mut self, given: &GivenRole) -> Vec<Permission> {
        let Some(written) = &given.permissions else {
            self.role_lacks(given, "roles.permissions", "permissions = [\"end_users:read\"]");
            return Vec::new();
        };
        let mut permissions = Vec::new();
        for permission in self.items("roles.permissions", written, permission) {
            if !permissions.contains(&permission) {
                permissions.push(permission);
            }
        }
        permissions
    }

    fn role_lacks(&mut self, given: &GivenRole, key: &str, example: &str) {
        let hint = Some(format!("add a line such as `{example}`"));
        self.mistakes.push(ConfigError::new(given.place.clone(), Some(key), "is missing".to_owned(), hint));
    }

    /// Any file under the rules folder is a rule or an error, so nothing else may be put there.
    fn refuse_files_among_rules(&mut self, config: &Config) {
        let backup = config.backup.as_ref().map(|b| ("backup.folder", &b.folder));
        for (key, path) in [("storage.path", &config.storage.path)].into_iter().chain(backup) {
            if path.starts_with(&config.rules.path) {
                let message = format!("`{}` is in the rules folder `{}`", path.display(), config.rules.path.display());
                self.miss(key, message, Some("choose a folder beside it".to_owned()));
            }
        }
    }

    /// A text that passes a check.
    fn text<'s, T>(&mut self, key: &str, check: impl FnOnce(&'s str) -> Judged<T>) -> Option<T>
    where
        Self: 's,
    {
        let layers: &'s Layers = self.layers;
        let given = layers.get(key)?;
        self.note(key, &given.place, text_of(given).and_then(check))
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.text(key, check::line)?;
        Some(self.folder.join(path))
    }

    fn switch(&mut self, key: &str, default: bool) -> bool {
        let Some(given) = self.layers.get(key) else { return default };
        let judged = match &given.written {
            Written::Switch(on) => Ok(*on),
            Written::Variable(text) => {
                text.trim().parse().or_else(|_| wrong(format!("`{text}` is neither true nor false"), None))
            }
            other => wrong(format!("must be true or false, not {}", described(other)), None),
        };
        self.note(key, &given.place, judged).unwrap_or(default)
    }

    fn number<T: TryFrom<u64>>(&mut self, key: &str, range: RangeInclusive<u64>, default: T) -> T {
        let Some(given) = self.layers.get(key) else { return default };
        let judged = whole_of(given).and_then(|number| {
            let fit = u64::try_from(number).ok().filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok());
            let bounds = format!("use {} to {}", range.start(), range.end());
            fit.map_or_else(|| wrong(format!("{number} is out of range"), bounds), Ok)
        });
        self.note(key, &given.place, judged).unwrap_or(default)
    }

    fn list<T>(&mut self, key: &str, check: impl Fn(&str) -> Judged<T>) -> Vec<T> {
        let layers = self.layers;
        layers.get(key).map_or_else(Vec::new, |given| self.items(key, given, check))
    }

    fn items<T>(&mut self, key: &str, given: &Given, check: impl Fn(&str) -> Judged<T>) -> Vec<T> {
        let items = match &given.written {
            Written::List(items) => Ok(items.clone()),
            Written::Variable(text) => {
                list_of_variable(text, &given.place).map_err(|message| Wrong { message, hint: None })
            }
            other => wrong(
                format!("must be a list, not {}", described(other)),
                "write `[\"…\", \"…\"]`, or `[]` for none".to_owned(),
            ),
        };
        let items = self.note(key, &given.place, items).unwrap_or_default();
        items.iter().filter_map(|item| self.note(key, &item.place, text_of(item).and_then(&check))).collect()
    }

    fn both_or_none(&mut self, one: &'static str, other: &'static str) {
        for (there, missing) in [(one, other), (other, one)] {
            if self.layers.get(there).is_some() && self.layers.get(missing).is_none() {
                self.miss(there, format!("needs `{missing}` beside it"), Some("set both or none".to_owned()));
            }
        }
    }

    /// Notes a mistake at the place where the key was given.
    fn miss(&mut self, key: &str, message: String, hint: Option<String>) {
        let place = self.layers.get(key).map_or_else(|| flag_of(key), |given| given.place.clone());
        self.mistakes.push(ConfigError::new(place, Some(key), message, hint));
    }

    fn note<T>(&mut self, key: &str, place: &Place, judged: Judged<T>) -> Option<T> {
        match judged {
            Ok(value) => Some(value),
            Err(Wrong { message, hint }) => {
                self.mistakes.push(ConfigError::new(place.clone(), Some(key), message, hint));
                None
            }
        }
    }
}

/// The place of a value that neither file nor variable gave.
fn flag_of(key: &str) -> Place {
    Place::Flag(if key == "storage.path" { "--data" } else { "--rules" })
}

fn text_of(given: &Given) -> Judged<&str> {
    match &given.written {
        Written::Text(text) | Written::Variable(text) => Ok(text),
        other => wrong(format!("must be a text, not {}", described(other)), "write it in quotes".to_owned()),
    }
}

fn whole_of(given: &Given) -> Judged<i64> {
    match &given.written {
        Written::Whole(number) => Ok(*number),
        Written::Variable(text) => text.trim().parse().or_else(|_| wrong(format!("`{text}` is no whole number"), None)),
        Written::Text(_) => wrong("must be a whole number, not a text", "write it without quotes".to_owned()),
        other => wrong(format!("must be a whole number, not {}", described(other)), None),
    }
}

fn described(written: &Written) -> &'static str {
    match written {
        Written::Text(_) | Written::Variable(_) => "a text",
        Written::Whole(_) => "a number",
        Written::Switch(_) => "true or false",
        Written::List(_) => "a list",
        Written::Other(what) => what,
    }
}

fn one_of(text: &str, choices: &[&'static str]) -> Judged<&'static str> {
    let hint = || format!("use one of: {}", choices.join(", "));
    choices.iter().copied().find(|c| *c == text).map_or_else(|| wrong(format!("`{text}` is not known"), hint()), Ok)
}

fn permission(text: &str) -> Judged<Permission> {
    text.parse().or_else(|_| {
        let all = || Permission::ALL.iter().map(|p| p.as_str());
        let hint = match spelling::nearest(text, all()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of: {}", all().collect::<Vec<_>>().join(", ")),
        };
        wrong(format!("`{text}` is no permission"), hint)
    })
}
