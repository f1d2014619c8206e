//! How many edits a hub takes in, verified and durable, against the signature check alone.
//!
//! The hub's own work: frames decoded and verified on as many threads as there are drivers, the core and the store with
//! group commit on one more. Sockets are left out: they are the kernel's work and the peer's.

use anyhow::{Context, Result, ensure};
use creel_protocol::cbor::Encode;
use creel_protocol::core::io::{Act, Input, Now, Order, Output};
use creel_protocol::core::{Core, Identity, found};
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Line, Record};
use creel_protocol::id::{DeviceKey, OrganisationId, Tap};
use creel_protocol::roster::{Change, Enrol, Role, Roster};
use creel_protocol::store::{Batch, Store};
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{FRAME_BYTES_GOAL, Hello};
use creel_protocol::workflow::Workflow;
use creel_storage::{Engine, MemoryEngine, Options, SledEngine};
use ed25519_dalek::SigningKey;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

const DRIVERS: u8 = 4;
const SHIPMENTS: usize = 2_500;
const STEPS: [&str; 3] = ["picked", "picked_up", "out_for_delivery"];
const ROUNDS: usize = 5;
/// Frames stepped through before the store is made durable once for all of them.
const GROUP: usize = 64;

/// Everybody's keys and the roster they share.
struct Firm {
    hub: Identity,
    drivers: Vec<SigningKey>,
    batch: Batch,
    organisation: OrganisationId,
    roster: Roster,
}

fn public(key: &SigningKey) -> DeviceKey {
    DeviceKey(key.verifying_key().to_bytes())
}

fn firm() -> Result<Firm> {
    let key = |seed: u8| SigningKey::from_bytes(&[seed; 32]);
    let hub = Identity { device: key(1), issuer: Some(key(2)) };
    let workflow = Workflow::preset("standard").context("standard is a preset")?;
    let (mut roster, mut batch) = found("bench", &key(3), &hub, workflow.to_owned(), 1)?;
    let drivers: Vec<_> = (0..DRIVERS).map(|number| key(10 + number)).collect();
    for (number, driver) in drivers.iter().enumerate() {
        // A dispatcher's device, so that it may open the shipments that it then records.
        let enrol = Enrol { key: public(driver), role: Role::Admin, party: None, name: format!("device {number}") };
        let entry = roster.write(Change::Enrol(enrol), 1, &key(2))?;
        roster.append(&entry)?;
        batch.put(creel_protocol::core::keys::roster(roster.height()), entry);
    }
    Ok(Firm { hub, drivers, batch, organisation: roster.organisation(), roster })
}

/// The edits of one device's day, in the frames it would push.
fn day(firm: &Firm, driver: &SigningKey, number: usize) -> Result<Vec<Vec<u8>>> {
    let mut engine = MemoryEngine::default();
    engine.apply(&firm.batch)?;
    let (mut core, _) = Core::open(&engine, Identity { device: driver.clone(), issuer: None })?;
    let mut clock = 1_000;
    let mut act = |engine: &mut MemoryEngine, core: &mut Core, act| -> Result<()> {
        clock += 1;
        let mut tap = [0; 16];
        tap[..8].copy_from_slice(&u64::to_be_bytes(clock));
        let input = Input::Act { request: 0, tap: Tap(tap), by: None, act };
        let mut next = Some(input);
        while let Some(input) = next {
            for output in core.step(engine, Now(clock), input) {
                match output {
                    Output::Commit { batch, .. } => engine.apply(&batch)?,
                    Output::Reply { reply: Err(refusal), .. } => anyhow::bail!(refusal),
                    _ => {}
                }
            }
            // An act that looks at summaries waits until they are made.
            next = core.has_background_work().then_some(Input::Idle);
        }
        Ok(())
    };
    let line = |line: &str| Line {
        line: line.to_owned(),
        name: Some("carbon rod 3.6 m".to_owned()),
        quantity: Some(2_000),
        unit: Some("piece".to_owned()),
        ..Line::default()
    };
    let orders: Vec<_> = (0..SHIPMENTS)
        .map(|nth| Order {
            number: format!("B{number}-{nth}"),
            row: 0,
            fields: creel_protocol::edit::action::PlanFields {
                consignee: Some("a made-up shop".to_owned()),
                address: Some("1 Lake Road".to_owned()),
                ..Default::default()
            },
            lines: vec![line("1"), line("2")],
        })
        .collect();
    let numbers: Vec<_> = orders.iter().map(|order| order.number.clone()).collect();
    act(&mut engine, &mut core, Act::Import { orders, dry_run: false })?;
    for step in STEPS {
        let record = Record { step: step.to_owned(), ..Record::default() };
        act(&mut engine, &mut core, Act::Record { shipments: numbers.clone(), record, role: None })?;
    }
    // The journal is the order in which the device would push.
    let mut frames = Vec::new();
    let (mut edits, mut bytes) = (Vec::new(), 0);
    for (_, entry) in engine.scan(b"j", b"k", usize::MAX)? {
        use creel_protocol::cbor::Decode;
        let creel_protocol::sync::JournalEntry::Edit { document, edit, .. } =
            creel_protocol::sync::JournalEntry::from_cbor(&entry)?
        else {
            continue;
        };
        let stored = engine.get(&creel_protocol::core::keys::edit(&document, &edit))?.context("it is stored")?;
        bytes += stored.len();
        edits.push(Edit::stored(&firm.organisation, stored)?);
        if bytes >= FRAME_BYTES_GOAL {
            frames.push(Frame::Edits(std::mem::take(&mut edits)).to_cbor());
            bytes = 0;
        }
    }
    frames.push(Frame::Edits(edits).to_cbor());
    Ok(frames)
}

/// Decodes and verifies every frame on as many threads as there are drivers, and nothing else.
fn check_alone(firm: &Firm, days: &[Vec<Vec<u8>>]) -> Result<(usize, f64)> {
    let began = Instant::now();
    let organisation = firm.organisation;
    let checked = thread::scope(|scope| {
        let threads: Vec<_> = days
            .iter()
            .map(|frames| {
                scope.spawn(move || {
                    frames
                        .iter()
                        .map(|frame| edits_in(frame, &organisation).map(|edits| edits.len()))
                        .sum::<Result<usize>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread broke off"))?)
            .sum::<Result<usize>>()
    })?;
    Ok((checked, began.elapsed().as_secs_f64()))
}

fn edits_in(frame: &[u8], organisation: &OrganisationId) -> Result<Vec<Edit>> {
    let (frame, refused) = Frame::decode(frame, organisation)?;
    ensure!(refused.is_empty(), "an edit was refused");
    match frame {
        Frame::Edits(edits) => Ok(edits),
        _ => anyhow::bail!("another frame"),
    }
}

/// Takes every frame in at a hub with a store on the disk; done when the last edit is durable.
fn ingest(firm: &Firm, days: &[Vec<Vec<u8>>]) -> Result<(usize, f64)> {
    let folder = tempfile::tempdir_in(target_folder())?;
    let mut engine = SledEngine::open(&folder.path().join("store"), Options::hub())?.engine;
    engine.apply(&firm.batch)?;
    engine.sync()?;
    let (mut core, batch) = Core::open(&engine, firm.hub.clone())?;
    if let Some(batch) = batch {
        engine.apply(&batch)?;
    }
    let hello = Hello::of(firm.organisation, firm.roster.height(), firm.roster.head());
    let mut admitted = 0;
    let (frames, inbox) = mpsc::sync_channel(GROUP);
    let organisation = firm.organisation;
    let began = Instant::now();
    thread::scope(|scope| -> Result<()> {
        for (session, day) in (0_u64..).zip(days) {
            let frames = frames.clone();
            scope.spawn(move || {
                for frame in day {
                    let Ok((frame, _)) = Frame::decode(frame, &organisation) else { return };
                    if frames.send((session, frame)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(frames);
        let mut step = |engine: &mut SledEngine, input| -> Result<Vec<u64>> {
            let mut commits = Vec::new();
            for output in core.step(engine, Now(1), input) {
                match output {
                    Output::Commit { commit, batch } => {
                        engine.apply(&batch)?;
                        commits.push(commit);
                    }
                    Output::Send { frame: Frame::Ack(ids), .. } => admitted += ids.len(),
                    Output::Failed(error) => return Err(error.into()),
                    _ => {}
                }
            }
            Ok(commits)
        };
        for (session, driver) in (0_u64..).zip(&firm.drivers) {
            step(&mut engine, Input::Connected { session, peer: public(driver), dialled: false })?;
            step(&mut engine, Input::Received { session, frame: Frame::Hello(hello.clone()), refused: Vec::new() })?;
        }
        while let Ok((session, frame)) = inbox.recv() {
            let mut commits = step(&mut engine, Input::Received { session, frame, refused: Vec::new() })?;
            for (session, frame) in inbox.try_iter().take(GROUP) {
                commits.extend(step(&mut engine, Input::Received { session, frame, refused: Vec::new() })?);
            }
            engine.sync()?;
            for commit in commits {
                step(&mut engine, Input::Committed { commit })?;
            }
        }
        Ok(())
    })?;
    Ok((admitted, began.elapsed().as_secs_f64()))
}

/// Prints both rates and their ratio, round by round.
pub(crate) fn run() -> Result<()> {
    let firm = firm()?;
    let days: Vec<_> =
        firm.drivers.iter().enumerate().map(|(number, driver)| day(&firm, driver, number)).collect::<Result<_>>()?;
    let edits = usize::from(DRIVERS) * SHIPMENTS * (1 + STEPS.len());
    println!("{edits} edits of {DRIVERS} devices, {ROUNDS} rounds, both in turn");
    println!("round  check alone/s  ingest/s  ratio");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (checked, alone) = check_alone(&firm, &days)?;
        let (admitted, whole) = ingest(&firm, &days)?;
        ensure!(checked == edits && admitted == edits, "{checked} checked and {admitted} admitted of {edits}");
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let count = edits as f64;
        println!("{round:>5}  {:>13.0}  {:>8.0}  {:.2}", count / alone, count / whole, alone / whole);
        ratios.push(alone / whole);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2} (goal: 0.50 or better)", ratios[ROUNDS / 2]);
    Ok(())
}

/// A folder on the disk that the build uses: the system's temporary folder may lie in memory.
pub(crate) fn target_folder() -> std::path::PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(std::path::Path::to_owned));
    beside.unwrap_or_else(std::env::temp_dir)
}
