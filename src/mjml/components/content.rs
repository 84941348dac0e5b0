//! The components that a column holds and that stand for themselves.
//!
//! Promises: the attributes, types and defaults of MJML 5.4, and what only 4.18 allowed besides.

use crate::mjml::components::{BORDER_SIDES, Component, PADDING_SIDES, one, set};
use crate::mjml::values::{
    ALIGN, BOOLEAN, COLOR, INTEGER, LENGTH, LENGTH_OR_AUTO, LENGTHS, LINE_HEIGHT, PIXELS,
    PIXELS_OR_AUTO, ROLE, SPACING, TABLE_LAYOUT, TEXT, TEXT_ALIGN, VERTICAL,
};

pub const MJ_BUTTON: Component = Component {
    name: "mj-button",
    ending: true,
    children: &[],
    attributes: &[
        set("align", ALIGN, "center"),
        set("background-color", COLOR, "#414141"),
        set("border", TEXT, "none"),
        set("border-radius", TEXT, "3px"),
        set("color", COLOR, "#ffffff"),
        one("container-background-color", COLOR),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-style", TEXT),
        set("font-weight", TEXT, "normal"),
        one("height", LENGTH),
        one("href", TEXT),
        set("inner-padding", LENGTHS, "10px 25px"),
        one("letter-spacing", SPACING),
        set("line-height", LINE_HEIGHT, "120%"),
        one("name", TEXT),
        set("padding", LENGTHS, "10px 25px"),
        one("rel", TEXT),
        set("target", TEXT, "_blank"),
        one("text-align", ALIGN),
        set("text-decoration", TEXT, "none"),
        set("text-transform", TEXT, "none"),
        one("title", TEXT),
        set("vertical-align", VERTICAL, "middle"),
        one("width", LENGTH),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};

pub const MJ_DIVIDER: Component = Component {
    name: "mj-divider",
    ending: false,
    children: &[],
    attributes: &[
        set("align", ALIGN, "center"),
        set("border-color", COLOR, "#000000"),
        set("border-style", TEXT, "solid"),
        set("border-width", PIXELS, "4px"),
        one("container-background-color", COLOR),
        set("padding", LENGTHS, "10px 25px"),
        set("width", LENGTH, "100%"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_IMAGE: Component = Component {
    name: "mj-image",
    ending: false,
    children: &[],
    attributes: &[
        set("align", ALIGN, "center"),
        set("alt", TEXT, ""),
        set("border", TEXT, "0"),
        one("border-radius", TEXT),
        one("container-background-color", COLOR),
        one("fluid-on-mobile", BOOLEAN),
        set("font-size", PIXELS, "13px"),
        set("height", PIXELS_OR_AUTO, "auto"),
        one("href", TEXT),
        one("max-height", LENGTH),
        one("name", TEXT),
        set("padding", LENGTHS, "10px 25px"),
        one("rel", TEXT),
        one("sizes", TEXT),
        one("src", TEXT),
        one("srcset", TEXT),
        set("target", TEXT, "_blank"),
        one("title", TEXT),
        one("usemap", TEXT),
        one("width", PIXELS),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};

pub const MJ_SPACER: Component = Component {
    name: "mj-spacer",
    ending: false,
    children: &[],
    attributes: &[
        one("border", TEXT),
        one("container-background-color", COLOR),
        set("height", LENGTH, "20px"),
        one("padding", LENGTHS),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};

pub const MJ_TABLE: Component = Component {
    name: "mj-table",
    ending: true,
    children: &[],
    attributes: &[
        set("align", ALIGN, "left"),
        set("border", TEXT, "none"),
        set("cellpadding", INTEGER, "0"),
        set("cellspacing", INTEGER, "0"),
        set("color", COLOR, "#000000"),
        one("container-background-color", COLOR),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-weight", TEXT),
        set("line-height", LINE_HEIGHT, "22px"),
        set("padding", LENGTHS, "10px 25px"),
        one("role", ROLE),
        set("table-layout", TABLE_LAYOUT, "auto"),
        one("vertical-align", VERTICAL),
        set("width", LENGTH_OR_AUTO, "100%"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_TEXT: Component = Component {
    name: "mj-text",
    ending: true,
    children: &[],
    attributes: &[
        set("align", TEXT_ALIGN, "left"),
        one("background-color", COLOR),
        set("color", COLOR, "#000000"),
        one("container-background-color", COLOR),
        set("font-family", TEXT, "Ubuntu, Helvetica, Arial, sans-serif"),
        set("font-size", PIXELS, "13px"),
        one("font-style", TEXT),
        one("font-weight", TEXT),
        one("height", LENGTH),
        one("letter-spacing", SPACING),
        set("line-height", LINE_HEIGHT, "1"),
        set("padding", LENGTHS, "10px 25px"),
        one("text-decoration", TEXT),
        one("text-transform", TEXT),
        one("vertical-align", VERTICAL),
    ],
    shared: &[PADDING_SIDES],
};
