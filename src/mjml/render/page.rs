//! The page around the body: doctype, head, and the rules that mail programs need.

use crate::mjml::render::body::Body;
use crate::mjml::render::{accordion, image, navbar};

/// What mail programs must be told before anything looks alike in them.
const RESET: &str = "#outlook a { padding:0; }
body { margin:0;padding:0;-webkit-text-size-adjust:100%;-ms-text-size-adjust:100%; }
table, td { border-collapse:collapse;mso-table-lspace:0pt;mso-table-rspace:0pt; }
img { border:0;height:auto;line-height:100%; outline:none;text-decoration:none;-ms-interpolation-mode:bicubic; }
p { display:block;margin:13px 0; }";

/// Outlook shows images at their size only when told the resolution.
const OUTLOOK: &str = "<!--[if mso]><noscript><xml><o:OfficeDocumentSettings><o:AllowPNG/>\
<o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml></noscript><![endif]-->
<!--[if lte mso 11]><style type=\"text/css\">.mj-outlook-group-fix { width:100% !important; }</style><![endif]-->
";

/// What the root says.
pub struct Root<'a> {
    pub lang: &'a str,
    pub dir: &'a str,
    /// Whether Outlook on the web shows the wide layout.
    pub wide_owa: bool,
    /// Stands before the doctype.
    pub before: Vec<&'a str>,
}

/// Puts doctype and head before the rendered body `html`.
pub fn page(root: &Root<'_>, body: &Body<'_>, html: &str) -> String {
    let head = body.head;
    let mut page = String::with_capacity(html.len() + 4096);
    let mut put = |parts: &[&str]| {
        for part in parts {
            page.push_str(part);
        }
    };
    for before in &root.before {
        put(&[before, "\n"]);
    }
    put(&[
        "<!doctype html>\n<html lang=\"",
        &root.lang.replace('"', "&quot;"),
    ]);
    put(&["\" dir=\"", &root.dir.replace('"', "&quot;"), "\""]);
    put(&[
        " xmlns=\"http://www.w3.org/1999/xhtml\" xmlns:v=\"urn:schemas-microsoft-com:vml\"",
        " xmlns:o=\"urn:schemas-microsoft-com:office:office\">\n<head>\n",
        "<title>",
        head.title,
        "</title>\n<!--[if !mso]><!-->\n",
        "<meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\">\n<!--<![endif]-->\n",
        "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
        "<style type=\"text/css\">\n",
        RESET,
        "\n</style>\n",
        OUTLOOK,
    ]);
    put(&[&fonts(body, html)]);
    if !body.media.is_empty() {
        let rules = |prefix: &str| -> String {
            let media = body.media.iter();
            media
                .map(|(class, rule)| format!("{prefix}.{class} {{ {rule} }}\n"))
                .collect()
        };
        let above = head.breakpoint;
        put(&[
            "<style type=\"text/css\">\n@media only screen and (min-width:",
            above,
        ]);
        put(&[") {\n", &rules(""), "}\n</style>\n"]);
        put(&["<style media=\"screen and (min-width:", above, ")\">\n"]);
        put(&[&rules(".moz-text-html "), "</style>\n"]);
        if root.wide_owa {
            put(&["<style type=\"text/css\">\n", &rules("[owa] ")]);
            put(&["</style>\n"]);
        }
    }
    if !body.rules.is_empty() || !body.kinds.is_empty() {
        put(&["<style type=\"text/css\">\n", &body.rules]);
        for kind in &body.kinds {
            match *kind {
                "mj-accordion" => put(&[accordion::RULES]),
                "mj-image" => put(&[&image::rules(head.breakpoint)]),
                _ => put(&[&navbar::rules(head.breakpoint)]),
            }
        }
        put(&["</style>\n"]);
    }
    if !head.styles.is_empty() {
        put(&["<style type=\"text/css\">\n", &head.styles.join("\n")]);
        put(&["\n</style>\n"]);
    }
    for raw in &head.raw {
        put(&[raw, "\n"]);
    }
    put(&["</head>", html, "\n</html>\n"]);
    page
}

/// Links to the style sheets of those `mj-font` that something on the page uses.
fn fonts(body: &Body<'_>, html: &str) -> String {
    let declared = &body.head.fonts;
    if declared.is_empty() {
        return String::new();
    }
    let mut text = html.to_ascii_lowercase();
    for inline in &body.head.inline {
        text.push_str(&inline.to_ascii_lowercase());
        text.push('}');
    }
    let uses = |name: &str| {
        let name = name.to_ascii_lowercase();
        let mut families = text.split("font-family:").skip(1);
        families.any(|family| {
            let end = family.find(['"', '}', ';']).unwrap_or(family.len());
            family[..end].contains(&name) || quoted_in(family, &name)
        })
    };
    let used: Vec<&str> = declared
        .iter()
        .filter(|(name, href)| !name.is_empty() && !href.is_empty() && uses(name))
        .map(|(_, href)| *href)
        .collect();
    if used.is_empty() {
        return String::new();
    }
    let links = used.iter().map(|href| {
        let href = href.replace('"', "&quot;");
        format!("<link href=\"{href}\" rel=\"stylesheet\" type=\"text/css\">\n")
    });
    let imports = used.iter().map(|href| format!("@import url({href});\n"));
    format!(
        "<!--[if !mso]><!-->\n{}<style type=\"text/css\">\n{}</style>\n<!--<![endif]-->\n",
        links.collect::<String>(),
        imports.collect::<String>()
    )
}

/// Whether a family in escaped quotes names the font: its reference holds a semicolon.
fn quoted_in(family: &str, name: &str) -> bool {
    let end = family.find('"').unwrap_or(family.len());
    family[..end]
        .strip_prefix("&quot;")
        .is_some_and(|family| family.starts_with(name))
}
