//! Doors for machines that send nonsense: each of the parsers that strangers reach, fed with bytes.
//!
//! For `fuzz/` (cargo-fuzz) and for the property tests below; nothing in the program calls this. What a door asserts is
//! what must hold for every input: no panic, an end, and what is said on the functions.

use std::sync::LazyLock;

use crate::config;
use crate::intake::imports::read_nonsense;
use crate::intake::read_call;
use crate::model::IntegrationId;
use crate::predicate::{parse_where, to_where};
use crate::ruleset::{FileError, RuleSet, load_texts};

const CRM: &str = "user_identifier = \"Email\"\n\
    [[properties]]\nfield = \"Type\"\nname = \"Customer_Type\"\ntype = \"string\"\n\
    [[properties]]\nfield = \"a.b\"\ntype = \"string\"\n\
    [[properties]]\nfield = \"Seats\"\ntype = \"number\"\n\
    [[properties]]\nfield = \"Signup\"\ntype = \"date\"\n";

/// A system with an integration `crm`, and these files beside.
fn load(files: &[(&str, &str)]) -> Result<RuleSet, Vec<FileError>> {
    let mut all = vec![("integrations/crm.toml", CRM)];
    all.retain(|(path, _)| files.iter().all(|(other, _)| path != other));
    all.extend(files);
    load_texts(&all)
}

static RULES: LazyLock<Option<RuleSet>> = LazyLock::new(|| load(&[("segments/big.rhai", "crm.Seats > 50")]).ok());

/// The body of an update call.
pub fn update(body: &[u8]) {
    let (Ok(call), Some(rules), Ok(crm)) = (read_call(body), RULES.as_ref(), IntegrationId::new("crm")) else { return };
    let limits = config::Limits::default();
    if let Ok(records) = call.to_records(rules, &crm, &limits) {
        assert_eq!(records.len(), call.len(), "every record is taken or the call is refused");
    }
}

/// A CSV file: rows and cells, and the judgement of them.
pub fn csv(file: &[u8]) {
    if let Some(rules) = RULES.as_ref()
        && let Some(integration) = rules.integrations.values().next()
    {
        read_nonsense(file, integration);
    }
}

/// A filter; one that is taken can be written and read again.
pub fn filter(json: &[u8]) {
    let (Ok(json), Some(rules)) = (serde_json::from_slice(json), RULES.as_ref()) else { return };
    if let Some(written) = parse_where(&json, "", rules).ok().and_then(|condition| to_where(&condition)) {
        assert!(parse_where(&written, "", rules).is_ok(), "written as {written}");
    }
}

/// A rule file.
pub fn rule(text: &str) {
    told(load(&[("segments/x.rhai", text)]).err());
}

/// The other files of a system, and the configuration.
pub fn toml(text: &str) {
    told(load(&[("integrations/crm.toml", text)]).err());
    told(load(&[("system.toml", text)]).err());
    let _ = config::read_text_as_file(text);
}

/// The body of a token request.
pub fn token(body: &[u8]) {
    crate::http::read_token_request(body);
}

/// Every mistake says where and what.
fn told(errors: Option<Vec<FileError>>) {
    for error in errors.into_iter().flatten() {
        assert!(!error.message.is_empty() && !error.file.is_empty(), "{error:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Cases of each parser: ten thousand, or a million with `ROLLCALL_NIGHTLY=1`.
    fn cases() -> ProptestConfig {
        let nightly = std::env::var("ROLLCALL_NIGHTLY").is_ok_and(|value| value == "1");
        let cases = if nightly { 1_000_000 } else { 10_000 };
        ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
    }

    /// Words of the grammar, and bytes that no grammar knows.
    fn of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
        let noise = prop::collection::vec(any::<u8>(), 1..4);
        prop::collection::vec(prop_oneof![9 => word, 1 => noise], 0..24).prop_map(|parts| parts.concat())
    }

    const JSON: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"token\":\"a\"",
        "\"data\":[",
        "{\"Email\":\"a\"",
        "\"Seats\":",
        "\"a.b\":",
        "\"a\":{\"b\":1}",
        "null",
        "true",
        "1e999",
        "-0",
        "9007199254740993",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"2024-02-30\"",
        " ",
        "\u{feff}",
        "{\"all\":[",
        "{\"not\":",
        "{\"attribute\":\"crm.Seats\",\"operator\":\"at_least\",\"value\":5}",
        "{\"segment\":\"big\"}",
        "\"operator\":\"matches\"",
        "\"value\":\"(\"",
    ];
    const CSV: &[&str] = &[
        "Email,Type,Seats,Signup\n",
        "Email",
        ",",
        "\"",
        "\"\"",
        "\n",
        "\r\n",
        "\r",
        "a@x",
        "5",
        "1e999",
        "2024-02-29",
        "'=1",
        "\u{feff}",
        "\t",
        "é",
        "\0",
        ";",
    ];
    const RULE: &[&str] = &[
        "crm.Seats",
        " >= ",
        "50",
        " && ",
        "||",
        "!",
        "(",
        ")",
        "crm.Customer_Type",
        " == ",
        "\"a\"",
        "'a'",
        "let x = ",
        ";",
        "if ",
        "{",
        "}",
        " else ",
        "in",
        "[",
        "]",
        "days_since(crm.Signup)",
        "today()",
        "in_segment(\"x\")",
        "matches(",
        ", \"(\")",
        "|x| ",
        "while true ",
        "switch crm.Seats ",
        "=>",
        "// c\n",
        "/*",
        "`${",
        "}`",
        "..",
        "()",
        "return ",
        "fn f(a) ",
        "this",
        "1e999",
        "-",
        "eval(\"1\")",
        "import",
        "try {",
        "catch",
        "\u{202e}",
    ];
    const TOML: &[&str] = &[
        "name = ",
        "\"x\"",
        "\n",
        "[[properties]]\n",
        "field = \"a.b\"\n",
        "type = \"number\"\n",
        "kind = \"csv\"\n",
        "user_identifier = \"Email\"\n",
        "enabled = ",
        "false",
        "[server]\n",
        "listen = ",
        "[",
        "]",
        "=",
        "'''",
        "1979-05-27",
        "nan",
        "{",
        "}",
        ",",
        "[[unit_groups]]\n",
        "id = \"u\"\n",
        "rule = 'crm.Seats > 5'\n",
        "timezone = \"UTC\"\n",
        "stage = \"test\"\n",
        "#",
        "\\u0000",
        "\u{feff}",
    ];
    const TOKEN: &[&str] = &[
        "grant_type=client_credentials",
        "&",
        "client_id=a",
        "client_secret=b",
        "scope=",
        "%",
        "%zz",
        "+",
        "=",
        "{",
        "}",
        "\"grant_type\":",
        "\"client_credentials\"",
        ",",
        "null",
        "[",
        "%00",
        "scope=end_users%3Aread+x",
        "é",
    ];

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn no_update_is_too_strange(body in of(JSON)) {
            update(&body);
        }

        #[test]
        fn no_csv_is_too_strange(file in of(CSV)) {
            csv(&file);
        }

        #[test]
        fn no_filter_is_too_strange(body in of(JSON)) {
            filter(&body);
        }

        #[test]
        fn no_rule_is_too_strange(text in of(RULE)) {
            rule(&String::from_utf8_lossy(&text));
        }

        #[test]
        fn no_toml_is_too_strange(text in of(TOML)) {
            toml(&String::from_utf8_lossy(&text));
        }

        #[test]
        fn no_token_request_is_too_strange(body in of(TOKEN)) {
            token(&body);
        }
    }

    #[test]
    fn the_corpora_are_borne() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (name, door) in [
            ("update", (|bytes| update(bytes)) as fn(&[u8])),
            ("csv", |bytes| csv(bytes)),
            ("filter", |bytes| filter(bytes)),
            ("token", |bytes| token(bytes)),
        ] {
            each(&root.join(name), door);
        }
        each(&root.join("rule"), |bytes| rule(&text(bytes)));
        each(&root.join("toml"), |bytes| toml(&text(bytes)));
    }

    fn each(folder: &Path, mut door: impl FnMut(&[u8])) {
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            door(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{} has no samples", folder.display());
    }
}
