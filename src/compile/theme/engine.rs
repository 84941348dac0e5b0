//! A theme's files made ready: read once, however many issues are made of them.
//!
//! Promises: the same files give the same engine, and other files another one, whatever the theme is
//! called; the last few are kept. What is wrong in a template is told when it is rendered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::compile::escape::escape_html;
use crate::compile::theme::look::Look;
use crate::compile::theme::trace::{Marks, Origin};
use crate::lock::lock;

/// Instructions of one rendering. The digest theme needs about 10,000 for eleven items.
pub(super) const FUEL: u64 = 1_000_000;
/// A publication has a theme or two.
const KEPT: usize = 4;

static ENGINES: Mutex<VecDeque<Arc<Engine>>> = Mutex::new(VecDeque::new());

/// The files of a theme by path within its folder.
pub(super) type Files = BTreeMap<String, String>;

/// What can be made of a theme before any issue is there.
pub(super) struct Engine {
    pub(super) files: Arc<Files>,
    pub(super) look: Arc<Look>,
    templates: OnceLock<Result<Templates, minijinja::Error>>,
    /// In the direction of the language: from left to right, from right to left.
    directions: [OnceLock<Direction>; 2],
}

/// The templates of a theme, and where their marks lead.
pub(super) struct Templates {
    pub(super) environment: Environment<'static>,
    pub(super) origins: Arc<[Origin]>,
}

/// What depends on the direction in which lines run.
pub(super) struct Direction {
    /// The tokens as templates see them.
    pub(super) tokens: Value,
    /// The `style` attribute of a tag by the name of its style, with the blank before it.
    pub(super) styles: BTreeMap<String, String>,
}

impl Engine {
    /// The engine of these files, if it was needed lately.
    pub(super) fn kept(files: &Files) -> Option<Arc<Engine>> {
        let engines = lock(&ENGINES);
        let mut same = engines.iter().filter(|engine| *engine.files == *files);
        same.next().cloned()
    }

    /// Keeps an engine for the next issue.
    pub(super) fn keep(engine: &Arc<Engine>) {
        let mut engines = lock(&ENGINES);
        engines.truncate(KEPT - 1);
        engines.push_front(Arc::clone(engine));
    }

    pub(super) fn new(files: Files, look: Arc<Look>) -> Engine {
        Engine {
            files: Arc::new(files),
            look,
            directions: [OnceLock::new(), OnceLock::new()],
            templates: OnceLock::new(),
        }
    }

    pub(super) fn direction(&self, rtl: bool) -> &Direction {
        self.directions[usize::from(rtl)].get_or_init(|| Direction::of(&self.look, rtl))
    }

    /// The templates with their marks.
    pub(super) fn templates(&self) -> Result<&Templates, &minijinja::Error> {
        let templates = self.templates.get_or_init(|| {
            let texts = self.files.values().map(String::as_str);
            Templates::of(&self.files, Marks::unlike(texts))
        });
        templates.as_ref()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Templates {
    /// The templates among `files`, with `marks` in them.
    pub(super) fn of(files: &Files, mut marks: Marks) -> Result<Templates, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // An error names the expression at fault.
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(|out, _, value| {
            // minijinja's own escaping also writes `/` as a reference, which would hurt every URL.
            match value.as_str() {
                Some(markup) if value.is_safe() => out.write_str(markup)?,
                Some(text) => out.write_str(&escape_html(text))?,
                None if value.is_safe() => write!(out, "{value}")?,
                None if value.is_none() => {}
                None => out.write_str(&escape_html(&value.to_string()))?,
            }
            Ok(())
        });
        for (number, (path, text)) in templates(files).enumerate() {
            environment.add_template_owned(path.to_owned(), marks.template(number, text))?;
        }
        Ok(Templates {
            environment,
            origins: marks.into_origins(),
        })
    }
}

/// The files of components, in the order in which [`Origin::file`] counts them.
pub(super) fn templates(files: &Files) -> impl Iterator<Item = (&str, &str)> {
    let files = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(|(path, _)| path.ends_with(".mjml"))
}

impl Direction {
    fn of(look: &Look, rtl: bool) -> Direction {
        let styles = if rtl { &look.turned } else { &look.style };
        let attribute = |(name, style): (&String, &String)| {
            (name.clone(), format!(" style=\"{}\"", escape_html(style)))
        };
        Direction {
            tokens: look.tokens.values(rtl),
            styles: styles.iter().map(attribute).collect(),
        }
    }
}
