//! The room as a whole: tokens from request to end, and first starts.

mod door;
mod operators;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::vault::memory::MemoryVault;
use super::*;
use crate::config;
use crate::model::{Permission, Timestamp};

const START: i64 = 1_700_000_000_000;
const DAY_S: u64 = 86_400;

fn config(data: &Path) -> Config {
    Config {
        server: config::Server {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: "http://rollcall.test".to_owned(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls_cert: None,
            tls_key: None,
        },
        storage: config::Storage { path: data.to_owned(), cache_mib: 64, min_free_mib: 0 },
        backup: None,
        rules: config::Rules { path: data.join("rules"), read_only: false },
        limits: config::Limits {
            records_per_call: 1,
            body_mib: 1,
            string_bytes: 1,
            updates_per_second: 0,
            script_us: 1,
        },
        audit: config::Audit { keep_days: 1 },
        auth: config::Auth { company: "default".to_owned(), require_totp: false },
        mail: config::Mail { transport: config::MailTransport::File, from: "Rollcall <r@localhost>".to_owned() },
        sso: None,
        roles: vec![config::Role { name: "Metrics".to_owned(), permissions: vec![Permission::MetricsRead] }],
    }
}

/// A data folder with its store and clock, and an environment.
struct House {
    data: tempfile::TempDir,
    vault: Arc<MemoryVault>,
    clock: Clock,
    env: BTreeMap<&'static str, String>,
}

impl House {
    fn empty() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START));
        Self { data: tempfile::tempdir().unwrap(), vault: Arc::default(), clock, env: BTreeMap::new() }
    }

    fn open(&self) -> Result<(Arc<Accounts>, Option<Bootstrap>), AccountsError> {
        let env = |name: &str| self.env.get(name).cloned();
        Accounts::open(Arc::clone(&self.vault) as Arc<dyn Vault>, &config(self.data.path()), self.clock.clone(), &env)
    }

    /// A store that has clients `a` (with the role), `b` (Viewer) and `c` (of a role that there is not); all their secrets
    /// are `secret`.
    fn with_clients(role: &str, systems: Option<&[&str]>) -> (Self, Arc<Accounts>) {
        let house = Self::empty();
        let key = ServerKey::new(&[5; 32]);
        fs::write(house.data.path().join("secret.key"), hex::encode([5; 32])).unwrap();
        house.vault.put(Table::Server, KEY_CHECK, &key.check());
        let systems = systems.map(|list| Arc::new(list.iter().map(|id| id.parse().unwrap()).collect()));
        for (id, role, systems) in [("a", role, systems), ("b", "Viewer", None), ("c", "Gone", None)] {
            let client = Client {
                id: id.to_owned(),
                secret_hash: key.mac_key("client secrets").tag(b"secret"),
                description: String::new(),
                role: role.to_owned(),
                systems,
                enabled: true,
                generation: 1,
                created_at: Timestamp::default(),
            };
            house.vault.put(Table::Clients, id, &client);
        }
        let (accounts, bootstrap) = house.open().unwrap();
        assert!(bootstrap.is_none());
        (house, accounts)
    }

    fn after(&self, seconds: i64) {
        self.clock.set(Timestamp::from_millis(START + seconds * 1000));
    }

    fn note(&self) -> std::path::PathBuf {
        self.data.path().join("first-run.txt")
    }

    fn user(&self, name: &str) -> UserRecord {
        vault::read_one(&*self.vault, Table::Users, name).unwrap().unwrap()
    }
}

/// An actor who may do everything.
pub(super) fn admin() -> Actor {
    let everything = Permission::ALL.iter().copied().collect();
    Actor { principal: Arc::new(Principal::client_for_tests("root", everything, None)), address: None }
}

fn token(accounts: &Accounts, client: &str) -> String {
    accounts.issue_token(client, "secret", None, DAY_S).unwrap().access_token
}

#[test]
fn a_client_gets_a_token_for_what_its_role_grants() {
    let (_house, accounts) = House::with_clients("Integration", Some(&["here"]));
    let issued = accounts.issue_token("a", "secret", None, DAY_S).unwrap();
    assert_eq!((issued.token_type, issued.expires_in, issued.scope.as_str()), ("Bearer", DAY_S, "end_users:write"));
    let principal = accounts.authenticate(&issued.access_token).unwrap();
    assert_eq!((principal.name.as_str(), principal.role.as_str()), ("a", "Integration"));
    assert!(principal.may(Permission::EndUsersWrite, Some(&"here".parse().unwrap())));
    assert!(!principal.may(Permission::EndUsersWrite, Some(&"there".parse().unwrap())));
    assert!(!principal.may(Permission::EndUsersRead, Some(&"here".parse().unwrap())));
}

#[test]
fn a_scope_narrows_the_token_and_never_widens_it() {
    let (_house, accounts) = House::with_clients("Metrics", None);
    let issued = accounts.issue_token("b", "secret", Some("segments:read end_users:read"), 60).unwrap();
    assert_eq!(issued.scope, "end_users:read segments:read");
    let principal = accounts.authenticate(&issued.access_token).unwrap();
    assert!(principal.may(Permission::SegmentsRead, None) && !principal.may(Permission::SystemsRead, None));
    assert_eq!(token_permissions(&accounts, "a"), "metrics:read");
    let refused = accounts.issue_token("a", "secret", Some("metrics:read operate"), 60).unwrap_err();
    assert!(matches!(refused, TokenError::InvalidScope(_)));
}

#[test]
fn a_client_of_an_unknown_role_may_do_nothing() {
    let (_house, accounts) = House::with_clients("Admin", None);
    assert_eq!(token_permissions(&accounts, "c"), "");
    assert!(matches!(accounts.issue_token("c", "secret", Some("operate"), 60), Err(TokenError::InvalidScope(_))));
}

fn token_permissions(accounts: &Accounts, client: &str) -> String {
    accounts.authenticate(&token(accounts, client)).unwrap().permissions().to_scope()
}

#[tokio::test]
async fn unknown_disabled_and_wrong_are_one_answer() {
    let (_house, accounts) = House::with_clients("Admin", None);
    accounts.set_client_enabled(admin(), "b".to_owned(), false).await.unwrap();
    for (id, secret) in [("nobody", "secret"), ("a", "Secret"), ("a", ""), ("", ""), ("b", "secret")] {
        assert_eq!(accounts.issue_token(id, secret, None, 60).unwrap_err(), TokenError::InvalidClient, "{id} {secret}");
    }
}

#[test]
fn a_token_ends_with_its_lifetime_also_when_it_was_just_used() {
    let (house, accounts) = House::with_clients("Admin", None);
    let token = token(&accounts, "a");
    for (after, counts) in
        [(0, true), (86_399, true), (86_400, false), (400 * 86_400, false), (-3600, true), (60, true)]
    {
        house.after(after);
        assert_eq!(accounts.authenticate(&token).is_some(), counts, "after {after} s");
    }
}

#[test]
fn a_token_from_a_clock_that_ran_ahead_does_not_outlive_its_lifetime() {
    let (house, accounts) = House::with_clients("Admin", None);
    house.after(400 * 86_400);
    let token = token(&accounts, "a");
    assert!(accounts.authenticate(&token).is_some());
    house.after(0);
    assert!(accounts.authenticate(&token).is_none());
}

#[tokio::test]
async fn disabling_a_client_ends_its_tokens_at_once_and_for_good() {
    let (house, accounts) = House::with_clients("Admin", None);
    let (used, unused, others) = (token(&accounts, "a"), token(&accounts, "a"), token(&accounts, "b"));
    assert!(accounts.authenticate(&used).is_some());
    assert!(accounts.verified.get(&used, house.clock.now()).is_some(), "it is kept as verified");
    assert!(accounts.authenticate(&others).is_some());
    accounts.set_client_enabled(admin(), "a".to_owned(), false).await.unwrap();
    assert!(accounts.authenticate(&used).is_none());
    assert!(accounts.authenticate(&unused).is_none());
    assert!(accounts.authenticate(&others).is_some());
    accounts.set_client_enabled(admin(), "a".to_owned(), true).await.unwrap();
    assert!(accounts.authenticate(&used).is_none());
    assert!(accounts.authenticate(&token(&accounts, "a")).is_some());
    let (reopened, _) = house.open().unwrap();
    assert!(reopened.authenticate(&used).is_none());
    assert!(reopened.authenticate(&others).is_some(), "tokens outlive a restart");
}

#[tokio::test]
async fn rotating_a_client_ends_its_secret_and_its_tokens() {
    let (house, accounts) = House::with_clients("Admin", None);
    let old = token(&accounts, "a");
    assert!(accounts.authenticate(&old).is_some());
    let (_, secret) = accounts.rotate_client_secret(admin(), "a".to_owned()).await.unwrap();
    assert!(accounts.authenticate(&old).is_none());
    let (reopened, _) = house.open().unwrap();
    for accounts in [accounts, reopened] {
        assert!(accounts.issue_token("a", "secret", None, 60).is_err());
        let fresh = accounts.issue_token("a", secret.reveal(), None, 60).unwrap();
        assert!(accounts.authenticate(&fresh.access_token).is_some());
    }
}

#[tokio::test]
async fn a_change_that_can_not_be_written_changes_nothing() {
    let (house, accounts) = House::with_clients("Admin", None);
    let token = token(&accounts, "a");
    let (system, crm) = ("default".parse().unwrap(), "crm".parse().unwrap());
    let integration_token = accounts.integration_token(&system, &crm);
    house.vault.full.store(true, Ordering::SeqCst);
    assert!(matches!(
        accounts.rotate_client_secret(admin(), "a".to_owned()).await,
        Err(ClientError::Write(WriteError::DiskFull))
    ));
    assert!(matches!(
        accounts.set_client_enabled(admin(), "nobody".to_owned(), true).await,
        Err(ClientError::Unknown(_))
    ));
    assert!(accounts.rotate_integration_token(admin(), &system, &crm, 0).await.is_err());
    assert!(accounts.authenticate(&token).is_some());
    assert_eq!(accounts.integration_token(&system, &crm), integration_token);
    assert!(accounts.revoke("a", &token).await.is_err());
    assert!(accounts.authenticate(&token).is_none(), "giving a token back ends it even so");
}

#[tokio::test]
async fn a_revoked_token_stays_ended() {
    let (house, accounts) = House::with_clients("Admin", None);
    let (revoked, kept) = (token(&accounts, "a"), token(&accounts, "a"));
    assert!(accounts.authenticate(&revoked).is_some());
    accounts.revoke("b", &revoked).await.unwrap();
    assert!(accounts.authenticate(&revoked).is_some(), "it is not b's");
    accounts.revoke("a", "no.token.of-ours").await.unwrap();
    accounts.revoke("a", &revoked).await.unwrap();
    let (reopened, _) = house.open().unwrap();
    for accounts in [accounts, reopened] {
        assert!(accounts.authenticate(&revoked).is_none());
        assert!(accounts.authenticate(&kept).is_some());
    }
}

#[tokio::test]
async fn expired_revocations_are_dropped() {
    let (house, accounts) = House::with_clients("Admin", None);
    let (first, second) = (token(&accounts, "a"), token(&accounts, "a"));
    accounts.revoke("a", &first).await.unwrap();
    house.after(2 * 86_400);
    accounts.revoke("a", &second).await.unwrap();
    assert_eq!(house.vault.records(Table::Revoked).unwrap().len(), 2, "a day is left for a clock that runs ahead");
    house.after(2 * 86_400 + 1);
    let late = token(&accounts, "a");
    accounts.revoke("a", &late).await.unwrap();
    assert_eq!(house.vault.records(Table::Revoked).unwrap().len(), 1);
    house.after(10 * 86_400);
    house.open().unwrap();
    assert!(house.vault.records(Table::Revoked).unwrap().is_empty());
}

#[tokio::test]
async fn rotated_and_retired_integration_tokens_differ_and_last() {
    let (house, accounts) = House::with_clients("Admin", None);
    let (system, crm) = ("default".parse().unwrap(), "crm".parse().unwrap());
    let first = accounts.integration_token(&system, &crm);
    accounts.rotate_integration_token(admin(), &system, &crm, 24).await.unwrap();
    let second = accounts.integration_token(&system, &crm);
    accounts.retire(&system, &crm).unwrap();
    let third = accounts.integration_token(&system, &crm);
    assert!(first != second && second != third && first != third);
    let (reopened, _) = house.open().unwrap();
    assert_eq!(reopened.integration_token(&system, &crm), third);
    assert_eq!(accounts.integration_of(&Arc::new(LiveRules::default()), &third), None, "no rules, no integration");
}

#[test]
fn an_empty_store_gets_made_credentials_that_work() {
    let house = House::empty();
    let (accounts, bootstrap) = house.open().unwrap();
    let run = bootstrap.unwrap().finish(&LiveRules::default()).unwrap();
    assert_eq!(run.file, Some(house.note()));
    assert_eq!(fs::read_to_string(house.note()).unwrap(), run.text);
    assert_eq!(fs::metadata(house.note()).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = run.text.split_whitespace().find(|word| word.starts_with("rcs_")).unwrap();
    let (reopened, again) = house.open().unwrap();
    assert!(again.is_none());
    for accounts in [accounts, reopened] {
        let issued = accounts.issue_token("admin", secret, None, 60).unwrap();
        assert_eq!(issued.scope.split(' ').count(), Permission::ALL.len());
    }
    let user = house.user("admin");
    assert_eq!((user.status, user.roles.primary_role.as_str()), (UserStatus::Provisioned, "Admin"));
    assert_eq!(user.password_not_set_reason, Some(PasswordNotSetReason::NewAccount));
    assert_eq!(user.data_access[0].data_view, "*");
    let link = run.text.split("activate?token=").nth(1).unwrap().lines().next().unwrap();
    let activation = user.activation.unwrap();
    assert_eq!(activation.hash, accounts_key(&house).derive("activation token", &[link]));
    assert_eq!(activation.until.as_millis(), START + 7 * 86_400_000);
}

fn accounts_key(house: &House) -> ServerKey {
    house.open().unwrap().0.key.clone()
}

#[test]
fn given_credentials_are_taken_and_told_nowhere() {
    let mut house = House::empty();
    house.env = BTreeMap::from([
        ("ROLLCALL_BOOTSTRAP_CLIENT_ID", "ci".to_owned()),
        ("ROLLCALL_BOOTSTRAP_CLIENT_SECRET", "canary-client".to_owned()),
        ("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", "Ops+1@example.com".to_owned()),
        ("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", "canary-admin!".to_owned()),
        ("ROLLCALL_SECRET_KEY", "ab".repeat(32)),
    ]);
    let (accounts, bootstrap) = house.open().unwrap();
    let bootstrap = bootstrap.unwrap();
    let shown = format!("{bootstrap:?}");
    let run = bootstrap.finish(&LiveRules::default()).unwrap();
    assert_eq!(run.file, None);
    assert_eq!(fs::read_dir(house.data.path()).unwrap().count(), 0, "neither note nor key is written");
    assert!(accounts.issue_token("ci", "canary-client", None, 60).is_ok());
    let user = house.user("Ops_1@example.com");
    assert_eq!((user.status, user.email.as_str()), (UserStatus::Active, "Ops+1@example.com"));
    assert!(user.password.is_some() && user.activation.is_none() && user.password_not_set_reason.is_none());
    let stored: Vec<u8> = [Table::Clients, Table::Users, Table::Server]
        .into_iter()
        .flat_map(|table| house.vault.records(table).unwrap().into_iter().flat_map(|(_, value)| value))
        .collect();
    for text in [&shown, &format!("{run:?}"), &run.text, &String::from_utf8_lossy(&stored).into_owned()] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn one_half_given_leaves_the_other_half_to_be_made() {
    let mut house = House::empty();
    house.env = BTreeMap::from([
        ("ROLLCALL_BOOTSTRAP_CLIENT_ID", "ci".to_owned()),
        ("ROLLCALL_BOOTSTRAP_CLIENT_SECRET", "canary-client".to_owned()),
    ]);
    let run = house.open().unwrap().1.unwrap().finish(&LiveRules::default()).unwrap();
    assert!(run.text.contains("activate?token=rca_") && !run.text.contains("canary"), "{}", run.text);
    assert_eq!(run.file, Some(house.note()));
    assert_eq!(house.user("admin").status, UserStatus::Provisioned);
}

#[test]
fn bad_bootstrap_variables_stop_the_start_before_anything_is_stored() {
    let mut house = House::empty();
    house.env = BTreeMap::from([
        ("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", "ops@example.com".to_owned()),
        ("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", "tooshort!".to_owned()),
    ]);
    let message = house.open().unwrap_err_text();
    assert!(message.starts_with("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD: ") && message.contains("at least 10"), "{message}");
    assert!(!message.contains("tooshort"), "{message}");
    house.env.remove("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD");
    assert!(house.open().unwrap_err_text().contains("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD is not"));
    assert!(house.vault.records(Table::Users).unwrap().is_empty());
}

trait ErrText {
    fn unwrap_err_text(self) -> String;
}
impl ErrText for Result<(Arc<Accounts>, Option<Bootstrap>), AccountsError> {
    fn unwrap_err_text(self) -> String {
        self.err().unwrap().to_string()
    }
}

#[test]
fn a_crash_before_the_records_are_written_loses_no_secret() {
    let house = House::empty();
    let (_, bootstrap) = house.open().unwrap();
    house.vault.full.store(true, Ordering::SeqCst);
    assert!(bootstrap.unwrap().finish(&LiveRules::default()).is_err());
    let first = fs::read_to_string(house.note()).unwrap();
    house.vault.full.store(false, Ordering::SeqCst);
    let (accounts, bootstrap) = house.open().unwrap();
    let run = bootstrap.expect("the store is still empty").finish(&LiveRules::default()).unwrap();
    assert_ne!(first, run.text);
    let note = fs::read_to_string(house.note()).unwrap();
    let secret = note.split_whitespace().find(|word| word.starts_with("rcs_")).unwrap();
    assert!(accounts.issue_token("admin", secret, None, 60).is_ok());
}

#[test]
fn a_note_that_can_not_be_written_stores_nothing() {
    let house = House::empty();
    let (_, bootstrap) = house.open().unwrap();
    fs::create_dir(house.note()).unwrap();
    let error = bootstrap.unwrap().finish(&LiveRules::default()).unwrap_err();
    assert!(error.to_string().contains("first-run.txt"), "{error}");
    assert!(house.vault.records(Table::Clients).unwrap().is_empty());
}

#[test]
fn a_store_is_refused_under_another_key_or_none() {
    let mut house = House::empty();
    house.open().unwrap().1.unwrap().finish(&LiveRules::default()).unwrap();
    house.env.insert("ROLLCALL_SECRET_KEY", "cd".repeat(32));
    let message = house.open().unwrap_err_text();
    assert!(message.contains("ROLLCALL_SECRET_KEY") && message.contains("rotate-key"), "{message}");
    assert!(!message.contains("cdcd"), "{message}");
    house.env.clear();
    assert!(house.open().is_ok());
    fs::remove_file(house.data.path().join("secret.key")).unwrap();
    assert!(matches!(house.open().err().unwrap(), AccountsError::Key(KeyError::Missing { .. })));
    assert!(!house.data.path().join("secret.key").exists(), "no other key is made in its place");
}

#[test]
fn a_record_of_a_newer_release_is_refused_by_name() {
    let (house, _) = House::with_clients("Admin", None);
    house.vault.write(vec![(Table::Clients, b"a".to_vec(), Some(vec![99, 1]))]).unwrap();
    let message = house.open().unwrap_err_text();
    assert!(message.contains("`a`") && message.contains("Clients"), "{message}");
}

proptest! {
    #[test]
    fn no_string_gets_in(id in ".{0,12}", secret in ".{0,50}") {
        thread_local! { static HOUSE: (House, Arc<Accounts>) = House::with_clients("Admin", None); }
        HOUSE.with(|(_, accounts)| {
            prop_assert!(accounts.authenticate(&secret).is_none());
            let parts = [id.as_str(), &secret, &id].join(".");
            prop_assert!(accounts.authenticate(&parts).is_none());
            prop_assert!(secret == "secret" || accounts.issue_token("a", &secret, None, 60).is_err());
            prop_assert!(["a", "b", "c"].contains(&id.as_str()) || accounts.issue_token(&id, "secret", None, 60).is_err());
            Ok(())
        })?;
    }
}
