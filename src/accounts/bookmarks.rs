//! Bookmarks: where somebody was in a list or a stream whose numbers tell more than they should.
//!
//! End users stand in numbered rows and their moves are numbered, so whoever sees only some of them could count the
//! others by the gaps. A bookmark is such a number, sealed. Invariant: what [`Accounts::bookmarked`] answers was given
//! out by [`Accounts::bookmark`] of this server for the same list, and nobody else can read or make one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Accounts;
use super::sealed::SealError;

impl Accounts {
    /// A bookmark for a number in a list.
    ///
    /// # Errors
    /// [`SealError`]: there is nothing to make a nonce of.
    pub fn bookmark(&self, number: u64, list: &str) -> Result<String, SealError> {
        Ok(URL_SAFE_NO_PAD.encode(self.bookmark_seal.close(&number.to_be_bytes(), list)?))
    }

    /// The number behind a bookmark of that list; `None`: it is none.
    #[must_use]
    pub fn bookmarked(&self, bookmark: &str, list: &str) -> Option<u64> {
        let opened = self.bookmark_seal.open(&URL_SAFE_NO_PAD.decode(bookmark).ok()?, list)?;
        opened.try_into().ok().map(u64::from_be_bytes)
    }
}
