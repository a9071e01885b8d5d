//! Why a benchmark ends without its figures. Messages leave out their source, which is told after them.

use std::io;
use std::path::PathBuf;

/// Why a benchmark ends without its figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    /// The command line asks for what can't be.
    #[error("{0}")]
    Usage(String),
    /// A file or folder could not be written or read.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The server that the benchmark started did not do what a server does; with the end of its log.
    #[error("the server {what}; the end of its log:\n{log}")]
    Server {
        /// What it did.
        what: String,
        /// Its last lines.
        log: String,
    },
    /// A connection could not be made or broke.
    #[error("{request}")]
    Connection {
        /// The request line, or what else was tried.
        request: String,
        /// Why.
        source: io::Error,
    },
    /// An answer with another status than expected.
    #[error("{request}: answered {status}: {body}")]
    Status {
        /// The request line.
        request: String,
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// An answer that is not what is right: no figure is worth showing.
    #[error("wrong answer: {what}: expected {expected}, found {found}")]
    Wrong {
        /// Whose, which.
        what: String,
        /// By the plain evaluation beside the server.
        expected: String,
        /// By the server.
        found: String,
    },
    /// The load did not come to its end in time.
    #[error("no answer for {0} seconds after the end of the run")]
    Stalled(u64),
    /// The command given with `--beside` failed or printed something else than figures.
    #[error("the command beside (`--beside`): {0}")]
    Beside(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}
