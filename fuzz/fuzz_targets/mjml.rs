//! `cargo fuzz run mjml` (CONTRIBUTING.md says how): no text makes the MJML front-end panic. The text stands for the document
//! and for all that it includes; `tests/suite/mjml/hostile.rs` makes a short run of the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pressrun::mjml::files::Files;
use pressrun::mjml::{Level, Options, compile};

struct Same<'a>(&'a str);

impl Files for Same<'_> {
    fn read(&self, _: &str) -> Result<Option<String>, String> {
        Ok(Some(self.0.to_owned()))
    }
}

fuzz_target!(|text: &str| {
    for level in [Level::Strict, Level::Soft, Level::Skip] {
        let options = Options {
            level,
            mark: true,
            ..Options::default()
        };
        let rendering = compile("a.mjml", text, &Same(text), &options);
        assert!(rendering.html.is_some() || !rendering.diagnostics.is_empty());
        for found in &rendering.diagnostics {
            assert_ne!(found.code, "renderer", "{}", found.framed());
        }
    }
});
