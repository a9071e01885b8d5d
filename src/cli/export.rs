//! `rollcall export`: end users of a running server as a file.
//!
//! A file is written beside its place and put there when it is whole, so that an export that breaks off leaves nothing
//! that looks like one.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::Attributes;
use super::remote::{Remote, encoded, send};
use super::token::Access;

/// How often progress is shown.
const REFRESH: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The system
    #[arg(long, value_name = "ID")]
    system: String,
    /// A filter as JSON: who fulfils it [default: everybody]
    #[arg(long = "where", value_name = "JSON", value_parser = super::json_value, conflicts_with = "rule")]
    condition: Option<Value>,
    /// A rule, written as that of a segment: who would be in it
    #[arg(long)]
    rule: Option<String>,
    /// The integration whose attributes to give, in the form that imports into it
    #[arg(long, conflicts_with = "select")]
    integration: Option<String>,
    /// The attributes to give, with commas between them; empty: none [default: all]
    #[arg(long, value_name = "ATTRIBUTES")]
    select: Option<Attributes>,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// CSV cells as they are: no apostrophe before what a spreadsheet would take for a formula
    #[arg(long)]
    raw: bool,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A header and a line an end user
    Csv,
    /// A JSON object a line
    Ndjson,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut question = json!({ "raw": args.raw });
    let parts = [
        ("where", args.condition),
        ("rule", args.rule.map(Value::from)),
        ("integration", args.integration.map(Value::from)),
        ("select", args.select.map(|Attributes(select)| Value::from(select))),
    ];
    for (key, value) in parts {
        if let (Some(question), Some(value)) = (question.as_object_mut(), value) {
            question.insert(key.to_owned(), value);
        }
    }
    let server = Remote::connect(&args.access)?;
    let path = format!("public/v1/systems/{}/end-users/export", encoded(&args.system));
    let request = server.request(Method::POST, &path).header("accept", args.format.media_type()).json(&question);
    let response = send(request)?;
    let total = response.headers().get("x-total-count").and_then(|value| value.to_str().ok()?.parse().ok());
    let progress = Progress::new(args.format, total, args.output.is_some());
    match &args.output {
        Some(file) => to_file(response, file, progress)?,
        None => {
            let mut out = io::stdout().lock();
            copy(response, &mut out, progress)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes it beside the file first.
fn to_file(from: impl Read, file: &Path, progress: Progress) -> anyhow::Result<()> {
    let name = file.file_name().ok_or_else(|| anyhow!("`{}` is no name of a file", file.display()))?;
    let draft = file.with_file_name(format!(".{}.part", name.to_string_lossy()));
    let unwritable = || format!("can't write `{}`", file.display());
    let written = || -> anyhow::Result<()> {
        let mut out = BufWriter::new(File::create(&draft).with_context(unwritable)?);
        copy(from, &mut out, progress)?;
        out.into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .with_context(unwritable)?;
        std::fs::rename(&draft, file).with_context(unwritable)
    };
    let written = written();
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn copy(mut from: impl Read, out: &mut impl Write, mut progress: Progress) -> anyhow::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                progress.end();
                bail!("the export broke off: {error}");
            }
        };
        let bytes = piece.get(..read).unwrap_or_default();
        out.write_all(bytes).context("can't write the export")?;
        progress.count(bytes);
    }
    out.flush().context("can't write the export")?;
    progress.end();
    Ok(())
}

/// How far an export is, on a terminal.
struct Progress {
    format: Format,
    total: Option<u64>,
    done: u64,
    last: Option<Instant>,
    /// Whether it is shown.
    shown: bool,
}

impl Progress {
    /// Shown on a terminal, unless the export itself goes there.
    fn new(format: Format, total: Option<u64>, to_file: bool) -> Self {
        let shown = io::stderr().is_terminal() && (to_file || !io::stdout().is_terminal());
        Self { format, total, done: 0, last: None, shown }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.done += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.shown && self.last.is_none_or(|last| last.elapsed() >= REFRESH) {
            self.last = Some(Instant::now());
            let _ = write!(io::stderr(), "\r{}\x1b[K", self.text());
        }
    }

    fn text(&self) -> String {
        // The header is nobody, and texts may have line ends of their own.
        let lines = self.done.saturating_sub(u64::from(self.format == Format::Csv));
        match self.total {
            Some(total) if total > 0 => {
                let done = lines.min(total);
                format!("{done} of {total} end users ({}%)", done * 100 / total)
            }
            _ => format!("{lines} end users"),
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = writeln!(io::stderr(), "\r{}\x1b[K", self.text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(total: Option<u64>) -> Progress {
        Progress { format: Format::Csv, total, done: 0, last: None, shown: false }
    }

    #[test]
    fn progress_counts_end_users() {
        let mut progress = progress(Some(4));
        progress.count(b"id\r\na\r\n");
        progress.count(b"b\r\n");
        assert_eq!(progress.text(), "2 of 4 end users (50%)");
        progress.count(b"\"two\nlines\"\r\nc\r\nd\r\n");
        assert_eq!(progress.text(), "4 of 4 end users (100%)");
        assert_eq!(super::Progress { total: None, ..progress }.text(), "6 end users");
    }

    #[test]
    fn an_export_that_breaks_off_leaves_no_file() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                out[0] = b'x';
                Ok(1)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.csv");
        std::fs::write(&file, "old").unwrap();
        let error = to_file(Broken(false), &file, progress(None)).unwrap_err();
        assert!(error.to_string().contains("broke off"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        to_file(&b"new"[..], &file, progress(None)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    }
}
