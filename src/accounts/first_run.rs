//! What a newcomer is told at the first start: the credentials, and three lines to paste into a shell.
//!
//! Owns the text. Knows nothing of how credentials are made or kept. Invariant: a credential that came from the
//! environment is not in the text, only the variable that holds it; every other text in a shell line is quoted.

use std::fmt::Write as _;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::bootstrap::{ADMIN_EMAIL, CLIENT_ID, CLIENT_SECRET};
use super::secret::Secret;
use crate::model::{AttributeType, IntegrationId, SystemId, Timestamp};
use crate::ruleset::{Integration, IntegrationKind, LiveRules, RuleSet};

/// The end user of the example.
const END_USER: &str = "john@example.com";
/// Most fields in the example's record, so that it stays a line.
const MAX_FIELDS: usize = 6;

/// The first client's credentials.
#[derive(Debug, Clone)]
pub enum ClientNote {
    /// We made them: the id and the secret.
    Made(String, Secret),
    /// They are in the environment.
    FromEnvironment,
}

/// How the first Admin gets in.
#[derive(Debug, Clone)]
pub enum AdminNote {
    /// By a link with this token, under this username.
    Invited(String, Secret),
    /// With the password in the environment.
    FromEnvironment,
}

/// An update that the live rules take: its integration, token and one record.
#[derive(Clone)]
pub struct Example {
    /// The system.
    pub system: SystemId,
    /// Its integration token.
    pub token: String,
    /// The record.
    pub record: Map<String, Value>,
}

impl std::fmt::Debug for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Example").field("system", &self.system).field("record", &self.record).finish_non_exhaustive()
    }
}

impl Example {
    /// An update of the first enabled `api` integration of `default`, or of the first system that has one.
    pub(super) fn of(
        rules: &LiveRules,
        token: impl Fn(&SystemId, &IntegrationId) -> String,
        now: Timestamp,
    ) -> Option<Self> {
        let usable = |rules: &Arc<RuleSet>| {
            let fit = |i: &&Integration| i.enabled && i.kind == IntegrationKind::Api && !i.properties.is_empty();
            rules.integrations.values().find(fit).map(|integration| integration.id.clone())
        };
        let default = rules.systems.iter().filter(|(id, _)| id.as_str() == "default");
        let (system, rules, id) = default
            .chain(&rules.systems)
            .find_map(|(system, rules)| usable(rules).map(|integration| (system, rules, integration)))?;
        let integration = rules.integrations.get(&id)?;
        let segments: Vec<&str> =
            rules.files.iter().filter(|(path, _)| path.starts_with("segments/")).map(|(_, text)| &**text).collect();
        let mut record = Map::new();
        record.insert(integration.user_identifier.as_str().to_owned(), END_USER.into());
        for property in integration.properties.iter().take(MAX_FIELDS) {
            let attribute = format!("{id}.{}", property.name);
            let value = sample(&attribute, property.kind, &segments, now);
            record.entry(property.field.as_str()).or_insert(value);
        }
        Some(Self { system: system.clone(), token: token(system, &id), record })
    }
}

/// A value for an attribute: one that the segments ask for, so that the example's answer has a segment in it.
fn sample(attribute: &str, kind: AttributeType, segments: &[&str], now: Timestamp) -> Value {
    let asked = |pattern: &str| {
        let pattern = Regex::new(&format!(r"\b{}\s*{pattern}", regex::escape(attribute))).ok()?;
        segments.iter().find_map(|text| pattern.captures(text)?.get(1).map(|found| found.as_str().to_owned()))
    };
    match kind {
        AttributeType::String => asked(r#"==\s*"([^"\\]+)""#).unwrap_or_else(|| "example".to_owned()).into(),
        AttributeType::Number => {
            let least = asked(r">=\s*([0-9]{1,12})\b").and_then(|digits| digits.parse::<u64>().ok());
            let above = asked(r">\s*([0-9]{1,12})\b").and_then(|digits| digits.parse::<u64>().ok());
            least.max(above.map(|bound| bound + 1)).unwrap_or(1).into()
        }
        AttributeType::Date => now.to_string().get(..10).unwrap_or("2024-01-01").into(),
    }
}

/// The first run's text: credentials and ready shell lines.
#[must_use]
pub fn first_run_text(public_url: &str, client: &ClientNote, admin: &AdminNote, example: Option<&Example>) -> String {
    let mut text = String::from("Rollcall's first run\n\n");
    let user = match client {
        ClientNote::Made(id, secret) => {
            let _ = writeln!(text, "Client (role Admin)\n  id      {id}\n  secret  {}\n", secret.reveal());
            quoted(&format!("{id}:{}", secret.reveal()))
        }
        ClientNote::FromEnvironment => {
            let _ = writeln!(text, "Client (role Admin): as {CLIENT_ID} and {CLIENT_SECRET} say.\n");
            format!("\"${CLIENT_ID}:${CLIENT_SECRET}\"")
        }
    };
    match admin {
        AdminNote::Invited(username, token) => {
            let link = format!("{public_url}/activate?token={}", token.reveal());
            let _ = writeln!(text, "Operator {username} (role Admin): choose a password within 7 days at\n  {link}\n");
        }
        AdminNote::FromEnvironment => {
            let _ = writeln!(text, "Operator (role Admin): active, as {ADMIN_EMAIL} says.\n");
        }
    }
    if matches!((client, admin), (ClientNote::Made(..), _) | (_, AdminNote::Invited(..))) {
        text.push_str("Only hashes of these secrets are stored: keep them in a safe place, then delete the file.\n\n");
    }
    let token_url = quoted(&format!("{public_url}/accounts/connect/token"));
    let _ = writeln!(
        text,
        "# 1. Get an access token\n\
         TOKEN=$(curl -sS -u {user} -d grant_type=client_credentials {token_url} | sed -n 's/.*\"access_token\": *\"\\([^\"]*\\)\".*/\\1/p')\n"
    );
    match example {
        Some(example) => add_example(&mut text, public_url, example),
        None => text.push_str(
            "# 2. No system has an enabled integration of kind \"api\" yet: write one under the rules folder,\n\
             # as `integrations/crm.toml`, and updates can be sent to it.\n",
        ),
    }
    text
}

fn add_example(text: &mut String, public_url: &str, example: &Example) {
    const BEARER: &str = "-H \"Authorization: Bearer $TOKEN\"";
    let body = serde_json::json!({"token": example.token, "data": [example.record]});
    let update = quoted(&format!("{public_url}/public/v1/user/data"));
    let read = quoted(&format!("{public_url}/public/v1/systems/{}/end-users/{END_USER}/segments", example.system));
    let _ = writeln!(
        text,
        "# 2. Update an end user\n\
         curl -sS {BEARER} -H 'Content-Type: application/json' -d {} {update}\n\n\
         # 3. Read the segments that follow\n\
         curl -sS {BEARER} {read}",
        quoted(&body.to_string())
    );
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:8080";

    fn made() -> (ClientNote, AdminNote) {
        let client = ClientNote::Made("admin".to_owned(), Secret::new("rcs_abc".to_owned()));
        (client, AdminNote::Invited("admin".to_owned(), Secret::new("rca_xyz".to_owned())))
    }

    fn example() -> Example {
        let record = serde_json::json!({"Email": END_USER, "Type": "o'clock"});
        let Value::Object(record) = record else { panic!("no object") };
        Example { system: SystemId::new("default").unwrap(), token: "f".repeat(64), record }
    }

    /// What a shell makes of the text's last line that begins so, with `curl` replaced by an echo of its arguments.
    fn run(text: &str, begin: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(begin)).unwrap();
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\nTOKEN=t0k\n{line}");
        let out = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(out.status.success(), "{line}");
        String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_lines_are_good_shell() {
        let (client, admin) = made();
        let text = first_run_text(URL, &client, &admin, Some(&example()));
        let update = run(&text, "curl -sS -H \"Authorization: Bearer $TOKEN\" -H");
        assert!(update.contains(&"Authorization: Bearer t0k".to_owned()), "{update:?}");
        assert!(update.contains(&format!("{URL}/public/v1/user/data")), "{update:?}");
        let body = update.iter().find(|word| word.starts_with('{')).unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let token = "f".repeat(64);
        assert_eq!(body, serde_json::json!({"token": token, "data": [{"Email": END_USER, "Type": "o'clock"}]}));
        let read = text.lines().last().unwrap();
        let read = run(&text, read);
        assert_eq!(read.last().unwrap(), &format!("{URL}/public/v1/systems/default/end-users/{END_USER}/segments"));
    }

    #[test]
    fn the_first_line_takes_the_token_out_of_the_answer() {
        let (client, admin) = made();
        let text = first_run_text(URL, &client, &admin, None);
        let line = text.lines().find(|line| line.starts_with("TOKEN=")).unwrap();
        let answer = r#"{"access_token":"eyJ.a-b_c.d","token_type":"Bearer","expires_in":86400,"scope":"operate"}"#;
        let script = format!("curl() {{ echo '{answer}'; }}\n{line}\necho \"$TOKEN\"");
        let out = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "eyJ.a-b_c.d\n");
        assert!(line.contains("-u 'admin:rcs_abc'"), "{line}");
        assert!(text.contains(&format!("{URL}/activate?token=rca_xyz")), "{text}");
    }

    #[test]
    fn what_the_environment_holds_is_named_only() {
        let text = first_run_text(URL, &ClientNote::FromEnvironment, &AdminNote::FromEnvironment, Some(&example()));
        assert!(text.contains("-u \"$ROLLCALL_BOOTSTRAP_CLIENT_ID:$ROLLCALL_BOOTSTRAP_CLIENT_SECRET\""), "{text}");
        assert!(text.contains("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL"), "{text}");
        assert!(!text.contains("activate?token="), "{text}");
    }

    #[test]
    fn samples_are_what_the_segments_ask_for() {
        let segments = [
            "crm.Type != \"free\" && crm.Seats2 >= 7",
            "(crm.Type == \"paying\" || web.Type == \"x\") && crm.Seats >= 50 && crm.Score > 3",
        ];
        let now = Timestamp::from_millis(1_559_687_258_417);
        let sample = |attribute, kind| sample(attribute, kind, &segments, now);
        assert_eq!(sample("crm.Type", AttributeType::String), "paying");
        assert_eq!(sample("crm.Other", AttributeType::String), "example");
        assert_eq!(sample("crm.Seats", AttributeType::Number), 50);
        assert_eq!(sample("crm.Score", AttributeType::Number), 4);
        assert_eq!(sample("crm.Other", AttributeType::Number), 1);
        assert_eq!(sample("crm.Signup", AttributeType::Date), "2019-06-04");
    }
}
