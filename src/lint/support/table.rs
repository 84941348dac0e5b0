//! Which mail programs lack which feature of CSS and HTML.
//!
//! Our own reading of the facts that caniemail.com publishes (its data of 9 September 2025): a family is
//! named when none of its programs supports the feature in its newest version. Left out is what does no
//! harm where it is missing (rounded corners, shadows, hover, dark colours, animations).

const GMAIL: u8 = 1;
const WORD: u8 = 2;
const OUTLOOK: u8 = 4;
const YAHOO: u8 = 8;
const APPLE: u8 = 16;
const SAMSUNG: u8 = 32;
const THUNDERBIRD: u8 = 64;
const OTHERS: u8 = 128;

pub(super) const FAMILIES: [(u8, &str); 8] = [
    (GMAIL, "Gmail"),
    (WORD, "Outlook for Windows"),
    (OUTLOOK, "Outlook on the web, Mac and phones"),
    (YAHOO, "Yahoo and AOL"),
    (APPLE, "Apple Mail"),
    (SAMSUNG, "Samsung Email"),
    (THUNDERBIRD, "Thunderbird"),
    (OTHERS, "Proton, Fastmail or HEY"),
];

/// How a feature is recognised in CSS.
pub(super) enum Css {
    /// A property of this name, or of a longer one that begins with it and a hyphen.
    Property(&'static str),
    /// A property with this word in its value.
    Value(&'static str, &'static str),
    /// A text within a value or a selector.
    Text(&'static str),
}

/// What is written, who lacks it, and what readers see there.
pub(super) struct Feature<W> {
    pub(super) written: W,
    pub(super) lacking: u8,
    pub(super) seen: &'static str,
}

const fn css(written: Css, lacking: u8, seen: &'static str) -> Feature<Css> {
    Feature {
        written,
        lacking,
        seen,
    }
}

const fn html(written: &'static str, lacking: u8, seen: &'static str) -> Feature<&'static str> {
    Feature {
        written,
        lacking,
        seen,
    }
}

const STACKED: &str = "what should stand side by side stands below each other";
const NOWHERE: &str = "what was moved stays where it was";
const IGNORED: &str = "the whole declaration is ignored";
const FLAT: &str = "nothing is drawn there; give a plain colour as well";

pub(super) const CSS: &[Feature<Css>] = &[
    css(Css::Value("display", "flex"), WORD, STACKED),
    css(Css::Value("display", "grid"), WORD | YAHOO, STACKED),
    css(
        Css::Property("flex-direction"),
        GMAIL | WORD | YAHOO,
        STACKED,
    ),
    css(Css::Property("flex-wrap"), GMAIL | WORD | YAHOO, STACKED),
    css(
        Css::Property("justify-content"),
        GMAIL | WORD | YAHOO,
        STACKED,
    ),
    css(Css::Property("align-items"), GMAIL | WORD | YAHOO, STACKED),
    css(
        Css::Property("grid-template"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        STACKED,
    ),
    css(
        Css::Property("gap"),
        WORD | YAHOO,
        "the parts touch each other",
    ),
    css(
        Css::Property("column-count"),
        WORD | YAHOO,
        "the text runs in one column",
    ),
    css(Css::Property("float"), WORD, STACKED),
    css(Css::Property("position"), GMAIL | WORD, NOWHERE),
    css(
        Css::Property("inset"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        NOWHERE,
    ),
    css(Css::Property("z-index"), GMAIL | WORD, NOWHERE),
    css(
        Css::Property("transform"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        NOWHERE,
    ),
    css(
        Css::Property("clip-path"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "nothing is cut",
    ),
    css(
        Css::Property("mask-image"),
        GMAIL | WORD | YAHOO,
        "nothing is cut",
    ),
    css(
        Css::Property("object-fit"),
        WORD | YAHOO,
        "the image is stretched",
    ),
    css(
        Css::Property("aspect-ratio"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the image is stretched",
    ),
    css(
        Css::Property("filter"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "the image is shown as it is",
    ),
    css(
        Css::Property("mix-blend-mode"),
        WORD | YAHOO | OTHERS,
        "the image is shown as it is",
    ),
    css(Css::Property("background-image"), WORD, FLAT),
    css(
        Css::Property("border-image"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "there is no border",
    ),
    css(Css::Text("linear-gradient("), WORD | OUTLOOK | YAHOO, FLAT),
    css(Css::Text("radial-gradient("), WORD | OUTLOOK | YAHOO, FLAT),
    css(
        Css::Text("conic-gradient("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        FLAT,
    ),
    css(Css::Property("opacity"), WORD, "it is shown in full"),
    css(
        Css::Property("visibility"),
        GMAIL | WORD,
        "what was hidden is shown",
    ),
    css(
        Css::Property("writing-mode"),
        WORD | YAHOO | OTHERS,
        "the text runs from left to right",
    ),
    css(
        Css::Text("var(--"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        IGNORED,
    ),
    css(Css::Text("calc("), WORD | OUTLOOK | YAHOO, IGNORED),
    css(
        Css::Text("clamp("),
        WORD | OUTLOOK | YAHOO | SAMSUNG | OTHERS,
        IGNORED,
    ),
    css(Css::Text("light-dark("), GMAIL | WORD, IGNORED),
    css(
        Css::Text("oklch("),
        GMAIL | WORD | YAHOO | SAMSUNG | THUNDERBIRD,
        IGNORED,
    ),
    css(
        Css::Text("color-mix("),
        GMAIL | WORD | YAHOO | SAMSUNG | THUNDERBIRD,
        IGNORED,
    ),
    css(
        Css::Text("@import"),
        GMAIL | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the other file is not read",
    ),
    css(
        Css::Text("@supports"),
        GMAIL | WORD | OUTLOOK | THUNDERBIRD | OTHERS,
        "the whole block is ignored",
    ),
    css(
        Css::Text(":has("),
        GMAIL | WORD | OUTLOOK | YAHOO | THUNDERBIRD,
        "the whole rule is ignored",
    ),
    css(
        Css::Text(":not("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "the whole rule is ignored",
    ),
    css(
        Css::Text(":nth-child("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "the whole rule is ignored",
    ),
    css(
        Css::Text("::before"),
        GMAIL | WORD | YAHOO,
        "what it adds is missing",
    ),
    css(
        Css::Text("::after"),
        GMAIL | WORD | YAHOO,
        "what it adds is missing",
    ),
    css(
        Css::Property("margin-inline"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("padding-inline"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("margin-block"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("padding-block"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("inline-size"),
        GMAIL | WORD | OUTLOOK | YAHOO | APPLE | OTHERS,
        IGNORED,
    ),
];

pub(super) const HTML: &[Feature<&str>] = &[
    html(
        "audio",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "there is no player; link to it",
    ),
    html(
        "video",
        GMAIL | WORD | YAHOO | OTHERS,
        "there is no player; link an image of it",
    ),
    html(
        "picture",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "only its `<img>` is shown",
    ),
    html(
        "svg",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "nothing is drawn; use a PNG",
    ),
    html(
        "canvas",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "nothing is drawn; use a PNG",
    ),
    html(
        "dialog",
        WORD | OUTLOOK | YAHOO | OTHERS,
        "it stands among the text",
    ),
    html(
        "details",
        GMAIL | WORD | OUTLOOK | YAHOO,
        "it is always open",
    ),
    html("marquee", GMAIL | WORD | OTHERS, "it stands still"),
    html(
        "progress",
        WORD | OUTLOOK | YAHOO | OTHERS,
        "there is no bar",
    ),
    html("meter", WORD | YAHOO | OTHERS, "there is no bar"),
    html(
        "input",
        WORD | OTHERS,
        "there is nothing to fill in; link to a page",
    ),
    html(
        "select",
        WORD | OTHERS,
        "there is nothing to choose; link to a page",
    ),
    html(
        "textarea",
        WORD | SAMSUNG | OTHERS,
        "there is nothing to fill in; link to a page",
    ),
    html("button", WORD | OTHERS, "there is no button; use a link"),
    html(
        "link",
        GMAIL | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the style sheet is not read",
    ),
];
