//! samod as a peer of the bench: one Automerge document for each order, files on disk, length-framed TCP.
//!
//! Of the two only one announces at a time, or everything would be said twice. For the first sync it is the driver, which asks
//! for what it does not hold; later it is the hub, whose first word is then one flight earlier. samod does not sync the disk.

use anyhow::{Context, Result, bail};
use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc};
use clap::Parser;
use creel_peers::clock::now_ns;
use creel_peers::lines::{Command, Role, Said, commands, say};
use creel_peers::orders::{self, NOTE, Order, STEPS};
use futures::{StreamExt, stream};
use samod::storage::TokioFilesystemStorage;
use samod::tokio_io::TcpDialer;
use samod::{BackoffConfig, DialerHandle, DocHandle, DocumentId, PeerId, Repo, ShareConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Documents that are asked for at the same time.
const AT_ONCE: usize = 512;

#[tokio::main]
async fn main() -> Result<()> {
    let role = Role::parse();
    say(&Said::Hello { pid: std::process::id() });
    let mut peer = Peer::open(role).await?;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    // Standard input is read by a thread: what it waits for must not hold up the repository.
    std::thread::spawn(move || commands().try_for_each(|command| sender.send(command).map_err(drop)));
    while let Some(command) = told.recv().await {
        let (did, command) = command?;
        if matches!(command, Command::Stop) {
            break;
        }
        match peer.act(command).await {
            Ok(()) => say(&Said::Did { did, at: now_ns() }),
            Err(error) => say(&Said::Failed { failed: format!("{did}: {error:#}") }),
        }
    }
    // Its files are complete when it has stopped.
    peer.repo.stop().await;
    Ok(())
}

struct Peer {
    role: Role,
    repo: Repo,
    documents: BTreeMap<u32, DocHandle>,
    dialer: Option<DialerHandle<<TcpDialer as samod::Dialer>::Error>>,
    /// Connections so far.
    connections: Arc<AtomicU32>,
    /// Documents that came so far, and how many are awaited.
    held: u32,
    asked: u32,
}

impl Peer {
    async fn open(role: Role) -> Result<Self> {
        std::fs::create_dir_all(&role.folder)?;
        let (connections, asks) = (Arc::new(AtomicU32::new(0)), role.side == "driver");
        let counted = Arc::clone(&connections);
        let share = move |_: DocumentId, _: PeerId| {
            let first = counted.load(Ordering::Relaxed) <= 1;
            stream::iter([ShareConfig::read_write().with_announce(first == asks)])
        };
        let repo = Repo::build_tokio()
            .with_peer_id(PeerId::from(role.side.as_str()))
            .with_storage(TokioFilesystemStorage::new(&role.folder))
            .with_share_policy(share)
            .load()
            .await;
        Ok(Self { role, repo, documents: BTreeMap::new(), dialer: None, connections, held: 0, asked: 0 })
    }

    async fn act(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Serve => self.serve().await,
            Command::Load => self.load().await,
            Command::Connect => self.connect().await,
            Command::Disconnect => {
                if let Some(dialer) = self.dialer.take() {
                    dialer.close();
                }
                Ok(())
            }
            // Every change is told anyway.
            Command::Meet | Command::Watch { .. } | Command::Stop => Ok(()),
            Command::Held { count } => {
                self.asked = count;
                Ok(())
            }
            Command::Edit { documents, times } => self.edit(&documents, times).await,
        }
    }

    async fn serve(&self) -> Result<()> {
        let listener = tokio::net::TcpListener::bind(self.role.hub).await?;
        let connections = Arc::clone(&self.connections);
        let acceptor = self.repo.make_acceptor(url::Url::parse(&format!("tcp://{}", self.role.hub))?)?;
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let accepted = socket.set_nodelay(true).map(|()| acceptor.accept_tokio_io(socket));
                if !matches!(accepted, Ok(Ok(_))) {
                    eprintln!("a connection could not be taken");
                }
            }
        });
        Ok(())
    }

    async fn load(&mut self) -> Result<()> {
        let mut ids = Vec::new();
        for (index, order) in (0_u32..).zip(orders::read(&self.role.orders)?) {
            let handle = self.repo.create(as_automerge(&order?)?).await?;
            ids.push(handle.document_id().to_string());
            self.keep(index, handle);
        }
        Ok(std::fs::write(&self.role.shared, serde_json::to_vec(&ids)?)?)
    }

    async fn connect(&mut self) -> Result<()> {
        let dialer = TcpDialer::new_host_port(self.role.hub.ip().to_string(), self.role.hub.port());
        self.connections.fetch_add(1, Ordering::Relaxed);
        let dialer = self.repo.dial(BackoffConfig::default(), Arc::new(dialer))?;
        let established = dialer.established();
        self.dialer = Some(dialer);
        if !self.documents.is_empty() {
            return Ok(());
        }
        // What is asked for while no peer is known yet is taken for unavailable.
        established.await.map_err(|_| anyhow::anyhow!("the hub can't be reached"))?;
        let ids: Vec<String> = serde_json::from_slice(&std::fs::read(&self.role.shared)?)?;
        let repo = self.repo.clone();
        let finds = stream::iter((0_u32..).zip(ids)).map(|(index, id)| {
            let repo = repo.clone();
            async move {
                let id: DocumentId = id.parse().ok().with_context(|| format!("“{id}” is no id"))?;
                let found =
                    repo.find(id).await?.with_context(|| format!("{} is not to be found", orders::number(index)))?;
                anyhow::Ok((index, found))
            }
        });
        let mut finds = std::pin::pin!(finds.buffer_unordered(AT_ONCE));
        while let Some(found) = finds.next().await {
            let (index, handle) = found?;
            self.keep(index, handle);
            self.held += 1;
            if self.held == self.asked {
                say(&Said::Held { held: self.asked, at: now_ns() });
            }
        }
        Ok(())
    }

    /// Tells of every change from now on; those made here among them, which nobody waits for.
    fn keep(&mut self, index: u32, handle: DocHandle) {
        self.documents.insert(index, handle.clone());
        tokio::spawn(async move {
            let mut changes = handle.changes();
            while changes.next().await.is_some() {
                let at = now_ns();
                let records = handle.with_document(|document| records(document));
                say(&Said::Seen { seen: index, records: records.unwrap_or_default(), at });
            }
        });
    }

    async fn edit(&self, documents: &[u32], times: u32) -> Result<()> {
        for index in documents {
            let handle = self.documents.get(index).context("no such document is held")?;
            for step in STEPS.iter().cycle().take(times as usize) {
                handle.with_document(|document| record(document, step))?;
            }
        }
        // A turn for the repository to write; it does not tell when it has.
        tokio::task::yield_now().await;
        Ok(())
    }
}

fn as_automerge(order: &Order) -> Result<Automerge> {
    let mut document = Automerge::new();
    let mut change = document.transaction();
    let json = serde_json::to_value(order)?;
    put_all(&mut change, &ROOT, &json)?;
    change.put_object(ROOT, "records", ObjType::List)?;
    change.commit();
    Ok(document)
}

/// Puts the fields of a JSON object into a map.
fn put_all(
    change: &mut automerge::transaction::Transaction<'_>,
    map: &automerge::ObjId,
    json: &serde_json::Value,
) -> Result<()> {
    for (key, value) in json.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) => change.put(map, key, text.as_str())?,
            serde_json::Value::Number(number) => change.put(map, key, number.as_i64().unwrap_or_default())?,
            serde_json::Value::Array(items) => {
                let list = change.put_object(map, key, ObjType::List)?;
                for (at, item) in items.iter().enumerate() {
                    if let Some(number) = item.as_i64() {
                        change.insert(&list, at, number)?;
                    } else {
                        let inner = change.insert_object(&list, at, ObjType::Map)?;
                        put_all(change, &inner, item)?;
                    }
                }
            }
            other => bail!("an order holds no {other}"),
        }
    }
    Ok(())
}

fn record(document: &mut Automerge, step: &str) -> Result<()> {
    let mut change = document.transaction();
    let (_, list) = change.get(ROOT, "records")?.context("an order has records")?;
    let end = change.length(&list);
    let record = change.insert_object(&list, end, ObjType::Map)?;
    change.put(&record, "step", step)?;
    change.put(&record, "time", i64::try_from(now_ns() / 1_000_000)?)?;
    change.put(&record, "note", NOTE)?;
    change.commit();
    Ok(())
}

fn records(document: &Automerge) -> Option<u32> {
    let (_, list) = document.get(ROOT, "records").ok()??;
    u32::try_from(document.length(list)).ok()
}
