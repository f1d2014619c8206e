//! What a client asks a node to do.

use creel_protocol::core::io::{Act, Order, Targets};
use creel_protocol::edit::action::{Measure, PlanFields, Record};
use creel_protocol::roster::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Orders in one call.
pub const ORDERS_MAX: usize = 1_000;

/// Who asks, as the node knows them: others judge an edit by its device alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Their name, where several people share the device.
    pub name: Option<String>,
    /// Their role, where it is not the device's own.
    pub role: Option<Role>,
}

/// Why a request makes no act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not the JSON that the request has.
    #[error("the request's JSON is not as it should be: {0}")]
    Json(String),
    /// Shipments and a filter.
    #[error("name shipments or give a filter, not both")]
    BothTargets,
    /// More than [`ORDERS_MAX`].
    #[error("send at most 1,000 orders in one call")]
    TooManyOrders,
}

/// A request from its JSON.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RequestError> {
    serde_json::from_slice(bytes).map_err(|why| RequestError::Json(why.to_string()))
}

/// A request that makes edits.
pub trait IntoAct {
    /// The person it names.
    fn by(&self) -> Option<String>;
    /// The act of this person.
    fn into_act(self, person: &Person) -> Result<Act, RequestError>;
}

/// Records a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// The shipments, by number or id.
    pub shipments: Vec<String>,
    /// The person at the device.
    pub by: Option<String>,
    /// What was done.
    pub record: Record,
}

impl IntoAct for RecordRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, person: &Person) -> Result<Act, RequestError> {
        Ok(Act::Record { shipments: self.shipments, record: self.record, role: person.role })
    }
}

/// Records a measured value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureRequest {
    /// The shipments, by number or id.
    pub shipments: Vec<String>,
    /// The person at the device.
    pub by: Option<String>,
    /// What was measured.
    pub measure: Measure,
}

impl IntoAct for MeasureRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, _: &Person) -> Result<Act, RequestError> {
        Ok(Act::Measure { shipments: self.shipments, measure: self.measure })
    }
}

/// Sets fields of the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The shipments, by number or id.
    #[serde(default)]
    pub shipments: Vec<String>,
    /// Or all that a filter finds.
    pub filter: Option<String>,
    /// The person at the device.
    pub by: Option<String>,
    /// The fields.
    pub fields: PlanFields,
}

impl IntoAct for PlanRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, _: &Person) -> Result<Act, RequestError> {
        let targets = match self.filter {
            Some(filter) if self.shipments.is_empty() => Targets::Filter(filter),
            Some(_) => return Err(RequestError::BothTargets),
            None => Targets::Named(self.shipments),
        };
        Ok(Act::Plan { targets, fields: self.fields })
    }
}

/// Writes a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SayRequest {
    /// The shipment, by number or id.
    pub shipment: String,
    /// The person at the device.
    pub by: Option<String>,
    /// The message.
    pub text: String,
}

impl IntoAct for SayRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, _: &Person) -> Result<Act, RequestError> {
        Ok(Act::Say { shipment: self.shipment, text: self.text })
    }
}

/// Settles a contradiction.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// The shipment, by number or id.
    pub shipment: String,
    /// The person at the device.
    pub by: Option<String>,
    /// The records to settle: ids or unique prefixes of them.
    pub settle: Vec<String>,
    /// The one that stands, or none.
    pub uphold: Option<String>,
    /// Why.
    pub note: Option<String>,
}

impl IntoAct for ResolveRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, _: &Person) -> Result<Act, RequestError> {
        let Self { shipment, settle, uphold, note, .. } = self;
        Ok(Act::Resolve { shipment, settle, uphold, note })
    }
}

/// Takes an own edit back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetractRequest {
    /// The edit's id or a unique prefix of it.
    pub edit: String,
    /// The person at the device.
    pub by: Option<String>,
    /// Why.
    pub note: Option<String>,
}

impl IntoAct for RetractRequest {
    fn by(&self) -> Option<String> {
        self.by.clone()
    }

    fn into_act(self, person: &Person) -> Result<Act, RequestError> {
        let own = !matches!(person.role, None | Some(Role::Dispatcher | Role::Admin));
        Ok(Act::Retract { edit: self.edit, note: self.note, own })
    }
}

/// Takes orders in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The orders.
    pub orders: Vec<Order>,
    /// Only tell what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl IntoAct for ImportRequest {
    fn by(&self) -> Option<String> {
        None
    }

    fn into_act(self, _: &Person) -> Result<Act, RequestError> {
        if self.orders.len() > ORDERS_MAX {
            return Err(RequestError::TooManyOrders);
        }
        Ok(Act::Import { orders: self.orders, dry_run: self.dry_run })
    }
}
