//! Uploads: which integration takes a file, and how one becomes an import.
//!
//! Invariant: whatever ends an upload before its end leaves neither a file nor an import.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::import::{Import, ImportId, ImportState, OnError};
use super::rows::Position;
use super::service::{Imports, Inner};
use super::spool::Draft;
use crate::engine::WriteError;
use crate::model::{IntegrationId, SystemId};
use crate::ruleset::{Integration, IntegrationKind, LiveRules, RuleSet};

/// Uploads at once: each has a file open.
const MAX_UPLOADS: usize = 16;
/// Bytes of an upload after which the free disk is looked at again.
const LOOK_AT_DISK: u64 = 8 << 20;

/// Why an integration takes no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is none of that name.
    #[error("there is no integration `{1}` in the system `{0}`")]
    Unknown(SystemId, IntegrationId),
    /// It is of another kind.
    #[error(
        "the integration `{0}` is of the kind `api`, which takes updates by `POST /public/v1/user/data`: \
         files are for an integration with `kind = \"csv\"`"
    )]
    Api(IntegrationId),
    /// It is disabled.
    #[error("the integration `{0}` is disabled: set `enabled = true` in its file")]
    Disabled(IntegrationId),
}

/// The live integration, if it takes files.
pub(super) fn target<'a>(
    live: &'a LiveRules,
    system: &SystemId,
    integration: &IntegrationId,
) -> Result<(&'a Arc<RuleSet>, &'a Integration), TargetError> {
    let rules = live.systems.get(system);
    let found = rules.and_then(|rules| Some((rules, rules.integrations.get(integration)?)));
    let (rules, found) = found.ok_or_else(|| TargetError::Unknown(system.clone(), integration.clone()))?;
    if found.kind == IntegrationKind::Api {
        return Err(TargetError::Api(integration.clone()));
    }
    if !found.enabled {
        return Err(TargetError::Disabled(integration.clone()));
    }
    Ok((rules, found))
}

/// Why an upload is not taken. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The integration takes no file.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Too many at once.
    #[error("{MAX_UPLOADS} files are being uploaded, which is the limit: try again in a moment")]
    TooMany,
    /// It broke off.
    #[error("the body broke off")]
    BrokenOff,
    /// Too little disk.
    #[error("free disk would fall below `storage.min_free_mib`: the file was not taken")]
    DiskFull,
    /// What the file system answered.
    #[error("the file can't be kept: {0}")]
    Io(io::Error),
    /// The engine did not take the import.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if full { Self::DiskFull } else { Self::Io(error) }
    }
}

/// What is asked with an upload.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The system.
    pub system: SystemId,
    /// The integration.
    pub integration: IntegrationId,
    /// Who uploads.
    pub client: String,
    /// The file's name, if it was sent.
    pub file_name: Option<String>,
    /// What becomes of good rows when there are bad ones.
    pub on_error: OnError,
    /// Whether nothing is to be stored in any case.
    pub dry_run: bool,
    /// The file's size, if it was announced.
    pub announced: Option<u64>,
}

impl Imports {
    /// Begins to take a file. Blocks.
    ///
    /// # Errors
    /// [`UploadError`]; nothing is left then.
    pub fn begin(self: &Arc<Self>, new: NewImport) -> Result<Upload, UploadError> {
        target(&self.inner.rules.live(), &new.system, &new.integration)?;
        let slot = Slot::take(&self.inner).ok_or(UploadError::TooMany)?;
        self.inner.demand_room(new.announced.unwrap_or(0))?;
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|error| UploadError::Io(io::Error::other(error)))?;
        let created_at = self.inner.clock.now();
        let id = ImportId::new(self.inner.next_number(), u32::from_le_bytes(random));
        let draft = self.inner.spool.begin(id.as_str())?;
        let import = Import {
            id,
            system: new.system,
            integration: new.integration,
            client: new.client,
            file_name: new.file_name,
            bytes: 0,
            on_error: new.on_error,
            dry_run: new.dry_run,
            created_at,
            finished_at: None,
            state: ImportState::Validating,
            rows_read: 0,
            rows_total: None,
            stored: 0,
            rejected: 0,
            columns: None,
            detail: None,
            errors: Vec::new(),
            fingerprint: 0,
            next: Position::START,
            gone: HashSet::new(),
        };
        Ok(Upload { imports: Arc::clone(self), import, draft, looked_at: 0, _slot: slot })
    }
}

/// One of the places for uploads.
struct Slot(Arc<Inner>);

impl Slot {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        let one_more = |taken| (taken < MAX_UPLOADS).then_some(taken + 1);
        inner.uploads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(Arc::clone(inner)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file on its way in. Dropped before [`Upload::finish`], it leaves nothing.
pub struct Upload {
    imports: Arc<Imports>,
    import: Import,
    draft: Draft,
    /// Bytes at which the free disk was looked at.
    looked_at: u64,
    _slot: Slot,
}

impl Upload {
    /// Takes more of the file. Blocks.
    ///
    /// # Errors
    /// [`UploadError`]; the upload has failed then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        if self.draft.bytes() >= self.looked_at + LOOK_AT_DISK {
            self.looked_at = self.draft.bytes();
            self.imports.inner.demand_room(0)?;
        }
        Ok(self.draft.write(bytes)?)
    }

    /// Makes the file durable and queues the import. Blocks.
    ///
    /// # Errors
    /// [`UploadError`]; nothing is left then.
    pub fn finish(self) -> Result<Import, UploadError> {
        let import = Import { bytes: self.draft.bytes(), ..self.import };
        self.draft.keep().inspect_err(|_| self.imports.inner.remove_file(&import.id))?;
        self.imports.take(import)
    }
}

impl Inner {
    /// Refuses when so many more bytes would leave too little disk.
    fn demand_room(&self, bytes: u64) -> Result<(), UploadError> {
        let free = self.engine.store().free_mib();
        match free.is_some_and(|free| free.saturating_sub(bytes >> 20) < self.min_free_mib) {
            true => Err(UploadError::DiskFull),
            false => Ok(()),
        }
    }
}
