//! Reading whole files, small ones made here and the real ones beside the project.

use super::*;
use std::fs;
use std::path::PathBuf;

const TACKLE: &str = r#"
    missing = ["N/A"]
    [order]
    number = "no"
    consignee = "to"
    place = { latitude = "lat", longitude = "lon" }
    window = { date = "date", from = "from", to = "until" }
    amount_due = { column = "due", or_missing = true }
    parties = { shop = "to" }
    [[line]]
    sku = "sku"
    quantity = "qty"
    expiry = "best before"
"#;
const HEADER: &str = "no,to,lat,lon,date,from,until,due,sku,qty,best before";

fn read(name: &str, mapping: &str, content: impl AsRef<[u8]>) -> Result<Reading> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(name);
    fs::write(&file, content).expect("a temporary file");
    read_orders(&file, &Mapping::parse(mapping).expect("the test's mapping parses"))
}

/// Checks the rows below [`HEADER`]: the orders as `number/lines`, the refusals as `line column`.
fn check(rows: &str, orders: &[&str], refused: &[&str]) -> Reading {
    let reading = read("orders.csv", TACKLE, format!("{HEADER}\n{rows}")).expect("the file is read");
    let taken: Vec<String> =
        reading.orders.iter().map(|order| format!("{}/{}", order.number, order.lines.len())).collect();
    assert_eq!(taken, orders, "{rows}\n{:#?}", reading.refused);
    let reasons: Vec<String> = reading.refused.iter().map(|why| format!("{} {}", why.line, why.column)).collect();
    assert_eq!(reasons, refused, "{rows}\n{:#?}", reading.refused);
    reading
}

/// An order is taken whole or not at all, and every reason why not is told with its line and column.
#[test]
fn nothing_is_half_taken() {
    check("A,West,,,,,,,rod,1,\nB,East,,,,,,,reel,2,\nA,West,,,,,,,line,3,", &["A/2", "B/1"], &[]);
    check("A,West,,,,,,,rod,1,\nA,West,,,,,,,line,two,\nB,,,,,,,,x,1,", &["B/1"], &["3 qty"]);
    check("A,West,91,0.5,soon,,,,rod,-1,31/12/2025", &[], &["2 lat", "2 date", "2 qty", "2 best before"]);
    check(",West,,,,,,,rod,1,\nB,N/A,,,,,,,x,1,", &["B/1"], &["2 no"]);
    check("A,West,,,,,,,rod,1\nA,West,,,,,,,reel,1,", &[], &["2 best before"]);
    check("A,West,30.1,,,,,,,,", &[], &["2 lon"]);
    check("A,West,0,0,,,,,,,", &[], &["2 lat"]);
    check("A,West,,,2025-06-01,12:00,09:00,,,,", &[], &["2 until"]);
    check("A,West,,,,12:00,,,,,", &[], &["2 date"]);
    check("A,,,,,,,to follow,,,\nA,,,,,,,,,,", &["A/0"], &[]);
    let long = "9".repeat(65);
    check(&format!("{long},,,,,,,,,,"), &[], &["2 no"]);
}

/// Rows of one order may leave a cell empty, and may not contradict each other unless the mapping says who is right.
#[test]
fn rows_agree() {
    check("A,West,,,,,,,a,1,\nA,,,,,,,12.5,b,1,\nA,West,,,,,,12.50,c,1,", &["A/3"], &[]);
    let reading = check("A,,,,,,,,a,1,\nA,West,,,,,,,b,1,\nA,East,,,,,,,c,1,", &[], &["4 to"]);
    assert_eq!(reading.refused[0].value, "East");
    assert!(reading.refused[0].why.contains("line 3 says \"West\""), "{}", reading.refused[0].why);
    check("A,,,,2025-06-01,9:00,12:00,,a,1,\nA,,,,2025-06-01,9:00,13:00,,b,1,", &[], &["3 until"]);

    let mapping = "utc_offset = '+00:00'\n[order]\nnumber = 'n'\nconsignee = { column = 'to', first = true }\n\
                   window = { date = 'd', span = true }\namount_due = { column = 'due', sum = true }";
    let rows = "n,to,d,due\nA,West,1970-01-03,1.25\nA,East,1970-01-01,2\n";
    let reading = read("orders.csv", mapping, rows).expect("the file is read");
    let fields = &reading.orders[0].fields;
    assert_eq!(fields.consignee.as_deref(), Some("West"));
    assert_eq!(fields.window, Some([0, 3 * 86_400_000]));
    assert_eq!(fields.amount_due, Some(325));
}

/// What was read is exact: places in 1e-7 degrees, times in milliseconds, money in fen, quantities in thousandths.
#[test]
fn values_are_exact() {
    let rows = "A,West Lake,30.25,120.1,2025-06-01,9:30,24:00,\"1,234.50\",R-1,1.5,2025-12-31";
    let reading = check(rows, &["A/1"], &[]);
    let order = &reading.orders[0];
    let midnight = 1_748_707_200_000;
    assert_eq!(order.row, 2);
    assert_eq!(order.fields.place, Some([302_500_000, 1_201_000_000]));
    assert_eq!(order.fields.window, Some([midnight + 34_200_000, midnight + 86_400_000]));
    assert_eq!(order.fields.amount_due, Some(123_450));
    assert_eq!(order.fields.parties["shop"], "shop:west-lake");
    let line = OrderLine {
        line: "1".into(),
        sku: Some("R-1".into()),
        quantity: Some(1500),
        expiry: Some("2025-12-31".into()),
        ..OrderLine::default()
    };
    assert_eq!(order.lines, [line]);
}

/// A window is what the mapping's keys say: a day, times of a day, moments, or seconds.
#[test]
fn windows() {
    const HOUR: i64 = 3_600_000;
    for (window, cells, expect) in [
        ("date = 'd'", "1970-01-02,,", Ok(Some([24 * HOUR, 48 * HOUR]))),
        ("date = 'd'", ",,", Ok(None)),
        ("date = 'd', date_format = ['%d.%m.%Y', '%d/%m/%Y']", "02/01/1970,,", Ok(Some([24 * HOUR, 48 * HOUR]))),
        ("date = 'd', from = 'f', to = 't'", "1970-01-01,,9:00", Ok(Some([0, 9 * HOUR]))),
        ("date = 'd', from = 'f', to = 't'", "1970-01-01,22:00,2:00", Err("3 t")),
        (
            "date = 'd', from = 'f', to = 't', next_day = true",
            "1970-01-01,22:00,2:00",
            Ok(Some([22 * HOUR, 26 * HOUR])),
        ),
        (
            "day = '1970-01-02', from = 'f', to = 't', format = 'seconds'",
            ",0,3600.5",
            Ok(Some([24 * HOUR, 25 * HOUR + 500])),
        ),
        ("from = 'f', to = 't', format = 'seconds'", ",3600,7200", Ok(Some([HOUR, 2 * HOUR]))),
        ("from = 'f', to = 't'", ",1970-01-01 01:00,1970-01-01T03:00:00+01:00", Ok(Some([HOUR, 2 * HOUR]))),
        ("from = 'f', to = 't'", ",,1970-01-01 01:00", Err("3 f")),
        ("from = 'f', to = 't', or_missing = true", ",,1970-01-01 01:00", Ok(None)),
    ] {
        let mapping = format!("utc_offset = '+00:00'\n[order]\nnumber = 'n'\nwindow = {{ {window} }}");
        let reading = read("orders.csv", &mapping, format!("n,d,f,t\n\nA,{cells}\n")).expect("the file is read");
        let reasons: Vec<String> = reading.refused.iter().map(|why| format!("{} {}", why.line, why.column)).collect();
        let found = reading.orders.first().map(|order| order.fields.window).ok_or(reasons.concat());
        assert_eq!(found, expect.map_err(str::to_owned), "{window}: {cells}: {:?}", reading.refused);
    }
}

/// A line's name is the file's, else its number; two of one name are refused, and so are too many.
#[test]
fn lines_have_names() {
    let mapping = "[order]\nnumber = 'n'\n[[line]]\nline = 'l'\nname = 'x'";
    for (rows, expect) in [
        ("A,,rod\nA,,reel", Some("1 2")),
        ("A,2,rod\nA,,reel\nA,1,line\nA,,float", Some("2 3 1 4")),
        ("A,7,rod\nA,7,reel", None),
    ] {
        let reading = read("orders.csv", mapping, format!("n,l,x\n{rows}")).expect("the file is read");
        let names = reading
            .orders
            .first()
            .map(|order| order.lines.iter().map(|line| line.line.as_str()).collect::<Vec<_>>().join(" "));
        assert_eq!(names.as_deref(), expect, "{rows}: {:?}", reading.refused);
    }
    for (lines, taken) in [(500, 1), (501, 0), (2001, 0)] {
        let rows = "A,,rod\n".repeat(lines);
        let reading = read("orders.csv", mapping, format!("n,l,x\n{rows}")).expect("the file is read");
        assert_eq!((reading.orders.len(), reading.refused.len()), (taken, 1 - taken), "{lines} lines");
    }
}

/// A file that can't be read at all says what is wrong with it and what to do.
#[test]
fn files_that_cannot_be_read() {
    for (name, content, expect) in [
        ("orders.csv", "a,b\n", "no column \"no\", which the mapping reads as order.number"),
        ("orders.csv", "", "empty"),
        ("orders.pdf", "x", "name `format` in the mapping"),
        ("orders.xlsx", "not a workbook", "not a readable XLSX"),
        ("orders.csv", &format!("{HEADER},no\n"), "twice"),
    ] {
        let error = format!("{:#}", read(name, TACKLE, content).expect_err("the file is refused"));
        assert!(error.contains(expect) && error.contains(name), "{error}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("large.csv");
    let large = fs::File::create(&file).expect("a temporary file");
    large.set_len(table::FILE_BYTES_MAX + 1).expect("a sparse file");
    let error = read_orders(&file, &Mapping::parse(TACKLE).expect("parses")).expect_err("the file is refused");
    assert!(format!("{error:#}").contains("at most 256"), "{error:#}");
}

/// A cell that a join can't find refuses its order, unless the mapping leaves it out.
#[test]
fn joins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("orders.csv");
    fs::write(&file, "n,f\nA,f1\nB,f9\nC,\n").expect("a temporary file");
    for (or_missing, factories, expect) in [
        (false, "id,lat,lon\nf1,30,120\n", Some((2, 1))),
        (true, "id,lat,lon\nf1,30,120\n", Some((3, 0))),
        (false, "id,lat,lon\nf1,30,120\nf1,30,120\n", Some((2, 1))),
        (false, "id,lat,lon\nf1,30,120\nf1,31,120\n", None),
        (false, "key,lat,lon\n", None),
    ] {
        fs::write(folder.path().join("other.csv"), factories).expect("a temporary file");
        let mapping = format!(
            "[order]\nnumber = 'n'\nplace = {{ latitude = 'site.lat', longitude = 'site.lon' }}\n\
             [[join]]\nname = 'site'\nfile = 'sites.csv'\nkey = 'id'\ncolumn = 'f'\nor_missing = {or_missing}"
        );
        let mut mapping = Mapping::parse(&mapping).expect("the test's mapping parses");
        assert!(read_orders(&file, &mapping).is_err(), "the mapping's own file is not there");
        assert!(mapping.join_from("factory", "other.csv".into()).is_err());
        mapping.join_from("site", "other.csv".into()).expect("the join is named so");
        let reading = read_orders(&file, &mapping);
        let counts = reading.as_ref().ok().map(|reading| (reading.orders.len(), reading.refused.len()));
        assert_eq!(counts, expect, "{factories:?}: {reading:?}");
        if let Ok(reading) = reading {
            assert_eq!(reading.orders[0].fields.place, Some([300_000_000, 1_200_000_000]));
        }
    }
}

/// JSON lines and sheets give the orders a CSV file gives.
#[test]
fn formats_agree() {
    let mapping = "[order]\nnumber = 'no'\nwindow = { date = 'date', from = 'from', to = 'until' }\n\
                   [[line]]\nname = 'name'\nquantity = 'qty'";
    let csv = "no,date,from,until,name,qty\n7,2025-06-01,09:00,12:30,鱼竿,1.5\n";
    let json =
        "{\"no\":7,\"date\":\"2025-06-01\",\"from\":\"09:00\",\"until\":\"12:30\",\"name\":\"鱼竿\",\"qty\":1.5}\n";
    let expect = read("orders.csv", mapping, csv).expect("the CSV file is read").orders;
    assert_eq!(expect.len(), 1);
    let orders = read("orders.jsonl", mapping, json).expect("the JSON lines are read").orders;
    assert_eq!(orders, [Order { row: 1, ..expect[0].clone() }]);

    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, name) in (0..).zip(["no", "date", "from", "until", "name", "qty"]) {
        sheet.write_string(0, column, name).expect("within the sheet");
    }
    let date = rust_xlsxwriter::Format::new().set_num_format("yyyy/m/d");
    let time = rust_xlsxwriter::Format::new().set_num_format("hh:mm");
    sheet.write_number(1, 0, 7).expect("within the sheet");
    sheet.write_number_with_format(1, 1, 45809, &date).expect("within the sheet");
    sheet.write_number_with_format(1, 2, 0.375, &time).expect("within the sheet");
    sheet.write_number_with_format(1, 3, 12.5 / 24.0, &time).expect("within the sheet");
    sheet.write_string(1, 4, "鱼竿").expect("within the sheet");
    sheet.write_number(1, 5, 1.5).expect("within the sheet");
    // A stray cell in the far corner, as a slipped hand leaves it, must not cost memory.
    sheet.write_string(1_048_575, 0, " ").expect("within the sheet");
    let book = book.save_to_buffer().expect("a workbook");
    assert_eq!(read("orders.xlsx", mapping, book).expect("the workbook is read").orders, expect);
}

/// The real files beside the project, or none where they are not there.
fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(path);
    if !file.exists() {
        eprintln!("{} is not there: this test has nothing to read", file.display());
        return None;
    }
    Some(file)
}

fn shipped(mapping: &str) -> Mapping {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mappings")).join(mapping);
    Mapping::read(&file).expect("a shipped mapping parses")
}

/// Every line of the health supply chain's real export is taken.
#[test]
fn scms() {
    let Some(file) = shared("scms/deliveries-2006-2012.csv") else { return };
    let reading = read_orders(&file, &shipped("scms.toml")).expect("the file is read");
    assert_eq!(reading.refused, []);
    assert_eq!(reading.orders.len(), 4681);
    assert_eq!(reading.orders.iter().map(|order| order.lines.len()).sum::<usize>(), 6507);
    let order = &reading.orders[0];
    assert_eq!((order.number.as_str(), order.row), ("ASN-8", 2));
    assert_eq!(order.fields.parties["shop"], "shop:cote-d-ivoire");
    assert_eq!(order.lines[0].quantity, Some(19_000));
    let spans_days = |order: &&Order| order.fields.window.is_some_and(|[from, to]| to - from > 86_400_000);
    assert_eq!(reading.orders.iter().filter(spans_days).count(), 7);
}

/// Every order of the manufacturer's forty days is taken, with its factory's place.
#[test]
fn dpdp() {
    let Some(folder) = shared("dpdp") else { return };
    let mapping = shipped("dpdp.toml");
    let mut orders = 0;
    for instance in (1..=40).map(|instance| folder.join(format!("instance_{instance}"))) {
        let files = fs::read_dir(instance).expect("the instance's folder").map(|file| file.expect("a file").path());
        let is_orders = |file: &PathBuf| !file.to_string_lossy().contains("vehicle");
        for file in files.filter(is_orders) {
            let reading = read_orders(&file, &mapping).expect("the file is read");
            assert_eq!(reading.refused, [], "{}", file.display());
            assert!(reading.orders.iter().all(|order| order.fields.place.is_some() && !order.lines.is_empty()));
            orders += reading.orders.len();
        }
    }
    assert_eq!(orders, 15_600);
}
