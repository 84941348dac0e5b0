//! The demo's readers: made up, the same every time, on domains that nobody can own.

use std::fmt::Write;
use std::path::Path;

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
pub(crate) fn write_readers(file: &Path, number: u32) -> std::io::Result<()> {
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
    std::fs::write(file, text)
}
