//! `rollcall import`: uploads a CSV file to a running server, and follows the import to its end.
//!
//! The file is streamed, from disk or from stdin. Interrupting the command after the upload does not end the import: the
//! server has the file. Progress is shown on a terminal only, on stderr.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::ValueEnum;
use http_body_util::channel::Channel;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::blocking::Client;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::token::{Access, below, judge, read};

/// What stands for stdin in the place of a file.
const STDIN: &str = "-";
/// Longest pause between two looks at the import.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long the server may be out of reach while it is followed: an import survives a restart.
const OUT_OF_REACH: Duration = Duration::from_secs(120);
/// Longer than any answer but the upload's takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a piece of the file, and how many pieces may wait to be sent.
const PIECE: usize = 128 * 1024;
const PIECES: usize = 4;
/// Bad places that are shown.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The CSV file: UTF-8, commas, a header row; `-` is stdin
    file: PathBuf,
    /// The system whose end users are in the file
    #[arg(long, value_name = "ID")]
    system: String,
    /// The integration, of kind `csv`
    #[arg(long, value_name = "ID")]
    integration: String,
    /// What becomes of the good rows when there are bad ones
    #[arg(long, value_enum, default_value_t)]
    on_error: OnError,
    /// Judge the file and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the import as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// What becomes of the good rows when there are bad ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// Nothing is stored
    #[default]
    Abort,
    /// The good rows are stored
    Skip,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = Source::open(&args.file)?;
    let api = Api::new(&args.access)?;
    let taken = api.upload(&args, source)?;
    let id = text(&taken, "id").context("the answer names no import: is this a Rollcall server?")?;
    let import = api.follow(id)?;
    if args.json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&import)?))?;
    } else {
        super::print(&told(&import))?;
    }
    let good = text(&import, "state") == Some("done") && count(&import, "rejected") == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file to upload.
struct Source {
    reader: Box<dyn Read + Send>,
    /// Its size; `None` for a stream.
    bytes: Option<u64>,
    name: Option<String>,
}

impl Source {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new(STDIN) {
            return Ok(Self { reader: Box::new(io::stdin()), bytes: None, name: None });
        }
        let cannot = || format!("can't read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let found = file.metadata().with_context(cannot)?;
        if found.is_dir() {
            bail!("{} is a folder: name a CSV file", path.display());
        }
        // A pipe has no size of its own.
        let bytes = found.is_file().then_some(found.len());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { reader: Box::new(file), bytes, name })
    }
}

/// The server, as this command calls it.
struct Api {
    client: Client,
    server: Url,
    token: String,
}

impl Api {
    fn new(access: &Access) -> anyhow::Result<Self> {
        // A redirect would carry the token to whoever it names.
        let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, server: access.url.clone(), token: access.token()? })
    }

    /// Uploads the file; the import that it became.
    fn upload(&self, args: &Args, source: Source) -> anyhow::Result<Value> {
        let path = format!("admin/v1/systems/{}/integrations/{}/imports", args.system, args.integration);
        let mut url = below(&self.server, &path);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("on_error", if args.on_error == OnError::Skip { "skip" } else { "abort" });
            query.append_pair("dry_run", if args.dry_run { "true" } else { "false" });
            if let Some(name) = &source.name {
                query.append_pair("file_name", name);
            }
        }
        let bar = upload_bar(source.bytes)?;
        // Not by the blocking client: that one gives no answer that comes before the whole file is sent, as refusals do.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sent = runtime.block_on(self.send(url, source.bytes, bar.wrap_read(source.reader)));
        bar.finish_and_clear();
        let (status, answer) = sent.with_context(|| format!("the upload to {} broke off", self.server))?;
        judge(status, &answer).with_context(|| format!("{} did not take the file", self.server))
    }

    /// Sends the file as the body of a request; the answer's status and text.
    async fn send(
        &self,
        url: Url,
        bytes: Option<u64>,
        reader: impl Read + Send + 'static,
    ) -> reqwest::Result<(StatusCode, String)> {
        // An upload takes as long as it takes.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let mut request = client.post(url).bearer_auth(&self.token).header("content-type", "text/csv");
        if let Some(bytes) = bytes {
            request = request.header("content-length", bytes);
        }
        let answer = request.body(streamed(reader)).send().await.map_err(reqwest::Error::without_url)?;
        Ok((answer.status(), answer.text().await.map_err(reqwest::Error::without_url)?))
    }

    /// Looks at the import until it has ended.
    fn follow(&self, id: &str) -> anyhow::Result<Value> {
        let bar = ProgressBar::new_spinner();
        let rows = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} rows {eta}")?;
        let unknown = ProgressStyle::with_template("{spinner} {msg} {human_pos} rows")?;
        let mut pause = Duration::from_millis(25);
        let mut reached = Instant::now();
        loop {
            match self.look(id) {
                Ok(import) => {
                    reached = Instant::now();
                    let state = text(&import, "state").unwrap_or_default();
                    if matches!(state, "done" | "failed") {
                        bar.finish_and_clear();
                        return Ok(import);
                    }
                    bar.set_message(text(&import, "detail").unwrap_or(state).to_owned());
                    if state == "applying" {
                        bar.set_length(count(&import, "rows_total").saturating_sub(count(&import, "rejected")));
                        bar.set_position(count(&import, "stored"));
                        bar.set_style(rows.clone());
                    } else {
                        bar.set_style(unknown.clone());
                        bar.set_position(count(&import, "rows_read"));
                    }
                }
                Err(Look::Refused(error)) => return Err(error),
                Err(Look::OutOfReach(error)) => {
                    if reached.elapsed() > OUT_OF_REACH {
                        let context = format!("the server can't be reached; it goes on with the import {id} by itself");
                        return Err(error.context(context));
                    }
                    bar.set_message("the server can't be reached; trying again:");
                }
            }
            sleep(pause);
            pause = (pause * 2).min(LOOK_EVERY);
        }
    }

    fn look(&self, id: &str) -> Result<Value, Look> {
        let url = below(&self.server, &format!("admin/v1/imports/{id}"));
        let request = self.client.get(url).bearer_auth(&self.token);
        let answer = request.send().map_err(|error| Look::OutOfReach(error.without_url().into()))?;
        let passes = answer.status().is_server_error();
        read(answer).map_err(|error| if passes { Look::OutOfReach(error) } else { Look::Refused(error) })
    }
}

/// A body that a thread reads while it is sent. To be called within the runtime.
fn streamed(mut reader: impl Read + Send + 'static) -> reqwest::Body {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(PIECES);
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            match (&mut reader).take(PIECE as u64).read_to_end(&mut piece) {
                // Hanging up tells the end.
                Ok(0) => return,
                Ok(_) if runtime.block_on(sender.send_data(piece.into())).is_ok() => {}
                // Nobody wants more of it.
                Ok(_) => return,
                Err(error) => return sender.abort(error),
            }
        }
    });
    reqwest::Body::wrap(body)
}

/// Why nothing is known of the import.
enum Look {
    /// That may pass.
    OutOfReach(anyhow::Error),
    /// The server's answer.
    Refused(anyhow::Error),
}

fn upload_bar(bytes: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "uploading {wide_bar} {bytes} of {total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} uploading {bytes} {bytes_per_sec}"),
    };
    Ok(bar.with_style(ProgressStyle::with_template(template)?))
}

fn text<'a>(import: &'a Value, key: &str) -> Option<&'a str> {
    import.get(key)?.as_str()
}

fn count(import: &Value, key: &str) -> u64 {
    import.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// The import in words: how it ended, and the first bad places.
fn told(import: &Value) -> String {
    let state = text(import, "state").unwrap_or("unknown");
    let dry = import.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    let mut lines = vec![format!(
        "{state}{}: {} rows read, {} stored, {} rejected",
        if dry { " (dry run)" } else { "" },
        count(import, "rows_read"),
        count(import, "stored"),
        count(import, "rejected")
    )];
    lines.extend(text(import, "detail").map(|detail| format!("  {detail}")));
    let columns = |kind: &str| {
        let names = import.get("columns").and_then(|columns| columns.get(kind)?.as_array());
        names.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    for (kind, what) in [("missing", "columns not in the file"), ("ignored", "columns ignored")] {
        let names = columns(kind);
        if !names.is_empty() {
            lines.push(format!("{what}: {names}"));
        }
    }
    let errors = import.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for error in errors.iter().take(SHOWN) {
        let column = text(error, "column").map(|column| format!(", {column}")).unwrap_or_default();
        lines.push(format!("row {}{column}: {}", count(error, "row"), text(error, "detail").unwrap_or_default()));
    }
    if errors.len() > SHOWN {
        let id = text(import, "id").unwrap_or_default();
        lines.push(format!("… all of them: GET /admin/v1/imports/{id}/errors.csv"));
    }
    lines.push(String::new());
    // Names of columns are whatever stands in the file; a terminal must not take them for commands.
    lines.join("\n").chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_import_is_told_with_its_first_bad_places() {
        let error = |row: u64| json!({"row": row, "column": "seats", "code": "x", "detail": "no number"});
        let import = json!({
            "id": "0198", "state": "failed", "rows_read": 40, "stored": 0, "rejected": 12, "dry_run": true,
            "detail": "12 rows are bad", "columns": {"stored": ["seats"], "missing": ["plan"], "ignored": []},
            "errors": (2..14).map(error).collect::<Vec<_>>(),
        });
        let told = told(&import);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "failed (dry run): 40 rows read, 0 stored, 12 rejected");
        assert_eq!(lines[1..4], ["  12 rows are bad", "columns not in the file: plan", "row 2, seats: no number"]);
        assert_eq!(lines.last(), Some(&"… all of them: GET /admin/v1/imports/0198/errors.csv"));
        assert_eq!(lines.len(), 3 + SHOWN + 1);
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::open(folder.path()).err().unwrap().to_string().contains("is a folder"));
        assert!(Source::open(&folder.path().join("none.csv")).err().unwrap().to_string().contains("can't read"));
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "x").unwrap();
        let source = Source::open(&file).unwrap();
        assert_eq!((source.bytes, source.name.as_deref()), (Some(1), Some("a.csv")));
    }
}
