//! Another secret key for a store: what hangs on the old one is made anew, sealed anew, or ended.
//!
//! | what | becomes |
//! | --- | --- |
//! | integration tokens, browser keys | others, as they are derived |
//! | access tokens, sessions, links in mails that were sent | ended |
//! | second factors | sealed under the new key |
//! | clients' secrets | go on: the key under which they are hashed is kept, sealed under the new one |
//! | operators' passwords | untouched, as no key is in them |
//! | hashes of deleted end users in the audit | stay as they are; later ones differ |
//!
//! Invariant: all of it is one commit. A new key that is to be a file is on disk before, under another name, and takes the
//! old one's place after; [`settle`] finishes what a crash left in between.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{Act, ActorKind, Audit, By};
use super::keys::{self, KEY_BYTES, KEY_FILE, KeyError, MacKey, ServerKey};
use super::sealed::{Seal, SealError};
use super::secret::NoRandomness;
use super::users::{UserRecord, session_number};
use super::vault::{RecordError, Vault, put, read_all, read_one};
use super::{KEY_CHECK, private_file};
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::store::Table;

/// The variable with the new key, for who keeps the key there.
pub const NEW_KEY_VARIABLE: &str = "ROLLCALL_NEW_SECRET_KEY";
/// The server's record of earlier keys of clients' secrets.
const CARRIED: &str = "carried_keys";
/// The purpose under which those are sealed, and for whom.
const SEALED_FOR: (&str, &str) = ("carried keys", "clients");
/// What a new key is called until it is in use.
const NEXT_FILE: &str = "secret.key.next";
/// Who is put down as having done it.
const COMMAND: &str = "rotate-key";

/// Why the key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// There is no usable key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is set from outside, so the new one must be, too.
    #[error(
        "the secret key is set by {}: give the new one in {NEW_KEY_VARIABLE} (`openssl rand -hex 32` makes one)",
        keys::KEY_VARIABLE
    )]
    NewKeyNeeded,
    /// It is the one that there is.
    #[error("{NEW_KEY_VARIABLE} is the key that the store has already")]
    SameKey,
    /// The store has no key yet.
    #[error("the store is empty: start the server once")]
    Empty,
    /// A record can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Something could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is nothing to make a key of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Nothing was written.
    #[error("the store can't be written: {0}; the old key holds")]
    Write(#[from] WriteError),
    /// The store has the new key, but the file could not be put in its place.
    #[error("the store has the new key now, but {} can't be put in the place of the old one ({reason}): rename it yourself", path.display())]
    Place {
        /// The new key's file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

/// What rotating did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRotated {
    /// The file with the new key; `None`: it is to be set as a variable.
    pub key_file: Option<PathBuf>,
    /// Sessions that ended.
    pub sessions_ended: usize,
    /// Operators whose activation or reset link ended.
    pub links_ended: Vec<String>,
    /// Operators whose second factor could not be opened, and is gone.
    pub second_factors_lost: Vec<String>,
    /// Clients whose secret can't be checked any more, and has to be rotated.
    pub clients_to_rotate: Vec<String>,
}

/// Keys of clients' secrets from before, each sealed.
#[derive(Default, Serialize, Deserialize)]
struct CarriedRecord {
    keys: Vec<Vec<u8>>,
}

/// The earlier keys under which clients' secrets may be hashed.
pub(super) fn carried(key: &ServerKey, vault: &dyn Vault) -> Result<Vec<MacKey>, RecordError> {
    Ok(opened(key, vault)?.iter().map(MacKey::new).collect())
}

fn opened(key: &ServerKey, vault: &dyn Vault) -> Result<Vec<[u8; KEY_BYTES]>, RecordError> {
    let record: CarriedRecord = read_one(vault, Table::Server, CARRIED)?.unwrap_or_default();
    let seal = Seal::new(key, SEALED_FOR.0);
    Ok(record.keys.iter().filter_map(|sealed| seal.open(sealed, SEALED_FOR.1)?.try_into().ok()).collect())
}

/// Puts a new key in the place of the old one, if the store has it already.
pub(super) fn settle(data: &Path, kept: &[u8; 32]) -> Result<(), KeyError> {
    let next = data.join(NEXT_FILE);
    let Ok(text) = fs::read_to_string(&next) else { return Ok(()) };
    let is_the_stores = keys::parse(&text).is_ok_and(|bytes| ServerKey::new(&bytes).check() == *kept);
    let place = data.join(KEY_FILE);
    let settled = if is_the_stores { fs::rename(&next, &place) } else { fs::remove_file(&next) };
    settled.map_err(|error| KeyError::Write { path: place, reason: error.to_string() })
}

/// Gives the store in `data` a new key. With `lost`, the old one is not needed: then clients need new secrets, and second
/// factors are gone. The server must be stopped.
///
/// # Errors
/// [`RotateError`]; but for [`RotateError::Place`] the old key holds.
pub fn rotate_key(
    vault: &dyn Vault,
    data: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    lost: bool,
    now: Timestamp,
) -> Result<KeyRotated, RotateError> {
    let kept: [u8; 32] = read_one(vault, Table::Server, KEY_CHECK)?.ok_or(RotateError::Empty)?;
    settle(data, &kept)?;
    let old = if lost { None } else { Some(old_key(data, env, &kept)?) };
    let is_set = env(keys::KEY_VARIABLE).is_some();
    let given = env(NEW_KEY_VARIABLE)
        .map(|text| keys::parse(&text).map_err(|found| KeyError::NamedVariable { name: NEW_KEY_VARIABLE, found }));
    let bytes = match given.transpose()? {
        Some(bytes) => bytes,
        None if is_set => return Err(RotateError::NewKeyNeeded),
        None => super::secret::random()?,
    };
    let new = ServerKey::new(&bytes);
    if new.check() == kept {
        return Err(RotateError::SameKey);
    }
    let next = data.join(NEXT_FILE);
    if !is_set {
        private_file::write(&next, format!("{}\n", hex::encode(bytes)).as_bytes())
            .map_err(|error| KeyError::Write { path: next.clone(), reason: error.to_string() })?;
    }
    let mut change = Change { vault, old, new, now, changes: Vec::new() };
    let mut rotated = change.plan()?;
    vault.write(change.changes)?;
    if !is_set {
        settle(data, &change.new.check())
            .map_err(|error| RotateError::Place { path: next, reason: error.to_string() })?;
        fs::File::open(data)
            .and_then(|folder| folder.sync_all())
            .map_err(|error: io::Error| KeyError::Write { path: data.to_owned(), reason: error.to_string() })?;
        rotated.key_file = Some(data.join(KEY_FILE));
    }
    Ok(rotated)
}

fn old_key(data: &Path, env: &dyn Fn(&str) -> Option<String>, kept: &[u8; 32]) -> Result<ServerKey, KeyError> {
    let (key, source) = ServerKey::open(data, env, false)?;
    key.verify(kept, &source, data)?;
    Ok(key)
}

/// The one commit.
struct Change<'a> {
    vault: &'a dyn Vault,
    old: Option<ServerKey>,
    new: ServerKey,
    now: Timestamp,
    changes: Vec<super::vault::Change>,
}

impl Change<'_> {
    fn plan(&mut self) -> Result<KeyRotated, RotateError> {
        let (links_ended, second_factors_lost) = self.users()?;
        let sessions = self.vault.records(Table::Sessions).map_err(RecordError::from)?;
        let rotated = KeyRotated {
            key_file: None,
            sessions_ended: sessions.len(),
            links_ended,
            second_factors_lost,
            clients_to_rotate: self.clients()?,
        };
        self.changes.extend(sessions.into_iter().map(|(key, _)| (Table::Sessions, key, None)));
        self.changes.push(put(Table::Server, KEY_CHECK, &self.new.check())?);
        let by = By { kind: ActorKind::Command, name: COMMAND.to_owned(), address: None };
        let act = Act::new("server.rotate_key", "server").after(json!({ "old_key_lost": self.old.is_none() }));
        self.changes.push(Audit::new(u32::MAX).record(&by, act, self.now)?);
        Ok(rotated)
    }

    /// Carries on the keys of clients' secrets; the clients for which that can't be done.
    fn clients(&mut self) -> Result<Vec<String>, RotateError> {
        let Some(old) = &self.old else {
            let clients: Vec<(String, super::Client)> = read_all(self.vault, Table::Clients)?;
            self.changes.push(put(Table::Server, CARRIED, &CarriedRecord::default())?);
            return Ok(clients.into_iter().map(|(id, _)| id).collect());
        };
        let mut keys = opened(old, self.vault)?;
        keys.push(old.derive(super::clients::SECRETS, &[]));
        let seal = Seal::new(&self.new, SEALED_FOR.0);
        let keys = keys.iter().map(|key| seal.close(key, SEALED_FOR.1)).collect::<Result<_, _>>()?;
        self.changes.push(put(Table::Server, CARRIED, &CarriedRecord { keys })?);
        Ok(Vec::new())
    }

    /// Ends links and sessions, and seals second factors anew; whose links ended, and whose second factors are lost.
    fn users(&mut self) -> Result<(Vec<String>, Vec<String>), RotateError> {
        let (mut ended, mut lost) = (Vec::new(), Vec::new());
        let old = self.old.as_ref().map(|old| Seal::new(old, super::SECOND_FACTORS));
        let new = Seal::new(&self.new, super::SECOND_FACTORS);
        for (key, mut user) in read_all::<UserRecord>(self.vault, Table::Users)? {
            if user.activation.take().is_some() | user.reset.take().is_some() {
                ended.push(user.username.clone());
            }
            user.sessions = session_number()?;
            if let Some(factor) = &mut user.totp {
                let name = &user.username;
                let anew = |sealed: &mut Option<Vec<u8>>| -> Result<(), SealError> {
                    let opened = sealed.take().and_then(|sealed| old.as_ref()?.open(&sealed, name));
                    *sealed = opened.map(|text| new.close(&text, name)).transpose()?;
                    Ok(())
                };
                let was_set = factor.sealed.is_some();
                anew(&mut factor.sealed)?;
                anew(&mut factor.pending)?;
                if was_set && factor.sealed.is_none() {
                    lost.push(user.username.clone());
                }
                if factor.sealed.is_none() && factor.pending.is_none() {
                    user.totp = None;
                }
            }
            self.changes.push(put(Table::Users, &key, &user)?);
        }
        Ok((ended, lost))
    }
}
