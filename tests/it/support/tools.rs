//! Programs that only tests need, where `tests/run` has installed them.

use std::path::{Path, PathBuf};

/// The folder of the build, in which `tests/run` keeps the tools.
fn tools() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_rollcall"));
    binary.parent().and_then(Path::parent).expect("the build's folder").join("tools")
}

/// Python with the packages of the tests.
pub fn python() -> PathBuf {
    installed(tools().join("python/bin/python"))
}

/// The folder with the packages of the tests for Node.
pub fn node_packages() -> PathBuf {
    installed(tools().join("node/node_modules"))
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not there: `tests/run --tools` installs it", path.display());
    path
}
