//! The demo's readers: made up, the same every time, on domains that nobody can own.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;

use crate::cli::output::private_file;

const GIVEN: [&str; 16] = [
    "Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "John", "Margaret",
    "Niklaus", "Radia", "Tim", "Sophie", "Zoë", "Jörg", "美咲",
];
const FAMILY: [&str; 12] = [
    "Abel", "Brook", "Castle", "Dune", "Elm", "Field", "Grove", "Hill", "Isle", "Jasper", "Kiln",
    "Lake",
];
const DOMAINS: [&str; 4] = ["example.com", "example.net", "mail.example", "post.example"];

/// Writes `number` rows and two bad ones. The sink reads from the address what its mailbox does: every
/// fiftieth says 450 the first time, every hundredth does not exist.
pub(crate) fn write_readers(file: &Path, number: u32) -> anyhow::Result<()> {
    let mut text = String::from("email,name,first_name\n");
    for reader in 1..=number {
        let index = reader as usize;
        let given = GIVEN[index % GIVEN.len()];
        let family = FAMILY[index / GIVEN.len() % FAMILY.len()];
        let domain = DOMAINS[index % DOMAINS.len()];
        let script = match reader % 100 {
            10 | 60 => "+grey-1",
            30 => "+550-5.1.1",
            _ => "",
        };
        // Every fourth gave no first name: the mail greets with the default.
        let first = if reader % 4 == 0 { "" } else { given };
        // A String takes whatever is written.
        writeln!(
            text,
            "reader{reader}{script}@{domain},{given} {family},{first}"
        )
        .ok();
    }
    text.push_str("no-address-at-all,Nobody,\nsomeone@,Someone,\n");
    private_file(file)?.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::write_readers;

    #[test]
    fn the_readers_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("readers.csv");
        write_readers(&file, 3).expect("a file");
        let mode = std::fs::metadata(&file)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).expect("text");
        assert_eq!(text.lines().count(), 1 + 3 + 2);
    }
}
