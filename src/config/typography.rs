//! Whether quotes, dashes and ellipses are set as a printer does.

use serde::Deserialize;

/// How the words of an issue are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Typography {
    /// As they were typed.
    #[default]
    Plain,
    /// Quotes of the language, dashes for `--` and `---`, an ellipsis for `...`.
    Smart,
}

impl Typography {
    pub const ALL: [Typography; 2] = [Typography::Plain, Typography::Smart];

    /// The name in front matter and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Typography::Plain => "plain",
            Typography::Smart => "smart",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Typography> {
        Typography::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}
