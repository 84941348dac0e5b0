//! The components that are made of parts of their own: accordion, carousel, navbar and social.
//!
//! Promises: the attributes, types and defaults of MJML 5.4, and what only 4.18 allowed besides.

use crate::mjml::components::{Component, PADDING_SIDES, one, set};
use crate::mjml::values::{
    ALIGN, COLOR, LAYOUT, LENGTH, LENGTHS, LINE_HEIGHT, MODE, PIXELS, SIDE, SPACING, TEXT,
    THUMBNAILS, VERTICAL,
};

pub const MJ_ACCORDION: Component = Component {
    name: "mj-accordion",
    ending: false,
    children: &["mj-accordion-element", "mj-raw"],
    attributes: &[
        set("border", TEXT, "2px solid black"),
        one("container-background-color", COLOR),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("icon-align", VERTICAL, "middle"),
        set("icon-height", LENGTH, "32px"),
        set("icon-position", SIDE, "right"),
        set("icon-unwrapped-alt", TEXT, "-"),
        set(
            "icon-unwrapped-url",
            TEXT,
            "https://i.imgur.com/w4uTygT.png",
        ),
        set("icon-width", LENGTH, "32px"),
        set("icon-wrapped-alt", TEXT, "+"),
        set("icon-wrapped-url", TEXT, "https://i.imgur.com/bIXv1bk.png"),
        set("padding", LENGTHS, "10px 25px"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_ACCORDION_ELEMENT: Component = Component {
    name: "mj-accordion-element",
    ending: false,
    children: &["mj-accordion-title", "mj-accordion-text", "mj-raw"],
    attributes: &[
        one("background-color", COLOR),
        one("border", TEXT),
        one("font-family", TEXT),
        one("icon-align", VERTICAL),
        one("icon-height", LENGTH),
        one("icon-position", SIDE),
        one("icon-unwrapped-alt", TEXT),
        one("icon-unwrapped-url", TEXT),
        one("icon-width", LENGTH),
        one("icon-wrapped-alt", TEXT),
        one("icon-wrapped-url", TEXT),
    ],
    shared: &[],
};

pub const MJ_ACCORDION_TEXT: Component = Component {
    name: "mj-accordion-text",
    ending: true,
    children: &[],
    attributes: &[
        one("background-color", COLOR),
        one("color", COLOR),
        one("font-family", TEXT),
        set("font-size", PIXELS, "13px"),
        one("font-weight", TEXT),
        one("letter-spacing", SPACING),
        set("line-height", LINE_HEIGHT, "1"),
        set("padding", LENGTHS, "16px"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_ACCORDION_TITLE: Component = Component {
    name: "mj-accordion-title",
    ending: true,
    children: &[],
    attributes: &[
        one("background-color", COLOR),
        one("color", COLOR),
        one("font-family", TEXT),
        set("font-size", PIXELS, "13px"),
        one("font-weight", TEXT),
        set("padding", LENGTHS, "16px"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_CAROUSEL: Component = Component {
    name: "mj-carousel",
    ending: false,
    children: &["mj-carousel-image"],
    attributes: &[
        set("align", ALIGN, "center"),
        set("border-radius", TEXT, "6px"),
        one("container-background-color", COLOR),
        set("icon-width", LENGTH, "44px"),
        set("left-icon", TEXT, "https://i.imgur.com/xTh3hln.png"),
        one("padding", LENGTHS),
        set("right-icon", TEXT, "https://i.imgur.com/os7o9kz.png"),
        set("tb-border", TEXT, "2px solid transparent"),
        set("tb-border-radius", TEXT, "6px"),
        set("tb-hover-border-color", COLOR, "#fead0d"),
        set("tb-selected-border-color", COLOR, "#ccc"),
        one("tb-width", LENGTH),
        set("thumbnails", THUMBNAILS, "visible"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_CAROUSEL_IMAGE: Component = Component {
    name: "mj-carousel-image",
    ending: true,
    children: &[],
    attributes: &[
        set("alt", TEXT, ""),
        one("border-radius", TEXT),
        one("href", TEXT),
        one("rel", TEXT),
        one("src", TEXT),
        set("target", TEXT, "_blank"),
        one("tb-border", TEXT),
        one("tb-border-radius", TEXT),
        one("thumbnails-src", TEXT),
        one("title", TEXT),
    ],
    shared: &[],
};

pub const MJ_NAVBAR: Component = Component {
    name: "mj-navbar",
    ending: false,
    children: &["mj-navbar-link", "mj-raw"],
    attributes: &[
        set("align", ALIGN, "center"),
        one("base-url", TEXT),
        one("hamburger", TEXT),
        set("ico-align", ALIGN, "center"),
        set("ico-close", TEXT, "&#8855;"),
        set("ico-color", COLOR, "#000000"),
        set(
            "ico-font-family",
            TEXT,
            "Ubuntu, Helvetica, Arial, sans-serif",
        ),
        set("ico-font-size", LENGTH, "30px"),
        set("ico-line-height", LINE_HEIGHT, "30px"),
        set("ico-open", TEXT, "&#9776;"),
        set("ico-padding", LENGTHS, "10px"),
        one("ico-padding-bottom", LENGTH),
        one("ico-padding-left", LENGTH),
        one("ico-padding-right", LENGTH),
        one("ico-padding-top", LENGTH),
        set("ico-text-decoration", TEXT, "none"),
        set("ico-text-transform", TEXT, "uppercase"),
        one("padding", LENGTHS),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_NAVBAR_LINK: Component = Component {
    name: "mj-navbar-link",
    ending: true,
    children: &[],
    attributes: &[
        set("color", COLOR, "#000000"),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-style", TEXT),
        set("font-weight", TEXT, "normal"),
        one("href", TEXT),
        one("letter-spacing", SPACING),
        set("line-height", LINE_HEIGHT, "22px"),
        one("name", TEXT),
        set("padding", LENGTHS, "15px 10px"),
        one("rel", TEXT),
        set("target", TEXT, "_blank"),
        set("text-decoration", TEXT, "none"),
        set("text-transform", TEXT, "uppercase"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_SOCIAL: Component = Component {
    name: "mj-social",
    ending: false,
    children: &["mj-social-element", "mj-raw"],
    attributes: &[
        set("align", ALIGN, "center"),
        one("border", TEXT),
        set("border-radius", TEXT, "3px"),
        set("color", COLOR, "#333333"),
        one("container-background-color", COLOR),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-style", TEXT),
        one("font-weight", TEXT),
        one("icon-height", LENGTH),
        one("icon-padding", LENGTHS),
        set("icon-size", LENGTH, "20px"),
        one("inner-padding", LENGTHS),
        set("line-height", LINE_HEIGHT, "22px"),
        set("mode", MODE, "horizontal"),
        set("padding", LENGTHS, "10px 25px"),
        one("table-layout", LAYOUT),
        set("text-decoration", TEXT, "none"),
        one("text-padding", LENGTHS),
        one("vertical-align", VERTICAL),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_SOCIAL_ELEMENT: Component = Component {
    name: "mj-social-element",
    ending: true,
    children: &[],
    attributes: &[
        set("align", ALIGN, "left"),
        set("alt", TEXT, ""),
        one("background-color", COLOR),
        set("border", TEXT, "0"),
        set("border-radius", TEXT, "3px"),
        set("color", COLOR, "#000"),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-style", TEXT),
        one("font-weight", TEXT),
        one("href", TEXT),
        one("icon-height", LENGTH),
        one("icon-padding", LENGTHS),
        set("icon-position", SIDE, "left"),
        one("icon-size", LENGTH),
        set("line-height", LINE_HEIGHT, "1"),
        one("name", TEXT),
        set("padding", LENGTHS, "4px"),
        one("rel", TEXT),
        one("sizes", TEXT),
        one("src", TEXT),
        one("srcset", TEXT),
        set("target", TEXT, "_blank"),
        set("text-decoration", TEXT, "none"),
        set("text-padding", LENGTHS, "4px 4px 4px 0"),
        one("title", TEXT),
        set("vertical-align", VERTICAL, "middle"),
    ],
    shared: &[PADDING_SIDES],
};
