//! What of a configuration with an error in it is needed to stop a run, or to look at one: the database and the paths.
//!
//! Promises: no error elsewhere in the file or in the environment keeps a person from it. Of all other settings nothing
//! is taken: what reads them sees the defaults, a publication of no name and a relay that is none.

use std::path::Path;

use super::Config;

/// The sections that are read.
const SECTIONS: [&str; 2] = ["database", "paths"];
/// What a whole configuration needs besides.
const REST: &str = "[publication]\nname = \"-\"\nurl = \"http://localhost\"\npostal_address = \"-\"\n\
    [from]\naddress = \"nobody@localhost.invalid\"\n[relay.none]\nurl = \"smtp://localhost\"\n[send]\nrelay = \"none\"\n";

impl Config {
    /// The database and the paths that the file at `path` and the environment name, and nothing else.
    pub fn to_control(path: &Path) -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(path)?;
        let wanted = |name: &String| {
            let sections = SECTIONS.map(|section| format!("PRESSRUN_{}__", section.to_uppercase()));
            sections.iter().any(|start| name.starts_with(start))
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| wanted(name));
        let file = path.file_name().unwrap_or(path.as_os_str());
        let text = format!("{}\n{REST}", sections(&text));
        Ok(Config::parse(&text, &file.to_string_lossy(), environment)?.0)
    }
}

/// The lines of the wanted sections, whatever stands around them; of what stands above all sections, their keys.
fn sections(text: &str) -> String {
    let mut kept = String::new();
    let mut section = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let bare = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = bare
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = Some(name.trim().to_owned());
        }
        let own = |name: &str| SECTIONS.contains(&name);
        let wanted = match &section {
            Some(name) => own(name),
            None => own(bare.split(['.', '=']).next().unwrap_or_default().trim()),
        };
        if wanted {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn the_database_and_the_paths_are_found_beside_whatever_is_wrong() {
        let text = "database.connections = 2 # above all\nbroken = [\n[publication]\nname = \"un\n\
            [ database ] # here\nurl = \"sqlite:a.db\"\n\n[relay.main]\nurl = [\"x\", # [paths]\n]\n\
            [paths]\nkeyring = \"k.toml\"\n[[x]]\nkeyring = 3\n";
        assert_eq!(
            sections(text),
            "database.connections = 2 # above all\n[ database ] # here\nurl = \"sqlite:a.db\"\n\n\
             [paths]\nkeyring = \"k.toml\"\n"
        );
    }
}
