//! The server under test, as a child process.
//!
//! Owns its start, its end in both manners (asked, killed), and what the system says of it: memory, processor time. It
//! runs the same binary as the benchmark, so what is measured is what is installed. Invariant: no child outlives its
//! value.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::api::{Credentials, get};
use super::error::BenchError;
use super::wire::{Answer, Connection};
use super::workspace::Workspace;

/// Longest start: a store of ten million end users on a slow disk has room in it.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Longest clean stop: the server promises ten seconds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often the server is asked whether it is ready, and whether it has ended.
const POLL: Duration = Duration::from_millis(1);
/// Lines of the log that an error shows.
const LOG_LINES: usize = 20;
/// The client that the first start makes.
const CLIENT: &str = "bench";
/// The operator that the first start makes.
const ADMIN_EMAIL: &str = "bench@rollcall.example";

/// How to start it.
#[derive(Debug)]
pub(super) struct Launcher {
    binary: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    secret: String,
}

impl Launcher {
    /// A launcher of this very binary in that folder, with a client of its own.
    pub(super) fn new(workspace: &Workspace) -> Result<Self, BenchError> {
        let binary = std::env::current_exe()
            .map_err(|source| BenchError::File { path: PathBuf::from("this program"), source })?;
        let mut secret = [0; 24];
        getrandom::fill(&mut secret)
            .map_err(|error| BenchError::Usage(format!("the system gives no random bytes: {error}")))?;
        Ok(Self {
            binary,
            config: workspace.config(),
            folder: workspace.path().to_path_buf(),
            log: workspace.log(),
            secret: hex::encode(secret),
        })
    }

    /// The client's id and secret.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::Client(CLIENT.into(), self.secret.clone())
    }

    /// The operator's address and password.
    pub(super) fn admin(&self) -> (&'static str, String) {
        (ADMIN_EMAIL, format!("{}!", self.secret))
    }

    /// Starts the server and waits until `/readyz` says 200; gives the time that this took.
    pub(super) async fn start(&self) -> Result<(Server, Duration), BenchError> {
        let before = Instant::now();
        let failed = |path: &Path, source| BenchError::File { path: path.to_path_buf(), source };
        let log = File::options().create(true).append(true).open(&self.log).map_err(|e| failed(&self.log, e))?;
        let mut child = self.command().spawn().map_err(|e| failed(&self.binary, e))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (listening, address) = channel();
        if let Some(stderr) = child.stderr.take() {
            let tail = Arc::clone(&tail);
            std::thread::spawn(move || follow(stderr, log, &tail, &listening));
        }
        let mut server = Server { child, tail, authority: String::new() };
        server.authority = server.wait_for_address(&address)?;
        server.wait_until_ready(before + START_LIMIT).await?;
        Ok((server, before.elapsed()))
    }

    /// The same in another folder: its store is to have the same client.
    pub(super) fn at(&self, workspace: &Workspace) -> Self {
        Self {
            binary: self.binary.clone(),
            config: workspace.config(),
            folder: workspace.path().to_path_buf(),
            log: workspace.log(),
            secret: self.secret.clone(),
        }
    }

    /// Has the server at that address backed up into a file; gives the time that it took.
    pub(super) fn back_up(&self, authority: &str, file: &Path) -> Result<Duration, BenchError> {
        let mut command = self.program();
        command.arg("backup").arg(file).args(["--url", &format!("http://{authority}"), "--client-id", CLIENT]);
        self.timed(command.env("ROLLCALL_CLIENT_SECRET", &self.secret))
    }

    /// Makes a backup the store of the folder, in which no server may run; gives the time that it took.
    pub(super) fn restore(&self, file: &Path) -> Result<Duration, BenchError> {
        self.timed(self.program().arg("restore").arg(file).arg("--config").arg(&self.config))
    }

    /// Runs a command to its good end.
    fn timed(&self, command: &mut Command) -> Result<Duration, BenchError> {
        let before = Instant::now();
        let failed = |source| BenchError::File { path: self.binary.clone(), source };
        let output = command.stdin(Stdio::null()).output().map_err(failed)?;
        if output.status.success() {
            return Ok(before.elapsed());
        }
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(BenchError::Server { what: format!("'s own command ended ({})", output.status), log })
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.folder);
        // Whoever runs the benchmark may have a server's settings in the environment: this one has none but its own.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("ROLLCALL_")) {
                command.env_remove(name);
            }
        }
        command
    }

    fn command(&self) -> Command {
        let mut command = self.program();
        let (email, password) = self.admin();
        command
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .env("ROLLCALL_BOOTSTRAP_CLIENT_ID", CLIENT)
            .env("ROLLCALL_BOOTSTRAP_CLIENT_SECRET", &self.secret)
            .env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", email)
            .env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", password)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Copies the log to its file, keeps its end, and passes on the address that the server listens on.
fn follow(stderr: ChildStderr, mut log: File, tail: &Mutex<VecDeque<String>>, listening: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // The log is for people; a full disk fails elsewhere.
        let _ = writeln!(log, "{line}");
        if let Some(address) = listening_address(&line) {
            // Nobody waits for a second one.
            let _ = listening.send(address);
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(line);
        if tail.len() > LOG_LINES {
            tail.pop_front();
        }
    }
}

/// The address in the log line that says `listening`; fields stand in the line itself or under `fields`.
fn listening_address(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let text = |name: &str| fields.get(name).and_then(serde_json::Value::as_str);
    (text("message") == Some("listening")).then(|| text("address")).flatten().map(str::to_owned)
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    tail: Arc<Mutex<VecDeque<String>>>,
    /// `host:port`.
    pub(super) authority: String,
}

impl Server {
    fn wait_for_address(&mut self, address: &Receiver<String>) -> Result<String, BenchError> {
        address.recv_timeout(START_LIMIT).map_err(|_| match self.child.try_wait() {
            Ok(Some(status)) => self.failed(format!("ended ({status}) instead of listening")),
            // Its log ended, so it is about to end, or it is stuck.
            _ => self.failed("did not say where it listens".into()),
        })
    }

    async fn wait_until_ready(&mut self, deadline: Instant) -> Result<(), BenchError> {
        let request = get(&self.authority, "/readyz", None);
        while Instant::now() < deadline {
            if let Ok(mut connection) = Connection::open(&self.authority).await
                && let Ok(Answer { status: 200, .. }) = connection.exchange(&request).await
            {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(format!("ended ({status}) before it was ready")));
            }
            tokio::time::sleep(POLL).await;
        }
        Err(self.failed(format!("was not ready within {} s", START_LIMIT.as_secs())))
    }

    /// Asks the server to stop (SIGTERM) and waits for its end; gives the time that this took.
    pub(super) async fn stop(mut self) -> Result<Duration, BenchError> {
        let before = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .map_err(|error| self.failed(format!("could not be asked to stop: {error}")))?;
        while before.elapsed() < STOP_LIMIT {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(before.elapsed()),
                Ok(Some(status)) => return Err(self.failed(format!("ended with {status} when asked to stop"))),
                _ => tokio::time::sleep(POLL).await,
            }
        }
        Err(self.failed(format!("did not stop within {} s", STOP_LIMIT.as_secs())))
    }

    /// Kills the server (SIGKILL).
    pub(super) fn kill(mut self) -> Result<(), BenchError> {
        match self.end() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(format!("could not be killed: {error}"))),
        }
    }

    fn end(&mut self) -> std::io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Resident memory in MiB, where the system tells.
    pub(super) fn memory(&self) -> Option<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most memory that was resident at any time, in MiB, where the system tells.
    pub(super) fn memory_peak(&self) -> Option<f64> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, field: &str) -> Option<f64> {
        field_mib(&std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?, field)
    }

    /// Processor time used so far, where the system tells.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.child.id().to_string())
    }

    fn failed(&self, what: String) -> BenchError {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        BenchError::Server { what, log: tail.iter().map(|line| format!("  {line}\n")).collect() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already can't be killed.
        let _ = self.end();
    }
}

/// A field of `/proc/<pid>/status` that is a size, in MiB.
fn field_mib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

/// User and system time of a process with all its threads; `self` is this one. `None` where there is no `/proc`.
pub(super) fn processor_time(process: &str) -> Option<Duration> {
    processor_ticks(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
        .map(|ticks| Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The fields `utime` and `stime` of `/proc/<pid>/stat`, summed.
fn processor_ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold anything; the rest is counted from its end.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_says_listening() {
        let nested = r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:4711"}}"#;
        let flat = r#"{"level":"INFO","message":"listening","address":"127.0.0.1:4711"}"#;
        for line in [nested, flat] {
            assert_eq!(listening_address(line).as_deref(), Some("127.0.0.1:4711"));
        }
        for line in ["listening on 127.0.0.1:1", r#"{"fields":{"message":"loaded","address":"x"}}"#, "{}"] {
            assert_eq!(listening_address(line), None);
        }
    }

    #[test]
    fn the_system_s_figures_are_read() {
        assert_eq!(field_mib("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n", "VmRSS:"), Some(2.0));
        assert_eq!(field_mib("Name:\tx\n", "VmRSS:"), None);
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 100 1 1";
        assert_eq!(processor_ticks(stat), Some(200));
        assert_eq!(processor_ticks("42 (a"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_the_processor() {
        let mut spun = 0_u64;
        while processor_time("self").unwrap() == Duration::ZERO {
            spun += 1;
        }
        assert!(processor_time("self").unwrap() > Duration::ZERO, "{spun}");
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let launcher = Launcher {
            binary: "/bin/sh".into(),
            config: "-c".into(),
            folder: folder.path().to_path_buf(),
            log: folder.path().join("log"),
            secret: "s".into(),
        };
        // `sh serve --config -c` has no script of that name: it says so on stderr and ends.
        let error = launcher.start().await.unwrap_err().to_string();
        assert!(error.contains("serve"), "{error}");
        assert!(!std::fs::read_to_string(folder.path().join("log")).unwrap().is_empty());
    }
}
