//! A wire between a client and a server that a test can cut, hold and delay.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

/// What is done with the bytes of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing passes; what comes in is kept and passes later.
    Held,
    Cut,
}

#[derive(Debug)]
struct Wire {
    to_server: watch::Sender<Flow>,
    to_client: watch::Sender<Flow>,
    /// It has carried an XREAD.
    feed: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    wires: Mutex<Vec<Arc<Wire>>>,
    /// How many requests with this in them are still to lose their answer.
    losing: Mutex<Option<Vec<u8>>>,
    lost: AtomicUsize,
    refusing: AtomicBool,
    /// Lets nobody in any more once an answer was lost.
    refusing_after_loss: AtomicBool,
}

#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: tokio::task::AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_all();
    }
}

impl Proxy {
    /// Before the server at this port.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if accepting.refusing.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let wire = Arc::new(Wire {
                    to_server: watch::Sender::new(Flow::Open),
                    to_client: watch::Sender::new(Flow::Open),
                    feed: AtomicBool::new(false),
                });
                accepting.wires.lock().unwrap().push(wire.clone());
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(requests(from_client, to_server, wire.clone(), accepting.clone()));
                tokio::spawn(answers(from_server, to_client, wire));
            }
        });
        Self { port, shared, task: task.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn each(&self, apply: impl Fn(&Wire)) {
        let mut wires = self.shared.wires.lock().unwrap();
        wires.retain(|wire| *wire.to_client.borrow() != Flow::Cut);
        wires.iter().for_each(|wire| apply(wire));
    }

    /// Ends every connection.
    pub fn cut_all(&self) {
        self.each(|wire| {
            wire.to_server.send_replace(Flow::Cut);
            wire.to_client.send_replace(Flow::Cut);
        });
    }

    /// Lets nobody in and out, or does so again.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
        if refusing {
            self.cut_all();
        }
    }

    /// Lets nobody in once an answer was lost.
    pub fn refuse_after_loss(&self) {
        self.shared.refusing_after_loss.store(true, Ordering::Relaxed);
    }

    /// Both ends believe in the connection, and nothing passes; what was sent passes when it is let go.
    pub fn stall(&self) {
        self.each(|wire| {
            wire.to_server.send_replace(Flow::Held);
            wire.to_client.send_replace(Flow::Held);
        });
    }

    /// Holds back the answers to commands, while the feed goes on.
    pub fn hold_answers(&self) {
        self.each(|wire| {
            if !wire.feed.load(Ordering::Relaxed) {
                wire.to_client.send_replace(Flow::Held);
            }
        });
    }

    /// Lets pass what was held.
    pub fn let_go(&self) {
        self.each(|wire| {
            for side in [&wire.to_server, &wire.to_client] {
                side.send_if_modified(|flow| {
                    let held = *flow == Flow::Held;
                    if held {
                        *flow = Flow::Open;
                    }
                    held
                });
            }
        });
    }

    /// The next request with these bytes in it reaches the server; its connection ends before the answer comes back.
    pub fn lose_answer_to(&self, bytes: &[u8]) {
        *self.shared.losing.lock().unwrap() = Some(bytes.to_vec());
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: Arc<Wire>, shared: Arc<Shared>) {
    let (mut buffer, mut flow) = (vec![0; 65_536], wire.to_server.subscribe());
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = flow.wait_for(|flow| *flow == Flow::Cut) => 0,
        };
        let bytes = &buffer[..read];
        if read == 0 || passes(&mut flow).await.is_err() {
            break;
        }
        if contains(bytes, b"XREAD") {
            wire.feed.store(true, Ordering::Relaxed);
        }
        let lose = shared.losing.lock().unwrap().take_if(|wanted| contains(bytes, wanted)).is_some();
        if lose {
            if shared.refusing_after_loss.load(Ordering::Relaxed) {
                shared.refusing.store(true, Ordering::Relaxed);
            }
            wire.to_client.send_replace(Flow::Held);
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
        if lose {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            // The server reads to the end of what it has before it sees that nobody is there.
            let _ = to.shutdown().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            break;
        }
    }
    wire.to_server.send_replace(Flow::Cut);
    wire.to_client.send_replace(Flow::Cut);
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: Arc<Wire>) {
    let (mut buffer, mut flow) = (vec![0; 65_536], wire.to_client.subscribe());
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = flow.wait_for(|flow| *flow == Flow::Cut) => 0,
        };
        if read == 0 || passes(&mut flow).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    wire.to_server.send_replace(Flow::Cut);
    wire.to_client.send_replace(Flow::Cut);
}

/// Waits while it is held; an error once it is cut.
async fn passes(flow: &mut watch::Receiver<Flow>) -> Result<(), ()> {
    match flow.wait_for(|flow| *flow != Flow::Held).await.map(|flow| *flow) {
        Ok(Flow::Open) => Ok(()),
        _ => Err(()),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
