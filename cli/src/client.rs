//! A client of the running node's HTTP API.

use crate::folder;
use anyhow::{Context, Result, anyhow, bail};
use creel_node::{API_TOKEN_FILE, HTTP_ADDRESS_FILE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body};

/// Importing thousands of orders on a slow disk takes a while, and nobody waits for a loopback connection in vain: a
/// node that died has closed it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Bytes of an answer: a list of some million shipments.
const ANSWER_BYTES_MAX: u64 = 2 << 30;

/// A connection to the node that runs on a data folder.
pub(crate) struct Client {
    agent: Agent,
    data: PathBuf,
    base: String,
    token: String,
}

impl Client {
    /// The node of this folder. Whether it answers is found by asking.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        if !data.is_dir() {
            bail!(
                "there is no creel in {0}: start an organisation with `creel init --org NAME --data {0}`, or join one \
                 with `creel join INVITE --data {0}`",
                folder::quoted(data)
            );
        }
        let read = |file: &str| match std::fs::read_to_string(data.join(file)) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_running(data)),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", data.join(file).display())),
        };
        let (address, token) = (read(HTTP_ADDRESS_FILE)?, read(API_TOKEN_FILE)?);
        // A proxy from the environment must not get to see the token, and could not reach this device's loopback.
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(ANSWER_LIMIT))
            .build()
            .into();
        Ok(Self { agent, data: data.to_owned(), base: format!("http://{address}/api/v1"), token })
    }

    /// Asks for JSON.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        parse(&self.fetch_bytes(path)?)
    }

    /// Asks for a file.
    pub(crate) fn fetch_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let sent = self.agent.get(self.url(path)).header("Authorization", self.bearer()).call();
        let response = sent.map_err(|error| self.broken(error))?;
        self.answer(response)
    }

    /// Asks for a file, with some of the headers that come with it.
    pub(crate) fn fetch_with_headers<const N: usize>(
        &self,
        path: &str,
        names: [&str; N],
    ) -> Result<(Vec<u8>, [String; N])> {
        let sent = self.agent.get(self.url(path)).header("Authorization", self.bearer()).call();
        let response = sent.map_err(|error| self.broken(error))?;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let headers = names.map(header);
        Ok((self.answer(response)?, headers))
    }

    /// Asks for a sheet; with it come how many rows it has, and of how many shipments.
    pub(crate) fn fetch_sheet(&self, path: &str) -> Result<(Vec<u8>, u64, u64)> {
        let (bytes, counts) = self.fetch_with_headers(path, ["creel-rows", "creel-shipments"])?;
        let [rows, shipments] = counts.map(|count| count.parse().unwrap_or_default());
        Ok((bytes, rows, shipments))
    }

    /// Acts: `tap` makes sure that a second try of the same is answered with what the first one made.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, tap: &str, body: &impl Serialize) -> Result<T> {
        self.post_bytes(path, tap, "application/json", &serde_json::to_vec(body)?)
    }

    /// Sends a photo's bytes.
    pub(crate) fn upload<T: DeserializeOwned>(&self, path: &str, tap: &str, bytes: &[u8]) -> Result<T> {
        self.post_bytes(path, tap, "application/octet-stream", bytes)
    }

    fn post_bytes<T: DeserializeOwned>(&self, path: &str, tap: &str, kind: &str, bytes: &[u8]) -> Result<T> {
        let sent = self
            .agent
            .post(self.url(path))
            .header("Authorization", self.bearer())
            .header("Content-Type", kind)
            .header("Idempotency-Key", tap)
            .send(bytes);
        let response = sent.map_err(|error| self.broken(error))?;
        parse(&self.answer(response)?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Vec<u8>> {
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.broken(error))?;
        if status.is_success() {
            return Ok(body);
        }
        let said = serde_json::from_slice::<Value>(&body).ok();
        let said = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
        Err(match (said, status.as_u16()) {
            (_, 401) => anyhow!(
                "what answers at {} does not take the token of {}: is it another folder's node? Stop it, and start this \
                 one with `creel serve --data {}`",
                self.base,
                self.data.display(),
                folder::quoted(&self.data)
            ),
            (Some(said), _) => anyhow!("{said}"),
            (None, _) => anyhow!("what answers at {} is no creel node (it says {status})", self.base),
        })
    }

    fn broken(&self, error: ureq::Error) -> anyhow::Error {
        match error {
            ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => not_running(&self.data),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => not_running(&self.data),
            error => anyhow::Error::new(error).context(Broken),
        }
    }
}

/// The connection ended before there was an answer: whether the node did what it was asked is not known.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the node ended before it answered")]
pub(crate) struct Broken;

/// Nothing answers for the folder.
#[derive(Debug, thiserror::Error)]
#[error("no node is running on {0}: start it with `creel serve --data {0}`")]
pub(crate) struct NotRunning(String);

fn not_running(data: &Path) -> anyhow::Error {
    anyhow::Error::new(NotRunning(folder::quoted(data)))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .context("the node's answer can't be understood: are this creel and the running node of one version?")
}

/// A path's segment: whatever a firm's own numbers are made of, it stays one segment.
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            segment.push(byte.into());
        } else {
            segment.push('%');
            segment.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    segment
}

/// 16 random bytes as hexadecimal digits: a tap of its own.
pub(crate) fn fresh_tap() -> Result<String> {
    let mut tap = [0; 16];
    getrandom::fill(&mut tap).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(data_encoding::HEXLOWER.encode(&tap))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number with a slash, a dot or a Chinese letter names one shipment, not another path.
    #[test]
    fn segments() {
        for (text, expect) in [
            ("M2025-0001", "M2025-0001"),
            ("a/b", "a%2Fb"),
            ("..", "%2E%2E"),
            ("50% #1?", "50%25%20%231%3F"),
            ("鱼", "%E9%B1%BC"),
        ] {
            assert_eq!(segment(text), expect);
        }
    }
}
