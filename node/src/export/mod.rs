//! What leaves creel for people: `sheet` (the month-end sheet as CSV and XLSX), `format` (values as people read them).

pub mod format;
pub(crate) mod sheet;
