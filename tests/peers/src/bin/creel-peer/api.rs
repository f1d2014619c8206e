//! A running creel as one outside it sees it: its HTTP API.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// How long an answer may take; a part of an import is the longest.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// A client of one node.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
    bearer: String,
}

impl Api {
    /// The node that runs on a data folder.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let read = |file: &str| {
            let path = data.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (address, token) = (read("http-address")?, read("api-token")?);
        let agent = Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
        Ok(Self {
            agent,
            base: format!("http://{}/api/v1", address.trim()),
            bearer: format!("Bearer {}", token.trim()),
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.bearer);
        answer(request.config().timeout_global(Some(ANSWER_LIMIT)).build().call()?, path)
    }

    /// Acts; `tap` is new for each act.
    pub(crate) fn post(&self, path: &str, tap: u64, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Authorization", &self.bearer);
        let request = request.header("Idempotency-Key", format!("{tap:032x}"));
        answer(request.config().timeout_global(Some(ANSWER_LIMIT)).build().send(serde_json::to_vec(body)?)?, path)
    }

    /// The live stream of documents that changed. It has no end.
    pub(crate) fn events(&self) -> Result<BufReader<impl std::io::Read + use<>>> {
        let request = self.agent.get(format!("{}/events", self.base)).header("Authorization", &self.bearer);
        Ok(BufReader::new(request.call()?.into_body().into_reader()))
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>, path: &str) -> Result<Value> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    if status != 200 {
        bail!("{path}: {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{path}: no JSON came"))
}
