//! Which family of devices asked, by what it calls itself.
//!
//! Promises: a handful of families, so that they can be counted; a proxy hides its reader's device and is a family of
//! its own. A User-Agent is what its sender wants it to be: good for a rough share, for nothing else.

use crate::event::known::{self, Kind};

/// The family of an agent.
pub fn family(agent: &str) -> &'static str {
    match known::agent(agent) {
        Some(Kind::Gmail) => return "Gmail",
        Some(Kind::Apple) => return "Apple's proxy",
        Some(Kind::Proxy) => return "other proxies",
        _ => {}
    }
    let has = |part: &str| agent.contains(part);
    // iPads have called themselves Macintosh since iPadOS 13.
    if has("iPhone") || has("iPod") {
        "iPhone"
    } else if has("iPad") {
        "iPad"
    } else if has("Android") {
        "Android"
    } else if has("Windows") {
        "Windows"
    } else if has("Macintosh") || has("Mac OS X") {
        "Mac"
    } else if has("Linux") || has("X11") || has("CrOS") {
        "Linux"
    } else {
        "unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn devices_are_told_apart_roughly() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)",
                "iPhone",
            ),
            ("Mozilla/5.0 (Linux; Android 15; Pixel 9)", "Android"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140",
                "Windows",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "Mac"),
            ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Linux"),
            ("Gecko (via ggpht.com GoogleImageProxy)", "Gmail"),
            ("Mozilla/5.0", "Apple's proxy"),
            ("", "unknown"),
        ] {
            assert_eq!(family(agent), expected, "{agent}");
        }
    }
}
