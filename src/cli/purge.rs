//! `rollcall purge`: deletes the values that no integration of a running server declares any more.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::api::{Api, Call, print_json};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let answer = Api::new(&args.call)?.ask(Method::POST, &["maintenance", "purge"], None)?;
    if args.call.json {
        print_json(&answer)?;
    } else {
        let purged = answer.get("purged").and_then(Value::as_u64).unwrap_or_default();
        super::print(&format!("{purged} values deleted\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
