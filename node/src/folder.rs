//! The data folder: keys, the store, photos, the roster's copy, and where the running node is found.

use crate::error::NodeError;
use crate::people::Person;
use creel_protocol::cbor::{Bytes, Decode, Encode};
use creel_protocol::core::Identity;
use creel_protocol::roster::Roster;
use creel_storage::{Opened, Options, SledEngine};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The running node's HTTP address.
pub const HTTP_ADDRESS_FILE: &str = "http-address";
/// The token that HTTP clients show.
pub const API_TOKEN_FILE: &str = "api-token";
/// The root key, to be kept elsewhere.
pub const RECOVERY_FILE: &str = "recovery.txt";
const QUIC_ADDRESS_FILE: &str = "quic-address";
const DEVICE_KEY_FILE: &str = "device.key";
const ISSUER_KEY_FILE: &str = "issuer.key";
const ROSTER_FILE: &str = "roster.cbor";
const SETTINGS_FILE: &str = "node.toml";
const TICKETS_FILE: &str = "tickets";
const PEOPLE_FILE: &str = "people.toml";
/// What that certificate is for, a name or address on each line.
const HTTPS_NAMES_FILE: &str = "https-cert.names";
const HTTPS_CERTIFICATE_FILE: &str = "https-cert.pem";
const HTTPS_KEY_FILE: &str = "https-key.pem";
const SALVAGE_FILE: &str = "salvage.cbor";

/// What a node remembers beside its store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the hub is found, the best address first.
    pub(crate) hub: Vec<String>,
    /// Addresses of other devices of the organisation.
    pub(crate) peers: Vec<String>,
}

/// A data folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, made for its owner alone if it is not there.
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        fs::create_dir_all(path).map_err(NodeError::file("create the folder", path))?;
        restrict(path, 0o700)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the store lies.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Where photos lie.
    pub(crate) fn photos(&self) -> PathBuf {
        self.path.join("photos")
    }

    /// Opens the store. Only one process at a time can.
    pub(crate) fn open_store(&self, options: Option<Options>, hub: bool) -> Result<Opened, NodeError> {
        let by_role = || if hub { Options::hub() } else { Options::device() };
        SledEngine::open(&self.store(), options.unwrap_or_else(by_role)).map_err(NodeError::open(&self.path))
    }

    /// This device's keys, if it has any.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, NodeError> {
        let Some(device) = self.key(DEVICE_KEY_FILE)? else { return Ok(None) };
        Ok(Some(Identity { device, issuer: self.key(ISSUER_KEY_FILE)? }))
    }

    /// This device's key, made now if there is none.
    pub(crate) fn identity_or_new(&self) -> Result<Identity, NodeError> {
        if let Some(identity) = self.identity()? {
            return Ok(identity);
        }
        let device = new_key()?;
        self.write_key(DEVICE_KEY_FILE, &device)?;
        Ok(Identity { device, issuer: None })
    }

    /// Keeps the issuer's key, which makes this device the hub.
    pub(crate) fn write_issuer(&self, key: &SigningKey) -> Result<(), NodeError> {
        self.write_key(ISSUER_KEY_FILE, key)
    }

    fn key(&self, name: &str) -> Result<Option<SigningKey>, NodeError> {
        let path = self.path.join(name);
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim_ascii());
        let seed = bytes.ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let damaged = || NodeError::Damaged { path, why: "a key has 64 hexadecimal digits".to_owned() };
        Ok(Some(SigningKey::from_bytes(&seed.ok_or_else(damaged)?)))
    }

    fn write_key(&self, name: &str, key: &SigningKey) -> Result<(), NodeError> {
        self.write(name, format!("{}\n", data_encoding::HEXLOWER.encode(&key.to_bytes())).as_bytes())
    }

    /// The root's recovery file: printed, carried away, and deleted here.
    pub(crate) fn write_recovery(&self, organisation: &str, root: &SigningKey) -> Result<PathBuf, NodeError> {
        let fingerprint = blake3::hash(root.verifying_key().as_bytes());
        let text = format!(
            "creel recovery file of “{organisation}”\n\
             Whoever has this key can replace the hub. Print it or copy it to a stick, keep it in a safe place, and delete\n\
             it from this device. It is needed only when the hub is lost.\n\
             本文件是组织的根密钥：请打印或拷贝到安全的地方，然后从本机删除。只有主机丢失时才需要它。\n\n\
             root key:         {}\n\
             root fingerprint: {fingerprint}\n",
            data_encoding::HEXLOWER.encode(&root.to_bytes())
        );
        self.write(RECOVERY_FILE, text.as_bytes())?;
        Ok(self.path.join(RECOVERY_FILE))
    }

    /// A copy of the roster outside the store, so that a device whose store was damaged still knows where it belongs.
    pub(crate) fn write_roster(&self, roster: &Roster) -> Result<(), NodeError> {
        let entries: Vec<Bytes> = roster.entries(0).cloned().map(Bytes).collect();
        self.write(ROSTER_FILE, &entries.to_cbor())
    }

    /// The roster's copy.
    pub(crate) fn roster(&self) -> Result<Option<Roster>, NodeError> {
        let path = self.path.join(ROSTER_FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |why: String| NodeError::Damaged { path: path.clone(), why };
        let entries = Vec::<Bytes>::from_cbor(&bytes).map_err(|error| damaged(error.to_string()))?;
        let (genesis, rest) = entries.split_first().ok_or_else(|| damaged("it is empty".to_owned()))?;
        let mut roster = Roster::begin(&genesis.0).map_err(|error| damaged(error.to_string()))?;
        for entry in rest {
            roster.append(&entry.0).map_err(|error| damaged(error.to_string()))?;
        }
        Ok(Some(roster))
    }

    /// Adds edits that were saved from a damaged store, which is not in this folder's store yet, to those of earlier ones.
    pub(crate) fn keep_salvage(&self, edits: Vec<Bytes>) -> Result<(), NodeError> {
        let mut all = self.salvage()?;
        all.extend(edits);
        self.write(SALVAGE_FILE, &all.to_cbor())
    }

    /// The edits that were saved from damaged stores and are not known to be in this folder's store.
    pub(crate) fn salvage(&self) -> Result<Vec<Bytes>, NodeError> {
        let path = self.path.join(SALVAGE_FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(Vec::new()) };
        Vec::from_cbor(&bytes).map_err(|error| NodeError::Damaged { path, why: error.to_string() })
    }

    pub(crate) fn remove_salvage(&self) -> Result<(), NodeError> {
        let path = self.path.join(SALVAGE_FILE);
        fs::remove_file(&path).map_err(NodeError::file("remove", &path))
    }

    /// The TLS sessions that this node gave tickets for.
    pub(crate) fn tickets(&self) -> PathBuf {
        self.path.join(TICKETS_FILE)
    }

    pub(crate) fn settings(&self) -> Result<Settings, NodeError> {
        let path = self.path.join(SETTINGS_FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(Settings::default()) };
        toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|error| NodeError::Damaged { path, why: error.to_string() })
    }

    pub(crate) fn write_settings(&self, settings: &Settings) -> Result<(), NodeError> {
        let text = toml::to_string(settings).map_err(|error| NodeError::System(error.to_string()))?;
        self.write(SETTINGS_FILE, text.as_bytes())
    }

    /// The people who share this device.
    pub(crate) fn people(&self) -> Result<BTreeMap<String, Person>, NodeError> {
        let path = self.path.join(PEOPLE_FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(BTreeMap::new()) };
        toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|error| NodeError::Damaged { path, why: error.to_string() })
    }

    pub(crate) fn write_people(&self, people: &BTreeMap<String, Person>) -> Result<(), NodeError> {
        let text = toml::to_string(people).map_err(|error| NodeError::System(error.to_string()))?;
        self.write(PEOPLE_FILE, text.as_bytes())
    }

    /// The token that HTTP clients show: made once, readable by the folder's owner.
    pub(crate) fn api_token(&self) -> Result<String, NodeError> {
        if let Some(token) = read_if_there(&self.path.join(API_TOKEN_FILE))? {
            return Ok(String::from_utf8_lossy(&token).trim().to_owned());
        }
        let token = data_encoding::BASE32_NOPAD.encode(&random::<20>()?);
        self.write(API_TOKEN_FILE, token.as_bytes())?;
        Ok(token)
    }

    /// This node's own certificate for browsers and its key, made if they are not there: their paths.
    pub(crate) fn self_signed(
        &self,
        hosts: &[String],
        names: &[String],
        make: impl FnOnce() -> Result<(String, String), NodeError>,
    ) -> Result<(PathBuf, PathBuf), NodeError> {
        let files = (self.path.join(HTTPS_CERTIFICATE_FILE), self.path.join(HTTPS_KEY_FILE));
        // Addresses come and go, and browsers were told to trust this one: only a name that was asked for makes it another.
        let signed = fs::read_to_string(self.path.join(HTTPS_NAMES_FILE)).unwrap_or_default();
        let has_all = names.iter().all(|name| signed.lines().any(|line| line == name));
        if !(files.0.exists() && files.1.exists() && has_all) {
            let (certificate, key) = make()?;
            self.write(HTTPS_KEY_FILE, key.as_bytes())?;
            self.write(HTTPS_CERTIFICATE_FILE, certificate.as_bytes())?;
            // The last of them: what is cut short is made again.
            self.write(HTTPS_NAMES_FILE, hosts.join("\n").as_bytes())?;
        }
        Ok(files)
    }

    pub(crate) fn write_addresses(&self, http: &str, quic: &str) -> Result<(), NodeError> {
        self.write(HTTP_ADDRESS_FILE, http.as_bytes())?;
        self.write(QUIC_ADDRESS_FILE, quic.as_bytes())
    }

    pub(crate) fn remove_addresses(&self) {
        for name in [HTTP_ADDRESS_FILE, QUIC_ADDRESS_FILE] {
            // Best effort: a stale address only makes a client say that nobody answers there.
            let _ = fs::remove_file(self.path.join(name));
        }
    }

    /// Writes a file whole or not at all, durably, for the owner alone.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
        let (path, part) = (self.path.join(name), self.path.join(format!("{name}.part")));
        let written = || -> std::io::Result<()> {
            let mut file = create_private(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(NodeError::file("write", &path))
    }
}

#[cfg(unix)]
pub(crate) fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
pub(crate) fn create_private(path: &Path) -> std::io::Result<File> {
    File::create(path)
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> Result<(), NodeError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(NodeError::file("restrict", path))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> Result<(), NodeError> {
    Ok(())
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, NodeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NodeError::file("read", path)(error)),
    }
}

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NodeError::System(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// A new Ed25519 key.
pub(crate) fn new_key() -> Result<SigningKey, NodeError> {
    Ok(SigningKey::from_bytes(&random()?))
}
