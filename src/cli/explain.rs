//! The pages of the lints, as the documentation has them.

use anyhow::bail;
use rust_embed::RustEmbed;

use crate::cli::{Exit, output};
use crate::lint;

#[derive(RustEmbed)]
#[folder = "docs/lints/"]
struct Pages;

/// Prints the page of the lint `code`.
pub(super) fn run(code: &str) -> anyhow::Result<Exit> {
    let Some(found) = lint::find(code) else {
        match lint::near(code) {
            Some(near) => bail!("there is no lint `{code}`; did you mean `{near}`?"),
            None => bail!(
                "there is no lint `{code}`; what the compiler refuses cannot be switched off and says \
                 itself what to do. There are: {}",
                lint::CATALOGUE
                    .iter()
                    .map(|lint| lint.code)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    };
    let page = Pages::get(&format!("{}.md", found.code));
    let page = page.expect("a test finds a page for each code of the catalogue");
    output::print(&String::from_utf8_lossy(&page.data))?;
    Ok(Exit::Done)
}
