//! What people ask.

use super::io::{HistoryRow, List, NodeStatus, NumberTwice, PeerStatus, Query, Refusal, Reply, Row, Shown};
use super::keys::{self, Arrival, Summary};
use super::refresh::numbered;
use super::{Core, PAGE, STALE_MAX, Step};
use crate::edit::Edit;
use crate::edit::action::Action;
use crate::id::{DocumentId, EditId, FileHash};
use crate::proof;
use crate::shipment::effect::Effects;
use crate::shipment::exceptions::SHOWN_PER_PAIR;
use crate::shipment::replay::Replayed;
use crate::shipment::view::{NO_STATUS, detail};
use crate::shipment::{Void, time};
use crate::store::{Store, StoreError};
use std::sync::Arc;

/// Hexadecimal digits that are enough to look for an id by.
const PREFIX_MIN: usize = 4;

/// Which shipments to list: every term must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    terms: Vec<Term>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Text(String),
    Number(String),
    Status(String),
    Driver(String),
    Party(String),
    Run(String),
    Consignee(String),
    Exception,
    Open,
    Ids(Vec<DocumentId>),
    Since(String),
}

impl Filter {
    /// A filter from its text: words that must stand in the number or the consignee, and `status:`, `number:`, `driver:`
    /// (or `driver:none`), `party:`, `run:`, `consignee:`, `is:exception`, `limit:N`, with spaces between.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut filter = Self::default();
        for word in text.split_whitespace() {
            let Some((key, value)) = word.split_once(':') else {
                filter.terms.push(Term::Text(word.to_lowercase()));
                continue;
            };
            let value = value.to_owned();
            filter.terms.push(match key {
                "status" => Term::Status(value),
                "number" => Term::Number(value),
                // The party's whole name and its own part of it both find it: driver:li-wei, driver:driver:li-wei.
                "driver" if value == "none" => Term::Driver(String::new()),
                "driver" if value.contains(':') => Term::Driver(value),
                "driver" => Term::Driver(format!("driver:{value}")),
                "shop" => Term::Party(format!("shop:{}", value.trim_start_matches("shop:"))),
                "party" => Term::Party(value),
                "run" => Term::Run(value),
                "consignee" => Term::Consignee(value.to_lowercase()),
                "is" if value == "exception" => Term::Exception,
                "is" if value == "open" => Term::Open,
                "since" => Term::Since(value),
                "id" => {
                    let ids = value.split(',').map(DocumentId::parse).collect::<Result<_, _>>();
                    Term::Ids(ids.map_err(|_| Refusal::Invalid(format!("“{word}”: id takes shipments' ids")))?)
                }
                "limit" => {
                    let limit =
                        value.parse().map_err(|_| Refusal::Invalid(format!("“{word}”: limit takes a number")))?;
                    filter.limit = Some(limit);
                    continue;
                }
                _ => {
                    return Err(Refusal::Invalid(format!(
                        "“{word}” is no filter: use status:, number:, driver: (or driver:none), shop:, party:, run:, \
                         consignee:, is:exception, is:open, since:DATE, id:, limit: or plain words"
                    )));
                }
            });
        }
        Ok(filter)
    }

    fn fits(&self, summary: &Summary) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Text(text) => {
                summary.number.to_lowercase().contains(text) || summary.consignee.to_lowercase().contains(text)
            }
            Term::Number(number) => summary.number == *number,
            Term::Status(status) => summary.status == *status,
            Term::Driver(driver) => summary.driver == *driver,
            Term::Party(party) => summary.parties.contains(party),
            Term::Run(run) => summary.run == *run,
            Term::Consignee(consignee) => summary.consignee.to_lowercase().contains(consignee),
            Term::Exception => summary.exceptions > 0,
            // What nobody who may has opened is no shipment that is under way.
            Term::Open => summary.outcome.is_empty() && summary.status != NO_STATUS,
            Term::Since(date) => summary.opened.as_str() >= date.as_str(),
            // They are looked up by themselves.
            Term::Ids(_) => true,
        })
    }
}

impl Core {
    pub(super) fn ask<S: Store>(&mut self, step: &mut Step<'_, S>, query: Query) -> Result<Reply, Refusal> {
        match query {
            Query::Status => Ok(Reply::Status(Box::new(self.status()))),
            Query::Workflows => Ok(Reply::Workflows(self.workflows())),
            Query::Pack { peer, after } => Ok(Reply::Packed(self.pack(step, peer.as_deref(), after)?)),
            Query::WantedPhotos { from, after } => Ok(Reply::Photos(Self::wanted_photos(step, from, after)?)),
            Query::MayFetch { peer, photo } => Ok(Reply::Is(self.may_fetch(step, &peer, &photo)?)),
            Query::PhotoAtHub { photo } => Ok(Reply::Is(Self::photo_at_hub(step, &photo)?)),
            Query::List { filter } => {
                let found = self.list(step, &Filter::parse(&filter)?)?;
                Ok(Reply::List(self.listed(found)))
            }
            Query::Show { shipment } => {
                let document = self.find(step, &shipment)?;
                Ok(Reply::Shown(Box::new(self.show(step, document)?)))
            }
            Query::History { shipment } => {
                let document = self.find(step, &shipment)?;
                Ok(Reply::History(self.history_rows(step, &document)?))
            }
            Query::Signature { edit } => {
                let edit = self.stored(step, &find_edit(step, &edit)?)?;
                let signature = match Action::from_raw(&edit.statement.action) {
                    Ok(Action::Record(record)) => record.signature,
                    _ => None,
                };
                let none = || Refusal::Invalid(format!("edit {} has no drawn signature", edit.id));
                Ok(Reply::File(signature.ok_or_else(none)?.0))
            }
            Query::Proof { shipment, edit } => {
                let document = self.find(step, &shipment)?;
                let edit = edit.map(|edit| find_edit(step, &edit)).transpose()?;
                let history = self.history(step, &document)?;
                let effects = Effects::of(&history, &self.roster);
                let exported = proof::export(&history, &effects, &self.roster, edit)?;
                Ok(Reply::Proof(Box::new(exported)))
            }
            Query::Automerge { shipment } => {
                let document = self.find(step, &shipment)?;
                let history = self.history(step, &document)?;
                let effects = Effects::of(&history, &self.roster);
                let replayed = Replayed::of(&history, &effects)
                    .map_err(|error| Refusal::Invalid(format!("the shipment can't be replayed: {error}")))?;
                Ok(Reply::File(replayed.save()))
            }
            Query::Sheet { from, to } => Ok(Reply::Sheet(self.sheet(step, from, to)?)),
        }
    }

    /// An edit that is held here.
    pub(super) fn stored<S: Store>(&self, step: &Step<'_, S>, id: &EditId) -> Result<Edit, Refusal> {
        let absent = || Refusal::Invalid(format!("edit {id} is not here"));
        let arrival: Arrival = keys::read(&step.overlay, &keys::arrival(id))?.ok_or_else(absent)?;
        let bytes = step.overlay.get(&keys::edit(&arrival.document, id))?.ok_or_else(absent)?;
        Edit::stored(&self.roster.organisation(), bytes).map_err(|why| Refusal::Invalid(why.to_string()))
    }

    /// The document that a person means by a number, an id or the beginning of an id.
    pub(super) fn find<S: Store>(&mut self, step: &mut Step<'_, S>, name: &str) -> Result<DocumentId, Refusal> {
        if self.counters.stale > STALE_MAX
            && let Some(document) = find_at_once(step, name)?
        {
            self.refresh(step, document)?;
            return Ok(document);
        }
        self.refresh_all(step)?;
        let mut found = numbered(step, name)?;
        if found.is_empty() {
            found = documents_by_prefix(step, name)?;
        }
        match found[..] {
            [document] => Ok(document),
            [] => Err(Refusal::NotFound(name.to_owned())),
            _ => {
                let candidates: Vec<_> = found.iter().take(8).map(ToString::to_string).collect();
                Err(Refusal::Ambiguous { name: name.to_owned(), candidates: candidates.join(", ") })
            }
        }
    }

    /// The shipments a filter finds: the first ones opened, up to its limit, in the order of their numbers.
    pub(super) fn list<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        filter: &Filter,
    ) -> Result<Vec<(DocumentId, Summary)>, StoreError> {
        self.refresh_all(step)?;
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let ids = filter.terms.iter().find_map(|term| match term {
            Term::Ids(ids) => Some(ids),
            _ => None,
        });
        if let Some(ids) = ids {
            for document in ids {
                let summary: Option<Summary> = keys::cached(&step.overlay, &keys::summary(document))?;
                found.extend(summary.filter(|summary| filter.fits(summary)).map(|summary| (*document, summary)));
            }
            return Ok(found);
        }
        let (mut from, to) = keys::under(b"s");
        while found.len() < limit {
            let page = step.overlay.scan(&from, &to, PAGE)?;
            for (key, value) in &page {
                let Some(document) = keys::tail(key).map(DocumentId) else { continue };
                let summary = if let Ok(summary) = keys::decode::<Summary>(key, value) {
                    summary
                } else {
                    // Of another version, or damaged: it is only a cache.
                    self.refresh(step, document)?;
                    keys::cached(&step.overlay, key)?.unwrap_or_default()
                };
                if found.len() < limit && filter.fits(&summary) {
                    found.push((document, summary));
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
                _ => break,
            }
        }
        found.sort_by(|(_, one), (_, other)| one.number.cmp(&other.number));
        Ok(found)
    }

    fn show<S: Store>(&mut self, step: &mut Step<'_, S>, document: DocumentId) -> Result<Shown, StoreError> {
        let render = self.render(step, document)?;
        let history = self.history(step, &document)?;
        let replayed = Replayed::of(&history, &Effects::of(&history, &self.roster)).map_err(|error| {
            StoreError::Failed(format!("a shipment can't be replayed: {error}; please report this"))
        })?;
        let photos: Vec<FileHash> = render.photos.keys().copied().collect();
        let mut photos_at_hub = Vec::new();
        for photo in &photos {
            if Self::photo_at_hub(step, photo)? {
                photos_at_hub.push(*photo);
            }
        }
        Ok(Shown {
            view: render.view.clone(),
            number_twice: self.number_twice(step, document)?,
            workflow_id: render.workflow,
            workflow: render.workflow.and_then(|id| self.roster.workflow_at(&id, self.roster.height()).cloned()),
            edits_hash: render.edits_hash,
            view_hash: render.view_hash,
            automerge_heads: replayed.heads(),
            photos,
            photos_at_hub,
        })
    }

    /// The shipments that carry the same number, if there are others.
    fn number_twice<S: Store>(
        &self,
        step: &Step<'_, S>,
        document: DocumentId,
    ) -> Result<Option<NumberTwice>, StoreError> {
        let summary: Summary = keys::cached(&step.overlay, &keys::summary(&document))?.unwrap_or_default();
        let mut shipments = numbered(step, &summary.number)?;
        if shipments.len() < 2 {
            return Ok(None);
        }
        // This one is among those that are named, whatever ids the others have.
        shipments.sort_by_key(|other| (*other != document, *other));
        let more = shipments.len().saturating_sub(SHOWN_PER_PAIR) as u64;
        shipments.truncate(SHOWN_PER_PAIR);
        shipments.sort_unstable();
        let mut edits = Vec::new();
        for twin in &shipments {
            let history = self.history(step, twin)?;
            let open = Effects::of(&history, &self.roster).open;
            edits.extend(open.map(|place| history.events()[place].edit.id));
        }
        Ok(Some(NumberTwice { shipments, edits, more }))
    }

    fn listed(&self, found: Vec<(DocumentId, Summary)>) -> List {
        let mut list = List::default();
        for (id, summary) in found {
            if let Some(workflow) = summary.workflow_id
                && let Some(known) = self.roster.workflow_at(&workflow, self.roster.height())
            {
                list.workflows.entry(workflow).or_insert_with(|| Arc::clone(known));
            }
            list.rows.push(row(id, summary));
        }
        list
    }

    fn history_rows<S: Store>(&self, step: &Step<'_, S>, document: &DocumentId) -> Result<Vec<HistoryRow>, StoreError> {
        let history = self.history(step, document)?;
        let effects = Effects::of(&history, &self.roster);
        let mut rows = Vec::new();
        for (place, event) in history.events().iter().enumerate() {
            let statement = &event.edit.statement;
            let arrival: Option<Arrival> = keys::read(&step.overlay, &keys::arrival(&event.edit.id))?;
            let member = self.roster.member(&statement.author);
            rows.push(HistoryRow {
                edit: event.edit.id,
                author: member.map_or_else(|| statement.author.short(), |member| member.name.clone()),
                device: statement.author,
                by: statement.by.clone(),
                action: event.action.as_ref().map_or("unknown", Action::name).to_owned(),
                step: match &event.action {
                    Ok(Action::Record(record)) => Some(record.step.clone()),
                    _ => None,
                },
                counted: effects.counts(place),
                why_not: effects.verdicts[place].as_ref().err().map(Void::code),
                at: time::rfc3339(statement.at),
                arrived: arrival.as_ref().map_or_else(String::new, |arrival| time::rfc3339(arrival.at)),
                at_hub: arrival.and_then(|arrival| arrival.at_hub).map(time::rfc3339),
                detail: event.action.as_ref().ok().and_then(detail),
            });
        }
        Ok(rows)
    }

    fn status(&self) -> NodeStatus {
        let own = self.roster.member(&self.key);
        let hub = self.roster.genesis().hub;
        let peers = self.roster.members().into_iter().filter(|member| member.key != self.key).map(|member| {
            let sessions = || self.sessions.values().filter(|session| session.peer == member.key);
            PeerStatus {
                name: member.name.clone(),
                role: member.role,
                party: member.party.clone(),
                device: member.key,
                hub: member.key == hub,
                connected: sessions().any(crate::sync::Session::is_greeted),
                unacknowledged: sessions().map(|session| session.unacked() as u64).max().unwrap_or(0),
            }
        });
        NodeStatus {
            organisation: self.roster.genesis().organisation.clone(),
            organisation_id: self.roster.organisation(),
            device: self.key,
            name: own.map_or_else(|| self.key.short(), |member| member.name.clone()),
            role: own.map(|member| member.role),
            party: own.and_then(|member| member.party.clone()),
            hub: self.is_hub(),
            shipments: self.trees.documents(),
            waiting: self.counters.waiting,
            held_back: self.held_back.len() as u64,
            refused: self.refused,
            passed_over: self.passed_over,
            refreshing: self.counters.stale,
            roster_height: self.roster.height(),
            peers: peers.collect(),
        }
    }
}

/// The shipment of a name that needs no summary that is out of date: nobody's record waits until others are up to date.
pub(super) fn find_at_once<S: Store>(step: &Step<'_, S>, name: &str) -> Result<Option<DocumentId>, StoreError> {
    if let Ok(document) = DocumentId::parse(name)
        && step.overlay.get(&keys::heads(&document))?.is_some()
    {
        return Ok(Some(document));
    }
    match numbered(step, name)?[..] {
        [document] => Ok(Some(document)),
        _ => Ok(None),
    }
}

/// The edit that a person means by an id or the beginning of one.
pub(super) fn find_edit<S: Store>(step: &Step<'_, S>, name: &str) -> Result<EditId, Refusal> {
    if let Ok(edit) = EditId::parse(name) {
        return Ok(edit);
    }
    let found: Vec<EditId> = by_prefix(step, b'i', name)?
        .iter()
        .filter_map(|key| keys::tail(key).map(EditId))
        .filter(|edit| edit.to_string().starts_with(name))
        .collect();
    match found[..] {
        [edit] => Ok(edit),
        [] => Err(Refusal::Invalid(format!("there is no edit “{name}” here: take its id from “creel history”"))),
        _ => Err(Refusal::Invalid(format!("several edits begin with “{name}”: give more digits"))),
    }
}

/// A shipment as a list shows it.
fn row(id: DocumentId, summary: Summary) -> Row {
    Row {
        id,
        number: summary.number,
        status: summary.status,
        exceptions: summary.exceptions,
        consignee: summary.consignee,
        driver: summary.driver,
        run: summary.run,
        window: summary.window,
        outcome: summary.outcome,
        rank: summary.rank,
        parties: summary.named,
        address: summary.address,
        place: summary.place,
        stop: summary.stop,
        opened: summary.opened,
        since: summary.since,
        messages: summary.messages,
        lines: summary.lines,
        kinds: summary.kinds,
        workflow: summary.workflow,
        due: summary.due,
        workflow_id: summary.workflow_id,
        signed: summary.signed,
    }
}

fn documents_by_prefix<S: Store>(step: &Step<'_, S>, name: &str) -> Result<Vec<DocumentId>, Refusal> {
    let found = by_prefix(step, b'd', name)?;
    let documents = found.iter().filter_map(|key| keys::tail(key).map(DocumentId));
    Ok(documents.filter(|document| document.to_string().starts_with(name)).collect())
}

/// Keys of a letter whose hexadecimal form may begin with `name`.
fn by_prefix<S: Store>(step: &Step<'_, S>, letter: u8, name: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let whole = name.get(..name.len() / 2 * 2).unwrap_or_default();
    let Ok(bytes) = data_encoding::HEXLOWER.decode(whole.as_bytes()) else { return Ok(Vec::new()) };
    if name.len() < PREFIX_MIN || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let (from, to) = keys::under(&[&[letter], bytes.as_slice()].concat());
    Ok(step.overlay.scan(&from, &to, PAGE)?.into_iter().map(|(key, _)| key).collect())
}
