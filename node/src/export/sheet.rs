//! The month-end sheet as a file that Excel and WPS open right.

use crate::export::format::{clean, local, shown_money, shown_quantity};
use creel_api::answer::SheetRow;
use creel_protocol::workflow::Label;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet};

/// The language of a sheet's headers and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// 简体中文
    Zh,
    /// English
    #[default]
    En,
}

impl Language {
    fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        if self == Self::Zh { zh } else { en }
    }

    fn label(self, label: &Label) -> &str {
        self.pick(&label.en, &label.zh)
    }
}

/// Why a sheet could not be written: never for what stands in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SheetError {
    /// The CSV writer failed.
    #[error("the sheet could not be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// So did its last write.
    #[error("the sheet could not be written: {0}")]
    Io(#[from] std::io::Error),
    /// The workbook's writer failed.
    #[error("the sheet could not be written as a workbook: {0}")]
    Workbook(#[from] rust_xlsxwriter::XlsxError),
    /// More rows than a workbook has.
    #[error("the sheet has more rows than a workbook holds: choose a shorter time")]
    Rows,
}

type Result<T> = std::result::Result<T, SheetError>;

/// What a column holds, and with it how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// Thousandths of the unit.
    Quantity(i64),
    /// Minor units of the currency.
    Money(Option<i64>),
    /// RFC 3339, or nothing.
    Moment(String),
}

/// A column: its headers, its width in characters, and what it shows of a row.
struct Column {
    en: &'static str,
    zh: &'static str,
    width: u8,
    value: fn(&SheetRow, Language) -> Value,
}

const COLUMNS: [Column; 19] = [
    column("Number", "单号", 18, |row, _| Value::Text(row.number.clone())),
    column("Consignee", "收货人", 26, |row, _| Value::Text(row.consignee.clone())),
    column("Status", "状态", 14, |row, language| {
        Value::Text(row.status.as_ref().map(|status| language.label(status).to_owned()).unwrap_or_default())
    }),
    column("Line", "行号", 8, |row, _| Value::Text(row.line.clone())),
    column("Article", "货号", 14, |row, _| Value::Text(row.sku.clone())),
    column("Name", "品名", 30, |row, _| Value::Text(row.name.clone())),
    column("Lot", "批次", 12, |row, _| Value::Text(row.lot.clone())),
    column("Unit", "单位", 8, |row, _| Value::Text(row.unit.clone())),
    column("Ordered", "订购", 10, |row, _| Value::Quantity(row.ordered)),
    column("Delivered", "实收", 10, |row, _| Value::Quantity(row.delivered)),
    column("Short", "短少", 10, |row, _| Value::Quantity(row.short)),
    column("Damaged", "破损", 10, |row, _| Value::Quantity(row.damaged)),
    column("Returned", "退回", 10, |row, _| Value::Quantity(row.returned)),
    column("Amount due", "应收", 12, |row, _| Value::Money(row.due)),
    column("Collected", "代收", 12, |row, _| Value::Money(row.collected)),
    column("Received by", "签收人", 16, |row, _| Value::Text(row.receiver.clone())),
    column("Recorded by", "记录人", 18, |row, _| Value::Text(row.recorded_by.clone())),
    column("At", "时间", 17, |row, _| Value::Moment(row.at.clone())),
    column("Exceptions", "异常", 40, |row, language| {
        Value::Text(if language == Language::Zh { row.exceptions_zh.clone() } else { row.exceptions.clone() })
    }),
];

const fn column(en: &'static str, zh: &'static str, width: u8, value: fn(&SheetRow, Language) -> Value) -> Column {
    Column { en, zh, width, value }
}

/// CSV in UTF-8 with a byte order mark, without which Excel reads Chinese as something else.
pub(crate) fn csv(rows: &[SheetRow], language: Language, zone: &TimeZone) -> Result<Vec<u8>> {
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut bytes);
    writer.write_record(COLUMNS.iter().map(|column| language.pick(column.en, column.zh)))?;
    for row in rows {
        writer.write_record(COLUMNS.iter().map(|column| match (column.value)(row, language) {
            Value::Text(text) => harmless(&text),
            Value::Quantity(thousandths) => shown_quantity(thousandths),
            Value::Money(minor) => minor.map(shown_money).unwrap_or_default(),
            Value::Moment(at) => local(&at, zone),
        }))?;
    }
    writer.flush()?;
    drop(writer);
    Ok(bytes)
}

/// A text that a spreadsheet does not run as a formula: a receiver may be called `=HYPERLINK(...)` by whoever typed it.
/// See OWASP's “CSV injection”.
fn harmless(text: &str) -> String {
    let text = clean(text);
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) { format!("'{text}") } else { text }
}

/// An XLSX workbook with one sheet.
pub(crate) fn xlsx(rows: &[SheetRow], language: Language, zone: &TimeZone) -> Result<Vec<u8>> {
    let mut workbook = Workbook::new();
    let head = Format::new().set_bold();
    let quantity = Format::new().set_num_format("0.###");
    let money = Format::new().set_num_format("#,##0.00");
    let moment = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    let sheet = workbook.add_worksheet();
    sheet.set_name(language.pick("Deliveries", "送货明细"))?;
    for (nth, column) in (0..).zip(&COLUMNS) {
        sheet.set_column_width(nth, f64::from(column.width))?;
        sheet.write_string_with_format(0, nth, language.pick(column.en, column.zh), &head)?;
    }
    for (at, row) in (1..).zip(rows) {
        for (nth, column) in (0..).zip(&COLUMNS) {
            match (column.value)(row, language) {
                Value::Text(text) => write_text(sheet, at, nth, &text)?,
                Value::Quantity(thousandths) => {
                    sheet.write_number_with_format(at, nth, number(&shown_quantity(thousandths)), &quantity)?;
                }
                Value::Money(Some(minor)) => {
                    sheet.write_number_with_format(at, nth, number(&shown_money(minor)), &money)?;
                }
                Value::Money(None) => {}
                Value::Moment(text) => match excel_moment(&text, zone) {
                    Some(at_moment) => drop(sheet.write_datetime_with_format(at, nth, &at_moment, &moment)?),
                    None => write_text(sheet, at, nth, &text)?,
                },
            }
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    let last_row = u32::try_from(rows.len()).map_err(|_| SheetError::Rows)?;
    sheet.autofilter(0, 0, last_row, u16::try_from(COLUMNS.len() - 1).map_err(|_| SheetError::Rows)?)?;
    Ok(workbook.save_to_buffer()?)
}

/// A string cell is never run as a formula, whatever it begins with.
fn write_text(sheet: &mut Worksheet, row: u32, column: u16, text: &str) -> Result<()> {
    if !text.is_empty() {
        sheet.write_string(row, column, clean(text))?;
    }
    Ok(())
}

/// The spreadsheet's own number, which is a float, from our decimal: the one that is nearest.
fn number(decimal: &str) -> f64 {
    decimal.parse().unwrap_or_default()
}

fn excel_moment(text: &str, zone: &TimeZone) -> Option<ExcelDateTime> {
    let at = text.parse::<Timestamp>().ok()?.to_zoned(zone.clone());
    let part = |value: i8| u8::try_from(value).ok();
    let day = ExcelDateTime::from_ymd(u16::try_from(at.year()).ok()?, part(at.month())?, part(at.day())?).ok()?;
    day.and_hms(u16::try_from(at.hour()).ok()?, part(at.minute())?, f64::from(at.second())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SheetRow {
        SheetRow {
            number: "=1+1".to_owned(),
            consignee: "西湖, 渔具店".to_owned(),
            status: Some(Label { zh: "已签收".to_owned(), en: "Signed".to_owned() }),
            line: "1".to_owned(),
            ordered: 2500,
            delivered: 2000,
            short: 500,
            due: Some(12_300),
            receiver: "@SUM(A1)".to_owned(),
            at: "2026-11-22T16:05:00.000Z".to_owned(),
            ..SheetRow::default()
        }
    }

    /// A wholesaler's Excel opens the sheet right, and runs nothing that somebody typed into a name.
    #[test]
    fn csv_is_right_and_harmless() {
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(8));
        let bytes = csv(&[row()], Language::Zh, &zone).expect("it is written to memory");
        let text = String::from_utf8(bytes).expect("it is UTF-8");
        let mut lines = text.split("\r\n");
        assert!(lines.next().is_some_and(|head| head.starts_with("\u{feff}单号,收货人,状态,")));
        assert_eq!(
            lines.next(),
            Some("'=1+1,\"西湖, 渔具店\",已签收,1,,,,,2.5,2,0.5,0,0,123.00,,'@SUM(A1),,2026-11-23 00:05,")
        );
    }

    /// The workbook has the same cells, as numbers and times where they are such.
    #[test]
    fn xlsx_has_the_same_cells() {
        use calamine::{Data, Reader, Xlsx};
        let bytes = xlsx(&[row()], Language::En, &TimeZone::UTC).expect("it is written to memory");
        let mut workbook: Xlsx<_> =
            calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).expect("it is a workbook");
        let range = workbook.worksheet_range("Deliveries").expect("it has the sheet");
        let cell = |column: usize| range.get((1, column)).cloned().unwrap_or_default();
        assert_eq!(cell(0), Data::String("=1+1".to_owned()));
        assert_eq!((cell(8), cell(13)), (Data::Float(2.5), Data::Float(123.0)));
        assert!(matches!(cell(17), Data::DateTime(_)), "{:?}", cell(17));
    }
}
