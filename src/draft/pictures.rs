//! The pictures of a draft that stay on another host.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Parser, Tag};
use url::Url;

use crate::draft::write::target;

/// How it begins what is told of them.
pub(super) const TOLD: &str = "pictures stay on another host";

/// The addresses of those in a text.
pub(super) fn remote(markdown: &str) -> BTreeSet<String> {
    let images = Parser::new(markdown).filter_map(|event| match event {
        Event::Start(Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    images.filter(|source| source.contains("://")).collect()
}

/// What an author is told of them.
pub(super) fn told<'a>(sources: impl Iterator<Item = &'a str>) -> Option<String> {
    let host = |source: &str| Url::parse(source).ok()?.host_str().map(str::to_owned);
    let sources: Vec<&str> = sources.collect();
    let hosts: BTreeSet<String> = sources.iter().filter_map(|source| host(source)).collect();
    let hosts: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
    let told = format!(
        "{TOLD}: {} ({}); `--fetch-images` saves them beside `issue.md`",
        sources.len(),
        hosts.join(", ")
    );
    (!sources.is_empty()).then_some(told)
}

/// The text with files in place of the addresses that are known.
pub(super) fn with_files(markdown: &str, files: &BTreeMap<String, String>) -> String {
    let mut text = markdown.to_owned();
    let images: Vec<_> = Parser::new(markdown)
        .into_offset_iter()
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::Image { dest_url, .. }) => Some((dest_url.into_string(), range)),
            _ => None,
        })
        .collect();
    // From the last to the first, so that what stands before keeps its place.
    for (source, range) in images.into_iter().rev() {
        let Some(file) = files.get(&source) else {
            continue;
        };
        let written = format!("]({}", target(&source));
        if let Some(at) = markdown[range.clone()].rfind(&written) {
            let start = range.start + at;
            text.replace_range(start..start + written.len(), &format!("]({file}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{remote, with_files};

    #[test]
    fn addresses_become_files_where_they_name_pictures() {
        let text = "![a](https://a.example/1.png) [![b](<https://a.example/(2).png> \"c\")](https://a.example/1.png)\n\n\
                    `![d](https://a.example/1.png)` ![e](https://a.example/3.png)\n";
        let file = |(source, file): (&str, &str)| (source.to_owned(), file.to_owned());
        let files = [
            ("https://a.example/1.png", "1.png"),
            ("https://a.example/(2).png", "2.png"),
        ];
        let files: BTreeMap<String, String> = files.map(file).into();
        let changed = with_files(text, &files);
        assert_eq!(
            changed,
            "![a](1.png) [![b](2.png \"c\")](https://a.example/1.png)\n\n\
             `![d](https://a.example/1.png)` ![e](https://a.example/3.png)\n"
        );
        let left: Vec<String> = remote(&changed).into_iter().collect();
        assert_eq!(left, ["https://a.example/3.png"]);
    }
}
