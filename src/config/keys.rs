//! The keys that a configuration may have: the one list against which names are judged.
//!
//! Owns the names and what to say of a name that is none of them. `read.rs` gives them their meaning.

use crate::model::spelling;

/// Every key, as `<section>.<key>`.
pub(super) const KEYS: &[&str] = &[
    "server.listen",
    "server.public_url",
    "server.cors_origins",
    "server.trusted_proxies",
    "server.tls_cert",
    "server.tls_key",
    "storage.path",
    "storage.cache_mib",
    "storage.min_free_mib",
    "backup.folder",
    "backup.every_hours",
    "backup.keep",
    "rules.path",
    "rules.read_only",
    "limits.records_per_call",
    "limits.body_mib",
    "limits.string_bytes",
    "limits.updates_per_second",
    "limits.script_us",
    "audit.keep_days",
    "auth.company",
    "auth.require_totp",
    "mail.transport",
    "mail.from",
    "mail.smtp.host",
    "mail.smtp.port",
    "mail.smtp.tls",
    "mail.smtp.user",
    "mail.smtp.password_env",
    "sso.issuer",
    "sso.client_id",
    "sso.client_secret_env",
    "roles.name",
    "roles.permissions",
];

/// The section of the roles: a list of tables in the file, and set nowhere else.
pub(super) const ROLES: &str = "roles";

/// The list's own text of a key, or nothing if there is no such key.
pub(super) fn known(path: &str) -> Option<&'static str> {
    KEYS.iter().copied().find(|k| *k == path)
}

/// The section that a key belongs to: `mail.smtp` for `mail.smtp.host`.
pub(super) fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

/// The list's own text of a section (`mail.smtp`), or nothing if there is no such section.
pub(super) fn known_section(path: &str) -> Option<&'static str> {
    KEYS.iter().map(|k| section_of(k)).find(|s| *s == path)
}

/// What to do about a name that `section` (empty: the top) does not have.
pub(super) fn hint(section: &str, name: &str) -> String {
    let here = names_in(section);
    if let Some(near) = spelling::nearest(name, here.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if let Some(home) = KEYS.iter().find(|k| k.ends_with(&format!(".{name}"))).map(|k| section_of(k)) {
        return format!("`{name}` belongs into [{home}]");
    }
    format!("known here: {}", here.join(", "))
}

/// The keys and sections directly within `section`.
fn names_in(section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let rest =
            if section.is_empty() { Some(*key) } else { key.strip_prefix(section).and_then(|r| r.strip_prefix('.')) };
        let Some(name) = rest.and_then(|r| r.split('.').next()) else { continue };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_name_is_led_to_the_right_one() {
        assert_eq!(hint("server", "listn"), "did you mean `listen`?");
        assert_eq!(hint("", "Server"), "did you mean `server`?");
        assert_eq!(hint("server", "cache_mib"), "`cache_mib` belongs into [storage]");
        assert_eq!(hint("audit", "zzz"), "known here: keep_days");
        assert_eq!(hint("mail", "smpt"), "did you mean `smtp`?");
    }

    #[test]
    fn nested_section_is_known() {
        assert_eq!(known_section("mail.smtp"), Some("mail.smtp"));
        assert_eq!(known_section("mail.smtp.host"), None);
        assert_eq!(known("mail.smtp.host"), Some("mail.smtp.host"));
    }
}
