//! The mails that are sent by themselves: which there are, and how an author looks at one.
//!
//! Promises: who names one by its path, or as `system/confirm`, sees it as its reader will, also where the
//! author's folder does not have it; it is never sent as an issue.

use std::path::Path;

use crate::compile::press::Mail;
use crate::config::Config;
use crate::issue::given::Titles;
use crate::publication::order::Order;
use crate::publication::{Asked, Previewed, Publication, made};

/// Each with what kind of mail it is.
const MAILS: [(&str, Mail); 10] = [
    ("confirm", Mail::Confirm),
    // A second address is confirmed as the first one was.
    ("address", Mail::Confirm),
    // To the address that a reader gave up; its link takes that back.
    ("moved", Mail::Confirm),
    // To the address from which one that was given up before takes the mail back: nothing is to be done there.
    ("back", Mail::Goodbye),
    // Of what her page alone does not do: its link is passed on with her mails.
    ("data", Mail::Confirm),
    ("erase", Mail::Confirm),
    // To a reader of a list, too, and with the same way out.
    ("probe", Mail::Welcome),
    ("welcome", Mail::Welcome),
    ("known", Mail::Welcome),
    ("goodbye", Mail::Goodbye),
];

/// What kind of mail a system mail is; none where there is no such mail.
pub(super) fn mail_of(kind: &str) -> Option<Mail> {
    let found = MAILS.iter().find(|(known, _)| *known == kind);
    found.map(|(_, mail)| *mail)
}

/// The names of all, for a sentence.
pub(super) fn names() -> String {
    let names = MAILS.map(|(kind, _)| format!("`{kind}`"));
    names.join(", ")
}

/// Compiles what an author looks at: an issue for its list, or a system mail; with the places of its blocks
/// or without.
pub fn shown(
    config: &Config,
    emails: &Path,
    name: &str,
    (list, titles): (Option<&str>, &Titles),
    annotate: bool,
) -> anyhow::Result<Previewed> {
    let publication = Publication::load(emails)?;
    let Some((kind, mail)) = publication.system_mail(name) else {
        let asked = Asked {
            list,
            titles,
            subject: None,
        };
        return made(config, emails, name, asked, annotate);
    };
    let folder = publication.folder(&format!("system/{kind}"));
    publication.build(&Order::new(config, mail, kind, &folder).annotated(annotate))
}

impl Publication {
    /// The system mail that `name` means, if it means one.
    pub(super) fn system_mail(&self, name: &str) -> Option<(&'static str, Mail)> {
        // A slug is that of an issue.
        if !name.contains(['/', '\\', '.']) {
            return None;
        }
        let path = Path::new(name);
        let file = path.file_name().is_some_and(|file| file == "issue.md");
        let folder = match path.parent().filter(|_| file) {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => path,
        };
        let home = self.emails.join("system");
        let kind = match (folder.canonicalize(), home.canonicalize()) {
            (Ok(folder), Ok(home)) if folder.parent() == Some(home.as_path()) => {
                folder.file_name()?.to_str()?.to_owned()
            }
            (Ok(_), _) => return None,
            (Err(_), _) => name.strip_prefix("system/")?.to_owned(),
        };
        MAILS.into_iter().find(|(known, _)| *known == kind)
    }
}
