//! Kinds of documents, as a table: which fields a kind's plan has, whether it has steps, and who may open and plan it.
//!
//! The rules (`shipment`) ask this table and know no kind by name, so that a later kind is one file here and one row below. A
//! document of a kind that a node does not know has no `Open` that counts there: all its edits are void, kept and passed on.

mod shipment;

use crate::edit::action::PlanFields;
use crate::roster::Role;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name in an `Open`.
    pub name: &'static str,
    /// Whether it follows a workflow: its `Open` names one, and records state its steps.
    pub steps: bool,
    /// The roles that open a document of this kind.
    pub opened_by: &'static [Role],
    /// The roles that change its plan and settle its contradictions.
    pub planned_by: &'static [Role],
    /// The fields its plan has.
    pub fields: &'static [Field],
    /// Those without which it can't be opened, and which can't be taken back.
    pub required: &'static [Field],
}

/// A field of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the field of `PlanFields` of the same name")]
pub enum Field {
    Number,
    Consignee,
    Address,
    Place,
    Window,
    Driver,
    Run,
    Stop,
    Parties,
    AmountDue,
    Handling,
    Note,
    Lines,
    Phone,
    Reference,
    Service,
    Region,
    Group,
}

/// Every kind that this version knows.
pub const KINDS: &[Kind] = &[shipment::SHIPMENT];

/// The kind of this name among those of a table.
pub fn named<'a>(kinds: &'a [Kind], name: &str) -> Option<&'a Kind> {
    kinds.iter().find(|kind| kind.name == name)
}

impl Field {
    /// The field's name, as registers and people's tools have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Consignee => "consignee",
            Self::Address => "address",
            Self::Place => "place",
            Self::Window => "window",
            Self::Driver => "driver",
            Self::Run => "run",
            Self::Stop => "stop",
            Self::Parties => "parties",
            Self::AmountDue => "amount_due",
            Self::Handling => "handling",
            Self::Note => "note",
            Self::Lines => "lines",
            Self::Phone => "phone",
            Self::Reference => "reference",
            Self::Service => "service",
            Self::Region => "region",
            Self::Group => "group",
        }
    }

    /// The fields that a plan sets, in any order.
    pub fn set_by(plan: &PlanFields) -> impl Iterator<Item = Self> {
        let cleared = |name: &str| plan.cleared.iter().any(|cleared| cleared == name);
        [
            (Self::Number, plan.number.is_some()),
            (Self::Consignee, plan.consignee.is_some()),
            (Self::Address, plan.address.is_some()),
            (Self::Place, plan.place.is_some() || cleared("place")),
            (Self::Window, plan.window.is_some() || cleared("window")),
            (Self::Driver, plan.driver.is_some()),
            (Self::Run, plan.run.is_some()),
            (Self::Stop, plan.stop.is_some() || cleared("stop")),
            (Self::Parties, !plan.parties.is_empty()),
            (Self::AmountDue, plan.amount_due.is_some() || cleared("amount_due")),
            (Self::Handling, plan.handling.is_some()),
            (Self::Note, plan.note.is_some()),
            (Self::Lines, !plan.lines.is_empty()),
            (Self::Phone, plan.phone.is_some()),
            (Self::Reference, plan.reference.is_some()),
            (Self::Service, plan.service.is_some() || cleared("service")),
            (Self::Region, plan.region.is_some()),
            (Self::Group, plan.group.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
    }

    /// The text of the field, if it is one that an empty text takes back.
    pub fn text(self, plan: &PlanFields) -> Option<&String> {
        match self {
            Self::Number => plan.number.as_ref(),
            Self::Consignee => plan.consignee.as_ref(),
            Self::Address => plan.address.as_ref(),
            Self::Driver => plan.driver.as_ref(),
            Self::Run => plan.run.as_ref(),
            Self::Handling => plan.handling.as_ref(),
            Self::Note => plan.note.as_ref(),
            Self::Phone => plan.phone.as_ref(),
            Self::Reference => plan.reference.as_ref(),
            Self::Region => plan.region.as_ref(),
            Self::Group => plan.group.as_ref(),
            Self::Place | Self::Window | Self::Stop | Self::Parties | Self::AmountDue | Self::Lines | Self::Service => {
                None
            }
        }
    }
}
