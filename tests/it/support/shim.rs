//! The shim between the server and its disk and clock: see `tests/faults/shim.c`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::Home;

/// Bytes that a disk writes at once.
const PAGE: u64 = 4096;

/// A call that is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// A write, with this error.
    Write(i32),
    /// A write does only half of what it is told.
    ShortWrite,
    /// A sync, with this error.
    Sync(i32),
    /// A file or folder made, renamed or removed, or a sync, with this error.
    Step(i32),
    /// The process dies at such a step.
    Death,
}

/// No room on the disk.
pub const ENOSPC: i32 = 28;
/// The disk's own error.
pub const EIO: i32 = 5;

/// The shim as it stands between one server and its data folder.
pub struct Shim {
    control: PathBuf,
    undo: PathBuf,
    data: PathBuf,
}

fn library() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let binary = Path::new(env!("CARGO_BIN_EXE_rollcall"));
        let folder = binary.parent().expect("the build's folder");
        let out = folder.join(format!("shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&out).arg(source).args(["-ldl", "-lpthread"]);
        assert!(cc.status().expect("run cc").success(), "the shim does not compile");
        let kept = folder.join("shim.so");
        fs::rename(&out, &kept).expect("put the shim into its place");
        kept
    });
    &LIBRARY
}

impl Shim {
    /// Puts the shim under the starts to come of this folder's server.
    pub fn under(home: &mut Home) -> Self {
        let root = home.root().canonicalize().unwrap();
        let shim = Self { control: root.join("shim.control"), undo: root.join("shim.undo"), data: root.join("data") };
        fs::write(&shim.control, [0; 32]).unwrap();
        fs::create_dir_all(&shim.undo).unwrap();
        for (name, value) in [
            ("LD_PRELOAD", library()),
            ("SHIM_ROOT", &shim.data),
            ("SHIM_UNDO", &shim.undo),
            ("SHIM_CONTROL", &shim.control),
        ] {
            home.set_env(name, value.to_str().unwrap());
        }
        shim
    }

    fn set(&self, at: u64, bytes: &[u8]) {
        let file = fs::OpenOptions::new().write(true).open(&self.control).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// Has the `nth` such call from now on fail, and with `sticky` all after it.
    pub fn fail(&self, what: Failing, nth: i32, sticky: bool) {
        let (kind, error) = match what {
            Failing::Write(error) => (1, error),
            Failing::ShortWrite => (1, 0),
            Failing::Sync(error) => (2, error),
            Failing::Step(error) => (3, error),
            Failing::Death => (3, 0),
        };
        self.set(4, &[error, nth, i32::from(sticky), 0].map(i32::to_le_bytes).concat());
        self.set(0, &i32::to_le_bytes(kind));
    }

    /// Lets everything succeed again.
    pub fn mend(&self) {
        self.set(0, &[0; 4]);
    }

    /// How many calls have failed.
    pub fn fired(&self) -> i32 {
        let bytes = fs::read(&self.control).unwrap();
        i32::from_le_bytes(bytes[16..20].try_into().unwrap())
    }

    /// Sets the server's clock that many seconds apart from the machine's.
    pub fn set_clock(&self, seconds: i64) {
        self.set(24, &seconds.to_le_bytes());
    }

    /// What a power cut leaves after a kill: of each page, some state between the last sync and now. Gives how many pages
    /// were taken back.
    pub fn cut_power(&self, seed: u64) -> usize {
        let mut taken = 0;
        for log in fs::read_dir(&self.undo).unwrap().map(|entry| entry.unwrap().path()) {
            let name = log.file_name().unwrap().to_str().unwrap().replace('%', "/");
            taken += take_back(&self.data.join(name), &fs::read(&log).unwrap(), seed);
            fs::remove_file(&log).unwrap();
        }
        taken
    }
}

/// One unsynced write.
struct Write<'a> {
    offset: u64,
    old: &'a [u8],
    size: u64,
}

fn writes(mut log: &[u8]) -> Vec<Write<'_>> {
    let mut writes = Vec::new();
    while log.len() >= 24 {
        let number = |at: usize| u64::from_le_bytes(log[at..at + 8].try_into().unwrap());
        let (offset, length, size) = (number(0), number(8) as usize, number(16));
        if log.len() < 24 + length {
            break;
        }
        writes.push(Write { offset, old: &log[24..24 + length], size });
        log = &log[24 + length..];
    }
    writes
}

fn take_back(path: &Path, log: &[u8], seed: u64) -> usize {
    let writes = writes(log);
    let (Some(first), Ok(file)) = (writes.first(), fs::OpenOptions::new().write(true).open(path)) else { return 0 };
    // Up to which write each page had reached the disk.
    let mut reached: BTreeMap<u64, usize> = BTreeMap::new();
    let mut state = seed | 1;
    let mut dice = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % (end as u64 + 1)) as usize
    };
    let mut taken = 0;
    let mut kept_to = first.size;
    for (number, write) in writes.iter().enumerate().rev() {
        let end = write.offset + write.old.len() as u64;
        let mut at = write.offset;
        while at < end {
            let next = ((at / PAGE + 1) * PAGE).min(end);
            let reached = *reached.entry(at / PAGE).or_insert_with(|| dice(writes.len()));
            if number >= reached {
                let old = &write.old[(at - write.offset) as usize..(next - write.offset) as usize];
                file.write_all_at(old, at).unwrap();
                taken += 1;
            } else {
                kept_to = kept_to.max(next);
            }
            at = next;
        }
    }
    let size = file.metadata().unwrap().len();
    file.set_len(size.min(kept_to.max(first.size))).unwrap();
    taken
}
