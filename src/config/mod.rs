//! `config.toml`, environment and flags, as one checked [`Config`].
//!
//! Owns the keys, their defaults and limits, and what a mistake in them is told as. Knows nothing of what the
//! settings are used for. Invariant: [`load`] gives either a configuration in which every value is checked, or every
//! mistake at once, each with its place.
//!
//! Three layers, each over the one before it:
//!
//! 1. the file (`--config FILE`, else `./config.toml`, else nothing);
//! 2. variables `ROLLCALL_<SECTION>__<KEY>` (`ROLLCALL_MAIL__SMTP__HOST` for a nested section); a list is written with
//!    commas or as a TOML array; other variables that begin with `ROLLCALL_` are none of ours;
//! 3. flags.
//!
//! Only the value that counts is judged: a variable mends a bad value in the file. Relative paths of the first two
//! layers start at the file's folder, those of flags where the command runs. Without `public_url`, callers are told
//! the address that follows from `listen` and the TLS keys.

mod check;
mod error;
mod keys;
mod layers;
mod read;
mod types;

use std::path::{Path, PathBuf};

pub use error::{ConfigError, ConfigErrors, Place};
pub use types::{Audit, Auth, Backup, Config, Limits, Mail, MailTransport, Role, Rules, Server, Sso, Storage};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "config.toml";

/// What the command line sets; each overrides the file and the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--listen`: address and port.
    pub listen: Option<std::net::SocketAddr>,
    /// `--data`: the data folder.
    pub data: Option<PathBuf>,
    /// `--rules`: the rules folder.
    pub rules: Option<PathBuf>,
}

/// Reads the configuration from all its layers.
///
/// `file` is the file that was named; without one, `./config.toml` is read if it is there.
///
/// # Errors
/// [`ConfigErrors`] with every mistake. A named file that is missing is one.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    flags: Flags,
) -> Result<Config, ConfigErrors> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let mut mistakes = Vec::new();
    let text = read_text(path, file.is_some()).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    });
    let mut layers = layers::Layers::default();
    if let Some(text) = text {
        layers.add_file(path, &text, &mut mistakes);
    }
    layers.add_variables(env, &mut mistakes);
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = read::config(&layers, folder, flags, &mut mistakes);
    ConfigErrors::unless_empty(mistakes)?;
    Ok(config)
}

/// What a configuration file of this text says, or every mistake in it: for `fuzzing`.
pub(crate) fn read_text_as_file(text: &str) -> Result<Config, ConfigErrors> {
    let (mut mistakes, mut layers) = (Vec::new(), layers::Layers::default());
    layers.add_file(Path::new(DEFAULT_FILE), text, &mut mistakes);
    let config = read::config(&layers, Path::new(""), Flags::default(), &mut mistakes);
    ConfigErrors::unless_empty(mistakes)?;
    Ok(config)
}

/// The file's text; none when it is missing and was not named.
fn read_text(path: &Path, named: bool) -> Result<Option<String>, ConfigError> {
    let whole_file = || Place::File { path: path.to_owned(), line: 1, column: 1 };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => return Ok(None),
        Err(e) => {
            let hint = (e.kind() == std::io::ErrorKind::NotFound)
                .then(|| "name a file that is there, or leave `--config` out to run with the defaults".to_owned());
            return Err(ConfigError::new(whole_file(), None, format!("can't read the file: {e}"), hint));
        }
    };
    String::from_utf8(bytes).map(Some).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        let (line, column) = error::position(&String::from_utf8_lossy(good), good.len());
        let place = Place::File { path: path.to_owned(), line, column };
        ConfigError::new(place, None, "the file is not UTF-8".to_owned(), Some("save it as UTF-8".to_owned()))
    })
}

#[cfg(test)]
mod tests;
