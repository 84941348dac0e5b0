//! The components that divide the body: body, wrapper, section, group, column and hero.
//!
//! Promises: the attributes, types and defaults of MJML 5.4, and what only 4.18 allowed besides.

use crate::mjml::components::{BORDER_SIDES, CONTENT, Component, PADDING_SIDES, one, set};
use crate::mjml::values::{
    ALIGN, COLOR, DIRECTION, FULL_WIDTH, LENGTH, LENGTHS, PIXELS, REPEAT, TEXT, VERTICAL,
};

pub const MJ_BODY: Component = Component {
    name: "mj-body",
    ending: false,
    children: &["mj-raw", "mj-section", "mj-wrapper", "mj-hero"],
    attributes: &[
        one("background-color", COLOR),
        one("id", TEXT),
        set("width", PIXELS, "600px"),
    ],
    shared: &[],
};

pub const MJ_COLUMN: Component = Component {
    name: "mj-column",
    ending: false,
    children: CONTENT,
    attributes: &[
        one("background-color", COLOR),
        one("border", TEXT),
        one("border-radius", TEXT),
        set("direction", DIRECTION, "ltr"),
        one("inner-background-color", COLOR),
        one("inner-border", TEXT),
        one("inner-border-bottom", TEXT),
        one("inner-border-left", TEXT),
        one("inner-border-radius", TEXT),
        one("inner-border-right", TEXT),
        one("inner-border-top", TEXT),
        one("padding", LENGTHS),
        set("vertical-align", VERTICAL, "top"),
        one("width", LENGTH),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};

pub const MJ_GROUP: Component = Component {
    name: "mj-group",
    ending: false,
    children: &["mj-column", "mj-raw"],
    attributes: &[
        one("background-color", COLOR),
        set("direction", DIRECTION, "ltr"),
        one("vertical-align", VERTICAL),
        one("width", LENGTH),
    ],
    shared: &[],
};

pub const MJ_HERO: Component = Component {
    name: "mj-hero",
    ending: false,
    children: CONTENT,
    attributes: &[
        set("background-color", COLOR, "#ffffff"),
        one("background-height", LENGTH),
        set("background-position", TEXT, "center center"),
        one("background-url", TEXT),
        one("background-width", LENGTH),
        one("border-radius", TEXT),
        one("container-background-color", COLOR),
        set("height", LENGTH, "0px"),
        one("inner-background-color", COLOR),
        one("inner-padding", LENGTHS),
        one("inner-padding-bottom", LENGTH),
        one("inner-padding-left", LENGTH),
        one("inner-padding-right", LENGTH),
        one("inner-padding-top", LENGTH),
        set("mode", TEXT, "fixed-height"),
        set("padding", LENGTHS, "0px"),
        set("vertical-align", VERTICAL, "top"),
    ],
    shared: &[PADDING_SIDES],
};

pub const MJ_SECTION: Component = Component {
    name: "mj-section",
    ending: false,
    children: &["mj-column", "mj-group", "mj-raw"],
    attributes: &[
        one("background-color", COLOR),
        set("background-position", TEXT, "top center"),
        one("background-position-x", TEXT),
        one("background-position-y", TEXT),
        set("background-repeat", REPEAT, "repeat"),
        set("background-size", TEXT, "auto"),
        one("background-url", TEXT),
        one("border", TEXT),
        one("border-radius", TEXT),
        set("direction", DIRECTION, "ltr"),
        one("full-width", FULL_WIDTH),
        one("gutter", LENGTH),
        set("padding", LENGTHS, "20px 0"),
        set("text-align", ALIGN, "center"),
        set("text-padding", LENGTHS, "4px 4px 4px 0"),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};

pub const MJ_WRAPPER: Component = Component {
    name: "mj-wrapper",
    ending: false,
    children: &["mj-hero", "mj-raw", "mj-section"],
    attributes: &[
        one("background-color", COLOR),
        set("background-position", TEXT, "top center"),
        one("background-position-x", TEXT),
        one("background-position-y", TEXT),
        set("background-repeat", REPEAT, "repeat"),
        set("background-size", TEXT, "auto"),
        one("background-url", TEXT),
        one("border", TEXT),
        one("border-radius", TEXT),
        set("direction", DIRECTION, "ltr"),
        one("full-width", FULL_WIDTH),
        one("gap", PIXELS),
        one("gutter", LENGTH),
        set("padding", LENGTHS, "20px 0"),
        set("text-align", ALIGN, "center"),
        set("text-padding", LENGTHS, "4px 4px 4px 0"),
    ],
    shared: &[PADDING_SIDES, BORDER_SIDES],
};
