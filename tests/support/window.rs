//! The real window: Xvfb, WebKitWebDriver and the application, driven by what a person sees and a screen reader says.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, key::Key, wd::Capabilities};
use serde_json::{Value, json};

use crate::{binary, home::Home, process::Process};

/// How long anything may take before a test calls it never; not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A display of its own.
#[derive(Debug)]
pub struct Display {
    _server: Process,
    pub name: String,
}

impl Display {
    pub fn start() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]);
        let mut server = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut number = String::new();
        BufReader::new(server.child().stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { _server: server, name: format!(":{}", number.trim()) }
    }
}

/// A window under its driver. One driver a window; the application inherits the driver's environment.
#[derive(Debug)]
pub struct Window {
    pub client: Client,
    driver: Process,
    /// Held by the application for as long as it runs.
    lock: PathBuf,
}

impl Window {
    /// Starts the application in this home and waits until the page is there.
    pub async fn open(home: &Home, display: &Display) -> Self {
        Self::open_with(home, display, &[]).await
    }

    /// The same with more variables.
    pub async fn open_with(home: &Home, display: &Display, variables: &[(&str, &str)]) -> Self {
        Self::open_program(home, display, "temp-messenger", variables).await
    }

    /// The same with another program of this workspace.
    pub async fn open_program(home: &Home, display: &Display, program: &str, variables: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("WebKitWebDriver");
        command.args([format!("--port={port}"), "--host=127.0.0.1".to_owned()]);
        home.furnish(&mut command);
        command.env("DISPLAY", &display.name).env("GDK_BACKEND", "x11");
        command.env("TAURI_WEBVIEW_AUTOMATION", "true").env("MESA_SHADER_CACHE_DISABLE", "true");
        command.env("TZ", "UTC").env("LANG", "C.UTF-8").env("NO_AT_BRIDGE", "1");
        command.envs(variables.iter().copied());
        let driver = Process::start(&mut command);
        let mut capabilities = Capabilities::new();
        let options = json!({ "binary": binary(program), "args": [] });
        capabilities.insert("webkitgtk:browserOptions".to_owned(), options);
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let mut builder = ClientBuilder::new(connector);
        builder.capabilities(capabilities);
        let url = format!("http://127.0.0.1:{port}");
        let mut waited = Duration::ZERO;
        let client = loop {
            match tokio::time::timeout(PATIENCE, builder.connect(&url)).await {
                Ok(Ok(client)) => break client,
                Ok(Err(error)) => assert!(waited < PATIENCE, "the driver does not answer: {error}"),
                Err(_) => panic!("the application does not start under its driver"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            waited += Duration::from_millis(50);
        };
        let window = Self { client, driver, lock: home.path().join("data/temp-messenger/window.lock") };
        window.until("the page is drawn", "return document.querySelector('#app')?.childElementCount > 0").await;
        window
    }

    /// Ends the session, which closes the application, and then the driver. The application is gone when this returns:
    /// a next start in the same home would otherwise only show it.
    pub async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        let mut waited = Duration::ZERO;
        let tick = Duration::from_millis(25);
        // The driver ends the application; ended too soon itself, it would leave it behind.
        while File::open(&self.lock).is_ok_and(|lock| lock.try_lock().is_err()) {
            assert!(waited < PATIENCE, "the application does not end");
            tokio::time::sleep(tick).await;
            waited += tick;
        }
        self.driver.stop();
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script answers with `true`.
    pub async fn until(&self, what: &str, script: &str) {
        let mut waited = Duration::ZERO;
        let tick = Duration::from_millis(25);
        loop {
            if matches!(self.client.execute(script, vec![]).await, Ok(Value::Bool(true))) {
                return;
            }
            assert!(waited < PATIENCE, "never: {what}\n{}", self.text().await);
            tokio::time::sleep(tick).await;
            waited += tick;
        }
    }

    /// Waits until the page says this.
    pub async fn says(&self, words: &str) {
        self.until(words, &format!("return document.body.innerText.includes({})", json!(words))).await;
    }

    /// What a person can read.
    pub async fn text(&self) -> String {
        match self.client.execute("return document.body.innerText", vec![]).await {
            Ok(Value::String(text)) => text,
            other => format!("{other:?}"),
        }
    }

    /// Waits for a part by its role and accessible name.
    pub async fn part(&self, role: &str, name: &str) -> Element {
        let tag = match role {
            "button" => "self::button",
            "textbox" => "self::input or self::textarea",
            "dialog" => "self::dialog",
            "navigation" => "self::nav",
            "combobox" => "self::select",
            "spinbutton" => "self::input",
            _ => "false()",
        };
        let path = format!(
            "//*[({tag} or @role='{role}') and (@aria-label='{name}' or normalize-space(.)='{name}' \
             or @id=//label[normalize-space(text())='{name}']/@for or parent::label[normalize-space(text())='{name}'])]"
        );
        let mut waited = Duration::ZERO;
        let tick = Duration::from_millis(25);
        loop {
            if let Ok(found) = self.client.find_all(Locator::XPath(&path)).await {
                for element in found {
                    if element.is_displayed().await.unwrap_or(false) {
                        return element;
                    }
                }
            }
            assert!(waited < PATIENCE, "never: {role} \"{name}\"\n{}", self.text().await);
            tokio::time::sleep(tick).await;
            waited += tick;
        }
    }

    pub async fn press(&self, role: &str, name: &str) {
        self.part(role, name).await.click().await.unwrap();
    }

    /// Presses a button of the message with this text.
    pub async fn press_in(&self, text: &str, button: &str) {
        let script = "const body = [...document.querySelectorAll('article [data-part=body]')].find(body => body.innerText.trim() === arguments[0]); \
                      body.closest('article').querySelector(`button[aria-label='${arguments[1]}']`).click()";
        self.run(script, vec![json!(text), json!(button)]).await;
    }

    /// Does not wait for the next try, where one has not come meanwhile.
    pub async fn try_now(&self) {
        let script =
            "[...document.querySelectorAll('button')].find(button => button.innerText.trim() === 'Try now')?.click()";
        self.run(script, vec![]).await;
    }

    /// Types into a text box, after what is there.
    pub async fn type_into(&self, name: &str, text: &str) {
        self.part("textbox", name).await.send_keys(text).await.unwrap();
    }

    /// Writes a message and sends it by Enter.
    pub async fn send(&self, text: &str) {
        self.type_into("Message", text).await;
        self.type_into("Message", &char::from(Key::Enter).to_string()).await;
    }

    /// Waits until an article shows exactly this text, accepted; answers with its message's id.
    pub async fn message(&self, text: &str) -> String {
        let find = "const found = [...document.querySelectorAll('[role=log] article')].find(article => \
                    article.querySelector('[data-part=body]')?.innerText.trim() === arguments[0]); \
                    return found?.dataset.messageId ?? null";
        let mut waited = Duration::ZERO;
        let tick = Duration::from_millis(25);
        loop {
            if let Ok(Value::String(id)) = self.client.execute(find, vec![json!(text)]).await {
                return id;
            }
            assert!(waited < PATIENCE, "never: a message {text:?}\n{}", self.text().await);
            tokio::time::sleep(tick).await;
            waited += tick;
        }
    }

    /// Waits until no article shows this text.
    pub async fn gone(&self, text: &str) {
        let script = format!(
            "return ![...document.querySelectorAll('[role=log] [data-part=body]')].some(body => body.innerText.includes({}))",
            json!(text)
        );
        self.until(&format!("{text:?} is gone"), &script).await;
    }

    /// The texts of all articles, from the top.
    pub async fn messages(&self) -> Vec<String> {
        let script = "return [...document.querySelectorAll('[role=log] article [data-part=body]')].map(body => body.innerText.trim())";
        serde_json::from_value(self.run(script, vec![]).await).unwrap()
    }

    /// First start: a name, then the lobby.
    pub async fn enter_the_lobby(&self, name: &str) {
        let field = self.part("textbox", "Display name").await;
        field.clear().await.unwrap();
        field.send_keys(name).await.unwrap();
        self.press("button", "Open the lobby").await;
        self.part("textbox", "Message").await;
    }

    /// Sets the page's size, by the window's.
    pub async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.unwrap();
        let script = format!("return Math.abs(innerWidth - {width}) < 20");
        self.until("the window has its size", &script).await;
    }

    /// A picture of the page, once it has been drawn.
    pub async fn picture(&self, path: &Path) {
        let drawn = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
        self.client.execute_async(drawn, vec![]).await.unwrap();
        std::fs::write(path, self.client.screenshot().await.unwrap()).unwrap();
    }
}
