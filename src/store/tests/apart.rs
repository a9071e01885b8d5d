//! Doing something to a store in a process of its own, which can die of it or be killed.

use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Opens the store and says whether it is intact.
pub(super) const READ: &str = "read";
/// Writes, with checkpoints, until it fails or is killed.
pub(super) const WRITE: &str = "write";

const TASK: &str = "ROLLCALL_TEST_TASK";
const FOLDER: &str = "ROLLCALL_TEST_FOLDER";
const ROWS: u64 = 300;

/// Not a test by itself: what the others run as a process of its own. Without its variables it does nothing.
#[test]
fn child() {
    let (Some(task), Some(folder)) = (std::env::var_os(TASK), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let said = if task == READ { read(folder) } else { write(folder).to_string() };
    fs::write(folder.join("said"), said).unwrap();
}

fn read(folder: &Path) -> String {
    match damage::everything(folder) {
        Ok(hash) => format!("intact {hash}"),
        Err(error) => format!("refused {error}"),
    }
}

/// The entry of that number: a value, and now and then a record.
fn entry(number: u64) -> Entry {
    let mut entry = put((number % ROWS) as u32, number as i32);
    if number.is_multiple_of(3) {
        entry.ops.extend(record(Table::Calls, &[(number % 7) as u8], Some(&Dice(number).bytes(2500))).ops);
    }
    entry
}

/// What that many entries make.
pub(super) fn live_after(last: u64) -> Live {
    let mut live = Live::default();
    for number in last.saturating_sub(ROWS) + 1..=last {
        live.apply(number, &entry(number));
    }
    live.last = last;
    live
}

fn write(folder: &Path) -> StoreError {
    let store = open(folder).unwrap();
    let live = Mutex::new(Live::load(&store).unwrap());
    let file =
        fs::OpenOptions::new().create(true).write(true).truncate(false).open(folder.join("acknowledged")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while store.failed().is_none() {
                let mut checkpoint = store.checkpoint();
                let now = {
                    let live = live.lock();
                    Live { rows: live.rows.clone(), last: live.last }
                };
                let chunks = 0..(ROWS as u32 / CHUNK);
                let key = |chunk| PieceKey { system: 1, chunk, column: 0 };
                if chunks.into_iter().all(|chunk| checkpoint.put(key(chunk), &now.chunk(chunk)).is_ok()) {
                    // A failure shows in the store.
                    let _ = checkpoint.finish(now.last, &0u64);
                }
            }
        });
        loop {
            let number = store.last() + 1;
            if let Err(first) = store.append(number - 1, &entry(number)) {
                let after = store.append(store.last(), &entry(number)).unwrap_err();
                return StoreError::Failed(format!("{first}; then {after}"));
            }
            file.write_all_at(&number.to_le_bytes(), 0).unwrap();
            live.lock().apply(number, &entry(number));
        }
    })
}

/// The last entry that a writer was told is durable.
pub(super) fn acknowledged(folder: &Path) -> u64 {
    let bytes = fs::read(folder.join("acknowledged")).unwrap_or_default();
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn command(program: &Path, task: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(TASK, task).env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

const ARGS: [&str; 3] = ["--exact", "store::tests::apart::child", "--nocapture"];

/// Starts a task.
pub(super) fn start(task: &str, folder: &Path) -> Child {
    command(&std::env::current_exe().unwrap(), task, folder).args(ARGS).spawn().unwrap()
}

/// Does a task to its end; what it said.
pub(super) fn run(task: &str, folder: &Path) -> String {
    said(start(task, folder), folder)
}

/// The same where no file can grow beyond 1 MiB.
pub(super) fn run_limited(task: &str, folder: &Path) -> String {
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let mut shell = command(Path::new("sh"), task, folder);
    said(shell.args(["-c", script]).arg(std::env::current_exe().unwrap()).args(ARGS).spawn().unwrap(), folder)
}

fn said(mut child: Child, folder: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it hangs");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "it died: {status}");
    fs::read_to_string(folder.join("said")).unwrap()
}
