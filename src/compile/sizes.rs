//! Width and height of every image in the finished page, so that nothing jumps while it loads.
//!
//! Promises: an image whose proportions are known has both; what a layout says is not changed. Leaves the
//! width to the layout, which knows its columns.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

use crate::compile::Image;
use crate::compile::escape::escape_html;
use crate::compile::image::double;
use crate::compile::placeholder::Placeholders;
use crate::compile::press::Press;
use crate::issue::block::Picture;

/// CSS pixels of the widest mail, for an image of which no layout says how wide it is.
const WIDTH_LIMIT: u32 = 600;

/// What is known of an image by its address.
struct Known {
    width: u32,
    height: u32,
    /// Address of the variant with twice the pixels.
    twice: Option<String>,
}

impl Press<'_> {
    /// Adds the height to each image of ours, and the variant for dense screens. An image that is nowhere on
    /// the web is told: a theme may name one by its file.
    pub(super) fn with_sizes(&mut self, html: &str, places: &Placeholders) -> String {
        let known = self.known_images();
        let mut lost = Vec::new();
        let mut out = String::with_capacity(html.len());
        let mut rest = html;
        let images = Finder::new("<img ");
        while let Some(at) = images.find(rest.as_bytes()) {
            let end = rest[at..].find('>').map_or(rest.len(), |end| at + end);
            let tag = &rest[at..end];
            out.push_str(&rest[..at]);
            let src = attribute(tag, "src").unwrap_or_default();
            match known.get(src) {
                Some(known) => out.push_str(&sized(tag, known)),
                None => out.push_str(tag),
            }
            if !src.is_empty() && !src.contains(':') && !places.holds(src) {
                lost.push(src);
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        for src in lost {
            let message = format!(
                "no reader's program finds the image `{src}`: one of a theme is named by `https://...`"
            );
            self.error("image", message);
        }
        out
    }

    fn known_images(&self) -> BTreeMap<String, Known> {
        let address = |image: &Image| format!("{}/i/{}", self.site.url, image.hash);
        let mut known = BTreeMap::new();
        for (source, image) in self.images {
            let twice = double(source).and_then(|twice| self.images.get(&twice));
            let size = Known {
                width: image.width,
                height: image.height,
                twice: twice.map(address),
            };
            known.insert(address(image), size);
        }
        for picture in self.issue.pictures() {
            if let (Some(width), Some(height)) = (picture.width, picture.height) {
                let own = self.images.get(&picture.source);
                let src = own.map_or_else(|| escape_html(&picture.source), address);
                let twice = known.remove(&src).and_then(|known| known.twice);
                let size = Known {
                    width,
                    height,
                    twice,
                };
                known.insert(src, size);
            }
        }
        known
    }
}

/// Width and height in CSS pixels: what the author says, the rest from the file's own proportions.
pub(crate) fn shown_size(picture: &Picture, own: Option<&Image>) -> (Option<u32>, Option<u32>) {
    let (given, tall) = (picture.width, picture.height);
    let Some(own) = own.filter(|own| own.width > 0 && own.height > 0) else {
        return (given, tall);
    };
    // A file for dense screens alone has two of its pixels to one of CSS.
    let density = if own.source.contains("@2x.") { 2 } else { 1 };
    let part = |whole: u32, of: u32, by: u32| {
        let scaled = (u64::from(whole) * u64::from(of) + u64::from(by) / 2) / u64::from(by);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    let width = given.or(tall.map(|tall| part(own.width, tall, own.height)));
    let width = width.unwrap_or((own.width / density).max(1));
    let height = tall.unwrap_or_else(|| part(own.height, width, own.width));
    (Some(width), Some(height))
}

/// The tag without its `>`, with what it lacks.
fn sized(tag: &str, known: &Known) -> String {
    let (body, slash) = match tag.strip_suffix('/') {
        Some(body) => (body.trim_end(), " /"),
        None => (tag, ""),
    };
    let mut out = body.to_owned();
    let width = attribute(body, "width").map(str::parse::<u32>);
    let width = match width {
        Some(Ok(width)) => width,
        Some(Err(_)) => return tag.to_owned(),
        None => {
            let width = known.width.min(WIDTH_LIMIT);
            out.push_str(&format!(" width=\"{width}\""));
            width
        }
    };
    let height = u64::from(width) * u64::from(known.height) / u64::from(known.width.max(1));
    match attribute(body, "height") {
        Some("auto") => out = out.replacen(" height=\"auto\"", &format!(" height=\"{height}\""), 1),
        Some(_) => {}
        None => out.push_str(&format!(" height=\"{height}\"")),
    }
    if let Some(twice) = &known.twice
        && attribute(body, "srcset").is_none()
    {
        let src = attribute(body, "src").unwrap_or_default();
        out.push_str(&format!(" srcset=\"{src} 1x, {twice} 2x\""));
    }
    format!("{out}{slash}")
}

/// The value of a double-quoted attribute, as it is written.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let needle = format!(" {name}=\"");
    let start = tag.find(&needle)? + needle.len();
    let length = tag[start..].find('"')?;
    Some(&tag[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::{Known, sized};

    #[test]
    fn a_tag_gets_what_it_lacks_and_keeps_what_it_has() {
        let known = |twice: Option<&str>| Known {
            width: 1_200,
            height: 900,
            twice: twice.map(str::to_owned),
        };
        for (tag, twice, expected) in [
            (
                "<img src=\"a\" width=\"300\" height=\"auto\" style=\"height:auto\" /",
                None,
                "<img src=\"a\" width=\"300\" height=\"225\" style=\"height:auto\" /",
            ),
            (
                "<img src=\"a\"",
                None,
                "<img src=\"a\" width=\"600\" height=\"450\"",
            ),
            (
                "<img src=\"a\" width=\"9\" height=\"9\"",
                None,
                "<img src=\"a\" width=\"9\" height=\"9\"",
            ),
            (
                "<img src=\"a\" width=\"50%\"",
                None,
                "<img src=\"a\" width=\"50%\"",
            ),
            (
                "<img src=\"a\" width=\"4\" height=\"3\"",
                Some("b"),
                "<img src=\"a\" width=\"4\" height=\"3\" srcset=\"a 1x, b 2x\"",
            ),
        ] {
            assert_eq!(sized(tag, &known(twice)), expected);
        }
    }
}
