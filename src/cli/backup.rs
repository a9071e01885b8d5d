//! `rollcall backup`: everything that a running server holds, as one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::json;

use super::remote::{Remote, send};
use super::token::Access;
use crate::accounts::KEY_FILE;
use crate::backup::{BackupSummary, read_backup};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write it
    file: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Print JSON: `{"file", "bytes", "commit", "secret_key"}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = &args.file;
    if path.exists() && !args.force {
        bail!("{} is there already: name another file, or add --force", path.display());
    }
    let remote = Remote::connect(&args.access)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    let draft = PathBuf::from(draft);
    let fetched = fetch(&remote, &draft).and_then(|summary| keep(&draft, path).map(|bytes| (summary, bytes)));
    let (summary, bytes) = fetched.inspect_err(|_| {
        // Half a backup is of no use to anybody.
        let _ = fs::remove_file(&draft);
    })?;
    let has_key = summary.files.iter().any(|name| name == KEY_FILE);
    if args.json {
        let told = json!({ "file": path, "bytes": bytes, "commit": summary.last, "secret_key": has_key });
        super::print(&format!("{told}\n"))?;
    } else {
        super::print(&format!("{}: {bytes} bytes, up to commit {}\n", path.display(), summary.last))?;
    }
    let told = if has_key {
        "The server's secret key is in it: keep it as safe as the server's data folder."
    } else {
        "The server's secret key is not in it: keep that, too, as without it nothing of this can be used."
    };
    writeln!(io::stderr(), "{told}")?;
    Ok(ExitCode::SUCCESS)
}

/// Has the backup sent into a file, and reads it to its end once more.
fn fetch(remote: &Remote, draft: &Path) -> anyhow::Result<BackupSummary> {
    let request = remote.request(Method::POST, "admin/v1/maintenance/backup");
    let mut answer = send(request.header("accept", "application/octet-stream"))?;
    let writing = || format!("can't write {}", draft.display());
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(draft).with_context(writing)?;
    answer.copy_to(&mut file).context("the backup broke off")?;
    file.sync_all().with_context(writing)?;
    let file = File::open(draft).with_context(writing)?;
    read_backup(BufReader::new(file)).context("what the server sent is no whole backup")
}

/// Gives the file its name; its size.
fn keep(draft: &Path, path: &Path) -> anyhow::Result<u64> {
    let naming = || format!("can't write {}", path.display());
    fs::rename(draft, path).with_context(naming)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(naming)?;
    Ok(fs::metadata(path).with_context(naming)?.len())
}
