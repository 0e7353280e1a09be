//! A real redis-server of one's own, on a free loopback port, ended by its handle. `TEMP_MESSENGER_REDIS_SERVER` names
//! another binary (another version, or Valkey).

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use temp_messenger_core::clock::TestClock;
use tempfile::TempDir;

use crate::process::Process;

/// What the store needs and nothing more; the tests run under it, and docs/redis.md shows it.
pub const ACL: &str = "~{tm}:* -@all +hello +auth +select +evalsha +script|load +time +get +set +mget +getrange \
                       +exists +unlink +pexpireat +zadd +zrem +zcard +zrange +zscore +zmscore +zremrangebyscore +xadd +xtrim \
                       +xread +xinfo|stream +hget +hset +hsetnx +hdel +hgetall";

/// A free port of this computer.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The server's binary.
pub fn binary() -> String {
    std::env::var("TEMP_MESSENGER_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// A server, its folder, and its port.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    pub folder: TempDir,
    pub port: u16,
    options: Vec<String>,
    clock: Option<(PathBuf, PathBuf)>,
}

impl Server {
    /// In memory alone, with nothing set but what is given.
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(options, None)
    }

    /// Under the minimal ACL: user `tempmsg`, password `swordfish`; `admin`, password `admin`, may do everything.
    pub fn restricted(options: &[&str]) -> Self {
        let server = Self::start(options);
        server.restrict();
        server
    }

    /// Lets nobody in but `tempmsg` (password `swordfish`) under the minimal ACL, and `admin`, who may do everything.
    pub fn restrict(&self) {
        self.ask(&["ACL", "SETUSER", "admin", "on", ">admin", "~*", "+@all"]);
        self.ask(
            &[
                &["ACL", "SETUSER", "tempmsg", "on", ">swordfish", "resetkeys"][..],
                &ACL.split_whitespace().collect::<Vec<_>>(),
            ]
            .concat(),
        );
        self.ask(&["ACL", "SETUSER", "default", "off"]);
    }

    /// A server whose time is a test's.
    pub fn on_test_clock(options: &[&str]) -> (Self, Arc<TestClock>) {
        let folder = tempfile::tempdir().unwrap();
        let (library, file) = (folder.path().join("clock.so"), folder.path().join("clock"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        assert!(built.unwrap().success(), "the clock cannot be built");
        let clock = {
            let file = File::create(&file).unwrap();
            TestClock::told(move |millis| file.write_all_at(&(millis * 1_000).to_ne_bytes(), 0).unwrap())
        };
        let mut server = Self::start_with(options, Some((library, file)));
        // The folder of the clock lives as long as the server does.
        let own = std::mem::replace(&mut server.folder, folder);
        drop(own);
        (server, Arc::new(clock))
    }

    fn start_with(options: &[&str], clock: Option<(PathBuf, PathBuf)>) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server =
            Self { process: None, folder: tempfile::tempdir().unwrap(), port: free_port(), options, clock };
        server.launch();
        server
    }

    /// Starts it, or starts it again on the same port; waits until it answers.
    pub fn launch(&mut self) {
        let mut command = Command::new(binary());
        let port = self.port.to_string();
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        if !self.options.iter().any(|option| option == "--tls-port") {
            command.args(["--port", &port]);
        }
        command.args(self.options.iter().map(|option| option.replace("PORT", &port)));
        command.current_dir(std::env::temp_dir()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((library, file)) = &self.clock {
            command.env("LD_PRELOAD", library).env("TEST_CLOCK", file);
        }
        self.process = Some(Process::start(&mut command));
        let mut waited = Duration::ZERO;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(waited < Duration::from_secs(20), "redis-server does not start");
            std::thread::sleep(Duration::from_millis(10));
            waited += Duration::from_millis(10);
        }
    }

    /// Ends it without a chance to do anything.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.child().kill().unwrap();
            process.child().wait().unwrap();
        }
    }

    pub fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.process.as_mut().unwrap().child()), signal).unwrap();
    }

    /// `redis://` and the rest.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command as whoever may do everything; answers with the reply as it came, lines and all.
    pub fn ask(&self, words: &[&str]) -> String {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask_bytes(&words)
    }

    pub fn ask_bytes(&self, words: &[&[u8]]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // As the administrator where there is one; refused and of no consequence elsewhere.
        send(&mut stream, &[b"AUTH", b"admin", b"admin"]);
        send(&mut stream, words);
        send(&mut stream, &[b"ECHO", b"-the end-"]);
        let (mut answer, mut buffer) = (Vec::new(), [0; 65_536]);
        while !answer.windows(9).any(|part| part == b"-the end-") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the server hung up");
            answer.extend_from_slice(&buffer[..read]);
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (_, rest) = text.split_once("\r\n").unwrap();
        rest.split("$9\r\n-the end-").next().unwrap().trim_end().to_owned()
    }

    /// The number of an answer that is one.
    pub fn number(&self, words: &[&str]) -> u64 {
        self.ask(words).trim_start_matches(':').parse().unwrap()
    }

    /// All keys, sorted; a test may look, the store may not.
    pub fn keys(&self) -> Vec<String> {
        let answer = self.ask(&["KEYS", "*"]);
        let mut keys: Vec<_> =
            answer.lines().skip(1).filter(|line| !line.starts_with('$')).map(str::to_owned).collect();
        keys.sort();
        keys
    }

    /// How often the server ran this command.
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.commandstats();
        let line =
            stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")).map(str::to_owned));
        line.and_then(|line| line.split(',').next().map(|calls| calls.parse().unwrap())).unwrap_or(0)
    }

    /// What the server counted of its commands.
    pub fn commandstats(&self) -> String {
        self.ask(&["INFO", "commandstats"])
    }
}

fn send(stream: &mut TcpStream, words: &[&[u8]]) {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    stream.write_all(&bytes).unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        // A stopped process hears nothing else.
        if let Some(process) = &mut self.process {
            let _ = kill_process(Pid::from_child(process.child()), Signal::CONT);
        }
        self.process = None;
        let _ = fs::remove_dir_all(self.folder.path());
    }
}
