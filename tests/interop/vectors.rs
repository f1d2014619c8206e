//! Reads and rewrites the test vectors that stand in docs/*.md, for the tests that hold the text and the code together.
//!
//! A vector is a fenced block whose opening line is `vector name=NAME`. Each line of it is `key: value`; a value goes on
//! in the following lines that begin with two spaces. `UPDATE=1 cargo test` rewrites the blocks from the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const OPENING: &str = "```vector name=";
const CLOSING: &str = "```";
/// Characters of a value on one line.
const WRAP: usize = 112;

/// A vector: its values by key, in the order in which they stand.
pub(crate) type Vector = Vec<(&'static str, String)>;

/// A document with vectors.
#[derive(Debug)]
pub(crate) struct Document {
    path: PathBuf,
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn open(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// The value under `key` of the vector `name`.
    pub(crate) fn value(&self, name: &str, key: &str) -> String {
        let vectors = self.vectors();
        let vector = vectors.get(name).unwrap_or_else(|| panic!("{} has no vector {name}", self.path.display()));
        vector.get(key).cloned().unwrap_or_else(|| panic!("the vector {name} has no {key}"))
    }

    /// The value under `key` of the vector `name`, from hexadecimal.
    pub(crate) fn bytes(&self, name: &str, key: &str) -> Vec<u8> {
        data_encoding::HEXLOWER
            .decode(self.value(name, key).as_bytes())
            .unwrap_or_else(|error| panic!("the vector {name}: {key}: {error}"))
    }

    /// Demands that the document's vectors are these, no more and no fewer; with `UPDATE` set, makes them so.
    pub(crate) fn check(&self, expected: &BTreeMap<&'static str, Vector>) {
        let found = self.vectors();
        for (name, vector) in expected {
            assert!(found.contains_key(*name), "{}: the vector {name} is missing: {vector:#?}", self.path.display());
        }
        for name in found.keys() {
            assert!(expected.contains_key(name.as_str()), "{}: no test knows the vector {name}", self.path.display());
        }
        let wanted = self.rewritten(expected);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&self.path, wanted).expect("the document can be written");
        } else {
            for (ours, theirs) in wanted.lines().zip(self.text.lines()) {
                assert_eq!(
                    ours,
                    theirs,
                    "{}: run the tests with UPDATE=1 and read the difference",
                    self.path.display()
                );
            }
            assert_eq!(wanted, self.text);
        }
    }

    fn vectors(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut vectors = BTreeMap::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(name) = line.strip_prefix(OPENING) else { continue };
            let mut vector: BTreeMap<String, String> = BTreeMap::new();
            let mut last = None;
            for line in lines.by_ref().take_while(|line| *line != CLOSING) {
                if let Some(more) = line.strip_prefix("  ") {
                    let key: &String = last.as_ref().expect("a vector begins with a key");
                    vector.entry(key.clone()).or_default().push_str(more);
                } else {
                    let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{name}: {line}: no key"));
                    vector.insert(key.to_owned(), value.trim_start().to_owned());
                    last = Some(key.to_owned());
                }
            }
            assert!(vectors.insert(name.to_owned(), vector).is_none(), "the vector {name} stands there twice");
        }
        vectors
    }

    fn rewritten(&self, expected: &BTreeMap<&'static str, Vector>) -> String {
        let mut text = String::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            text.push_str(line);
            text.push('\n');
            let Some(vector) = line.strip_prefix(OPENING).and_then(|name| expected.get(name)) else { continue };
            for (key, value) in vector {
                write_value(&mut text, key, value);
            }
            text.push_str(CLOSING);
            text.push('\n');
            lines.by_ref().take_while(|line| *line != CLOSING).for_each(drop);
        }
        text
    }
}

fn write_value(text: &mut String, key: &str, value: &str) {
    if key.len() + 2 + value.len() <= WRAP + 2 {
        writeln!(text, "{key}: {value}").expect("a string can be written to");
        return;
    }
    writeln!(text, "{key}:").expect("a string can be written to");
    let letters: Vec<char> = value.chars().collect();
    for line in letters.chunks(WRAP) {
        writeln!(text, "  {}", line.iter().collect::<String>()).expect("a string can be written to");
    }
}
