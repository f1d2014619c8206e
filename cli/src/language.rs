//! The two languages people read.

use clap::ValueEnum;
use creel_protocol::workflow::Label;

/// A language of tables, sheets and explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    // No documentation here: clap would show it in place of a compact help.
    Zh,
    En,
}

impl Language {
    /// What the environment says, in the order in which POSIX looks.
    pub(crate) fn of_environment() -> Self {
        let value = ["LC_ALL", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
        Self::of_locale(value.into_iter().find(|value| !value.is_empty()).as_deref())
    }

    fn of_locale(locale: Option<&str>) -> Self {
        if locale.is_some_and(|locale| locale.starts_with("zh")) { Self::Zh } else { Self::En }
    }

    /// The one of two texts that is in this language.
    pub(crate) fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// The label's text in this language.
    pub(crate) fn label(self, label: &Label) -> &str {
        self.pick(&label.en, &label.zh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Chinese desktop gets Chinese tables without asking.
    #[test]
    fn locales() {
        for (locale, expect) in [
            (Some("zh_CN.UTF-8"), Language::Zh),
            (Some("zh"), Language::Zh),
            (Some("C.UTF-8"), Language::En),
            (Some("de_DE"), Language::En),
            (None, Language::En),
        ] {
            assert_eq!(Language::of_locale(locale), expect, "{locale:?}");
        }
    }
}
