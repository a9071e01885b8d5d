//! `rollcall check`: judges the rule files without a server.
//!
//! Owns the three forms in which findings are shown, and how each segment runs. Errors and warnings for people go to
//! stderr and the summary to stdout; `json` and `github` go to stdout whole.
//!
//! The JSON is stable; `file` is relative to `rules`, lines and columns count from 1, line 0 means the whole file:
//!
//! ```json
//! {"rules": "rules", "errors": 1, "warnings": 0, "systems": [
//!   {"system": "default", "integrations": 2, "segments": 5, "attributes_used": 12, "cap": 100,
//!    "errors": [{"file": "default/segments/premium.rhai", "line": 3, "column": 5, "message": "…", "hint": null}],
//!    "warnings": [],
//!    "modes": [{"segment": "premium", "file": "default/segments/premium.rhai", "mode": "script", "guarded": true,
//!               "why": "a loop", "line": 4, "column": 1}]}]}
//! ```
//!
//! `modes` is empty for a system with errors; `mode` is `index` or `script`, and `why` and its place are those of a
//! script. A `guarded` script runs only for end users who meet a condition.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use crate::config::Flags;
use crate::model::ATTRIBUTE_CAP;
use crate::ruleset::{self, Checked, FileError, RulesOptions, SegmentMode};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rules folder, which holds a folder for each system [default: `rules.path` of the configuration]
    rules: Option<PathBuf>,
    /// How findings are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// `path:line:column: message`, and a summary
    Human,
    /// One JSON document
    Json,
    /// Annotations for a GitHub workflow
    Github,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = super::load_config(config, Flags::default())?;
    let root = args.rules.unwrap_or(config.rules.path);
    if !root.is_dir() {
        bail!("there is no folder `{}`: {}", root.display(), named_instead(&root));
    }
    if is_system(&root) {
        bail!("`{}` is the folder of one system: {}", root.display(), named_instead(&root));
    }
    let options = RulesOptions { watch: false, read_only: config.rules.read_only, script_us: config.limits.script_us };
    let checked = ruleset::check(&root, &options);
    if checked.is_empty() {
        bail!("`{0}` holds no system: make a folder such as `{0}/default` in it", root.display());
    }
    match if args.json { Format::Json } else { args.format } {
        Format::Human => {
            io::stderr().write_all(findings(&root, &checked).as_bytes())?;
            super::print(&summary(&root, &checked, io::stdout().is_terminal()))?;
        }
        Format::Json => super::print(&format!("{:#}\n", document(&root, &checked)))?,
        Format::Github => super::print(&annotations(&root, &checked))?,
    }
    Ok(if errors(&checked) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a folder is that of one system, and not one that holds systems (which may be called `segments`).
fn is_system(folder: &Path) -> bool {
    let holds = |name: &str, extension: &str| {
        let entries = folder.join(name).read_dir().into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.extension().is_some_and(|found| found == extension) && !path.ends_with("system.toml"))
    };
    folder.join("system.toml").is_file() || holds("integrations", "toml") || holds("segments", "rhai")
}

/// What to name instead of a folder that holds no systems.
fn named_instead(root: &Path) -> String {
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
    let systems = parent.and_then(|parent| parent.read_dir().ok()).into_iter().flatten().flatten();
    match parent {
        Some(parent) if systems.into_iter().any(|entry| is_system(&entry.path())) => {
            format!("name the folder that holds it and the others, `rollcall check {}`", parent.display())
        }
        _ => "name the folder that holds a folder for each system".to_owned(),
    }
}

fn errors(checked: &[Checked]) -> usize {
    checked.iter().map(|c| c.errors.len()).sum()
}

/// The file that a finding is about; `.` is the rules folder itself.
fn path_of(root: &Path, found: &FileError) -> PathBuf {
    if found.file == "." { root.to_owned() } else { root.join(&found.file) }
}

/// Each finding on a line that editors can jump from, its hint below it.
fn findings(root: &Path, checked: &[Checked]) -> String {
    let mut text = String::new();
    let mut add = |found: &FileError, mark: &str| {
        let file = path_of(root, found);
        // A finding about a whole file is at its start.
        let (line, column) = (found.line.max(1), found.column.max(1));
        let _ = writeln!(text, "{}:{line}:{column}: {mark}{}", file.display(), found.message);
        if let Some(hint) = &found.hint {
            let _ = writeln!(text, "    {}", hint.replace('\n', "\n    "));
        }
    };
    for system in checked {
        system.errors.iter().for_each(|e| add(e, ""));
        system.warnings.iter().for_each(|w| add(w, "warning: "));
    }
    text
}

/// One line a system, as a table on a terminal, else in words; and how the segments run.
fn summary(root: &Path, checked: &[Checked], terminal: bool) -> String {
    if !terminal {
        return checked.iter().flat_map(|system| [in_words(system), modes(root, system)]).collect();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["System", "Integrations", "Segments", "Attributes", "Errors", "Warnings"]);
    for system in checked {
        let attributes = format!("{} of {ATTRIBUTE_CAP}", system.attributes_used);
        let counts = [system.integrations, system.segments].map(|n| n.to_string());
        let found = [system.errors.len(), system.warnings.len()].map(|n| n.to_string());
        table.add_row([&[system.system.clone()][..], &counts, &[attributes], &found].concat());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let modes: String = checked
        .iter()
        .filter(|system| !system.modes.is_empty())
        .map(|system| format!("\n{}\n{}", system.system, modes(root, system)))
        .collect();
    format!("{}\n{modes}", table.trim_fmt())
}

/// How the segments of a system run: those of the index together, each script with what makes it one.
fn modes(root: &Path, system: &Checked) -> String {
    let of_index: Vec<&str> =
        system.modes.iter().filter(|mode| mode.why.is_none()).map(|mode| mode.segment.as_str()).collect();
    let mut text = String::new();
    if !of_index.is_empty() {
        let _ = writeln!(text, "  index           {}", of_index.join(", "));
    }
    for mode in system.modes.iter().filter(|mode| mode.why.is_some()) {
        let (runs, file) = (way(mode), root.join(&mode.file));
        let (why, line, column) = (mode.why.as_deref().unwrap_or_default(), mode.line.max(1), mode.column.max(1));
        let _ = writeln!(text, "  {runs:<15} {}: {why} ({}:{line}:{column})", mode.segment, file.display());
    }
    text
}

fn way(mode: &SegmentMode) -> &'static str {
    match (&mode.why, mode.guarded) {
        (None, _) => "index",
        (Some(_), true) => "index + script",
        (Some(_), false) => "script",
    }
}

fn in_words(system: &Checked) -> String {
    format!(
        "{}: {}, {}, {} of {ATTRIBUTE_CAP} attributes used; {}, {}\n",
        system.system,
        counted(system.integrations, "integration"),
        counted(system.segments, "segment"),
        system.attributes_used,
        counted(system.errors.len(), "error"),
        counted(system.warnings.len(), "warning"),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The findings as one JSON document.
fn document(root: &Path, checked: &[Checked]) -> serde_json::Value {
    let systems: Vec<_> = checked
        .iter()
        .map(|c| {
            json!({
                "system": c.system,
                "integrations": c.integrations,
                "segments": c.segments,
                "attributes_used": c.attributes_used,
                "cap": ATTRIBUTE_CAP,
                "errors": c.errors,
                "warnings": c.warnings,
                "modes": c.modes,
            })
        })
        .collect();
    json!({
        "rules": root.display().to_string(),
        "errors": errors(checked),
        "warnings": checked.iter().map(|c| c.warnings.len()).sum::<usize>(),
        "systems": systems,
    })
}

/// The findings as workflow commands, which a workflow's run shows beside the lines that they are about.
fn annotations(root: &Path, checked: &[Checked]) -> String {
    let mut text = String::new();
    let mut add = |found: &FileError, kind: &str| {
        let _ = write!(text, "::{kind} file={}", escaped_property(&path_of(root, found).display().to_string()));
        if found.line > 0 {
            let _ = write!(text, ",line={}", found.line);
        }
        if found.line > 0 && found.column > 0 {
            let _ = write!(text, ",col={}", found.column);
        }
        let hint = found.hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        let _ = writeln!(text, "::{}", escaped(&format!("{}{hint}", found.message)));
    };
    for system in checked {
        system.errors.iter().for_each(|e| add(e, "error"));
        system.warnings.iter().for_each(|w| add(w, "warning"));
        system.modes.iter().filter_map(notice).for_each(|n| add(&n, "notice"));
    }
    text
}

/// What is said beside a rule that runs as a script.
fn notice(mode: &SegmentMode) -> Option<FileError> {
    let why = mode.why.as_ref()?;
    let whom = if mode.guarded { "for the end users whom its conditions leave" } else { "for every end user" };
    let message = format!("`{}` runs as a script {whom}: {why}", mode.segment);
    Some(FileError { file: mode.file.clone(), line: mode.line, column: mode.column, message, hint: None })
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked() -> Vec<Checked> {
        let found = |file: &str, line, column, message: &str, hint: Option<&str>| FileError {
            file: file.to_owned(),
            line,
            column,
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        };
        vec![Checked {
            system: "default".to_owned(),
            attributes_used: 85,
            integrations: 1,
            segments: 5,
            errors: vec![
                found("default/segments/a.rhai", 3, 5, "100% wrong", Some("mend\nit")),
                found("default/odd,name:x", 0, 0, "misplaced", None),
            ],
            warnings: vec![found("default", 0, 0, "85 of 100 attributes", None)],
            modes: vec![mode("a", None, false), mode("b", Some("a loop"), true), mode("c", Some("a `try`"), false)],
        }]
    }

    fn mode(segment: &str, why: Option<&str>, guarded: bool) -> SegmentMode {
        SegmentMode {
            segment: segment.to_owned(),
            file: format!("default/segments/{segment}.rhai"),
            mode: if why.is_some() { "script" } else { "index" },
            guarded,
            why: why.map(str::to_owned),
            line: if why.is_some() { 4 } else { 0 },
            column: if why.is_some() { 1 } else { 0 },
        }
    }

    #[test]
    fn findings_begin_with_their_place() {
        assert_eq!(
            findings(Path::new("rules"), &checked()),
            "rules/default/segments/a.rhai:3:5: 100% wrong\n    mend\n    it\n\
             rules/default/odd,name:x:1:1: misplaced\n\
             rules/default:1:1: warning: 85 of 100 attributes\n"
        );
    }

    #[test]
    fn annotations_are_escaped() {
        assert_eq!(
            annotations(Path::new("r"), &checked()),
            "::error file=r/default/segments/a.rhai,line=3,col=5::100%25 wrong%0Amend%0Ait\n\
             ::error file=r/default/odd%2Cname%3Ax::misplaced\n\
             ::warning file=r/default::85 of 100 attributes\n\
             ::notice file=r/default/segments/b.rhai,line=4,col=1::`b` runs as a script for the end users whom its \
             conditions leave: a loop\n\
             ::notice file=r/default/segments/c.rhai,line=4,col=1::`c` runs as a script for every end user: a `try`\n"
        );
    }

    #[test]
    fn document_has_its_documented_shape() {
        let document = document(Path::new("rules"), &checked());
        assert_eq!((&document["errors"], &document["warnings"]), (&json!(2), &json!(1)));
        let system = &document["systems"][0];
        assert_eq!((&system["attributes_used"], &system["cap"]), (&json!(85), &json!(100)));
        assert_eq!(
            system["errors"][1],
            json!({"file": "default/odd,name:x", "line": 0, "column": 0, "message": "misplaced", "hint": null})
        );
        let of_index = json!({"segment": "a", "file": "default/segments/a.rhai", "mode": "index", "guarded": false,
            "why": null, "line": 0, "column": 0});
        assert_eq!(system["modes"][0], of_index);
        assert_eq!((&system["modes"][1]["mode"], &system["modes"][1]["why"]), (&json!("script"), &json!("a loop")));
    }

    #[test]
    fn summary_tells_attributes_used_and_how_segments_run() {
        let words = summary(Path::new("r"), &checked(), false);
        let modes = "  index           a\n  \
                     index + script  b: a loop (r/default/segments/b.rhai:4:1)\n  \
                     script          c: a `try` (r/default/segments/c.rhai:4:1)\n";
        let line = "default: 1 integration, 5 segments, 85 of 100 attributes used; 2 errors, 1 warning\n";
        assert_eq!(words, format!("{line}{modes}"));
        let table = summary(Path::new("r"), &checked(), true);
        assert!(table.contains("85 of 100") && table.contains("Attributes") && table.ends_with(modes), "{table}");
    }
}
