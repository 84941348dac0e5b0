//! MJML to HTML.
