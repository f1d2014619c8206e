//! People who share this device: each logs in with a PIN, and what they do is signed by the device and names them.

use super::Api;
use super::act::body;
use super::answer::{ApiError, error};
use super::session::Who;
use crate::error::NodeError;
use crate::folder::Folder;
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use creel_protocol::roster::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Wrong PINs in a row, after which a name has to wait.
const WRONG_MAX: u32 = 5;
/// How long it waits.
const WAIT: Duration = Duration::from_secs(60);
/// Digits of a PIN, at least, and characters at most.
const PIN: (usize, usize) = (4, 64);
/// Characters of a name, and names.
const NAME_CHARS_MAX: usize = 60;
const PEOPLE_MAX: usize = 500;

/// A person, as the data folder keeps them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    role: Role,
    /// Argon2id, in the PHC string format.
    pin: String,
}

/// The people of this device.
#[derive(Debug)]
pub(crate) struct People {
    folder: Folder,
    all: RwLock<BTreeMap<String, Person>>,
    wrong: Mutex<HashMap<String, (u32, Instant)>>,
}

/// What became of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Right(Role),
    Wrong,
    /// To wait for so many seconds.
    TooOften(u64),
}

impl People {
    pub(crate) fn open(folder: &Folder) -> Result<Self, NodeError> {
        Ok(Self { folder: folder.clone(), all: RwLock::new(folder.people()?), wrong: Mutex::default() })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Person>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        self.read().get(name).map(|person| person.role)
    }

    pub(crate) fn names(&self) -> Vec<(String, Role)> {
        self.read().iter().map(|(name, person)| (name.clone(), person.role)).collect()
    }

    /// Checks a PIN. Takes tens of milliseconds, on purpose.
    pub(crate) fn check(&self, name: &str, pin: &str) -> Checked {
        let Some(person) = self.read().get(name).cloned() else { return Checked::Wrong };
        if let Some((count, at)) = self.wrong().get(name)
            && *count >= WRONG_MAX
            && at.elapsed() < WAIT
        {
            return Checked::TooOften(WAIT.saturating_sub(at.elapsed()).as_secs() + 1);
        }
        let right = PasswordHash::new(&person.pin)
            .is_ok_and(|hash| Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok());
        let mut wrong = self.wrong();
        if right {
            wrong.remove(name);
            return Checked::Right(person.role);
        }
        let (count, at) = wrong.entry(name.to_owned()).or_insert((0, Instant::now()));
        *count = if at.elapsed() >= WAIT { 1 } else { *count + 1 };
        *at = Instant::now();
        Checked::Wrong
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
        Ok(())
    }
}

fn told(api: &Api) -> Json<Value> {
    let names = api.people.names();
    Json(names.into_iter().map(|(name, role)| json!({ "name": name, "role": role })).collect())
}

/// Whose names the login screen shows.
pub(super) async fn names(State(api): State<Api>) -> Json<Value> {
    told(&api)
}

pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    told(&api)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    name: String,
    role: Role,
    pin: String,
}

/// Only who runs the device says who may use it.
fn admin(who: &Who) -> Result<(), ApiError> {
    match who.role {
        None | Some(Role::Admin) => Ok(()),
        Some(_) => Err(error(StatusCode::FORBIDDEN, "only an admin says who may use this device")),
    }
}

pub(super) async fn put(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    admin(&who)?;
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
    if !(PIN.0..=PIN.1).contains(&pin.chars().count()) {
        return refuse("a PIN has at least 4 characters, and at most 64");
    }
    if api.people.names().len() >= PEOPLE_MAX {
        return refuse("500 people share this device already");
    }
    let salt = SaltString::encode_b64(&crate::folder::random::<16>()?);
    let system = |why: &dyn std::fmt::Display| {
        error(StatusCode::INTERNAL_SERVER_ERROR, &format!("the PIN can't be kept: {why}"))
    };
    let salt = salt.map_err(|why| system(&why))?;
    let hashed = Argon2::default().hash_password(pin.as_bytes(), &salt).map_err(|why| system(&why))?.to_string();
    api.people.set(&name, Some(Person { role, pin: hashed }))?;
    Ok(told(&api))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    name: String,
}

pub(super) async fn remove(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    admin(&who)?;
    let Removed { name } = body(&bytes)?;
    if api.people.role(&name).is_none() {
        return Err(error(StatusCode::NOT_FOUND, &format!("nobody here is called “{name}”")));
    }
    api.people.set(&name, None)?;
    Ok(told(&api))
}
