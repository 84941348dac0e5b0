//! What is to be compiled, how, and for whom.
//!
//! Promises: a mail as the configuration wants it, until somebody wants it otherwise.

use crate::compile::press::{Mail, Options, Site};
use crate::config::Config;
use crate::config::privacy::Tracking;
use crate::config::typography::Typography;
use crate::issue::given::Titles;
use crate::publication::attic::Attic;
use crate::publication::folder::Folder;

/// What the author wrote the issue in.
pub(super) enum Written {
    Markdown(Vec<u8>),
    /// With the text part beside it, if there is one.
    Mjml(Vec<u8>, Option<Vec<u8>>),
}

impl Written {
    /// The name of its file.
    pub(super) fn file(&self) -> &'static str {
        match self {
            Written::Markdown(_) => "issue.md",
            Written::Mjml(..) => "issue.mjml",
        }
    }
}

/// What is to be compiled, and for whom.
pub(super) struct Order<'a> {
    pub(super) site: Site,
    pub(super) mail: Mail,
    pub(super) options: Options,
    /// Short name of the publication's list.
    pub(super) list: &'a str,
    /// The list it is sent to, whatever the issue says.
    pub(super) chosen: Option<&'a str>,
    /// What readers call the lists there are, if anybody asked.
    pub(super) titles: Option<&'a Titles>,
    /// The subject, whatever the issue says.
    pub(super) subject: Option<&'a str>,
    pub(super) slug: &'a str,
    pub(super) folder: &'a Folder,
    /// The images of an export, which stood elsewhere before.
    pub(super) attic: Option<&'a Attic>,
    /// The theme of an issue that names none.
    pub(super) theme: &'a str,
    /// That theme, whatever the issue says.
    pub(super) forced: bool,
    /// The publication's time zone.
    pub(super) zone: &'a str,
    /// How words are set where the issue does not say.
    pub(super) typography: Typography,
}

impl<'a> Order<'a> {
    /// A mail as the configuration wants it.
    pub(super) fn new(
        config: &'a Config,
        mail: Mail,
        slug: &'a str,
        folder: &'a Folder,
    ) -> Order<'a> {
        let counted = config.privacy.tracking != Tracking::Off;
        Order {
            site: site(config),
            mail,
            options: Options {
                clicks: config.tracking.clicks && counted,
                opens: config.tracking.opens && counted,
                annotate: false,
            },
            list: &config.publication.list,
            chosen: None,
            titles: None,
            subject: None,
            slug,
            folder,
            attic: None,
            theme: &config.publication.theme,
            forced: false,
            zone: &config.publication.timezone,
            typography: config.publication.typography,
        }
    }

    /// The same, with the places of its blocks or without.
    pub(super) fn annotated(mut self, annotate: bool) -> Order<'a> {
        self.options.annotate = annotate;
        self
    }
}

/// What the configuration says of the publication.
fn site(config: &Config) -> Site {
    let publication = &config.publication;
    Site {
        name: publication.name.clone(),
        url: publication.url.trim_end_matches('/').to_owned(),
        postal_address: publication.postal_address.clone(),
        language: publication.language.clone(),
    }
}
