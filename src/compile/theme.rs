//! A theme: `theme.toml`, `layout.mjml` and its partials, as one snapshot.
//!
//! Promises: templates see what they are given and the snapshot's other files, nothing else; an unknown
//! name is an error; a template that never ends is stopped. What is not marked as markup is escaped.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::ErrorKind;
use minijinja::value::{Value, merge_maps};

use crate::compile::theme::engine::{Engine, Templates, templates};
use crate::compile::theme::look::{Look, Words};
use crate::compile::theme::trace::Marks;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};

mod engine;
pub mod inspect;
mod literal;
pub mod look;
pub mod tokens;
pub(crate) mod trace;
pub mod words;

/// A theme with its files.
#[derive(Clone, Debug)]
pub struct Theme {
    pub name: String,
    /// By path within its folder.
    pub files: Arc<BTreeMap<String, String>>,
    pub look: Arc<Look>,
    engine: Arc<Engine>,
    /// Whether the language is written from right to left.
    rtl: bool,
}

impl Theme {
    /// A theme of these files; it needs `theme.toml` and `layout.mjml`.
    pub fn new(name: &str, files: BTreeMap<String, String>) -> Result<Theme, Diagnostic> {
        let engine = match Engine::kept(&files) {
            Some(engine) => engine,
            None => {
                let look = Arc::new(look(name, &files)?);
                let engine = Arc::new(Engine::new(files, look));
                Engine::keep(&engine);
                engine
            }
        };
        Ok(Theme::of(name, engine))
    }

    fn of(name: &str, engine: Arc<Engine>) -> Theme {
        Theme {
            name: name.to_owned(),
            files: Arc::clone(&engine.files),
            look: Arc::clone(&engine.look),
            engine,
            rtl: false,
        }
    }

    /// The same theme with another text of the file `path`, which is one of its components.
    pub(super) fn with(&self, path: &str, text: String) -> Theme {
        let mut files = BTreeMap::clone(&self.files);
        files.insert(path.to_owned(), text);
        let engine = Arc::new(Engine::new(files, Arc::clone(&self.look)));
        Theme {
            rtl: self.rtl,
            ..Theme::of(&self.name, engine)
        }
    }

    /// The theme for the language (BCP 47) of an issue, or else for its publication's, `home`: its styles face the right
    /// way, and it says its words in it, those that it knows.
    #[must_use]
    pub fn for_language(mut self, language: Option<&str>, home: &str) -> Theme {
        let language = language.unwrap_or(home);
        self.rtl = direction(language) == "rtl";
        if let Some((words, _)) = self.spoken(language, home)
            && words != self.look.words
        {
            self.look = Arc::new(Look {
                words,
                ..Look::clone(&self.look)
            });
        }
        self
    }

    /// Which of its own words it does not know in this language, by their keys.
    pub(super) fn lacks(&self, language: &str, home: &str) -> Vec<&'static str> {
        match self.spoken(language, home) {
            Some((_, lacking)) => lacking,
            None => Words::keys(),
        }
    }

    /// Its words in a language, and which of them are none of it: `[words]` in their own one, else those that every theme
    /// has, with what `[words.xx]` says otherwise. Where `[words]` names no language, what its author has written there
    /// instead of the English that comes along is in the publication's.
    fn spoken(&self, language: &str, home: &str) -> Option<(Words, Vec<&'static str>)> {
        let look = &self.look;
        let primary = words::primary(language);
        let own = match look.language.as_str() {
            "" => words::ENGLISH.to_owned(),
            own => words::primary(own),
        };
        let mut said = BTreeMap::new();
        if look.language.is_empty() {
            said = look.words.unlike(words::shipped());
            let is_home = words::primary(home) == primary;
            // English has its own instead of the publication's.
            let english = words::of(words::ENGLISH).filter(|_| !is_home);
            let english = english.map(|words| words.unlike(&[]));
            said.retain(|_, _| is_home || own == primary);
            for (key, text) in &mut said {
                if let Some(english) = english.as_ref().and_then(|words| words.get(key)) {
                    text.clone_from(english);
                }
            }
        }
        let changed = look.translated.get(&language.to_ascii_lowercase());
        let changed = changed.or_else(|| look.translated.get(&primary));
        said.extend(
            changed
                .into_iter()
                .flatten()
                .map(|(key, text)| (*key, text.clone())),
        );
        let base = match own == primary {
            true => Some(&look.words),
            false => words::of(&primary),
        };
        if let Some(base) = base {
            return Some((base.with(&said), Vec::new()));
        }
        let mut lacking = Words::keys();
        lacking.retain(|key| !said.contains_key(key));
        (!said.is_empty()).then(|| (look.words.with(&said), lacking))
    }

    /// The side on which lines begin.
    pub(crate) fn start(&self) -> &'static str {
        if self.rtl { "right" } else { "left" }
    }

    /// For code, which is written from left to right wherever it stands; with a blank before.
    pub(crate) fn code_direction(&self) -> &'static str {
        if self.rtl { " dir=\"ltr\"" } else { "" }
    }

    /// Writes the opening tag with the theme's style for it, and with `attributes`, each after a blank.
    pub(crate) fn open(&self, out: &mut String, tag: &str, attributes: &str) {
        self.open_as(out, tag, tag, attributes);
    }

    /// The same with the style that the theme gives under another name.
    pub(crate) fn open_as(&self, out: &mut String, tag: &str, style: &str, attributes: &str) {
        let styles = &self.engine.direction(self.rtl).styles;
        let style = styles.get(style).map_or("", String::as_str);
        for part in ["<", tag, attributes, style, ">"] {
            out.push_str(part);
        }
    }

    /// The theme's own files of components, in the order in which [`Origin::file`] counts them.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        templates(&self.files)
    }

    /// Marks for a rendering that puts `texts` into the theme's templates.
    pub(crate) fn marks<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Marks {
        let marks = Marks::unlike(texts);
        match self.engine.templates() {
            Ok(templates) => marks.behind(&templates.origins),
            Err(_) => marks,
        }
    }

    /// Renders `layout.mjml` with `context`. What comes out holds the marks that `marks` takes out again.
    pub(crate) fn layout(&self, context: &Value, marks: &Marks) -> Result<String, Diagnostic> {
        let tokens = &self.engine.direction(self.rtl).tokens;
        let context = &merge_maps([context.clone(), tokens.clone()]);
        let unmarked;
        let templates = match marks.is_off() {
            false => self.engine.templates(),
            true => {
                unmarked = Templates::of(&self.files, marks.clone());
                unmarked.as_ref()
            }
        };
        let templates = templates.map_err(|error| self.diagnostic(error, context))?;
        let layout = templates.environment.get_template("layout.mjml");
        layout
            .and_then(|layout| layout.render(context))
            .map_err(|error| self.diagnostic(&error, context))
    }

    /// A template's error at its place; the names of `context` are what may have been meant.
    fn diagnostic(&self, error: &minijinja::Error, context: &Value) -> Diagnostic {
        let path = error.name().unwrap_or("layout.mjml");
        let file = format!("themes/{}/{path}", self.name);
        let mut message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        let (Some(line), Some(text)) = (error.line(), self.files.get(path)) else {
            return Diagnostic::about(Severity::Error, "theme", &file, message);
        };
        // Marks stand within lines only, so the engine's lines are the author's; its offsets are not.
        let before: usize = text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let shown = text[before..].lines().next().unwrap_or_default();
        let expression = error
            .range()
            .zip(error.template_source())
            .and_then(|(range, source)| source.get(range))
            .filter(|expression| !expression.is_empty() && shown.contains(expression));
        let blank = shown.len() - shown.trim_start().len();
        let at = expression.and_then(|expression| shown.find(expression));
        let source = Source { file: &file, text };
        let (offset, length) = (before + at.unwrap_or(blank), expression.map_or(1, str::len));
        let undefined = error.kind() == ErrorKind::UndefinedError;
        if undefined && let Some(expression) = expression {
            message = format!("`{expression}` is not given to this theme");
        }
        let finding = source.at(Severity::Error, offset, length, "theme", message);
        let known = context.try_iter().into_iter().flatten();
        let mut known: Vec<String> = known.map(|key| key.to_string()).collect();
        known.extend(self.look.tokens.paths());
        let meant = expression.filter(|_| undefined).and_then(|expression| {
            let known = || known.iter().map(String::as_str);
            let last = expression.rsplit('.').next();
            let bare = known().find(|known| Some(*known) == last && *known != expression);
            bare.or_else(|| nearest(expression, known()))
        });
        match meant {
            Some(meant) => finding.help(format!("did you mean `{meant}`?")),
            None => finding,
        }
    }
}

/// What `theme.toml` says; the theme must have a layout, too.
fn look(name: &str, files: &BTreeMap<String, String>) -> Result<Look, Diagnostic> {
    let toml = format!("themes/{name}/theme.toml");
    let missing = |file: &str| {
        let file = format!("themes/{name}/{file}");
        Diagnostic::about(Severity::Error, "theme", &file, "the theme lacks this file")
    };
    let text = files.get("theme.toml");
    let text = text.ok_or_else(|| missing("theme.toml"))?;
    let look = Look::read(Source { file: &toml, text }).map_err(|mut found| found.remove(0))?;
    match files.contains_key("layout.mjml") {
        true => Ok(look),
        false => Err(missing("layout.mjml")),
    }
}

/// HTML's `dir` for a language.
pub(crate) fn direction(language: &str) -> &'static str {
    match language.split('-').next().unwrap_or_default() {
        "ar" | "dv" | "fa" | "he" | "ps" | "sd" | "ug" | "ur" | "yi" => "rtl",
        _ => "ltr",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use minijinja::context;
    use minijinja::value::Value;

    use super::Theme;

    const WORDS: &str = "[words]\nview = \"\"\nunsubscribe = \"\"\npreferences = \"\"\nshare = \"\"\nauthors = \"\"\n\
        code = \"\"\nuntil = \"\"\noffer = \"\"\nnotes = \"\"\nimage = \"\"\nwhy = \"\"\n";

    fn theme(layout: &str) -> Theme {
        let files = [
            ("theme.toml".to_owned(), WORDS.to_owned()),
            ("layout.mjml".to_owned(), layout.to_owned()),
            ("part.mjml".to_owned(), "part {{ a }}".to_owned()),
        ];
        Theme::new("plain", BTreeMap::from(files)).expect("a theme")
    }

    fn rendered(layout: &str) -> Result<String, String> {
        let context =
            context! { a => "<b> & https://a", m => Value::from_safe_string("<i>".into()) };
        let theme = theme(layout);
        let marks = theme.marks(std::iter::empty());
        let rendered = theme.layout(&context, &marks);
        rendered
            .map(|rendered| marks.trace(&rendered).0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_escaped_and_markup_is_not() {
        assert_eq!(
            rendered("{{ a }} {{ m }} {% include \"part.mjml\" %}").as_deref(),
            Ok("&lt;b&gt; &amp; https://a <i> part &lt;b&gt; &amp; https://a")
        );
    }

    #[test]
    fn a_template_reaches_nothing_but_its_snapshot_and_is_stopped_when_it_runs_away() {
        for (layout, expected) in [
            (
                "\n {{ env }}",
                "themes/plain/layout.mjml:2:5: error[theme]: `env` is not given to this theme",
            ),
            ("{{ a.b }}", "error[theme]: `a.b` is not given"),
            (
                "<a> {{ mm }}",
                "1:8: error[theme]: `mm` is not given to this theme\n    help: did you mean `m`?",
            ),
            (
                "{% include \"/etc/passwd\" %}",
                "error[theme]: template not found",
            ),
            (
                "{% include \"theme.toml\" %}",
                "error[theme]: template not found",
            ),
            (
                "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
                "out of fuel",
            ),
            ("{% if %}", "layout.mjml:1:7: error[theme]: syntax error"),
        ] {
            let error = rendered(layout).expect_err(layout);
            assert!(error.contains(expected), "{layout}: {error}");
        }
    }

    #[test]
    fn a_theme_lacking_a_file_or_a_word_is_refused() {
        let error = Theme::new("bare", BTreeMap::new()).expect_err("an error");
        assert_eq!(
            error.to_string(),
            "themes/bare/theme.toml: error[theme]: the theme lacks this file"
        );
        let files =
            BTreeMap::from([("theme.toml".to_owned(), "[words]\nveiw = \"\"\n".to_owned())]);
        let error = Theme::new("bare", files).expect_err("an error").to_string();
        assert!(
            error.contains("theme.toml:2:1: error[theme]: `veiw` is not a word of a theme"),
            "{error}"
        );
    }
}
