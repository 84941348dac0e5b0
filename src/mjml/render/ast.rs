//! mrml's AST: the components that mrml draws, handed over while the body is written, drawn all at once.
//!
//! Promises: mrml is told every attribute that anybody gave a component, so that its own inheritance does
//! not count; text comes out byte for byte, and a value as it was written or, where mrml would spoil a
//! character, with a reference to it; what mrml has no place for is put in afterwards.
//! Leaves the layout around the components, the head, and everything mrml draws unlike mjml to us.

use std::collections::HashMap;
use std::fmt::Write;

use memchr::memmem::Finder;
use mrml::mj_body::{MjBody, MjBodyChild};
use mrml::mjml::{Mjml, MjmlAttributes, MjmlChildren};
use mrml::prelude::AttributeMap;
use mrml::prelude::render::{Error, RenderOptions};
use mrml::text::Text;

use crate::mjml::render::body::Part;
use crate::mjml::tree::File;

/// The pixels that mrml believes a component has: more than there are, as its attributes say the rest.
pub const ROOM: f64 = 8192.0;

/// A component for mrml to draw.
pub struct Drawing {
    component: MjBodyChild,
    /// Beginnings of tags, in their order, and the attributes that mrml leaves out there.
    missing: Vec<(&'static str, String)>,
}

impl Drawing {
    pub fn of(component: MjBodyChild) -> Drawing {
        Drawing {
            component,
            missing: Vec::new(),
        }
    }

    /// An attribute for the first tag that begins with `tag`, after other tags of earlier calls.
    pub fn with(mut self, tag: &'static str, name: &str, value: Option<&str>) -> Drawing {
        if let Some(value) = value {
            let attribute = format!(" {name}=\"{}\"", quoted(value));
            match self.missing.last_mut() {
                Some((last, attributes)) if *last == tag => attributes.push_str(&attribute),
                _ => self.missing.push((tag, attribute)),
            }
        }
        self
    }
}

/// The attributes of a component, for mrml. It has the defaults of the table itself.
pub fn attributes(part: &Part<'_>) -> AttributeMap {
    let mut attributes = AttributeMap::new();
    for (name, value) in part.attributes.given() {
        if attributes.contains_key(name) {
            continue;
        }
        let value = match name {
            // Comes into a style only, where nothing is spoiled, and is searched for the names of fonts.
            "font-family" => value.replace('"', "&quot;"),
            _ => quoted(value),
        };
        attributes.insert(name.to_owned(), Some(value));
    }
    attributes
}

/// Gives an attribute another value, or makes mrml believe that there is none.
pub fn change(attributes: &mut AttributeMap, name: &str, value: Option<String>) {
    match value {
        Some(value) => drop(attributes.insert(name.to_owned(), Some(value))),
        None => drop(attributes.remove(name)),
    }
}

/// Puts what mrml draws into the HTML written around it, each at its place.
pub fn draw(
    written: &str,
    drawings: Vec<(usize, Drawing)>,
    files: &[File],
) -> Result<String, Error> {
    let mark = mark(files);
    let mut components = Vec::with_capacity(drawings.len() * 2 + 1);
    let mut places = Vec::with_capacity(drawings.len());
    components.push(MjBodyChild::Text(Text::from(mark.as_str())));
    for (place, drawing) in drawings {
        places.push((place, drawing.missing));
        components.push(drawing.component);
        components.push(MjBodyChild::Text(Text::from(mark.as_str())));
    }
    let page = render(components)?;
    let marks = Finder::new(&mark);
    let starts = marks.find_iter(page.as_bytes()).map(|at| at + mark.len());
    let starts: Vec<usize> = starts.collect();
    let mut html = String::with_capacity(written.len() + page.len());
    let mut from = 0;
    for ((place, missing), between) in places.iter().zip(starts.windows(2)) {
        let mut drawn = &page[between[0]..between[1] - mark.len()];
        html.push_str(&written[from..*place]);
        from = *place;
        for (tag, attribute) in missing {
            if let Some(found) = drawn.find(tag) {
                let (before, after) = drawn.split_at(found + tag.len());
                html.push_str(before);
                html.push_str(attribute);
                drawn = after;
            }
        }
        html.push_str(drawn);
    }
    html.push_str(&written[from..]);
    Ok(html)
}

/// mrml renders whole pages only; of this one nothing but the components is of use.
fn render(components: Vec<MjBodyChild>) -> Result<String, Error> {
    let mut attributes = AttributeMap::new();
    attributes.insert("width".to_owned(), Some(format!("{ROOM}px")));
    let children = MjmlChildren {
        head: None,
        body: Some(MjBody::new(attributes, components)),
    };
    let options = RenderOptions {
        disable_comments: false,
        social_icon_origin: None,
        fonts: HashMap::new(),
    };
    Mjml::new(MjmlAttributes::default(), children).render(&options)
}

/// What stands in none of the files, to tell one component from the next.
fn mark(files: &[File]) -> String {
    (0_u32..)
        .map(|number| format!("\0{number}\0"))
        .find(|mark| {
            let finder = Finder::new(mark);
            !files
                .iter()
                .any(|file| finder.find(file.text.as_bytes()).is_some())
        })
        .expect("finite texts cannot hold every number")
}

/// A value as it may stand between quotes. mrml writes values as Rust would debug them; the characters
/// which that would escape become references, and `<`, so that a tag begins where one seems to.
fn quoted(value: &str) -> String {
    let plain = |octet: u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\' | b'<');
    if value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len() + 16);
    for c in value.chars() {
        match c {
            '"' => text.push_str("&quot;"),
            '<' => text.push_str("&lt;"),
            '\'' => text.push(c),
            _ if c.escape_debug().len() == 1 => text.push(c),
            _ => write!(text, "&#{};", u32::from(c)).expect("a string takes everything"),
        }
    }
    text
}
