//! `rollcall restore` and `rollcall compact`: a store made anew, with the server stopped.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::accounts::{KEY_FILE, KEY_VARIABLE};
use crate::backup;
use crate::clock::Clock;
use crate::config::Flags;
use crate::engine::Contents;
use crate::model::Timestamp;
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backup, as `rollcall backup` or the server wrote it
    file: PathBuf,
    /// Put it in the place of the store that is there, which is kept in a folder beside
    #[arg(long)]
    replace: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompactArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = super::load_config(config, Flags { listen: None, data: args.data.clone(), rules: None })?;
    telemetry::init()?;
    let data = &config.storage.path;
    let restored = backup::restore(&args.file, data, args.replace, Clock::system().now())?;
    let made_at = Timestamp::from_millis(restored.head.at);
    if args.json {
        let mut told = contents(&restored.contents);
        if let Some(told) = told.as_object_mut() {
            told.insert("made_at".to_owned(), json!(made_at));
            told.insert("kept_aside".to_owned(), json!(restored.aside));
        }
        return super::print(&format!("{told}\n")).map(|()| ExitCode::SUCCESS);
    }
    let mut text = format!("Restored into {}: the backup of {made_at}\n", data.display());
    text.push_str(&table(&restored.contents));
    if let Some(aside) = &restored.aside {
        text.push_str(&format!("What was there before is in {}: remove it when all is well\n", aside.display()));
    }
    super::print(&text)?;
    if !restored.has_key && !data.join(KEY_FILE).exists() && std::env::var_os(KEY_VARIABLE).is_none() {
        let key = data.join(KEY_FILE);
        let told =
            format!("The server's secret key was not in it: put it into {}, or set {KEY_VARIABLE}", key.display());
        writeln!(io::stderr(), "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run_compact(args: &CompactArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = super::load_config(config, Flags { listen: None, data: args.data.clone(), rules: None })?;
    telemetry::init()?;
    let (held, before, after) = backup::compact(&config.storage.path, config.storage.cache_mib, &Clock::system())?;
    if args.json {
        let mut told = contents(&held);
        if let Some(told) = told.as_object_mut() {
            told.insert("bytes_before".to_owned(), before.into());
            told.insert("bytes_after".to_owned(), after.into());
        }
        return super::print(&format!("{told}\n")).map(|()| ExitCode::SUCCESS);
    }
    super::print(&format!("{before} bytes before, {after} after\n{}", table(&held)))?;
    Ok(ExitCode::SUCCESS)
}

fn contents(contents: &Contents) -> Value {
    let systems = contents.end_users.iter().map(|(id, count)| (id.to_string(), json!(count)));
    json!({ "commit": contents.commit, "end_users": Value::Object(systems.collect()) })
}

fn table(contents: &Contents) -> String {
    contents.end_users.iter().map(|(id, count)| format!("  {id}: {count} end users\n")).collect()
}
