//! Writing HTML: tags, attributes, style declarations, conditional comments for Outlook.
//!
//! Promises: text given as HTML comes out byte for byte; a value never ends its attribute; neighbouring
//! conditional comments of ours become one.

use std::fmt::{Arguments, Write};

use crate::mjml::render::ast::Drawing;
use crate::mjml::render::attributes::Attributes;

/// Tags before which a line break changes nothing that is seen.
const ON_A_LINE: [&str; 6] = ["body", "div", "table", "tr", "td", "p"];
const OUTLOOK: &str = "<!--[if mso | IE]>";
const END: &str = "<![endif]-->";

/// HTML that is being written.
#[derive(Default)]
pub struct Html {
    text: String,
    /// Where our last comment for Outlook ended.
    outlook_ended: Option<usize>,
    /// What mrml draws, and where in the text.
    drawings: Vec<(usize, Drawing)>,
}

impl Html {
    pub fn with_capacity(octets: usize) -> Html {
        Html {
            text: String::with_capacity(octets),
            outlook_ended: None,
            drawings: Vec::new(),
        }
    }

    /// What was written, and what mrml draws at which places in it.
    pub fn into_parts(self) -> (String, Vec<(usize, Drawing)>) {
        (self.text, self.drawings)
    }

    /// Leaves this place to mrml.
    pub fn hand_over(&mut self, drawing: Drawing) {
        self.text.push('\n');
        self.outlook_ended = None;
        self.drawings.push((self.text.len(), drawing));
    }

    /// Begins a tag; [`Tag::done`] or [`Tag::void`] ends it.
    pub fn open(&mut self, name: &str) -> Tag<'_> {
        if ON_A_LINE.contains(&name) {
            self.text.push('\n');
        }
        self.text.push('<');
        self.text.push_str(name);
        Tag {
            text: &mut self.text,
        }
    }

    /// A table that is there for the layout only.
    pub fn open_table(&mut self) -> Tag<'_> {
        self.open("table")
            .set("border", "0")
            .set("cellpadding", "0")
            .set("cellspacing", "0")
            .set("role", "presentation")
    }

    pub fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// HTML as it is.
    pub fn raw(&mut self, html: &str) {
        self.text.push_str(html);
    }

    /// What follows is for Outlook (and Internet Explorer) only.
    pub fn outlook(&mut self) {
        let written = self.text.trim_end().len();
        if self.outlook_ended == Some(written) {
            self.text.truncate(written - END.len());
        } else {
            self.text.push('\n');
            self.text.push_str(OUTLOOK);
        }
    }

    pub fn outlook_end(&mut self) {
        self.text.push_str(END);
        self.outlook_ended = Some(self.text.len());
    }

    /// HTML for Outlook only.
    pub fn for_outlook(&mut self, html: &str) {
        self.outlook();
        self.raw(html);
        self.outlook_end();
    }
}

/// A tag that is open for attributes.
#[must_use]
pub struct Tag<'h> {
    text: &'h mut String,
}

impl<'h> Tag<'h> {
    pub fn set(self, name: &str, value: impl Value) -> Tag<'h> {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        value.write(self.text);
        self.text.push('"');
        self
    }

    pub fn may(self, name: &str, value: Option<impl Value>) -> Tag<'h> {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sets attributes of the same name as the component's own, where it has them.
    pub fn take(mut self, attributes: &Attributes<'_>, names: &[&str]) -> Tag<'h> {
        for name in names {
            self = self.may(name, attributes.get(name));
        }
        self
    }

    pub fn style(self) -> Css<'h> {
        Css {
            text: self.text,
            begun: false,
        }
    }

    pub fn done(self) {
        self.text.push('>');
    }

    pub fn void(self) {
        self.text.push_str(" />");
    }
}

/// A style attribute that is being written. Without a declaration there is no attribute.
#[must_use]
pub struct Css<'h> {
    text: &'h mut String,
    begun: bool,
}

impl<'h> Css<'h> {
    pub fn set(mut self, name: &str, value: impl Value) -> Css<'h> {
        if !self.begun {
            self.text.push_str(" style=\"");
            self.begun = true;
        }
        self.text.push_str(name);
        self.text.push(':');
        value.write(self.text);
        self.text.push(';');
        self
    }

    pub fn may(self, name: &str, value: Option<impl Value>) -> Css<'h> {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Declares the properties that the component has as attributes of the same name.
    pub fn take(mut self, attributes: &Attributes<'_>, names: &[&str]) -> Css<'h> {
        for name in names {
            self = self.may(name, attributes.get(name));
        }
        self
    }

    /// Declares what `<prefix>padding` and its four sides say.
    pub fn padding(mut self, attributes: &Attributes<'_>, prefix: &str) -> Css<'h> {
        for name in [
            "padding",
            "padding-top",
            "padding-right",
            "padding-bottom",
            "padding-left",
        ] {
            let value = match prefix {
                "" => attributes.get(name),
                _ => attributes.get(&format!("{prefix}{name}")),
            };
            self = self.may(name, value);
        }
        self
    }

    pub fn end(self) -> Tag<'h> {
        if self.begun {
            self.text.push('"');
        }
        Tag { text: self.text }
    }

    pub fn done(self) {
        self.end().done();
    }
}

/// What can stand between quotes. Texts are most of them and need no formatting.
pub trait Value {
    /// Writes it. Character references were written by the author and stay.
    fn write(&self, text: &mut String);
}

impl Value for str {
    fn write(&self, text: &mut String) {
        let mut rest = self;
        while let Some(at) = memchr::memchr(b'"', rest.as_bytes()) {
            text.push_str(&rest[..at]);
            text.push_str("&quot;");
            rest = &rest[at + 1..];
        }
        text.push_str(rest);
    }
}

impl Value for String {
    fn write(&self, text: &mut String) {
        self.as_str().write(text);
    }
}

impl Value for Arguments<'_> {
    fn write(&self, text: &mut String) {
        Quoted(text)
            .write_fmt(*self)
            .expect("a string takes everything");
    }
}

impl Value for f64 {
    fn write(&self, text: &mut String) {
        write!(text, "{self}").expect("a string takes everything");
    }
}

impl<T: Value + ?Sized> Value for &T {
    fn write(&self, text: &mut String) {
        (**self).write(text);
    }
}

struct Quoted<'t>(&'t mut String);

impl Write for Quoted<'_> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        part.write(self.0);
        Ok(())
    }
}
