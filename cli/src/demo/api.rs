//! A node's HTTP API as one outside it sees it: JSON in, JSON out, and every failure in words.

use anyhow::{Context, Result, anyhow, bail};
use creel_node::{API_TOKEN_FILE, HTTP_ADDRESS_FILE};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// How long an answer may take: a machine that is busy with other things still gets there.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A client of one running node.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    token: String,
}

/// The node answered, and will not do it.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {error}")]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// Why, in the node's words.
    pub error: String,
}

/// Bytes of a file that is asked for.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Api {
    /// The node that runs on a data folder.
    pub fn of(data: &Path) -> Result<Self> {
        let read = |file: &str| {
            let path = data.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (address, token) = (read(HTTP_ADDRESS_FILE)?, read(API_TOKEN_FILE)?);
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_LIMIT))
            .build()
            .into();
        Ok(Self { agent, base: format!("http://{}/api/v1", address.trim()), token: token.trim().to_owned() })
    }

    /// Asks.
    pub fn get(&self, path: &str) -> Result<Value> {
        let sent = self.agent.get(format!("{}{path}", self.base)).header("Authorization", self.bearer()).call();
        answer(sent.with_context(|| format!("GET {path}"))?).with_context(|| format!("GET {path}"))
    }

    /// Asks for bytes, such as a photo's.
    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let sent = self.agent.get(format!("{}{path}", self.base)).header("Authorization", self.bearer()).call();
        let mut response = sent.with_context(|| format!("GET {path}"))?;
        if response.status().as_u16() == 200 {
            return Ok(response.body_mut().with_config().limit(FILE_BYTES_MAX).read_to_vec()?);
        }
        answer(response).with_context(|| format!("GET {path}"))?;
        bail!("GET {path}: the answer is no file")
    }

    /// Acts. A second try with the same tap is the same act.
    pub fn post(&self, path: &str, tap: &str, body: &Value) -> Result<Value> {
        self.post_bytes(path, tap, &serde_json::to_vec(body)?)
    }

    /// Sends bytes, such as a photo's.
    pub fn post_bytes(&self, path: &str, tap: &str, bytes: &[u8]) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("Authorization", self.bearer()).header("Idempotency-Key", tap);
        let sent = request.send(bytes).with_context(|| format!("POST {path}"))?;
        answer(sent).with_context(|| format!("POST {path}"))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    if status == 200 {
        return serde_json::from_str(&text).map_err(|error| anyhow!("the node's answer is no JSON: {error}"));
    }
    let said = serde_json::from_str::<Value>(&text).ok();
    let error = said.as_ref().and_then(|said| said["error"].as_str()).unwrap_or(&text).to_owned();
    Err(Refused { status, error }.into())
}
