//! CSV imports: a file of any size becomes the end users' attributes of an integration of kind `csv`.
//!
//! ```text
//! upload ──► spool (a file) ──► validate: every row judged ──► apply: batch by batch through the engine
//! ```
//!
//! | file | owns |
//! | --- | --- |
//! | `upload` | which integration takes a file, and how one becomes an import |
//! | `service` | the queue, the one thread, what is kept and for how long |
//! | `job`, `validate` | one import from its file to its end; the first of its two passes |
//! | `import` | an import's states and its stored form |
//! | `spool` | the folder of files |
//! | `rows`, `cells` | CSV (RFC 4180): rows of a file, cells of a row |
//! | `sample` | the same of a pasted text |
//! | `layout`, `judge` | what columns and rows mean for an integration |
//! | `faults`, `errors` | what can be wrong, and the list of it |
//!
//! Invariants: nothing is stored before every row was judged; rows and the progress that they stand for are one commit,
//! so that after a crash an import goes on exactly where it was; a file is removed when its import ends.

mod cells;
mod errors;
mod faults;
#[cfg(test)]
mod fixtures;
mod import;
mod job;
mod judge;
mod layout;
mod nonsense;
mod rows;
mod sample;
mod service;
mod spool;
mod upload;
mod validate;

pub use errors::ErrorsCsv;
pub use faults::RowError;
pub use import::{Import, ImportId, ImportState, OnError};
pub use layout::Columns;
pub(crate) use nonsense::read_nonsense;
pub(super) use sample::sample;
pub use service::{ImportPage, Imports, ImportsOptions};
pub use upload::{NewImport, TargetError, Upload, UploadError};
