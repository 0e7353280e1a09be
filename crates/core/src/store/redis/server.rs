//! Finding the one server of a space and connecting to it: named, told by Sentinels, or pointed to by a Cluster. Two
//! connections of our own making, so that they can be dropped by force, are timed by us, and speak our TLS.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, RedisConnectionInfo, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::AbortHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, CertificateError, ClientConfig, pki_types::ServerName},
};

use super::{
    access::Access,
    address::{Finder, Host, RedisAddress},
    fault::Fault,
    keys::Keys,
    reply,
};
use crate::error::{Code, Error, Result};

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a command's answer may take. The crate's own 500 ms would cut off a page on a slow line.
pub(super) const ANSWERING: Duration = Duration::from_secs(4);
/// The longest first line of a server, in bytes.
const LONGEST_LINE: u64 = 1_024;
/// How often a Cluster may point somewhere else before it is given up.
const MOST_MOVES: usize = 5;

/// What a space is reached by.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: RedisAddress,
    pub(super) keys: Keys,
    access: Access,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that ends with its handle.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    driver: AbortHandle,
}

impl Connection {
    /// Ends it, whoever has a handle of it.
    pub(super) fn abort(&self) {
        self.driver.abort();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Target {
    pub(super) fn new(address: RedisAddress, access: Access) -> Result<Self> {
        let tls = address.tls.then(|| access.tls()).transpose()?;
        let keys = Keys::new(address.space.as_deref());
        Ok(Self { address, keys, access, tls })
    }

    /// The server that has the space now.
    pub(super) async fn find(&self) -> Result<Host, Fault> {
        match &self.address.finder {
            Finder::Server => Ok(self.address.hosts[0].clone()),
            Finder::Sentinel { master } => self.ask_sentinels(master).await,
            Finder::Cluster => self.follow_cluster().await,
        }
    }

    async fn ask_sentinels(&self, master: &str) -> Result<Host, Fault> {
        let mut last = Fault::lost("no Sentinel knows the master");
        for sentinel in &self.address.hosts {
            match self.ask_sentinel(sentinel, master).await {
                Ok(Some(host)) => return Ok(host),
                Ok(None) => {
                    last = Fault::Answer(Error::new(Code::Refused, "the Sentinels know no master of this name"))
                }
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn ask_sentinel(&self, sentinel: &Host, master: &str) -> Result<Option<Host>, Fault> {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(master);
        // Most Sentinels know no passwords; one that does is given the user's.
        let answer = match self.connect_as(sentinel, false, ANSWERING).await {
            Ok(mut connection) => ask.query_async::<Value>(&mut connection.commands).await.map_err(Fault::from),
            Err(fault) => Err(fault),
        };
        let answer = match answer {
            Err(Fault::Answer(error)) if error.code == Code::Refused => {
                ask.query_async(&mut self.connect_as(sentinel, true, ANSWERING).await?.commands).await?
            }
            other => other?,
        };
        let Ok([name, port]) = reply::array(&answer) else { return Ok(None) };
        let name = String::from_utf8_lossy(reply::bytes(name)?).into_owned();
        let port = u16::try_from(reply::number(port)?).map_err(|_| reply::unexpected())?;
        Ok(Some(Host { name, port }))
    }

    /// A node that does not have the slot says who has.
    async fn follow_cluster(&self) -> Result<Host, Fault> {
        let mut last = Fault::lost("no node of the Cluster answers");
        for seed in &self.address.hosts {
            let mut host = seed.clone();
            for _ in 0..MOST_MOVES {
                let asked = async {
                    let mut connection = self.connect_as(&host, true, ANSWERING).await?;
                    let mut probe = redis::cmd("EXISTS");
                    let probe = probe.arg(self.keys.log());
                    Ok::<_, Fault>(probe.query_async::<Value>(&mut connection.commands).await)
                };
                match asked.await {
                    Ok(Ok(_)) => return Ok(host),
                    Ok(Err(error)) => match error.redirect_node() {
                        Some((address, _)) => match moved(address, &host) {
                            Some(next) => host = next,
                            None => break,
                        },
                        None => {
                            last = error.into();
                            break;
                        }
                    },
                    Err(fault) => {
                        last = fault;
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// A connection to this server, as the address's user.
    pub(super) async fn connect(&self, host: &Host, answering: Duration) -> Result<Connection, Fault> {
        self.connect_as(host, true, answering).await
    }

    async fn connect_as(&self, host: &Host, known: bool, answering: Duration) -> Result<Connection, Fault> {
        let mut handshake = false;
        let connecting = async {
            let stream =
                TcpStream::connect((host.name.as_str(), host.port)).await.map_err(|error| unreachable(host, &error))?;
            attend(&stream).map_err(|error| unreachable(host, &error))?;
            match &self.tls {
                None => self.greet(stream, host, known, answering).await,
                Some(config) => {
                    let name = server_name(host)?;
                    handshake = true;
                    let stream = TlsConnector::from(config.clone()).connect(name, stream).await;
                    let stream = stream.map_err(|error| untrusted(host, &error))?;
                    handshake = false;
                    self.greet(stream, host, known, answering).await
                }
            }
        };
        let connected = tokio::time::timeout(CONNECTING, connecting).await;
        connected.unwrap_or_else(|_| {
            // A server without TLS waits for the end of a line.
            let hint = if handshake { " with TLS; perhaps it wants redis://" } else { "" };
            Err(Fault::lost(format!("{host} does not answer{hint}")))
        })
    }

    /// Whether it is a Redis that lets us in as far as to say no: what TLS refuses after the handshake is seen here.
    async fn knock(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), host: &Host) -> Result<(), Fault> {
        let mut line = Vec::new();
        let read = async {
            stream.write_all(b"PING\r\n").await?;
            stream.flush().await?;
            BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line).await
        };
        let foreign = if self.tls.is_some() { "" } else { "; perhaps it wants rediss://" };
        match read.await {
            Err(error) if self.tls.is_some() => Err(untrusted(host, &error)),
            Err(error) => Err(Fault::lost(format!("{host} ended the connection ({error}){foreign}"))),
            Ok(_) if line.starts_with(b"-DENIED") => {
                let why = "the server takes nobody from the network (its protected mode is on)";
                Err(Fault::Answer(Error::new(Code::Refused, why)))
            }
            Ok(_) if line.starts_with(b"-ERR max number of clients") => {
                Err(Fault::lost("the server has too many clients"))
            }
            Ok(_) if line.starts_with(b"+") || line.starts_with(b"-") => Ok(()),
            Ok(_) => Err(Fault::lost(format!("{host} does not speak Redis here{foreign}"))),
        }
    }

    async fn greet(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &Host,
        known: bool,
        answering: Duration,
    ) -> Result<Connection, Fault> {
        self.knock(&mut stream, host).await?;
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if known {
            info = info.set_db(self.address.db.into());
            if let Some(user) = &self.address.user {
                info = info.set_username(user);
            }
            if let Some(password) = &self.access.password {
                info = info.set_password(password.reveal());
            }
        }
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(answering)).set_connection_timeout(Some(CONNECTING));
        let (commands, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Connection { commands, driver })
    }
}

/// `host:port` of a MOVED answer; without a host it is the one that was asked.
fn moved(address: &str, asked: &Host) -> Option<Host> {
    let (name, port) = address.rsplit_once(':')?;
    let name = if name.is_empty() || name == "?" { &asked.name } else { name.trim_matches(['[', ']']) };
    Some(Host { name: name.to_owned(), port: port.parse().ok()? })
}

/// Small answers go at once, and a peer that is gone is noticed also while nothing is asked.
fn attend(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, 15_000)?;
    Ok(())
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Fault> {
    if let Ok(address) = host.name.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    ServerName::try_from(host.name.clone())
        .map_err(|_| Fault::Answer(Error::new(Code::Invalid, "the host's name is no name for TLS")))
}

fn unreachable(host: &Host, error: &io::Error) -> Fault {
    Fault::lost(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nothing listens at {host}"),
        io::ErrorKind::TimedOut => format!("{host} does not answer"),
        _ => format!("{host} cannot be reached: {error}"),
    })
}

/// Trust that fails is no outage: it stops and asks.
fn untrusted(host: &Host, error: &io::Error) -> Fault {
    let refused = |why: &str| Fault::Answer(Error::new(Code::Refused, format!("{host} is not trusted: {why}")));
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            // Another authority of the same name.
            CertificateError::BadSignature | CertificateError::UnknownIssuer => {
                refused("nobody that is trusted here issued its certificate")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                refused("its certificate has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                refused("its certificate is not valid yet")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                refused("its certificate is for another name")
            }
            other => refused(&format!("its certificate is refused ({other})")),
        },
        Some(rustls::Error::AlertReceived(alert)) => {
            refused(&format!("it refuses this client's certificate, or wants one ({alert:?})"))
        }
        Some(rustls::Error::InvalidMessage(_)) => refused("it does not speak TLS here; perhaps it wants redis://"),
        Some(other) => refused(&other.to_string()),
        None if error.kind() == io::ErrorKind::InvalidData => {
            refused("it does not speak TLS here; perhaps it wants redis://")
        }
        None => Fault::lost(format!("{host} ended the TLS handshake: {error}")),
    }
}

/// What the server says of itself: its name and version.
pub(super) async fn version(connection: &mut MultiplexedConnection) -> Result<(String, String), Fault> {
    let hello: Value = redis::cmd("HELLO").query_async(connection).await?;
    let text = |name| reply::named(&hello, name).and_then(reply::printable);
    let (server, version) = (text("server").unwrap_or_default(), text("version").unwrap_or_default());
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < 7 {
        let old = format!("Redis 7.0 or later is needed; this is {server} {version}");
        return Err(Fault::Answer(Error::new(Code::Unsupported, old)));
    }
    Ok((server, version))
}
