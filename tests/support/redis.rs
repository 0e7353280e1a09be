//! A real redis-server of one's own, on a free loopback port, ended by its handle. `TEMP_MESSENGER_REDIS_SERVER` names
//! another binary (another version, or Valkey).

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::FileExt, process::CommandExt},
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

/// The server's program. Debian's `redis-tools` brings it under another name, without the service of `redis-server`.
fn program() -> Command {
    let found =
        |name: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| folder.join(name).exists());
    match std::env::var("TEMP_MESSENGER_REDIS_SERVER") {
        Ok(named) => Command::new(named),
        Err(_) if found("redis-server") => Command::new("redis-server"),
        Err(_) => {
            let mut command = Command::new("redis-check-rdb");
            command.arg0("redis-server");
            command
        }
    }
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
        Self::start_in(tempfile::tempdir().unwrap(), options, None)
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
        (Self::start_in(folder, options, Some((library, file))), Arc::new(clock))
    }

    fn start_in(folder: TempDir, options: &[&str], clock: Option<(PathBuf, PathBuf)>) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { process: None, folder, port: free_port(), options, clock };
        server.launch();
        server
    }

    /// Starts it, or starts it again on the same port; waits until it answers.
    pub fn launch(&mut self) {
        let mut command = program();
        let port = self.port.to_string();
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        if !self.options.iter().any(|option| option == "--port") {
            command.args(["--port", &port]);
        }
        command.args(self.options.iter().map(|option| option.replace("PORT", &port)));
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
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

    /// The same, and lets nobody in before it is restricted again: whoever is refused once stops and asks.
    pub fn launch_restricted(&mut self) {
        let users = ["admin on >admin ~* +@all", &format!("tempmsg on >swordfish {ACL}"), "default off"];
        for user in users {
            self.options.push("--user".to_owned());
            self.options.extend(user.split_whitespace().map(str::to_owned));
        }
        self.launch();
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
        String::from_utf8_lossy(&self.ask_raw(words)).trim_end().to_owned()
    }

    /// The bytes of an answer that is one value.
    pub fn raw(&self, words: &[&[u8]]) -> Vec<u8> {
        let answer = self.ask_raw(words);
        let start = answer.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        answer[start..answer.len() - 2].to_vec()
    }

    /// Commands as [`push`] writes them, one after the other; nobody looks at their answers.
    pub fn run(&self, commands: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut writing = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                writing.write_all(commands).unwrap();
                send(&mut writing, &[b"ECHO", END]);
            });
            read_to_end(&mut stream);
        });
    }

    fn ask_raw(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // As the administrator where there is one; refused and of no consequence elsewhere.
        send(&mut stream, &[b"AUTH", b"admin", b"admin"]);
        send(&mut stream, words);
        send(&mut stream, &[b"ECHO", END]);
        let mut answer = read_to_end(&mut stream);
        // Without the answer to AUTH and the end.
        let start = answer.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        answer.truncate(answer.len() - END.len() - 2 - format!("${}\r\n", END.len()).len());
        answer.split_off(start)
    }

    /// The number of an answer that is one.
    pub fn number(&self, words: &[&str]) -> u64 {
        self.ask(words).trim_start_matches(':').parse().unwrap()
    }

    /// The binary parts of an answer that is a list.
    pub fn raw_list(&self, words: &[&str]) -> Vec<Vec<u8>> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let mut rest = self.ask_raw(&words);
        let (mut parts, take) = (Vec::new(), |rest: &mut Vec<u8>| {
            let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
            let line = String::from_utf8(rest.drain(..end).collect()).unwrap();
            rest.drain(..2);
            line[1..].parse::<usize>().unwrap()
        });
        for _ in 0..take(&mut rest) {
            let length = take(&mut rest);
            parts.push(rest.drain(..length).collect());
            rest.drain(..2);
        }
        parts
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

/// A Sentinel that watches a master under the name `team`.
#[derive(Debug)]
pub struct Sentinel {
    _process: Process,
    folder: TempDir,
    pub port: u16,
}

impl Sentinel {
    /// Fails over when the master is silent for 500 ms.
    pub async fn start(master: &Server) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let conf = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor team 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds team 500\nsentinel failover-timeout team 5000\n",
            master.port
        );
        fs::write(&conf, text).unwrap();
        let mut command = program();
        command.arg(&conf).arg("--sentinel").current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let sentinel = Self { _process: Process::start(&mut command), folder, port };
        crate::team::eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        sentinel
    }

    /// Whether it has heard of a replica.
    pub fn knows_a_replica(&self) -> bool {
        fs::read_to_string(self.folder.path().join("sentinel.conf")).unwrap().contains("known-replica")
    }
}

/// What the last answer of a talk is.
const END: &[u8] = b"-the end-";

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let (mut answer, mut buffer, end) = (Vec::new(), [0; 65_536], [END, b"\r\n"].concat());
    while !answer.ends_with(&end) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server hung up");
        answer.extend_from_slice(&buffer[..read]);
    }
    answer
}

fn send(stream: &mut TcpStream, words: &[&[u8]]) {
    let mut bytes = Vec::new();
    push(&mut bytes, words);
    stream.write_all(&bytes).unwrap();
}

/// A command as the server reads it.
pub fn push(bytes: &mut Vec<u8>, words: &[&[u8]]) {
    bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
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
