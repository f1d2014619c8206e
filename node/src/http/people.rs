//! People who share this device: each logs in with a PIN; the device signs their edits, which name them.

use super::answer::{ApiError, error, unexpected_reply};
use super::commands::body;
use super::login_limit::ClientAddress;
use super::session::Requester;
use super::{Api, Listener};
use crate::error::NodeError;
use crate::folder::Folder;
use crate::people::Person;
use argon2::password_hash::{Output, PasswordHash, PasswordHasher, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use creel_protocol::roster::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Wrong PINs in a row, after which a name has to wait.
const WRONG_TRIES_MAX: u32 = 5;
/// The same for all addresses together, from which a stranger could try.
const WRONG_TRIES_TOTAL_MAX: u32 = 50;
/// Names and addresses whose wrong tries are remembered.
const TRIED_NAMES_MAX: usize = 10_000;
/// How long it waits then; twice as long after each further one, up to the longest.
const LOCKOUT_MIN: Duration = Duration::from_secs(60);
const LOCKOUT_MAX: Duration = Duration::from_secs(3_600);
/// After so long without a try, the wrong ones are forgotten.
const TRIES_RESET_AFTER: Duration = Duration::from_secs(86_400);
/// Characters of a PIN, at least and at most.
const PIN_CHARS: (usize, usize) = (4, 64);
/// Characters of a PIN that lets somebody in from another device. At one try an hour, eight digits last ten thousand years.
const REMOTE_PIN_CHARS_MIN: usize = 8;
/// Characters of a name, and names.
const NAME_CHARS_MAX: usize = 60;
const PEOPLE_MAX: usize = 500;

/// The people of this device.
#[derive(Debug)]
pub(crate) struct People {
    folder: Folder,
    all: RwLock<BTreeMap<String, Person>>,
    /// Wrong tries at each name, whether it exists or not. Tries at the TLS listener are counted apart, for each address and for all
    /// addresses together, so that a stranger can lock nobody out of the device itself.
    wrong: Mutex<HashMap<Tried, (u32, Instant)>>,
    /// What is checked where there is no such name, so that the time taken does not tell.
    decoy_hash: String,
}

/// The name that was tried, the listener, and the address; no address for all addresses together.
type Tried = (String, Listener, Option<IpAddr>);

/// The result of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoginResult {
    Right(Role),
    Wrong,
    /// To wait for so many seconds.
    TooOften(u64),
    /// The PIN lets in at the device itself only.
    TooShort,
}

impl People {
    pub(crate) fn open(folder: &Folder) -> Result<Self, NodeError> {
        let decoy_hash = hash_pin("nobody's")?;
        Ok(Self { folder: folder.clone(), all: RwLock::new(folder.people()?), wrong: Mutex::default(), decoy_hash })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Person>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<Tried, (u32, Instant)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        self.read().get(name).map(|person| person.role)
    }

    /// What a session remembers of a PIN: it ends when the PIN is another.
    pub(super) fn pin_mark(&self, name: &str) -> Option<[u8; 8]> {
        let kept = self.read().get(name)?.pin.clone();
        blake3::hash(kept.as_bytes()).as_bytes()[..8].try_into().ok()
    }

    pub(crate) fn names(&self) -> Vec<(String, Role)> {
        self.read().iter().map(|(name, person)| (name.clone(), person.role)).collect()
    }

    /// Checks a PIN. Takes tens of milliseconds, on purpose, and the memory that is lent to it.
    pub(crate) fn check(
        &self,
        name: &str,
        pin: &str,
        listener: Listener,
        ClientAddress(from): ClientAddress,
        memory: &mut Vec<Block>,
    ) -> LoginResult {
        if listener == Listener::Tls && pin.chars().count() < REMOTE_PIN_CHARS_MIN {
            return LoginResult::TooShort;
        }
        let person = self.read().get(name).cloned();
        // A try counts before it is looked at: many at once are as many. One at a name that nobody has counts alike, because
        // whoever is told to wait would know that it is one.
        if let Err(wait) = self.count_try(name, listener, from) {
            return LoginResult::TooOften(wait.as_secs() + 1);
        }
        let kept = person.as_ref().map_or(&self.decoy_hash, |person| &person.pin);
        let right = is_right_pin(kept, pin, memory);
        match person {
            Some(person) if right => {
                let mut wrong = self.wrong();
                wrong.remove(&(name.to_owned(), listener, from));
                wrong.remove(&(name.to_owned(), listener, None));
                LoginResult::Right(person.role)
            }
            _ => LoginResult::Wrong,
        }
    }

    fn count_try(&self, name: &str, listener: Listener, from: Option<IpAddr>) -> Result<(), Duration> {
        let mut wrong = self.wrong();
        if wrong.len() >= TRIED_NAMES_MAX {
            // Made-up names go first, and then what single addresses tried.
            let people = self.read();
            wrong.retain(|(tried, _, _), _| people.contains_key(tried));
            if wrong.len() >= TRIED_NAMES_MAX {
                wrong.retain(|(_, _, from), _| from.is_none());
            }
        }
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let all = from.map(|_| ((name.clone(), listener, None), WRONG_TRIES_TOTAL_MAX));
        let counted = [Some(((name, listener, from), WRONG_TRIES_MAX)), all];
        for (tried, most) in counted.iter().flatten() {
            let (count, at) = wrong.entry(tried.clone()).or_insert((0, Instant::now()));
            if at.elapsed() >= TRIES_RESET_AFTER {
                *count = 0;
            }
            if *count >= *most {
                let wait = LOCKOUT_MIN.saturating_mul(1 << (*count - most).min(16)).min(LOCKOUT_MAX);
                if at.elapsed() < wait {
                    return Err(wait.saturating_sub(at.elapsed()));
                }
            }
        }
        for (tried, _) in counted.into_iter().flatten() {
            let (count, at) = wrong.entry(tried).or_insert((0, Instant::now()));
            (*count, *at) = (*count + 1, Instant::now());
        }
        Ok(())
    }

    /// Adds a person or changes them; none removes.
    fn set(&self, name: &str, person: Option<Person>) -> Result<(), NodeError> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = all.clone();
        match person {
            Some(person) => drop(next.insert(name.to_owned(), person)),
            None => drop(next.remove(name)),
        }
        self.folder.write_people(&next)?;
        *all = next;
        // A new PIN begins with no wrong tries.
        self.wrong().retain(|(tried, _, _), _| tried != name);
        Ok(())
    }
}

/// Whether a PIN is the one that is kept.
fn is_right_pin(kept: &str, pin: &str, memory: &mut Vec<Block>) -> bool {
    let mut checked = || {
        let kept = PasswordHash::new(kept).ok()?;
        let (salt, expected) = (kept.salt?, kept.hash?);
        let mut bytes = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut bytes).ok()?;
        let algorithm = Algorithm::try_from(kept.algorithm).ok()?;
        let version = kept.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let params = Params::try_from(&kept).ok()?;
        memory.resize(params.block_count().max(memory.len()), Block::default());
        let mut found = vec![0; expected.len()];
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(pin.as_bytes(), salt, &mut found, memory.as_mut_slice()).ok()?;
        // This comparison takes the same time whatever differs.
        Some(Output::new(&found).ok()? == expected)
    };
    checked().unwrap_or(false)
}

fn hash_pin(pin: &str) -> Result<String, NodeError> {
    let failed = |why: argon2::password_hash::Error| NodeError::System(format!("a PIN can't be kept: {why}"));
    let salt = SaltString::encode_b64(&crate::folder::random::<16>()?).map_err(failed)?;
    Ok(Argon2::default().hash_password(pin.as_bytes(), &salt).map_err(failed)?.to_string())
}

fn people_json(api: &Api) -> Json<Value> {
    let names = api.people.names();
    Json(names.into_iter().map(|(name, role)| json!({ "name": name, "role": role })).collect())
}

/// The names that the login screen shows; none at the TLS listener.
pub(super) async fn names(
    State(api): State<Api>,
    Extension(listener): Extension<Listener>,
) -> Result<Json<Value>, ApiError> {
    match listener {
        Listener::Loopback => Ok(people_json(&api)),
        Listener::Tls => Err(error(StatusCode::FORBIDDEN, "names are told on the device itself only: type yours")),
    }
}

pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    people_json(&api)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    name: String,
    role: Role,
    pin: String,
}

/// Refuses everybody but the device's owner and admins.
fn require_admin(requester: &Requester) -> Result<(), ApiError> {
    match requester.role {
        None | Some(Role::Admin) => Ok(()),
        Some(_) => Err(error(StatusCode::FORBIDDEN, "only an admin says who may use this device")),
    }
}

pub(super) async fn put(
    State(api): State<Api>,
    Extension(requester): Extension<Requester>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    require_admin(&requester)?;
    let NewPerson { name, role, pin } = body(&bytes)?;
    let refuse = |why: &str| Err(error(StatusCode::BAD_REQUEST, why));
    if name.trim() != name
        || name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        return refuse("a name has 1 to 60 characters, and none of them at its ends is a space");
    }
    if role.is_party() {
        return refuse(
            "drivers and shops have devices of their own: invite those; people here are admin, dispatcher, picker or viewer",
        );
    }
    if !(PIN_CHARS.0..=PIN_CHARS.1).contains(&pin.chars().count()) {
        return refuse("a PIN has at least 4 characters, and at most 64");
    }
    if api.people.names().len() >= PEOPLE_MAX {
        return refuse("500 people share this device already");
    }
    let kept = tokio::task::spawn_blocking(move || hash_pin(&pin)).await.map_err(|_| unexpected_reply())??;
    api.people.set(&name, Some(Person { role, pin: kept }))?;
    Ok(people_json(&api))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    name: String,
}

pub(super) async fn remove(
    State(api): State<Api>,
    Extension(requester): Extension<Requester>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    require_admin(&requester)?;
    let Removed { name } = body(&bytes)?;
    if api.people.role(&name).is_none() {
        return Err(error(StatusCode::NOT_FOUND, &format!("nobody here is called “{name}”")));
    }
    api.people.set(&name, None)?;
    Ok(people_json(&api))
}
