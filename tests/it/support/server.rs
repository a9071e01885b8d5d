//! The real binary in a temporary folder: started, asked to stop, killed, started again on the same data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use rustix::process::Signal;

use super::process::{Ended, Process};
use super::{Ask, Client, write_tree};

/// The bootstrap client of every server that is not told otherwise.
pub const CLIENT_ID: &str = "tests";
/// Its secret; also a canary that must show up nowhere.
pub const CLIENT_SECRET: &str = "canary-client-secret-5c1f0d7e9b3a";

/// What a server is given before it starts.
pub struct Setup {
    rules: Vec<(String, String)>,
    config: String,
    env: Vec<(String, String)>,
}

impl Setup {
    /// The text of `config.toml`.
    pub fn config(mut self, text: &str) -> Self {
        text.clone_into(&mut self.config);
        self
    }
    /// One more role in `config.toml`.
    pub fn role(mut self, name: &str, permissions: &[&str]) -> Self {
        self.config.push_str(&format!("\n[[roles]]\nname = \"{name}\"\npermissions = {permissions:?}\n"));
        self
    }
    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
    /// No bootstrap client: the server makes its own secrets.
    pub fn without_bootstrap(mut self) -> Self {
        self.env.retain(|(name, _)| !name.starts_with("ROLLCALL_BOOTSTRAP_"));
        self
    }
    /// The folder, with nothing started in it.
    pub fn home(self) -> Home {
        let dir = tempfile::Builder::new().prefix("rollcall-it-").tempdir().expect("make a temporary folder");
        fs::write(dir.path().join("config.toml"), &self.config).expect("write config.toml");
        fs::create_dir(dir.path().join("rules")).expect("make rules/");
        write_tree(&dir.path().join("rules"), &self.rules);
        Home { dir, env: self.env }
    }
    /// The folder with a server running in it.
    #[track_caller]
    pub fn start(self) -> Server {
        self.home().start()
    }
}

/// A folder with `config.toml`, `rules/` and `data/`.
pub struct Home {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    pub fn root(&self) -> &Path {
        self.dir.path()
    }
    pub fn rules(&self) -> PathBuf {
        self.root().join("rules")
    }
    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }
    /// Sets an environment variable for the starts to come.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }
    /// Takes an environment variable away for the starts to come.
    pub fn unset_env(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }
    /// The binary with this folder's environment and none of the outer one's `ROLLCALL_` variables.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROLLCALL_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.root()).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
    fn serve(&self) -> Command {
        let mut command = self.command();
        command.arg("serve").arg("--config").arg(self.root().join("config.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
    /// Starts the server and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err((_, ended)) => panic!("the server ended with {:?} instead of listening:\n{}", ended.code, ended.stderr),
        }
    }
    /// Starts the server; gives the folder back when it ends instead of listening.
    #[track_caller]
    pub fn try_start(self) -> Result<Server, (Self, Ended)> {
        match Process::start(&mut self.serve()) {
            Ok((process, address)) => Ok(Server {
                home: self,
                process: Mutex::new(process),
                base: format!("http://{address}"),
                admin: OnceLock::new(),
            }),
            Err(ended) => Err((self, ended)),
        }
    }
    /// Runs another command of the binary to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> std::process::Output {
        self.command().args(args).stdin(Stdio::null()).output().expect("run the binary")
    }
}

/// A running server. The process comes before the folder, so that it is gone before its folder is.
pub struct Server {
    process: Mutex<Process>,
    pub home: Home,
    base: String,
    admin: OnceLock<String>,
}

impl Server {
    /// A server with these rule files (paths below `rules/`), the bootstrap client, and a port of its own.
    pub fn with<P: AsRef<str>, T: AsRef<str>>(rules: &[(P, T)]) -> Setup {
        let env = [
            ("ROLLCALL_SERVER__LISTEN", "127.0.0.1:0"),
            ("ROLLCALL_STORAGE__MIN_FREE_MIB", "1"),
            ("ROLLCALL_BOOTSTRAP_CLIENT_ID", CLIENT_ID),
            ("ROLLCALL_BOOTSTRAP_CLIENT_SECRET", CLIENT_SECRET),
        ];
        Setup {
            rules: rules.iter().map(|(path, text)| (path.as_ref().to_owned(), text.as_ref().to_owned())).collect(),
            config: String::new(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }
    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> &str {
        &self.base
    }
    /// A client without an access token.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.base)
    }
    /// A client with every permission.
    #[track_caller]
    pub fn client(&self) -> Client {
        let token = self.admin.get_or_init(|| self.access_token(None));
        self.anonymous().with_bearer(token)
    }
    /// A client with every permission and a new access token.
    #[track_caller]
    pub fn fresh_client(&self) -> Client {
        self.anonymous().with_bearer(&self.access_token(None))
    }
    fn memory_mib(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process().id())).expect("the process is there");
        let line = status.lines().find(|line| line.starts_with(what)).expect("its memory is told");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("KiB") / 1024
    }
    /// Its resident memory now, in MiB.
    pub fn resident_mib(&self) -> u64 {
        self.memory_mib("VmRSS")
    }
    /// The most that it ever had resident, in MiB.
    pub fn peak_mib(&self) -> u64 {
        self.memory_mib("VmHWM")
    }
    /// A client whose access token has only these scopes.
    #[track_caller]
    pub fn client_with(&self, scope: &str) -> Client {
        self.anonymous().with_bearer(&self.access_token(Some(scope)))
    }
    #[track_caller]
    fn access_token(&self, scope: Option<&str>) -> String {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.map(|scope| ("scope", scope)));
        let request = self.anonymous().request(reqwest::Method::POST, "/accounts/connect/token");
        let reply = request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&form).ask();
        reply.is(200)["access_token"].as_str().expect("an access token").to_owned()
    }
    fn process(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().expect("the process")
    }
    /// Everything that the server has logged, of all its runs.
    pub fn log(&self) -> String {
        self.process().log_text()
    }
    /// Waits for a line of the log.
    #[track_caller]
    pub fn logs(&self, part: &str) {
        let log = self.process().log();
        assert!(
            log.wait_for(|line| line.contains(part).then_some(())).is_some(),
            "`{part}` is not in
{}",
            log.text()
        );
    }
    /// Shows the log's end, for a failed assertion.
    pub fn show_log(&self) {
        self.process().show_log();
    }
    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }
    /// SIGTERM; waits until the process is gone.
    #[track_caller]
    pub fn stop(&self) -> Ended {
        self.process().stop()
    }
    /// `kill -9`; waits until the process is gone.
    pub fn kill(&self) {
        self.process().kill();
    }
    /// The folder of a server that is stopped (or is killed now).
    pub fn into_home(self) -> Home {
        self.kill();
        self.home
    }
    /// Starts again on the same folder, after `stop` or `kill`.
    #[track_caller]
    pub fn start_again(self) -> Self {
        let admin = self.admin.get().cloned();
        let server = self.into_home().start();
        if let Some(token) = admin {
            // The server's key is kept, so the old access token stays good; that it does is part of what is tested.
            server.admin.set(token).expect("a new server has no token yet");
        }
        server
    }
    /// `stop` with exit status 0, then `start_again`.
    #[track_caller]
    pub fn restart(self) -> Self {
        let ended = self.stop();
        assert_eq!(ended.code, Some(0), "a server asked to stop ends well:\n{}", ended.stderr);
        self.start_again()
    }
    /// For a server in a static, which is never dropped: it and its folder go when the test process does, however that ends.
    pub fn dies_with_the_tests(&self) {
        let pid = self.process().id().to_string();
        let mut watch = Command::new("sh");
        watch
            .args(["-c", "read _; kill -9 \"$1\"; rm -rf \"$2\"", "sh", &pid])
            .arg(self.home.root())
            .stdin(Stdio::piped());
        let watch = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start the watch");
        // Its stdin stays open until this process is gone.
        std::mem::forget(watch);
    }
}
