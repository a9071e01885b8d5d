//! One run of the binary and the lines of its stderr.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a server may take to listen or to end. Debug builds on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    pub after: Duration,
}

impl Ended {
    /// Asserts that it ended with 1 and words of its own: not with the marks of a panic that nobody caught.
    #[track_caller]
    pub fn refused(&self, what: &str) {
        assert_eq!(self.code, Some(1), "{what}:\n{}", self.stderr);
        for mark in ["RUST_BACKTRACE", "stack backtrace"] {
            assert!(!self.stderr.contains(mark), "{what}: a bare panic:\n{}", self.stderr);
        }
    }
}

/// One run of the binary, with its log. Killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it and waits for the log line that says where it listens.
    #[track_caller]
    pub fn start(command: &mut Command) -> Result<(Self, String), Ended> {
        let begin = Instant::now();
        let mut child = command.spawn().expect("start the binary");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let log = Arc::new(Log::default());
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                sink.push(String::from_utf8_lossy(&line).into_owned());
            }
            sink.close();
        });
        let mut process = Self { child, log, ended: None };
        if let Some(address) = process.log.wait_for(listening) {
            return Ok((process, address));
        }
        if !process.log.is_closed() {
            panic!("the server neither listens nor ends:\n{}", process.log.text());
        }
        let code = process.wait().code();
        Err(Ended { code, stderr: process.log.text(), after: begin.elapsed() })
    }
    pub fn id(&self) -> u32 {
        self.child.id()
    }
    /// Its log, also when the process is gone.
    pub fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }
    pub fn log_text(&self) -> String {
        self.log.text()
    }
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
            kill_process(pid, signal).expect("signal the server");
        }
    }
    fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("wait for the server");
        self.ended = Some(status);
        status
    }
    #[track_caller]
    pub fn stop(&mut self) -> Ended {
        let begin = Instant::now();
        self.signal(Signal::TERM);
        assert!(self.log.wait_for_end(), "the server does not end:\n{}", self.log.text());
        let status = self.wait();
        assert_eq!(status.signal(), None, "the server ended by a signal:\n{}", self.log.text());
        Ended { code: status.code(), stderr: self.log.text(), after: begin.elapsed() }
    }
    pub fn show_log(&self) {
        let log = self.log.text();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("--- the server's last words\n{}\n---", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // The process may just have ended by itself.
            let _ = self.child.kill();
            self.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_log();
        }
        self.kill();
    }
}

/// The address in the line that says `listening`.
fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| line.get(name).or_else(|| line["fields"].get(name)).and_then(Value::as_str);
    (field("message") == Some("listening")).then(|| field("address").map(str::to_owned))?
}

/// The lines of a server's stderr as they come.
#[derive(Default)]
pub struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    closed: bool,
}

impl Log {
    fn push(&self, line: String) {
        self.state.lock().expect("the log").lines.push(line);
        self.changed.notify_all();
    }
    fn close(&self) {
        self.state.lock().expect("the log").closed = true;
        self.changed.notify_all();
    }
    fn is_closed(&self) -> bool {
        self.state.lock().expect("the log").closed
    }
    pub fn text(&self) -> String {
        self.state.lock().expect("the log").lines.join("\n")
    }
    /// The first line that `find` takes, now or later; `None` when the log ends or patience does.
    pub fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let (mut state, mut seen) = (self.state.lock().expect("the log"), 0);
        loop {
            if let Some(found) = state.lines[seen..].iter().find_map(|line| find(line)) {
                return Some(found);
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).expect("the log").0;
        }
    }
    fn wait_for_end(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().expect("the log");
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).expect("the log").0;
        }
        true
    }
}
