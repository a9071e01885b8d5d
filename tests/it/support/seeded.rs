//! Operators put into the store of a stopped server, in every state that there is, and the mails that reach them.

use std::fs;

use rollcall::accounts::{PasswordHash, Secret, UserRecord};
use rollcall::clock::Clock;
use rollcall::engine::{Engine, EngineOptions};
use rollcall::store::{self, Options, Store, Table};
use serde_json::{Value, json};

use super::server::Setup;
use super::visitor::{FIRST_EMAIL, FIRST_PASSWORD};
use super::{Home, Server, crm, eventually};

/// The password of every operator that is put into the store.
pub const PASSWORD: &str = "canary-Battery!paper-17";

impl Server {
    /// A server with an active Admin, that believes what 127.0.0.1 says of its callers.
    pub fn with_admin() -> Setup {
        Self::with(&[("s/integrations/crm.toml", crm())])
            .env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", FIRST_EMAIL)
            .env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", FIRST_PASSWORD)
            .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
    }

    /// Puts operators into the store, between a stop and a start.
    #[track_caller]
    pub fn put_operators(self, operators: &[Value]) -> Self {
        assert_eq!(self.stop().code, Some(0));
        let home = self.into_home();
        home.put_operators(operators);
        home.start()
    }
}

/// An operator's record: an active Viewer with [`PASSWORD`], changed by `fields`.
pub fn operator(username: &str, fields: &Value) -> Value {
    let mut record = json!({
        "username": username, "first_name": "", "last_name": "", "email": format!("{username}@x.example"),
        "automatic_update": false, "excluded_from_user_activity": false, "login_blocked": false,
        "roles": { "primary_role": "Viewer", "extra_roles": [] },
        "data_access": [{ "role": "Viewer", "data_view": "*", "unit_group": "*" }],
        "login_method": "password", "sso_id": null, "status": "ACTIVE",
        "created_on": "2026-01-01T00:00:00.000Z", "modified_on": "2026-01-01T00:00:00.000Z", "modified_by": "tests",
        "login_count": 0, "failed_login_count": 0, "password_not_set_reason": null,
        "password": PasswordHash::of_new(&Secret::new(PASSWORD.to_owned())).expect("hash the password"),
        "activation": null,
    });
    for (key, value) in fields.as_object().expect("fields") {
        record[key] = value.clone();
    }
    record
}

impl Home {
    /// Puts operators into the store; nothing runs on it.
    pub fn put_operators(&self, operators: &[Value]) {
        let store = Store::open(&self.data(), &Options { cache_mib: 8 }).expect("open the store");
        let engine =
            Engine::start(store, Clock::system(), &EngineOptions { min_free_mib: 0 }).expect("start the engine");
        let records = operators.iter().map(|operator| {
            let record: UserRecord = serde_json::from_value(operator.clone()).expect("an operator's record");
            (Table::Users, record.username.clone().into_bytes(), Some(store::encode(&record).expect("encode it")))
        });
        engine.write_records_blocking(records.collect()).expect("write the operators");
        engine.stop();
    }

    /// The mails in the outbox, the oldest first, with the encoding of long lines undone.
    pub fn mails(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.data().join("outbox")) else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        paths.iter().map(|path| plain(&fs::read_to_string(path).expect("read the mail"))).collect()
    }

    /// Waits for the n-th mail to an address.
    #[track_caller]
    pub fn mail_to(&self, address: &str, number: usize) -> String {
        eventually(&format!("mail {number} to {address} is in the outbox"), || {
            let mut mails = self.mails();
            mails.retain(|mail| mail.contains(&format!("{address}>")) || mail.contains(&format!("To: {address}")));
            if mails.len() >= number { Ok(mails.remove(number - 1)) } else { Err(format!("{} mails", mails.len())) }
        })
    }
}

/// A mail without its quoted-printable encoding.
pub fn plain(mail: &str) -> String {
    mail.replace("=\r\n", "").replace("=3D", "=")
}

/// The token of the link in a mail.
#[track_caller]
pub fn token_in(mail: &str) -> String {
    let rest = mail.split("?token=").nth(1).unwrap_or_else(|| panic!("no link in {mail}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
}
