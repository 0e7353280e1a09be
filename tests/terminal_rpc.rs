//! The real `tempmsg rpc`: every line is answered, and events are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdout, Stdio},
};

use serde_json::Value;
use temp_messenger_tests::{
    home::Home,
    process::Process,
    terminal::{fed, tempmsg},
};

/// A running `rpc`, asked one line at a time.
struct Rpc(Process, BufReader<ChildStdout>);

impl Rpc {
    fn start(home: &Home) -> Self {
        let mut process = Process::start(tempmsg(home, &["rpc"]).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let lines = BufReader::new(process.child().stdout.take().unwrap());
        Self(process, lines)
    }

    fn write(&mut self, line: &str) {
        let input = self.0.child().stdin.as_mut().unwrap();
        input.write_all(line.as_bytes()).and_then(|()| input.write_all(b"\n")).unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn ask(&mut self, line: &str) -> Value {
        self.write(line);
        self.next()
    }
}

#[test]
fn rpc_answers_every_line_and_tells_of_events() {
    let home = Home::default();
    let mut rpc = Rpc::start(&home);
    let hello = rpc.ask(r#"{"jsonrpc":"2.0","id":"a","method":"konnichiwa"}"#);
    assert_eq!((&hello["id"], &hello["result"]["greeting"]), (&"a".into(), &"Konnichiwa!".into()));
    let events = rpc.ask(r#"{"jsonrpc":"2.0","id":1,"method":"events","params":{"rooms":["lobby"],"expiry":true}}"#);
    assert_eq!((&events["id"], &events["result"]), (&1.into(), &1.into()), "{events}");
    while rpc.next()["params"]["event"]["event"] != "link" {}
    rpc.write(r#"{"jsonrpc":"2.0","id":2,"method":"save_message","params":{"room":"lobby","message":"hello","lifetime":1000}}"#);
    let (mut id, mut told) = (Value::Null, Vec::new());
    while told.len() < 2 {
        let line = rpc.next();
        let event = &line["params"]["event"];
        if line["id"] == 2 {
            id = line["result"]["id"].clone();
        } else if event["event"] != "room" {
            told.push((event["event"].clone(), event["why"].clone()));
        }
    }
    assert!(id.is_string());
    assert_eq!(told, [("saved".into(), Value::Null), ("ended".into(), "expired".into())]);
    // A notification is not answered; what comes next is.
    rpc.write(r#"{"jsonrpc":"2.0","method":"list_rooms"}"#);
    let status = rpc.ask(r#"{"jsonrpc":"2.0","id":3,"method":"status"}"#);
    assert_eq!((&status["id"], &status["result"]["settings"]["store"].is_string()), (&3.into(), &true));
}

#[test]
fn rpc_refuses_bad_lines_one_by_one_and_goes_on() {
    let home = Home::default();
    let mut rpc = Rpc::start(&home);
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"konnichiwa","params":"{}"}}"#, "x".repeat(300 * 1024));
    for (line, code) in [
        ("{", -32700),
        ("[]", -32600),
        (r#"{"id":1,"method":"konnichiwa"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"get_messages"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"save_message","params":{"message":7}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"save_message","params":{"room":"lobby","message":" "}}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"get_message","params":{"id":"c8d0447b55aa4be2b9d04e77c1f20a93"}}"#,
            -32000,
        ),
        (&long, -32600),
    ] {
        let answer = rpc.ask(line);
        assert_eq!(answer["error"]["code"], code, "{:.80}: {answer}", line);
        assert!(answer["error"]["message"].is_string() && answer["error"]["data"]["code"].is_string(), "{answer}");
    }
    rpc.write("");
    assert_eq!(rpc.ask(r#"{"jsonrpc":"2.0","id":9,"method":"konnichiwa"}"#)["id"], 9);
    // It ends with its input, and what was asked last is answered.
    let asked = fed(&home, &["rpc"], b"");
    assert!(asked.status.code() == Some(0) && asked.stdout.is_empty(), "{asked:?}");
}
