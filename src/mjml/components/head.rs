//! The components of the head, the root and what may stand in both.
//!
//! Promises: the attributes, types and defaults of MJML 5.4, and what only 4.18 allowed besides.

use crate::mjml::components::{Component, one};
use crate::mjml::values::{PIXELS, POSITION, TEXT};

pub const MJML: Component = Component {
    name: "mjml",
    ending: false,
    children: &["mj-body", "mj-head", "mj-raw"],
    attributes: &[
        one("dir", TEXT),
        one("lang", TEXT),
        one("owa", TEXT),
        one("version", TEXT),
        one("xmlns", TEXT),
    ],
    shared: &[],
};

pub const MJ_ALL: Component = Component {
    name: "mj-all",
    ending: false,
    children: &[],
    attributes: &[],
    shared: &[],
};

pub const MJ_ATTRIBUTES: Component = Component {
    name: "mj-attributes",
    ending: false,
    children: &[],
    attributes: &[],
    shared: &[],
};

pub const MJ_BREAKPOINT: Component = Component {
    name: "mj-breakpoint",
    ending: true,
    children: &[],
    attributes: &[one("width", PIXELS)],
    shared: &[],
};

pub const MJ_CLASS: Component = Component {
    name: "mj-class",
    ending: false,
    children: &[],
    attributes: &[one("name", TEXT)],
    shared: &[],
};

pub const MJ_FONT: Component = Component {
    name: "mj-font",
    ending: false,
    children: &[],
    attributes: &[one("href", TEXT), one("name", TEXT)],
    shared: &[],
};

pub const MJ_HEAD: Component = Component {
    name: "mj-head",
    ending: false,
    children: &[
        "mj-attributes",
        "mj-breakpoint",
        "mj-html-attributes",
        "mj-font",
        "mj-preview",
        "mj-style",
        "mj-title",
        "mj-raw",
    ],
    attributes: &[],
    shared: &[],
};

pub const MJ_HTML_ATTRIBUTE: Component = Component {
    name: "mj-html-attribute",
    ending: true,
    children: &[],
    attributes: &[one("name", TEXT)],
    shared: &[],
};

pub const MJ_HTML_ATTRIBUTES: Component = Component {
    name: "mj-html-attributes",
    ending: false,
    children: &["mj-selector"],
    attributes: &[],
    shared: &[],
};

pub const MJ_INCLUDE: Component = Component {
    name: "mj-include",
    ending: false,
    children: &[],
    attributes: &[
        one("css-inline", TEXT),
        one("path", TEXT),
        one("type", TEXT),
    ],
    shared: &[],
};

pub const MJ_PREVIEW: Component = Component {
    name: "mj-preview",
    ending: true,
    children: &[],
    attributes: &[],
    shared: &[],
};

pub const MJ_RAW: Component = Component {
    name: "mj-raw",
    ending: true,
    children: &[],
    attributes: &[one("position", POSITION)],
    shared: &[],
};

pub const MJ_SELECTOR: Component = Component {
    name: "mj-selector",
    ending: false,
    children: &["mj-html-attribute"],
    attributes: &[one("path", TEXT)],
    shared: &[],
};

pub const MJ_STYLE: Component = Component {
    name: "mj-style",
    ending: true,
    children: &[],
    attributes: &[one("inline", TEXT)],
    shared: &[],
};

pub const MJ_TITLE: Component = Component {
    name: "mj-title",
    ending: true,
    children: &[],
    attributes: &[],
    shared: &[],
};
