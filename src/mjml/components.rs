//! The components of MJML and what each may hold.

/// Components whose content is HTML, CSS or text, never other components ("ending tags").
const ENDING: [&str; 13] = [
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-button",
    "mj-carousel-image",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-social-element",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-html-attribute",
];

/// Whether the content of a component is kept byte for byte.
pub fn is_ending(name: &str) -> bool {
    ENDING.contains(&name)
}
