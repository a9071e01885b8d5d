//! `rollcall rotate-key`: another secret key for the store, with the server stopped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::accounts::{KEY_VARIABLE, KeyRotated, NEW_KEY_VARIABLE};
use crate::config::Flags;
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The old key is lost: clients then need new secrets, and operators set up their second factors again
    #[arg(long)]
    lost: bool,
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
    let rotated = crate::app::rotate_key(config, args.lost)?;
    let text = if args.json { format!("{}\n", serde_json::to_string(&rotated)?) } else { told(&rotated) };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn told(rotated: &KeyRotated) -> String {
    let mut lines = vec![match &rotated.key_file {
        Some(path) => format!("The new secret key is in {}.", path.display()),
        None => format!("Start the server with {KEY_VARIABLE} set to what {NEW_KEY_VARIABLE} is now."),
    }];
    lines.push("Integrations have other tokens now, and systems other browser keys: hand them out anew.".to_owned());
    lines.push(format!("Access tokens and {} sessions have ended.", rotated.sessions_ended));
    let mut of = |what: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("{what}: {}", names.join(", ")));
        }
    };
    of("Links that have ended (send them again)", &rotated.links_ended);
    of("Second factors that are gone (set them up again)", &rotated.second_factors_lost);
    of("Clients whose secrets are to be rotated", &rotated.clients_to_rotate);
    lines.join("\n") + "\n"
}
