//! Addresses of Redis stores. One server, or a way to find it: `redis://`, `redis+sentinel://`, `redis+cluster://`, each
//! with TLS as `rediss...`. An address never holds a password.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::error::{Code, Error, Result};

/// The most servers that an address names.
const MOST_HOSTS: usize = 16;
/// The longest address, in bytes.
const LONGEST: usize = 1_024;

/// `redis://[user@]host[:port][/db][?space=NAME]`, `redis+sentinel://[user@]host,host/master`,
/// `redis+cluster://[user@]host,host`; `rediss...` the same over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// How the one server of the space is found.
    pub finder: Finder,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The ACL user; absent: the server's default user.
    pub user: Option<String>,
    /// Where to ask, in this order; at least one.
    pub hosts: Vec<Host>,
    /// The number of the database.
    pub db: u16,
    /// The space's name; absent: the space without a name.
    pub space: Option<String>,
}

/// How the one server of a space is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// It is the one that is named.
    Server,
    /// By asking Sentinels for the master of this name.
    Sentinel {
        /// As the Sentinels know it.
        master: String,
    },
    /// By asking any node of a Cluster, and going where it points.
    Cluster,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an IP address, without brackets.
    pub name: String,
    /// Its port.
    pub port: u16,
}

impl Host {
    /// Whether it is this computer.
    pub fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn parse(text: &str, default_port: u16) -> Result<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, after) = rest.split_once(']').ok_or_else(|| invalid("a [ without its ]"))?;
                name.parse::<std::net::Ipv6Addr>().map_err(|_| invalid("what stands in [ ] is no IPv6 address"))?;
                (name, after.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let plain = |character: char| character.is_ascii_alphanumeric() || "-._:".contains(character);
        if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
            return Err(invalid("it names no host"));
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| invalid("the port is no port"))?,
            None => default_port,
        };
        Ok(Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl RedisAddress {
    /// Whether everything that is sent stays on this computer.
    pub fn is_loopback(&self) -> bool {
        self.finder == Finder::Server && self.hosts.iter().all(Host::is_loopback)
    }

    /// What makes it the same place, whoever goes there and how: without user and TLS.
    pub fn place(&self) -> String {
        Self { tls: false, user: None, ..self.clone() }.to_string()
    }

    /// The servers' names as people read them.
    pub fn label(&self) -> String {
        self.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn invalid(why: &str) -> Error {
    Error::new(Code::Invalid, format!("this is no address of a Redis: {why}"))
}

impl FromStr for RedisAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("it lacks ://"))?;
        if text.len() > LONGEST || text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(invalid("it is too long, or holds white space"));
        }
        let (kind, tls) = match scheme.strip_prefix("rediss") {
            Some(kind) => (kind, true),
            None => (scheme.strip_prefix("redis").ok_or_else(|| invalid("it does not begin with redis"))?, false),
        };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            let why = "a password does not belong into an address, where others can read it: it has a field, a file and a variable of its own";
            return Err(Error::new(Code::Refused, why));
        }
        if user.is_some_and(|user| user.is_empty() || user.contains(['@', '/', '%'])) {
            return Err(invalid("the user's name cannot be read"));
        }
        let space = query.map(|query| space(query.strip_prefix("space="))).transpose()?;
        let (finder, db, port) = match kind {
            "" => {
                let db = if path.is_empty() { Some(0) } else { path.parse().ok() };
                (Finder::Server, db.ok_or_else(|| invalid("the database is no number"))?, 6379)
            }
            "+sentinel" if path.is_empty() => return Err(invalid("it lacks the master's name: .../NAME")),
            "+sentinel" => (Finder::Sentinel { master: path.to_owned() }, 0, 26379),
            "+cluster" if path.is_empty() => (Finder::Cluster, 0, 6379),
            "+cluster" => return Err(invalid("a Cluster has one database, without a number")),
            _ => return Err(invalid("it is neither redis://, redis+sentinel:// nor redis+cluster://")),
        };
        let hosts: Vec<_> = hosts.split(',').map(|host| Host::parse(host, port)).collect::<Result<_>>()?;
        if hosts.len() > MOST_HOSTS || (finder == Finder::Server && hosts.len() > 1) {
            return Err(invalid("it names too many hosts"));
        }
        Ok(Self { finder, tls, user: user.map(str::to_owned), hosts, db, space })
    }
}

fn space(name: Option<&str>) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match name {
        Some(name) if (1..=32).contains(&name.len()) && name.bytes().all(plain) => Ok(name.to_owned()),
        _ => Err(invalid("after ? comes space=NAME, 1 to 32 of a-z, 0-9 and -")),
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.finder {
            Finder::Server => "",
            Finder::Sentinel { .. } => "+sentinel",
            Finder::Cluster => "+cluster",
        };
        write!(f, "redis{}{kind}://", if self.tls { "s" } else { "" })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (n, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if n > 0 { "," } else { "" })?;
        }
        match &self.finder {
            Finder::Server if self.db > 0 => write!(f, "/{}", self.db)?,
            Finder::Sentinel { master } => write!(f, "/{master}")?,
            Finder::Server | Finder::Cluster => {}
        }
        self.space.as_ref().map_or(Ok(()), |space| write!(f, "?space={space}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, written) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("rediss://ana@redis.home.lan:6380/2?space=ops-1", "rediss://ana@redis.home.lan:6380/2?space=ops-1"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("redis+sentinel://a,b:1/mymaster", "redis+sentinel://a:26379,b:1/mymaster"),
            ("rediss+cluster://u@a,b?space=x", "rediss+cluster://u@a:6379,b:6379?space=x"),
        ] {
            let address: RedisAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), written);
            assert_eq!(written.parse::<RedisAddress>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "redis://",
            "redis://a:0",
            "redis://a:x",
            "redis://a/x",
            "redis://a,b",
            "redis://a?space=",
            "redis://a?space=A",
            "redis://a?db=1",
            "redis+sentinel://a",
            "redis+cluster://a/0",
            "redis+x://a",
            "http://a",
            "redis:a",
            "redis://a b",
            "redis://@a",
            "redis://[1.2.3.4]:1",
            "redis://[::1",
            "redis://a/b/c",
        ] {
            assert_eq!(text.parse::<RedisAddress>().unwrap_err().code, Code::Invalid, "{text}");
        }
        let refused = "redis://ana:swordfish@a".parse::<RedisAddress>().unwrap_err();
        assert!(refused.code == Code::Refused && !refused.message.contains("swordfish"));
    }

    #[test]
    fn loopback_is_told_from_the_network() {
        for (text, loopback) in [("redis://localhost", true), ("redis://127.9.9.9", true), ("redis://10.0.0.1", false)]
        {
            assert_eq!(text.parse::<RedisAddress>().unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
