//! `rollcall serve`: runs the server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Flags;
use crate::telemetry;

/// Flags of `serve`; each overrides the configuration and the environment.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Args {
    /// IP address and port to listen on, such as 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(super) listen: Option<SocketAddr>,
    /// The data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The rules folder
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080")
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let flags = Flags { listen: args.listen, data: args.data, rules: args.rules };
    let config = super::load_config(config, flags)?;
    telemetry::init()?;
    crate::app::serve(config)?;
    Ok(ExitCode::SUCCESS)
}
