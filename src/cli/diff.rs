//! `rollcall diff`: what a rules folder would change on a running server: who would enter and leave each segment.
//!
//! For a pull request: the server judges the folder's files as a draft over its own end users, and nothing is changed.
//! End users are named only where `--samples` asks for it, as what a workflow prints may be read by many.
//!
//! The JSON is stable; `moved` is how many would enter or leave, in percent of who is in the segment now:
//!
//! ```json
//! {"url": "https://…", "rules": "rules", "fail_over": 5.0, "failed": true, "systems": [
//!   {"system": "default", "state": "changed", "errors": [], "files": {"segments/premium.rhai": "changed"},
//!    "segments": [{"id": "premium", "before": 100, "after": 90, "enters": 2, "leaves": 12, "moved": 14.0, "over": true}]}]}
//! ```

mod report;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::report::{findings, human, markdown};
use super::remote::{Remote, encoded};
use super::token::Access;
use crate::config::Flags;
use crate::ruleset::{self, FileChange, FileError, Files, LocalSystem, RulePath};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rules folder, which holds a folder for each system [default: `rules.path` of the configuration]
    rules: Option<PathBuf>,
    /// Only this system
    #[arg(long)]
    system: Option<String>,
    /// Exit with 1 when more of a segment's end users than this would enter or leave it, such as `5%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_over: Option<f64>,
    /// How the difference is shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Name some of those who would enter and leave
    #[arg(long)]
    samples: bool,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table a system
    Human,
    /// One JSON document
    Json,
    /// Markdown, for $GITHUB_STEP_SUMMARY
    Github,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim().parse::<f64>();
    number.ok().filter(|percent| percent.is_finite() && *percent >= 0.0).ok_or_else(|| "write it like `5%`".to_owned())
}

/// What differs of one system.
#[derive(Debug, Serialize)]
struct SystemDiff {
    system: String,
    state: State,
    /// What is wrong with the files.
    errors: Vec<Finding>,
    /// What becomes of each file.
    files: BTreeMap<String, FileChange>,
    /// The segments whose members would change.
    segments: Vec<SegmentDiff>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The server has the same files.
    Same,
    /// Some differ.
    Changed,
    /// The server has no such system yet.
    New,
    /// The folder lacks it: merged, it would be gone.
    Gone,
}

/// A mistake in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Finding {
    file: String,
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
}

impl From<FileError> for Finding {
    fn from(error: FileError) -> Self {
        let FileError { file, line, column, message, hint } = error;
        Self { file, line, column, message, hint }
    }
}

/// What would change of a segment.
#[derive(Debug, Serialize, Deserialize)]
struct SegmentDiff {
    id: String,
    before: Option<u64>,
    after: Option<u64>,
    enters: u64,
    leaves: u64,
    #[serde(skip_deserializing)]
    moved: Option<f64>,
    #[serde(skip_deserializing)]
    over: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sample_enters: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sample_leaves: Vec<String>,
    /// For how many the rule fails.
    errors: Option<u64>,
}

impl SegmentDiff {
    /// Says how much it is, and whether that is too much. A segment that is new moves nobody.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn weigh(&mut self, fail_over: Option<f64>) {
        let moved = self.enters + self.leaves;
        self.moved = match self.before {
            None => None,
            Some(0) if moved == 0 => Some(0.0),
            // From nobody to somebody is more than any share.
            Some(0) => Some(f64::MAX),
            Some(before) => Some(moved as f64 * 100.0 / before as f64),
        };
        self.over = fail_over.zip(self.moved).is_some_and(|(limit, moved)| moved > limit);
    }
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let root = match args.rules {
        Some(rules) => rules,
        None => super::load_config(config, Flags::default())?.rules.path,
    };
    let local = ruleset::read_local(&root).map_err(|error| anyhow::anyhow!("{}", error.message))?;
    if let Some(only) = &args.system
        && !local.iter().any(|system| system.name == *only)
    {
        bail!("there is no folder `{}`", root.join(only).display());
    }
    let server = Remote::connect(&args.access)?;
    let mut systems = compare(&server, &local, args.system.as_deref())?;
    for segment in systems.iter_mut().flat_map(|system| &mut system.segments) {
        segment.weigh(args.fail_over);
        if !args.samples {
            (segment.sample_enters, segment.sample_leaves) = (Vec::new(), Vec::new());
        }
    }
    let over = |system: &SystemDiff| system.segments.iter().any(|segment| segment.over);
    let gone = |system: &SystemDiff| system.state == State::Gone && args.fail_over.is_some();
    let failed = systems.iter().any(|system| !system.errors.is_empty() || over(system) || gone(system));
    match if args.json { Format::Json } else { args.format } {
        Format::Human => {
            io::stderr().write_all(findings(&root, &systems).as_bytes())?;
            super::print(&human(&systems, args.fail_over))?;
        }
        Format::Json => {
            let document = json!({
                "url": server.url().as_str(), "rules": root.display().to_string(), "fail_over": args.fail_over,
                "failed": failed, "systems": systems,
            });
            super::print(&format!("{document:#}\n"))?;
        }
        Format::Github => super::print(&markdown(&root, &systems, args.fail_over))?,
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Compares the folder with what is live on the server, system by system.
fn compare(server: &Remote, local: &[LocalSystem], only: Option<&str>) -> anyhow::Result<Vec<SystemDiff>> {
    let config = server.get("admin/v1/config").context("can't read which systems are live")?;
    let live: BTreeMap<&str, &str> = config
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some((item.get("system")?.as_str()?, item.get("revision")?.as_str()?)))
        .collect();
    let mut diffs = Vec::new();
    for system in local.iter().filter(|system| only.is_none_or(|only| system.name == only)) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\rcomparing {}\x1b[K", system.name);
        }
        let diff = match live.get(system.name.as_str()) {
            _ if !system.errors.is_empty() => SystemDiff::broken(system),
            None => SystemDiff::new(&system.name, State::New, changes_from_nothing(&system.files)),
            Some(revision) if *revision == system.revision => {
                SystemDiff::new(&system.name, State::Same, BTreeMap::new())
            }
            Some(_) => preview(server, system)?,
        };
        diffs.push(diff);
    }
    let is_local = |name: &str| local.iter().any(|system| system.name == name);
    let gone = live.keys().filter(|name| only.is_none() && !is_local(name));
    diffs.extend(gone.map(|name| SystemDiff::new(name, State::Gone, BTreeMap::new())));
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    Ok(diffs)
}

impl SystemDiff {
    fn new(system: &str, state: State, files: BTreeMap<String, FileChange>) -> Self {
        Self { system: system.to_owned(), state, errors: Vec::new(), files, segments: Vec::new() }
    }

    fn broken(system: &LocalSystem) -> Self {
        let errors = system.errors.iter().cloned().map(Finding::from).collect();
        Self { errors, ..Self::new(&system.name, State::Changed, BTreeMap::new()) }
    }
}

fn changes_from_nothing(files: &Files) -> BTreeMap<String, FileChange> {
    FileChange::between(&Files::new(), files)
}

/// Has the server judge the files that differ.
fn preview(server: &Remote, system: &LocalSystem) -> anyhow::Result<SystemDiff> {
    let tags = tags(server, &system.name)?;
    let mut changes = BTreeMap::new();
    let mut files = serde_json::Map::new();
    for (path, text) in &system.files {
        let change = match tags.get(path) {
            Some(tag) if *tag == ruleset::etag(text) => continue,
            Some(_) => FileChange::Changed,
            None => FileChange::Added,
        };
        changes.insert(path.clone(), change);
        files.insert(path.clone(), Value::from(&**text));
    }
    for path in tags.keys().filter(|path| !system.files.contains_key(*path)) {
        changes.insert(path.clone(), FileChange::Removed);
        files.insert(path.clone(), Value::Null);
    }
    let path = format!("admin/v1/systems/{}/preview", encoded(&system.name));
    let told = server.post(&path, &json!({ "files": files }));
    let told = told.with_context(|| format!("the server could not preview `{}`", system.name))?;
    let told: Previewed = serde_json::from_value(told).context("the preview is not of the known form")?;
    let Previewed { errors, segments } = told;
    Ok(SystemDiff { errors, segments, ..SystemDiff::new(&system.name, State::Changed, changes) })
}

/// What a preview answers.
#[derive(Deserialize)]
struct Previewed {
    errors: Vec<Finding>,
    segments: Vec<SegmentDiff>,
}

/// The files that are live in a system, by path, with the tags by which their texts are known.
fn tags(server: &Remote, system: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let base = format!("admin/v1/systems/{}", encoded(system));
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut tags = BTreeMap::new();
    tags.extend(text(&server.get(&base)?, "etag").map(|tag| (RulePath::System.to_string(), tag)));
    for (list, ending) in [("integrations", "toml"), ("segments", "rhai")] {
        for item in server.list(&format!("{base}/{list}"))? {
            tags.extend(
                text(&item, "id").zip(text(&item, "etag")).map(|(id, tag)| (format!("{list}/{id}.{ending}"), tag)),
            );
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn segment(id: &str, before: Option<u64>, after: Option<u64>, enters: u64, leaves: u64) -> SegmentDiff {
        let (sample_enters, sample_leaves) = (vec!["ann".to_owned()], Vec::new());
        let mut segment = SegmentDiff {
            id: id.to_owned(),
            before,
            after,
            enters,
            leaves,
            moved: None,
            over: false,
            sample_enters,
            sample_leaves,
            errors: None,
        };
        segment.weigh(Some(5.0));
        segment
    }

    #[test]
    fn a_segment_is_weighed_by_who_is_in_it_now() {
        let over = |before, enters, leaves| {
            let segment = segment("x", before, Some(1), enters, leaves);
            (segment.moved, segment.over)
        };
        assert_eq!(over(Some(100), 2, 3), (Some(5.0), false), "no more than the limit");
        assert_eq!(over(Some(100), 3, 3), (Some(6.0), true));
        assert_eq!(over(Some(0), 1, 0), (Some(f64::MAX), true));
        assert_eq!(over(Some(0), 0, 0), (Some(0.0), false));
        assert_eq!(over(None, 50, 0), (None, false), "a new segment moves nobody");
    }

    #[test]
    fn a_percentage_is_written_with_or_without_its_sign() {
        assert_eq!((percent("5%"), percent(" 0.5 % "), percent("7")), (Ok(5.0), Ok(0.5), Ok(7.0)));
        assert!(percent("-1%").is_err() && percent("x").is_err() && percent("NaN").is_err());
    }
}
