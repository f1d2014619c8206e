//! A made-up day of a fishing-tackle wholesaler, from a seed, for the demo and the tests.
//!
//! The lake, its villages, the shops, the people and the goods are invented; every order says so in its note. The same
//! seed gives the same day on every machine, because the random numbers are our own.

use crate::import::{Fields, Order, OrderLine};
use jiff::civil::{Date, Time, date};
use jiff::tz::Offset;
use std::collections::BTreeMap;

/// What every order's note begins with.
pub const MADE_UP: &str = "虚构数据 made-up data";
/// The clock of the made-up lake.
const LAKE_TIME: Offset = Offset::constant(8);
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Stops of one run: what a van does between loading and the end of a shift.
const STOPS_MAX: u32 = 12;
const DRIVERS: [&str; 2] = ["li-wei", "zhang-min"];

struct Site {
    /// The shop's party after `shop:`; none where no shop of ours is.
    shop: Option<&'static str>,
    consignee: &'static str,
    address: &'static str,
    /// In 1e-7 degrees.
    place: [i32; 2],
}

const fn site(
    shop: Option<&'static str>,
    consignee: &'static str,
    address: &'static str,
    latitude: i32,
    longitude: i32,
) -> Site {
    Site { shop, consignee, address, place: [latitude, longitude] }
}

/// The demo's two shops.
const LIVE_SHOPS: [Site; 2] = [
    site(
        Some("west-lake"),
        "西湖渔具店 West Lake Tackle",
        "鹭湖镇西堤路18号 18 West Dyke Road",
        295_512_000,
        1_189_203_000,
    ),
    site(
        Some("east-gate"),
        "东门渔具店 East Gate Tackle",
        "鹭湖镇东门街5号 5 East Gate Street",
        295_634_000,
        1_190_417_000,
    ),
];

/// Everyone else around the lake.
const ELSEWHERE: [Site; 8] = [
    site(
        Some("reed-bay"),
        "芦湾渔具店 Reed Bay Tackle",
        "芦湾镇码头路2号 2 Pier Road, Reed Bay",
        296_120_500,
        1_189_871_000,
    ),
    site(Some("stone-bridge"), "石桥渔具店 Stone Bridge Tackle", "石桥镇桥头 Bridge Head", 295_027_000, 1_190_905_500),
    site(None, "鹭渡村钓鱼协会 Heron Landing Angling Club", "鹭渡村村口 Heron Landing", 295_803_300, 1_188_954_000),
    site(None, "柳渡村老陈小卖部 Old Chen's, Willow Ferry", "柳渡村7号 7 Willow Ferry", 295_391_000, 1_188_610_700),
    site(
        None,
        "莲岛农家乐 Lotus Island Guesthouse",
        "莲岛村，摆渡送达 Lotus Island, by ferry",
        295_688_000,
        1_189_764_000,
    ),
    site(
        None,
        "鲤溪村护渔队 Carp Creek Fishery Wardens",
        "鲤溪村祠堂旁 by the hall, Carp Creek",
        296_347_000,
        1_190_288_000,
    ),
    site(
        None,
        "北岸垂钓园 North Shore Fishing Park",
        "北岸村环湖路 Lakeside Road, North Shore",
        296_415_800,
        1_189_390_000,
    ),
    site(None, "老码头船队 Old Pier Boatmen", "老码头村泊位3 berth 3, Old Pier", 295_240_000, 1_189_118_000),
];

#[derive(Clone, Copy, PartialEq)]
enum Keeping {
    /// Neither lot nor date.
    Any,
    /// A lot that is good for this many days.
    Days(i16),
    /// Alive: a lot that is good for these few days, and kept cold.
    Alive(i16),
    /// Too big for one person.
    TwoPeople,
}

struct Article {
    sku: &'static str,
    name: &'static str,
    unit: &'static str,
    /// The price of a unit in fen, even: half a unit still has a price in whole fen.
    price: i64,
    keeping: Keeping,
}

const fn article(sku: &'static str, name: &'static str, unit: &'static str, price: i64, keeping: Keeping) -> Article {
    Article { sku, name, unit, price, keeping }
}

const ARTICLES: [Article; 20] = [
    article("ROD-360-C", "碳素手竿3.6米 carbon pole rod 3.6 m", "支", 16_800, Keeping::Any),
    article("ROD-540-C", "碳素手竿5.4米 carbon pole rod 5.4 m", "支", 29_800, Keeping::Any),
    article("ROD-210-L", "路亚竿2.1米 spinning rod 2.1 m", "支", 23_600, Keeping::Any),
    article("REEL-3000", "纺车轮3000型 spinning reel 3000", "个", 18_800, Keeping::Any),
    article("REEL-BC-7", "水滴轮7.1:1 baitcasting reel 7.1:1", "个", 32_600, Keeping::Any),
    article("LINE-N-15", "尼龙线1.5号100米 nylon line #1.5, 100 m", "卷", 1_200, Keeping::Any),
    article("LINE-PE-2", "PE编织线2号150米 braid #2, 150 m", "卷", 4_500, Keeping::Any),
    article("LINE-FC-1", "碳线1号50米 fluorocarbon #1, 50 m", "卷", 3_800, Keeping::Any),
    article("FLOAT-R-3", "芦苇浮漂3号 reed float no. 3", "支", 1_500, Keeping::Any),
    article("FLOAT-N-2", "纳米浮漂2号 nano float no. 2", "支", 2_200, Keeping::Any),
    article("FLOAT-E-1", "夜光漂1号 night float no. 1", "支", 3_600, Keeping::Any),
    article("LURE-M-90", "米诺90毫米 minnow lure 90 mm", "个", 2_600, Keeping::Any),
    article("LURE-S-10", "软虫10厘米，袋装 soft worms 10 cm, bag", "袋", 1_400, Keeping::Any),
    article("BAIT-CRUC", "鲫鱼饵，袋装 crucian bait, bag", "袋", 900, Keeping::Days(360)),
    article("BAIT-CARP", "鲤鱼饵，袋装 carp bait, bag", "袋", 1_000, Keeping::Days(360)),
    article("BAIT-PASTE", "腥味拉饵 fishmeal paste bait", "公斤", 2_400, Keeping::Days(90)),
    article("LIVE-WORM", "活蚯蚓 live earthworms", "公斤", 6_000, Keeping::Alive(6)),
    article("LIVE-BLOOD", "红虫 bloodworms", "公斤", 8_800, Keeping::Alive(3)),
    article("BOAT-ALU-4", "铝合金钓鱼船4米 aluminium boat 4 m", "艘", 688_000, Keeping::TwoPeople),
    article("BOAT-PVC-3", "充气钓鱼船3.2米 inflatable boat 3.2 m", "艘", 236_000, Keeping::TwoPeople),
];

/// A day's orders: `shipments` of them, in the order of their numbers, with the rows they have in [`to_csv`].
///
/// Most go to the demo's shops, `shop:west-lake` and `shop:east-gate`, the others to shops and villages around the
/// lake; they are carried by `driver:li-wei` and `driver:zhang-min` from `warehouse:main`. `on` is the day,
/// `yyyy-mm-dd`; what is no date stands for 2025-06-01.
pub fn made_up_day(seed: u64, shipments: usize, on: &str) -> Vec<Order> {
    let day = on.parse().unwrap_or(date(2025, 6, 1));
    let mut random = Random(seed);
    let mut stops = [0_u32; DRIVERS.len()];
    let mut row = 2;
    let mut orders = Vec::with_capacity(shipments);
    for count in 1..=shipments {
        let driver = random.below(DRIVERS.len());
        let stop = stops[driver];
        stops[driver] += 1;
        let number = format!("M{}-{count:04}", day.strftime("%Y%m%d"));
        let mut order = order(&mut random, day, DRIVERS[driver], stop);
        order.number = number;
        order.row = row;
        row += order.lines.len() as u64;
        orders.push(order);
    }
    orders
}

fn order(random: &mut Random, day: Date, driver: &str, stop: u32) -> Order {
    let site = if random.below(100) < 65 { random.pick(&LIVE_SHOPS) } else { random.pick(&ELSEWHERE) };
    let (run, stop) = (stop / STOPS_MAX + 1, stop % STOPS_MAX);
    // Odd runs go out at 8:00, even ones at 13:00; a stop every 20 minutes, promised within two hours to the half hour.
    let start = if run % 2 == 1 { 8 * 60 } else { 13 * 60 };
    let from = midnight(day) + i64::from(start + stop * 20 / 30 * 30) * MINUTE_MS;
    let mut lines = Vec::new();
    let mut worth = 0;
    let mut keeping = Keeping::Any;
    let is_boat = random.below(100) < 8;
    for count in 1..=if is_boat { 1 } else { 1 + random.below(5) } {
        let article = if is_boat { random.pick(&ARTICLES[18..]) } else { random.pick(&ARTICLES[..18]) };
        let (line, price) = line(random, day, article, count);
        if matches!(article.keeping, Keeping::Alive(_) | Keeping::TwoPeople) {
            keeping = article.keeping;
        }
        worth += price;
        lines.push(line);
    }
    let handling = match keeping {
        Keeping::TwoPeople => Some("两人搬运 two people to carry"),
        Keeping::Alive(_) => Some("冷藏2–8°C，活饵 live bait, keep at 2–8 °C"),
        Keeping::Any | Keeping::Days(_) => None,
    };
    let parties =
        [("warehouse", Some("warehouse:main".to_owned())), ("shop", site.shop.map(|shop| format!("shop:{shop}")))];
    // Shops have an account with the wholesaler; villages, and now and then a shop, pay at the door.
    let pays_at_door = site.shop.is_none() || random.below(4) == 0;
    let fields = Fields {
        consignee: Some(site.consignee.into()),
        address: Some(site.address.into()),
        place: Some(site.place),
        window: Some([from, from + 120 * MINUTE_MS]),
        driver: Some(format!("driver:{driver}")),
        run: Some(format!("{driver}-{run}")),
        stop: Some(stop + 1),
        parties: parties
            .into_iter()
            .filter_map(|(kind, party)| Some((kind.to_owned(), party?)))
            .collect::<BTreeMap<_, _>>(),
        amount_due: pays_at_door.then_some(worth),
        handling: handling.map(str::to_owned),
        note: Some(MADE_UP.to_owned()),
    };
    Order { fields, lines, ..Order::default() }
}

/// A line, and what it costs in fen.
fn line(random: &mut Random, day: Date, article: &Article, count: usize) -> (OrderLine, i64) {
    let units = |most| 1 + i64::try_from(most).unwrap_or(0);
    // Bait by weight goes in half kilograms, everything else in whole pieces.
    let quantity = match (article.keeping, article.unit) {
        (Keeping::TwoPeople, _) => 1000,
        (_, "公斤") => units(random.below(20)) * 500,
        _ => units(random.below(24)) * 1000,
    };
    let (lot, expiry) = match article.keeping {
        Keeping::Any | Keeping::TwoPeople => (None, None),
        Keeping::Days(good) | Keeping::Alive(good) => {
            // Some of what lies in the warehouse is older, and has less left.
            let left = i64::from(good) - i64::try_from(random.below(good.unsigned_abs().into())).unwrap_or(0);
            let expiry = day.saturating_add(jiff::Span::new().days(left));
            let lot = format!("L{}-{:02}", expiry.strftime("%y%m%d"), 1 + random.below(9));
            (Some(lot), Some(expiry.to_string()))
        }
    };
    let line = OrderLine {
        line: count.to_string(),
        sku: Some(article.sku.into()),
        name: Some(article.name.into()),
        quantity: Some(quantity),
        unit: Some(article.unit.into()),
        lot,
        expiry,
    };
    (line, article.price * quantity / 1000)
}

const HEADER: [&str; 23] = [
    "单号",
    "门店",
    "收货人",
    "地址",
    "纬度",
    "经度",
    "送货日期",
    "最早",
    "最晚",
    "司机",
    "车次",
    "站序",
    "应收金额",
    "搬运要求",
    "备注",
    "仓库",
    "行号",
    "货号",
    "品名",
    "数量",
    "单位",
    "批次",
    "有效期",
];

/// A made-up day as the wholesaler's own sheet: a row per line, Chinese headers, UTF-8. `docs/mappings/tackle.toml`
/// reads it back as the same orders.
pub fn to_csv(orders: &[Order]) -> String {
    let mut text = String::new();
    push_row(&mut text, &HEADER.map(str::to_owned));
    for order in orders {
        for line in &order.lines {
            push_row(&mut text, &row(order, line));
        }
    }
    text
}

fn row(order: &Order, line: &OrderLine) -> [String; 23] {
    let fields = &order.fields;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let party = |party: Option<&String>| {
        party.and_then(|party| party.split_once(':')).map(|(_, name)| name.to_owned()).unwrap_or_default()
    };
    let [latitude, longitude] =
        fields.place.map_or([String::new(), String::new()], |place| place.map(|half| decimal(half.into(), 7)));
    let [day, from, to] = fields.window.map_or([const { String::new() }; 3], window);
    [
        order.number.clone(),
        party(fields.parties.get("shop")),
        text(&fields.consignee),
        text(&fields.address),
        latitude,
        longitude,
        day,
        from,
        to,
        party(fields.driver.as_ref()),
        text(&fields.run),
        fields.stop.map(|stop| stop.to_string()).unwrap_or_default(),
        fields.amount_due.map(|amount| decimal(amount, 2)).unwrap_or_default(),
        text(&fields.handling),
        text(&fields.note),
        party(fields.parties.get("warehouse")),
        line.line.clone(),
        text(&line.sku),
        text(&line.name),
        line.quantity.map(|quantity| decimal(quantity, 3)).unwrap_or_default(),
        text(&line.unit),
        text(&line.lot),
        text(&line.expiry),
    ]
}

/// The day, and the times of day at which the window begins and ends.
fn window([from, to]: [i64; 2]) -> [String; 3] {
    let day =
        jiff::Timestamp::from_millisecond(from).map(|from| LAKE_TIME.to_datetime(from).date()).unwrap_or_default();
    let time = |at: i64| {
        let minutes = (at - midnight(day)).clamp(0, DAY_MS) / MINUTE_MS;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    };
    [day.to_string(), time(from), time(to)]
}

fn midnight(day: Date) -> i64 {
    LAKE_TIME.to_timestamp(day.to_datetime(Time::midnight())).map(jiff::Timestamp::as_millisecond).unwrap_or_default()
}

/// An integer with its point back, without the zeros at the end.
fn decimal(value: i64, decimals: usize) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn push_row(text: &mut String, cells: &[String]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(cell);
        }
    }
    text.push_str("\r\n");
}

/// `SplitMix64` (Steele, Lea and Flood 2014): a few lines whose numbers stay the same for ever, unlike a library's.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "an iterator would be endless, and nobody iterates")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the bounds here are so small that the remainder's bias doesn't show.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Mapping, read_orders};
    use std::path::Path;

    /// The shipped mapping reads the wholesaler's sheet back as the same orders, whichever program saved it.
    #[test]
    fn sheet_and_mapping_agree() {
        let mapping = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mappings/tackle.toml"));
        let mapping = Mapping::read(mapping).expect("the shipped mapping parses");
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (seed, shipments) in [(1, 0), (1, 1), (2, 120), (3, 120)] {
            let day = made_up_day(seed, shipments, "2025-06-01");
            let text = to_csv(&day);
            let (gb18030, _, _) = encoding_rs::GB18030.encode(&text);
            for bytes in [text.as_bytes(), &gb18030] {
                let file = folder.path().join("day.csv");
                std::fs::write(&file, bytes).expect("a temporary file");
                let reading = read_orders(&file, &mapping).expect("the sheet is read");
                assert_eq!(reading.refused, []);
                assert_eq!(reading.orders, day);
            }
        }
    }

    /// The sample that README's first day begins with. `UPDATE=1` writes it anew.
    #[test]
    fn the_sample_is_a_made_up_day() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/made-up-day.csv"));
        let day = to_csv(&made_up_day(1, 40, "2026-06-01"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &day).expect("a writable checkout");
        }
        assert_eq!(std::fs::read_to_string(file).expect("the sample is there"), day);
    }

    /// A demo shows what the trade has: both drivers and shops, villages, bait with its lot and date, boats for two.
    #[test]
    fn a_day_has_its_trade() {
        let day = made_up_day(7, 120, "2025-06-01");
        assert_eq!(day, made_up_day(7, 120, "2025-06-01"), "the same seed gives the same day");
        assert_ne!(day, made_up_day(8, 120, "2025-06-01"));
        assert_eq!(day.len(), 120);
        let count = |test: &dyn Fn(&Order) -> bool| day.iter().filter(|order| test(order)).count();
        let of_shop = |shop: &str| count(&|order| order.fields.parties.get("shop").is_some_and(|party| party == shop));
        assert!(of_shop("shop:west-lake") + of_shop("shop:east-gate") > 60, "most go to the demo's shops");
        assert!(of_shop("shop:west-lake") > 20 && of_shop("shop:east-gate") > 20);
        assert!(count(&|order| !order.fields.parties.contains_key("shop")) > 10, "villages");
        for driver in DRIVERS {
            let party = format!("driver:{driver}");
            assert!(count(&|order| order.fields.driver.as_ref() == Some(&party)) > 40, "{driver}");
        }
        let is_boat = |line: &OrderLine| line.sku.as_ref().is_some_and(|sku| sku.starts_with("BOAT"));
        let for_two = |order: &Order| order.fields.handling.as_ref().is_some_and(|handling| handling.contains("两人"));
        assert!(count(&for_two) > 3);
        assert!(day.iter().all(|order| order.lines.iter().any(is_boat) == for_two(order)));
        let is_bait =
            |line: &&OrderLine| line.sku.as_ref().is_some_and(|sku| sku.contains("BAIT") || sku.contains("LIVE"));
        let bait: Vec<&OrderLine> = day.iter().flat_map(|order| &order.lines).filter(is_bait).collect();
        assert!(bait.len() > 20 && bait.iter().all(|line| line.lot.is_some() && line.expiry.is_some()));
        assert!(day.iter().all(|order| order.fields.note.as_ref().is_some_and(|note| note.starts_with(MADE_UP))));
        let mut stops: Vec<_> = day.iter().map(|order| (&order.fields.run, order.fields.stop)).collect();
        stops.sort();
        stops.dedup();
        assert_eq!(stops.len(), day.len(), "no two orders are one stop of one run");
    }
}
