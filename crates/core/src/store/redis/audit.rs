//! What a server does with messages beyond keeping them: persistence, eviction, encryption, replicas, slow log, rights.
//! Each matter is read by itself, and one that cannot be read says so.

use std::collections::HashMap;

use super::{fault::Fault, pair::Pair, reply, scripts::Call, session::Session};
use crate::{
    error::Code,
    store::{Finding, Grade},
};

/// The settings that are looked at.
const SETTINGS: [&str; 4] = ["appendonly", "save", "maxmemory-policy", "slowlog-log-slower-than"];

/// All findings, what is to be looked at first.
pub(super) async fn findings(session: &Session, pair: &Pair) -> Vec<Finding> {
    let settings = settings(pair).await;
    let mut findings = vec![encryption(session), rights(session, &settings)];
    match &settings {
        Ok(settings) => findings.extend([persistence(settings), eviction(settings), slow_log(settings)]),
        Err(_) => findings.push(unknown("Its configuration", "persistence, eviction and the slow log", "config|get")),
    }
    findings.push(match replicas(pair).await {
        Some(0) => good("No copies elsewhere", "The server has no replicas."),
        Some(replicas) => look(
            &format!("It has {replicas} {}", if replicas == 1 { "replica" } else { "replicas" }),
            "What is erased here is erased there a moment later; what a replica writes to its own disk is up to it.",
            "the same settings on every replica",
        ),
        None => unknown("Its replicas", "whether there are copies elsewhere", "info"),
    });
    findings.sort_by_key(|finding| match finding.grade {
        Grade::Look => 0,
        Grade::Unknown => 1,
        Grade::Good => 2,
    });
    findings
}

async fn settings(pair: &Pair) -> Result<HashMap<String, String>, Fault> {
    let answer = pair.send(&Call::command("CONFIG").arg("GET").arg(&SETTINGS[..])).await?;
    let pairs = reply::array(&answer)?.as_chunks::<2>().0;
    Ok(pairs.iter().filter_map(|[name, value]| Some((reply::printable(name)?, reply::printable(value)?))).collect())
}

async fn replicas(pair: &Pair) -> Option<u64> {
    let answer = pair.send(&Call::command("INFO").arg("replication")).await.ok()?;
    let text = String::from_utf8_lossy(reply::bytes(&answer).ok()?).into_owned();
    text.lines().find_map(|line| line.strip_prefix("connected_slaves:")?.trim().parse().ok())
}

fn encryption(session: &Session) -> Finding {
    let address = &session.target.address;
    if address.tls {
        good("The connection is encrypted", "Nobody on the way can read or change anything.")
    } else if address.is_loopback() {
        good("The connection stays on this computer", "Nothing of it is on a network.")
    } else {
        look(
            "The connection is not encrypted",
            "Anyone on this network can read open rooms and the password.",
            "tls-port 6380, and an address that begins with rediss://",
        )
    }
}

fn rights(session: &Session, settings: &Result<HashMap<String, String>, Fault>) -> Finding {
    let user = session.target.address.user.as_deref().unwrap_or("default");
    match settings {
        Ok(_) => look(
            "The user may do more than is needed",
            &format!("{user} may run the server's own commands, so whoever has its password may too."),
            "a user of its own, with the ACL line of docs/redis.md",
        ),
        Err(Fault::Answer(error)) if error.code == Code::Refused => {
            good("The user may not manage the server", &format!("{user} is refused its configuration."))
        }
        Err(_) => unknown("The user's rights", "what else this user may do", "config|get"),
    }
}

fn persistence(settings: &HashMap<String, String>) -> Finding {
    let on = |name| settings.get(name).map(String::as_str);
    match (on("appendonly"), on("save")) {
        (Some("yes"), _) => look(
            "It keeps a log on disk",
            "Erased messages of open rooms stay readable in it until Redis rewrites it.",
            "appendonly no",
        ),
        (_, Some(save)) if !save.is_empty() => look(
            "It keeps snapshots on disk",
            "Erased messages of open rooms stay readable in the last one until the next is written.",
            "save \"\"",
        ),
        _ => good("It writes nothing to disk", "A restart forgets everything."),
    }
}

fn eviction(settings: &HashMap<String, String>) -> Finding {
    match settings.get("maxmemory-policy").map(String::as_str) {
        Some("noeviction") => good("It drops nothing early", "When memory runs short it refuses new messages."),
        policy => look(
            "It may drop messages early",
            &format!("When memory runs short it throws away living messages ({}).", policy.unwrap_or("unknown policy")),
            "maxmemory-policy noeviction",
        ),
    }
}

fn slow_log(settings: &HashMap<String, String>) -> Finding {
    match settings.get("slowlog-log-slower-than").map(String::as_str) {
        Some("-1") => good("It keeps no slow log", "No part of a message is written down beside it."),
        _ => look(
            "It keeps a slow log",
            "A message that was slow to save may stand in it, cut to 128 bytes, past its end.",
            "slowlog-log-slower-than -1",
        ),
    }
}

fn good(title: &str, text: &str) -> Finding {
    Finding { grade: Grade::Good, title: title.to_owned(), text: text.to_owned(), remedy: None }
}

fn look(title: &str, text: &str, remedy: &str) -> Finding {
    Finding { grade: Grade::Look, title: title.to_owned(), text: text.to_owned(), remedy: Some(remedy.to_owned()) }
}

fn unknown(title: &str, what: &str, right: &str) -> Finding {
    Finding {
        grade: Grade::Unknown,
        title: format!("{title} could not be read"),
        text: format!("So nothing is known of {what}. Its administrator can tell."),
        remedy: Some(format!("+{right} for this user, if it is to be checked from here")),
    }
}
