//! `rollcall users recover`: lets an Admin in again when every Admin is locked out.
//!
//! Works on the store itself, so the server must be stopped; the store's lock holds that. What it prints is a link for
//! whoever sits at the machine; a password is never an argument, as other users of the machine can see those.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::accounts::Secret;
use crate::config::Flags;

/// The variable that may hold the new password.
const PASSWORD: &str = "ROLLCALL_RECOVERY_PASSWORD";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A username or an e-mail address; of an address that nobody has, a new Admin is made [default: the one Admin that there is]
    name: Option<String>,
    /// Set a password now (from ROLLCALL_RECOVERY_PASSWORD, else asked for) instead of printing a link
    #[arg(long)]
    password: bool,
    /// The data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let flags = Flags { listen: None, data: args.data.clone(), rules: None };
    let config = super::load_config(config, flags)?;
    let url = config.server.public_url.clone();
    let password = if args.password { Some(new_password()?) } else { None };
    let recovered = crate::app::recover_admin(config, args.name.as_deref(), password.as_ref())?;
    let made = if recovered.is_new { "made" } else { "let in again" };
    let mut text = format!("The Admin `{}` was {made}.\n", recovered.username);
    match recovered.token {
        Some(token) => {
            let token = token.reveal();
            text.push_str(&format!(
                "Start the server and choose a password here, within 7 days:\n{url}/activate?token={token}\n"
            ));
        }
        None => text.push_str("Start the server and log in.\n"),
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn new_password() -> anyhow::Result<Secret> {
    if let Some(password) = std::env::var(PASSWORD).ok().filter(|text| !text.is_empty()) {
        return Ok(Secret::new(password));
    }
    let once = ask("New password: ")?;
    if io::stdin().is_terminal() && ask("The same again: ")? != once {
        bail!("the two differ: nothing was changed");
    }
    Ok(Secret::new(once))
}

/// Reads a line without showing it on the terminal.
fn ask(prompt: &str) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let hidden = if stdin.is_terminal() {
        write!(io::stderr(), "{prompt}")?;
        Some(Hidden::new()?)
    } else {
        None
    };
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("can't read the password")?;
    if hidden.is_some() {
        writeln!(io::stderr())?;
    }
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("no password was given: set {PASSWORD}, or type one");
    }
    Ok(password.to_owned())
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let before = tcgetattr(io::stdin()).context("can't read the terminal's settings")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).context("can't hide what is typed")?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
