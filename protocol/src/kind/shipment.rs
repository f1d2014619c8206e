//! A shipment: goods on their way to a consignee.

use super::{Field, Kind};
use crate::roster::Role;

/// A shipment.
pub(super) const SHIPMENT: Kind = Kind {
    name: "shipment",
    steps: true,
    opened_by: &[Role::Admin, Role::Dispatcher],
    planned_by: &[Role::Admin, Role::Dispatcher],
    fields: &[
        Field::Number,
        Field::Consignee,
        Field::Address,
        Field::Place,
        Field::Window,
        Field::Driver,
        Field::Run,
        Field::Stop,
        Field::Parties,
        Field::AmountDue,
        Field::Handling,
        Field::Note,
        Field::Lines,
        Field::Phone,
        Field::Reference,
        Field::Service,
        Field::Region,
        Field::Group,
    ],
    required: &[Field::Number],
};
