//! `rpc`: JSON-RPC 2.0, one object a line on standard input and output. The operations by their names, in any order and
//! at once; a subscription's events come as notifications (`event`).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use temp_messenger_core::{
    api::{Api, Show, Subscribe, Subscription, SubscriptionId},
    dispatch::{dispatch, read},
    error::{Code, Error, Result},
    room::RoomName,
    session::Session,
    settings::Configure,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    sync::mpsc,
    task::JoinSet,
};

use crate::{commands::Streams, failure::Failure};

/// The longest line that is read, in bytes: JSON may escape every character of a text.
const LONGEST_LINE: usize = 256 * 1024;
/// How many lines wait for whoever reads standard output, before those who write them wait.
const WAITING: usize = 256;

/// A call, as far as it is one.
#[derive(Deserialize)]
struct Request {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Value,
    /// Absent: nobody waits for an answer.
    id: Option<Value>,
}

/// What `hide` takes.
#[derive(Deserialize)]
struct Hide {
    subscription: SubscriptionId,
    room: RoomName,
}

/// Serves until standard input ends, then answers what is under way.
pub(crate) async fn serve(
    session: &Session,
    streams: &mut Streams<'_>,
    input: impl AsyncRead + Unpin,
    until: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let mut until = std::pin::pin!(until);
    let mut input = BufReader::new(input);
    let (lines, mut written) = mpsc::channel::<Value>(WAITING);
    let (mut calls, mut line, mut open) = (JoinSet::new(), Vec::new(), true);
    while open || !calls.is_empty() || !written.is_empty() {
        tokio::select! {
            read = next_line(&mut input, &mut line), if open => {
                open = read.map_err(|error| Error::new(Code::Internal, format!("standard input: {error}")))?;
                if let Some(line) = open.then(|| std::mem::take(&mut line)).filter(|line| !line.trim_ascii().is_empty()) {
                    take(session, line, &lines, &mut calls).await?;
                }
            }
            Some(value) = written.recv() => {
                streams.line(value)?;
                if written.is_empty() {
                    streams.output.flush()?;
                }
            }
            Some(_) = calls.join_next() => {}
            () = &mut until => return Ok(()),
        }
    }
    Ok(streams.output.flush()?)
}

/// A line, without its end; false at the end of all. What is over the limit is passed over, and comes as too long.
async fn next_line(input: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    // Begun by a call that was put off.
    let room = (LONGEST_LINE + 1).saturating_sub(line.len());
    let read = input.take(room as u64).read_until(b'\n', line).await?;
    if line.ends_with(b"\n") || line.len() <= LONGEST_LINE {
        return Ok(read > 0 || !line.is_empty());
    }
    // The rest of what is too long.
    loop {
        let part = input.fill_buf().await?;
        let end = part.iter().position(|byte| *byte == b'\n');
        let passed = end.map_or(part.len(), |end| end + 1);
        input.consume(passed);
        if end.is_some() || passed == 0 {
            return Ok(true);
        }
    }
}

/// Answers what needs only a look, and starts what has to wait.
async fn take(
    session: &Session,
    line: Vec<u8>,
    lines: &mpsc::Sender<Value>,
    calls: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let lines = lines.clone();
    let refuse = |id: Value, code: i32, error: &Error| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": error.message, "data": error } });
    let invalid = |message: &str| Error::new(Code::Invalid, message);
    let parsed = if line.len() > LONGEST_LINE {
        Err((-32600, Error::new(Code::TooLarge, "a line is at most 256 KiB long")))
    } else {
        match serde_json::from_slice::<Value>(&line) {
            Err(_) => Err((-32700, invalid("this line is no JSON"))),
            Ok(value) => match serde_json::from_value::<Request>(value) {
                Ok(request) if request.jsonrpc == "2.0" => Ok(request),
                _ => Err((-32600, invalid("this is no call of JSON-RPC 2.0"))),
            },
        }
    };
    let Request { method, params, id, .. } = match parsed {
        Ok(request) => request,
        Err((code, error)) => {
            calls.spawn(async move { drop(lines.send(refuse(Value::Null, code, &error)).await) });
            return Ok(());
        }
    };
    // What the session itself answers is not waited for by anybody.
    let answered = match method.as_str() {
        "status" => Some(serde_json::to_value(session.status().await).map_err(|error| invalid(&error.to_string()))),
        "configure" => Some(configure(session, params.clone()).await),
        _ => None,
    };
    let api = match answered {
        Some(_) => None,
        None => Some(session.api().await),
    };
    calls.spawn(async move {
        let answer = match (answered, api) {
            (Some(answer), _) => answer,
            (None, Some(Ok(api))) => call(api, &method, params, &lines).await,
            (None, Some(Err(error))) => Err(error),
            (None, None) => Ok(Value::Null),
        };
        let Some(id) = id else { return };
        let line = match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => {
                let code = match error.code {
                    Code::Unsupported => -32601,
                    Code::Invalid | Code::OutOfRange | Code::TooLarge => -32602,
                    _ => -32000,
                };
                refuse(id, code, &error)
            }
        };
        // Whoever asked may be gone.
        let _ = lines.send(line).await;
    });
    Ok(())
}

async fn configure(session: &Session, params: Value) -> Result<Value> {
    let status = session.configure(read::<Configure>(params)?).await?;
    serde_json::to_value(status).map_err(|error| Error::new(Code::Internal, error.to_string()))
}

async fn call(api: Arc<dyn Api>, method: &str, params: Value, lines: &mpsc::Sender<Value>) -> Result<Value> {
    match method {
        "events" => {
            let subscription = api.events(read::<Subscribe>(params)?).await?;
            let id = subscription.id;
            tokio::spawn(forward(subscription, lines.clone()));
            Ok(json!(id))
        }
        "show" => api.show(read::<Show>(params)?).await.map(|()| Value::Null),
        "hide" => {
            let Hide { subscription, room } = read(params)?;
            api.hide(subscription, room).await.map(|()| Value::Null)
        }
        operation => dispatch(&*api, operation, params).await,
    }
}

async fn forward(mut subscription: Subscription, lines: mpsc::Sender<Value>) {
    let id = subscription.id;
    while let Some(event) = subscription.events.recv().await {
        let params = json!({ "subscription": id, "event": event });
        if lines.send(json!({ "jsonrpc": "2.0", "method": "event", "params": params })).await.is_err() {
            return;
        }
    }
}
