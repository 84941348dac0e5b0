//! The settings of the archive, and who may read an issue in it.

use serde::Deserialize;

/// What anyone may read of the issues that were sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Who may read an issue that does not say so itself.
    pub issues: Visibility,
}

/// Who may read an issue in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone: it stands in the index, in the feeds and in the site map.
    Public,
    /// Whoever knows its address, which is not to be guessed.
    Unlisted,
    Never,
}

impl Visibility {
    pub const ALL: [Visibility; 3] = [Visibility::Public, Visibility::Unlisted, Visibility::Never];

    /// The name in front matter, in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Unlisted => "unlisted",
            Visibility::Never => "never",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Visibility> {
        Visibility::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}
