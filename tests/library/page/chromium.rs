//! A headless Chromium, driven by the DevTools protocol over a pipe: nothing but the browser is needed.
//!
//! With `--remote-debugging-pipe` the browser reads messages from file descriptor 3 and writes them to 4, each a JSON
//! object that ends in a zero byte. A shell turns the child's standard input and output into those two.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::needs;

const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell"];
/// How long the browser may take for anything; a software renderer on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// The browser's program: the one that `CHROMIUM` names, or the first of its usual names in the path.
pub fn find() -> Option<PathBuf> {
    needs::found("chromium", named_or_in_path())
}

fn named_or_in_path() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// One tab of a browser of its own, which ends with it.
pub struct Tab {
    browser: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// Everything that the browser told without being asked, oldest first.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Tab {
    /// A tab of `width` × `height` pixels; `webgl` says whether the page finds WebGL.
    pub fn open(program: &Path, (width, height): (u32, u32), webgl: bool) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"]).arg(program);
        command.args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars"]);
        // As root, as in most containers, the browser's sandbox does not start; there is little shared memory either.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]);
        if webgl {
            command.args([
                "--use-angle=swiftshader",
                "--enable-unsafe-swiftshader",
                "--ignore-gpu-blocklist",
            ]);
        } else {
            command.args(["--disable-gpu", "--disable-3d-apis"]);
        }
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, answers) = channel();
        let mut output = BufReader::new(browser.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let requests = browser.stdin.take().unwrap();
        let mut tab = Self {
            browser,
            requests,
            answers,
            session: None,
            last: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = tab.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = tab.call("Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_string();
        tab.session = Some(session);
        for domain in ["Network", "Runtime", "Log", "Page"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.size(width, height);
        tab
    }

    /// The result of a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.requests.write_all(message.to_string().as_bytes()).unwrap();
        self.requests.write_all(b"\0").unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer =
                self.answers.recv_timeout(left).unwrap_or_else(|e| panic!("{method}: no answer: {e}"));
            if answer["id"] == json!(self.last) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// The value of a JavaScript expression, a promise's once it has one.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true.
    pub fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(expression) != json!(true) {
            assert!(Instant::now() < deadline, "{expression} did not become true; {:?}", self.complaints());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Opens a file and waits until all of it is loaded.
    pub fn navigate(&mut self, file: &Path) {
        let answer = self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'");
    }

    /// Makes the window this large.
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Lets the page believe that the system has this theme, `light` or `dark`, and is shown on `media`.
    pub fn theme(&mut self, theme: &str, media: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": media, "features": features }));
    }

    /// Presses and releases a key, as `KeyboardEvent.key` names it.
    pub fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            " " => 32,
            _ => 0,
        };
        let event = |kind: &str| json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": if kind == "keyUp" { "" } else { text } });
        self.call("Input.dispatchKeyEvent", event("keyDown"));
        self.call("Input.dispatchKeyEvent", event("keyUp"));
    }

    /// A picture of what the window shows, or of the whole page.
    pub fn screenshot(&mut self, whole: bool) -> RgbImage {
        // Two frames, so that what was asked for is drawn.
        self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
        );
        let mut parameters = json!({ "format": "png", "captureBeyondViewport": whole });
        if whole {
            let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
            parameters["clip"] =
                json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        }
        let answer = self.call("Page.captureScreenshot", parameters);
        let bytes = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        image::load_from_memory(&bytes).unwrap().into_rgb8()
    }

    /// The part of a screenshot that the element of this selector takes.
    pub fn screenshot_of(&mut self, selector: &str) -> RgbImage {
        let find = format!("document.querySelector({selector:?})");
        self.evaluate(&format!("{find}.scrollIntoView({{ block: 'center', behavior: 'instant' }})"));
        let place = self.evaluate(&format!(
            "(() => {{ const r = {find}.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }})()"
        ));
        let [x, y, width, height] = [0, 1, 2, 3].map(|i| place[i].as_f64().unwrap().max(0.0) as u32);
        let window = self.screenshot(false);
        image::imageops::crop_imm(&window, x, y, width, height).to_image()
    }

    /// Where the page asked for something that is not in it.
    pub fn fetched(&self) -> Vec<String> {
        let of = |event: &Value| {
            match event["method"].as_str()? {
                "Network.requestWillBeSent" => event["params"]["request"]["url"].as_str(),
                "Network.webSocketCreated" => event["params"]["url"].as_str(),
                _ => None,
            }
            .map(str::to_string)
        };
        let outside =
            |url: &String| !["file:", "data:", "blob:", "about:"].iter().any(|kind| url.starts_with(kind));
        self.events.iter().filter_map(of).filter(outside).collect()
    }

    /// Errors and warnings of the console, exceptions, and what the browser's log holds against the page.
    pub fn complaints(&self) -> Vec<String> {
        let complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                ["error", "warning", "assert"].iter().any(|kind| event["params"]["type"] == json!(kind))
            }
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == json!("error"),
            _ => false,
        };
        self.events.iter().filter(complaint).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // Its profile is removed next; whether it had already ended does not matter.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
