//! When two names of a receiver are the same person's.
//!
//! Names are compared by their form: `toNFKC_Casefold` of Unicode 16.0.0 (The Unicode Standard, section 3.13, D147), then
//! white space folded. The version of Unicode is part of the rules' version: a node with other tables would find other
//! contradictions. Characters that Unicode 16.0.0 does not assign compare as they are.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// `Default_Ignorable_Code_Point` of Unicode 16.0.0: nothing of them is seen, so they tell nobody apart.
const IGNORABLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The form of a receiver's name. An empty form tells of nobody in particular, and differs from every other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form(String);

impl Form {
    /// The form of a name.
    pub fn of(name: &str) -> Self {
        let folded = if name.is_ascii() { name.to_ascii_lowercase() } else { casefold(name) };
        Self(folded.split(char::is_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
    }

    /// Whether two names are told apart.
    pub fn differs(&self, other: &Self) -> bool {
        self.0.is_empty() || self != other
    }
}

fn is_ignorable(letter: char) -> bool {
    IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// `toNFKC_Casefold`: each character's mapping, then NFC.
fn casefold(text: &str) -> String {
    text.chars().flat_map(mapping).nfc().collect()
}

/// `NFKC_Casefold` of one character, as the Unicode Character Database derives it: ignorable characters are removed, the rest is
/// folded and normalized, until nothing changes.
fn mapping(letter: char) -> Vec<char> {
    let mut mapped = vec![letter];
    loop {
        let next: Vec<char> =
            mapped.iter().copied().filter(|letter| !is_ignorable(*letter)).default_case_fold().nfkc().collect();
        if next == mapped {
            return mapped;
        }
        mapped = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables are those of the version that the rules name.
    #[test]
    fn the_tables_are_of_unicode_16() {
        assert_eq!(caseless::UNICODE_VERSION, (16, 0, 0));
        assert_eq!(unicode_normalization::UNICODE_VERSION, (16, 0, 0));
    }

    /// Rule 12: how a name is written tells nobody apart; an empty form tells of nobody.
    #[test]
    fn names_by_their_form() {
        for (one, other) in [
            ("Chen Jie", "CHEN  jie"),
            ("Straße", "STRASSE"),
            ("王芳", "王\u{200b}芳"),
            ("ﬁn", "FIN"),
            ("Ｃｈｅｎ", "chen"),
            ("Z\u{301}oe", "\u{179}oe"),
            ("A\u{3000}B", "a b"),
            ("\u{1e9e}", "ss"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ] {
            assert_eq!(Form::of(one), Form::of(other), "{one} and {other}");
            assert!(!Form::of(one).differs(&Form::of(other)));
        }
        for (one, other) in [("Wang", "Chen"), ("王芳", "王方"), ("\u{ad}", "\u{ad}"), ("\u{ad}", "Wang"), ("İ", "i")]
        {
            assert!(Form::of(one).differs(&Form::of(other)), "{one} and {other}");
        }
    }

    /// What Unicode calls white space is what the rules list, in every version of the compiler.
    #[test]
    fn white_space_is_the_listed() {
        let listed = |letter: char| matches!(u32::from(letter), 0x9..=0xd | 0x20 | 0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000);
        assert!(('\0'..=char::MAX).all(|letter| letter.is_whitespace() == listed(letter)));
    }
}
