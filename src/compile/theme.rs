//! A theme: `theme.toml`, `layout.mjml` and its partials, as one snapshot.
//!
//! Promises: templates see what they are given and the snapshot's other files, nothing else; an unknown
//! name is an error; a template that never ends is stopped. What is not marked as markup is escaped.

use std::collections::BTreeMap;

use minijinja::value::{Value, merge_maps};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use crate::compile::escape::escape_html;
use crate::compile::theme::look::Look;
use crate::compile::theme::trace::Marks;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};

pub mod inspect;
mod literal;
pub mod look;
pub mod tokens;
pub(crate) mod trace;

/// Instructions of one rendering. The digest theme needs about 10,000 for eleven items.
const FUEL: u64 = 1_000_000;

/// The files of one theme by path within its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    pub name: String,
    pub files: BTreeMap<String, String>,
    pub look: Look,
    /// Whether the language is written from right to left.
    rtl: bool,
}

impl Theme {
    /// A theme of these files; it needs `theme.toml` and `layout.mjml`.
    pub fn new(name: &str, files: BTreeMap<String, String>) -> Result<Theme, Diagnostic> {
        let toml = format!("themes/{name}/theme.toml");
        let missing = |file: &str| {
            let file = format!("themes/{name}/{file}");
            Diagnostic::about(Severity::Error, "theme", &file, "the theme lacks this file")
        };
        let text = files
            .get("theme.toml")
            .ok_or_else(|| missing("theme.toml"))?;
        let look = Look::read(Source { file: &toml, text }).map_err(|mut found| found.remove(0))?;
        if !files.contains_key("layout.mjml") {
            return Err(missing("layout.mjml"));
        }
        Ok(Theme {
            name: name.to_owned(),
            files,
            look,
            rtl: false,
        })
    }

    /// The theme for a language (BCP 47): its styles face the right way.
    #[must_use]
    pub fn for_language(mut self, language: &str) -> Theme {
        self.rtl = direction(language) == "rtl";
        self
    }

    /// The side on which lines begin.
    pub(crate) fn start(&self) -> &'static str {
        if self.rtl { "right" } else { "left" }
    }

    /// The opening tag with the theme's style for it.
    pub(crate) fn open(&self, tag: &str) -> String {
        self.open_as(tag, tag)
    }

    /// The opening tag with the style that the theme gives under another name.
    pub(crate) fn open_as(&self, tag: &str, style: &str) -> String {
        let styles = match self.rtl {
            true => &self.look.turned,
            false => &self.look.style,
        };
        match styles.get(style) {
            Some(style) => format!("<{tag} style=\"{}\">", escape_html(style)),
            None => format!("<{tag}>"),
        }
    }

    /// The theme's own files of components, in the order in which [`Origin::file`] counts them.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(|(path, _)| path.ends_with(".mjml"))
    }

    /// Renders `layout.mjml` with `context`. What comes out holds the marks that `marks` takes out again.
    pub(crate) fn layout(&self, context: &Value, marks: &mut Marks) -> Result<String, Diagnostic> {
        let context = &merge_maps([context.clone(), self.look.tokens.values(self.rtl)]);
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // An error names the expression at fault.
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(|out, _, value| {
            // minijinja's own escaping also writes `/` as a reference, which would hurt every URL.
            if value.is_safe() {
                write!(out, "{value}")?;
            } else if !value.is_none() {
                out.write_str(&escape_html(&value.to_string()))?;
            }
            Ok(())
        });
        for (number, (path, text)) in self.templates().enumerate() {
            environment
                .add_template_owned(path.to_owned(), marks.template(number, text))
                .map_err(|error| self.diagnostic(&error, context))?;
        }
        environment
            .get_template("layout.mjml")
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
        let meant = expression
            .filter(|_| undefined)
            .and_then(|expression| nearest(expression, known.iter().map(String::as_str)));
        match meant {
            Some(meant) => finding.help(format!("did you mean `{meant}`?")),
            None => finding,
        }
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
    use super::trace::Marks;

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
        let mut marks = Marks::unlike(std::iter::empty());
        let rendered = theme(layout).layout(&context, &mut marks);
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
