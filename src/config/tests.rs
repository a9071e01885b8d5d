//! What a user meets: whole files, variables and flags in, a configuration or every mistake out.

use std::path::{Path, PathBuf};

use super::*;

/// Loads a file of this text; paths in mistakes are shortened to `config.toml`.
fn load_text(text: &str, env: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let shorten = |s: String| s.replace(&format!("{}/", folder.path().display()), "");
    load(Some(&path), env, flags).map_err(|e| shorten(e.to_string())).map(|mut config| {
        let relative = |p: &mut PathBuf| *p = p.strip_prefix(folder.path()).map_or_else(|_| p.clone(), Path::to_owned);
        relative(&mut config.storage.path);
        relative(&mut config.rules.path);
        if let Some(backup) = &mut config.backup {
            relative(&mut backup.folder);
        }
        config
    })
}

fn file(text: &str) -> Result<Config, String> {
    load_text(text, &[], Flags::default())
}

fn variables(env: &[(&str, &str)]) -> Result<Config, String> {
    load_text("", env, Flags::default())
}

/// The mistakes, hints left out.
fn mistakes(loaded: Result<Config, String>) -> Vec<String> {
    loaded.unwrap_err().lines().filter(|l| !l.starts_with(' ')).map(str::to_owned).collect()
}

#[test]
fn empty_file_gives_the_defaults() {
    assert_eq!(file("").unwrap(), Config::default());
    assert_eq!(Config::default().server.public_url, "http://127.0.0.1:8080");
}

#[test]
fn reference_file_holds_the_default_of_every_key() {
    let text = include_str!("../../config.toml");
    assert_eq!(file(text).unwrap(), Config::default());
    // Optional keys stand there commented out: uncommented, the file must be good too, and hold every key.
    let all: String = text.lines().map(|l| l.strip_prefix("#: ").unwrap_or(l)).collect::<Vec<_>>().join("\n");
    let config = file(&all).unwrap();
    assert_eq!(config.backup, Some(Backup::default()));
    assert!(config.sso.is_some() && config.server.tls_key.is_some() && !config.roles.is_empty());
    let table: toml::Table = toml::from_str(&all).unwrap();
    for key in keys::KEYS {
        let mut found = Some(&toml::Value::Table(table.clone()));
        for part in key.split('.') {
            found = found.and_then(|v| v.get(part).or_else(|| v.get(0).and_then(|first| first.get(part))));
        }
        assert!(found.is_some(), "`{key}` is missing in config.toml");
    }
}

#[test]
fn named_file_that_is_missing_is_a_mistake() {
    let missing = Path::new("/nowhere/rollcall.toml");
    let error = load(Some(missing), [], Flags::default()).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/rollcall.toml:1:1: can't read the file"), "{error}");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let told = file(concat!(
        "[server]\n",
        "listn = \"127.0.0.1:80\"\n",
        "listen = \"localhost:80\"\n",
        "cors_origins = [\"https://a.example\", \"b.example\"]\n",
        "tls_cert = \"cert.pem\"\n",
        "[storag]\n",
        "[limits]\n",
        "records_per_call = 0\n",
        "body_mib = 99999\n",
        "string_bytes = \"12\"\n",
        "script_us = 1.5\n",
        "[mail]\n",
        "transport = \"smtp\"\n",
        "[sso]\n",
        "[[roles]]\n",
        "name = \"admin\"\n",
        "permissions = [\"end_users:raed\"]\n",
        "[[roles]]\n",
        "name = \"Agent\"\n",
        "permissions = [\"end_users:read\", \"nonsense\"]\n",
        "[[roles]]\n",
        "name = \"Agent\"\n",
        "permissions = []\n",
    ))
    .unwrap_err();
    told_in_order(
        &told,
        &[
            "config.toml:2:1: server.listn: there is no such key",
            "    did you mean `listen`?",
            "config.toml:3:10: server.listen: `localhost:80` is no address and port",
            "    did you mean `127.0.0.1:80`?",
            "config.toml:4:38: server.cors_origins: `b.example` is no URL",
            "    did you mean `https://b.example`?",
            "config.toml:5:12: server.tls_cert: needs `server.tls_key` beside it",
            "    set both or none",
            "config.toml:6:2: storag: there is no such section",
            "    did you mean `storage`?",
            "config.toml:8:20: limits.records_per_call: 0 is out of range",
            "    use 1 to 1000000",
            "config.toml:9:12: limits.body_mib: 99999 is out of range",
            "    use 1 to 1024",
            "config.toml:10:16: limits.string_bytes: must be a whole number, not a text",
            "    write it without quotes",
            "config.toml:11:13: limits.script_us: must be a whole number, not a fractional number",
            "config.toml:13:13: mail.transport: `smtp` needs `mail.smtp.host`",
            "    add [mail.smtp] with the `host` of the mail server",
            "config.toml:14:2: sso.issuer: is missing",
            "    set it to the provider's issuer URL, or remove [sso] to leave SSO off",
            "config.toml:16:8: roles.name: `Admin` is a built-in role",
            "    choose another name",
            "config.toml:20:34: roles.permissions: `nonsense` is no permission",
        ],
    );
    assert!(told.contains("config.toml:22:8: roles.name: there is another role `Agent`"), "{told}");
    assert!(told.contains("config.toml:17:16: roles.permissions: `end_users:raed` is no permission"), "{told}");
}

/// Each expected line is there, in this order.
fn told_in_order(told: &str, expected: &[&str]) {
    let mut lines = told.lines();
    for line in expected {
        assert!(lines.any(|l| l == *line), "`{line}` is missing, or out of order, in:\n{told}");
    }
}

#[test]
fn broken_toml_is_told_with_line_and_column() {
    let told = mistakes(file("[server]\nlisten = \nlisten = \"127.0.0.1:80\"\n[limits\n"));
    assert!(told.iter().any(|m| m.starts_with("config.toml:2:")), "{told:?}");
    assert!(told.iter().any(|m| m.starts_with("config.toml:4:")), "{told:?}");
    assert!(mistakes(file("[server]\n[server]\n"))[0].starts_with("config.toml:2:"));
}

#[test]
fn columns_count_characters() {
    let told = mistakes(file("mail = { from = \"ä@b\", opn = 1 }"));
    assert_eq!(told, ["config.toml:1:24: mail.opn: there is no such key"]);
}

#[test]
fn file_that_is_not_utf8_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, b"[server]\n# \xff\n").unwrap();
    let error = load(Some(&path), [], Flags::default()).unwrap_err();
    assert!(error.to_string().contains("config.toml:2:3: the file is not UTF-8"), "{error}");
}

#[test]
fn sections_and_keys_must_have_their_shape() {
    let told = file("server = 1\nbackup = true\n[roles]\nname = \"x\"\n[rules]\npath = []\nread_only = \"yes\"\n");
    told_in_order(
        &told.unwrap_err(),
        &[
            "config.toml:1:10: server: must be a section",
            "    write it as [server], its keys on the lines below",
            "config.toml:2:10: backup: must be a section",
            "config.toml:6:8: rules.path: must be a text, not a list",
            "config.toml:7:13: rules.read_only: must be true or false, not a text",
        ],
    );
    assert_eq!(mistakes(file("[[roles]]\n")).len(), 2, "name and permissions are missing");
    assert_eq!(mistakes(file("[roles]\nname = \"x\"\n"))[0], "config.toml:1:1: roles: must be a list of sections");
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "[storage]\npath = \"store\"\n[rules]\npath = \"/etc/rollcall/rules\"\n").unwrap();
    let env = [("ROLLCALL_BACKUP__FOLDER".to_owned(), "safe".to_owned())];
    let flags = Flags { rules: Some(PathBuf::from("mine")), ..Flags::default() };
    let config = load(Some(&path), env, flags).unwrap();
    assert_eq!(config.storage.path, folder.path().join("store"));
    assert_eq!(config.backup.unwrap().folder, folder.path().join("safe"));
    assert_eq!(config.rules.path, Path::new("mine"), "a flag's path starts where the command runs");
}

#[test]
fn variables_override_the_file_and_flags_override_both() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\n[storage]\ncache_mib = 8\n";
    let env = [("ROLLCALL_SERVER__LISTEN", "127.0.0.1:2"), ("ROLLCALL_STORAGE__PATH", "there")];
    let config = load_text(text, &env, Flags::default()).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!((config.storage.cache_mib, config.storage.path), (8, PathBuf::from("there")));
    let flags = Flags {
        listen: Some("127.0.0.1:3".parse().unwrap()),
        data: Some(PathBuf::from("/d")),
        rules: Some(PathBuf::from("/r")),
    };
    let config = load_text(text, &env, flags).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!((config.storage.path, config.rules.path), (PathBuf::from("/d"), PathBuf::from("/r")));
}

#[test]
fn variables_are_read_as_their_key_asks() {
    let config = variables(&[
        ("ROLLCALL_SERVER__CORS_ORIGINS", "https://a.example, https://b.example"),
        ("ROLLCALL_SERVER__TRUSTED_PROXIES", "[\"10.0.0.1\", \"::1\"]"),
        ("ROLLCALL_LIMITS__BODY_MIB", "3"),
        ("ROLLCALL_RULES__READ_ONLY", "true"),
        ("ROLLCALL_MAIL__TRANSPORT", "smtp"),
        ("ROLLCALL_MAIL__SMTP__HOST", "smtp.example"),
        ("ROLLCALL_SECRET_KEY", "none of ours"),
        ("ROLLCALL_TOKEN", "none of ours"),
        ("OTHER__THING", "none of ours"),
    ])
    .unwrap();
    assert_eq!(config.server.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.limits.body_mib, 3);
    assert!(config.rules.read_only);
    assert!(matches!(config.mail.transport, MailTransport::Smtp { host, port: 587, .. } if host == "smtp.example"));
    assert!(variables(&[("ROLLCALL_SERVER__CORS_ORIGINS", "")]).unwrap().server.cors_origins.is_empty());
}

#[test]
fn mistake_in_a_variable_names_the_variable() {
    let told = variables(&[
        ("ROLLCALL_SERVER__LISTN", "127.0.0.1:80"),
        ("ROLLCALL_LIMITS__BODY_MIB", "ten"),
        ("ROLLCALL_RULES__READ_ONLY", "yes"),
        ("ROLLCALL_SERVER__TRUSTED_PROXIES", "[1]"),
        ("ROLLCALL_ROLES__NAME", "Agent"),
        ("ROLLCALL_server__listen", "127.0.0.1:80"),
    ]);
    told_in_order(
        &told.unwrap_err(),
        &[
            "ROLLCALL_LIMITS__BODY_MIB: limits.body_mib: `ten` is no whole number",
            "ROLLCALL_ROLES__NAME: there is no such key",
            "    roles are set in the file alone, as [[roles]]",
            "ROLLCALL_RULES__READ_ONLY: rules.read_only: `yes` is neither true nor false",
            "ROLLCALL_SERVER__LISTN: there is no such key",
            "    did you mean `ROLLCALL_SERVER__LISTEN`?",
            "ROLLCALL_SERVER__TRUSTED_PROXIES: server.trusted_proxies: must be a text, not a number",
            "ROLLCALL_server__listen: there is no such key",
            "    did you mean `ROLLCALL_SERVER__LISTEN`?",
        ],
    );
}

#[test]
fn variable_mends_a_bad_value_in_the_file() {
    let env = [("ROLLCALL_LIMITS__BODY_MIB", "3")];
    assert_eq!(load_text("[limits]\nbody_mib = 0\n", &env, Flags::default()).unwrap().limits.body_mib, 3);
}

#[test]
fn public_address_follows_listen_until_it_is_set() {
    let url = |text: &str| file(text).unwrap().server.public_url;
    assert_eq!(url("[server]\nlisten = \"127.0.0.1:9000\"\n"), "http://127.0.0.1:9000");
    let tls = "[server]\nlisten = \"0.0.0.0:443\"\ntls_cert = \"c.pem\"\ntls_key = \"k.pem\"\n";
    assert_eq!(url(tls), "https://127.0.0.1:443");
    assert_eq!(url("[server]\npublic_url = \"https://r.example/\"\n"), "https://r.example");
}

#[test]
fn optional_sections_are_off_until_named() {
    assert_eq!(file("[backup]\n").unwrap().backup, Some(Backup::default()));
    let sso = file("[sso]\nissuer = \"https://idp.example/tenant/\"\n").unwrap().sso.unwrap();
    assert_eq!(sso.issuer, "https://idp.example/tenant/");
    assert_eq!((sso.client_id.as_str(), sso.client_secret_env.as_str()), ("rollcall", "ROLLCALL_SSO_SECRET"));
    assert!(variables(&[("ROLLCALL_BACKUP__KEEP", "3")]).unwrap().backup.is_some_and(|b| b.keep == 3));
}

#[test]
fn role_adds_permissions_under_its_own_name() {
    let config = file(
        "[[roles]]\nname = \"[CC] Agent\"\npermissions = [\"end_users:read\", \"segments:read\", \"end_users:read\"]\n",
    )
    .unwrap();
    assert_eq!(config.roles[0].name, "[CC] Agent");
    assert_eq!(config.roles[0].permissions.len(), 2);
}

#[test]
fn mail_by_smtp_needs_its_parts_together() {
    let smtp = |extra: &str| file(&format!("[mail]\ntransport = \"smtp\"\n[mail.smtp]\nhost = \"h\"\n{extra}"));
    let port = |extra: &str| match smtp(extra).unwrap().mail.transport {
        MailTransport::Smtp { port, .. } => port,
        MailTransport::File => 0,
    };
    assert_eq!((port(""), port("tls = \"tls\""), port("tls = \"none\""), port("port = 2525")), (587, 465, 25, 2525));
    assert_eq!(
        mistakes(smtp("user = \"u\"")),
        ["config.toml:5:8: mail.smtp.user: needs `mail.smtp.password_env` beside it"]
    );
    assert!(mistakes(smtp("port = 0"))[0].contains("mail.smtp.port: 0 is out of range"));
    assert!(mistakes(smtp("tls = \"ssl\""))[0].contains("mail.smtp.tls: `ssl` is not known"));
}

#[test]
fn data_is_kept_out_of_the_rules_folder() {
    assert_eq!(
        mistakes(file("[storage]\npath = \"rules/data\"\n")).len(),
        1,
        "any file under the rules folder is a rule or an error"
    );
    let flags = Flags { data: Some(PathBuf::from("r/data")), rules: Some(PathBuf::from("r")), ..Flags::default() };
    assert_eq!(mistakes(load_text("", &[], flags)), ["--data: storage.path: `r/data` is in the rules folder `r`"]);
}
