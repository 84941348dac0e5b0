//! `mj-social`: icons of networks, with links that share or just lead there.

use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::head::raw_text;
use crate::mjml::render::measure;

/// Where mjml takes the icons of networks from.
const MJML_ICONS: &str = "https://www.mailjet.com/images/theme/v1/icons/ico-social/";

#[derive(Clone, Copy)]
struct Network {
    colour: &'static str,
    /// The file of its icon, without `.png`.
    icon: &'static str,
    /// Before and after the address to share.
    share: Option<(&'static str, &'static str)>,
}

const NETWORKS: [(&str, Network); 17] = [
    (
        "facebook",
        shared(
            "#3b5998",
            "facebook",
            "https://www.facebook.com/sharer/sharer.php?u=",
            "",
        ),
    ),
    (
        "twitter",
        shared(
            "#55acee",
            "twitter",
            "https://twitter.com/intent/tweet?url=",
            "",
        ),
    ),
    (
        "x",
        shared(
            "#000000",
            "twitter-x",
            "https://twitter.com/intent/tweet?url=",
            "",
        ),
    ),
    (
        "google",
        shared(
            "#dc4e41",
            "google-plus",
            "https://plus.google.com/share?url=",
            "",
        ),
    ),
    (
        "pinterest",
        shared(
            "#bd081c",
            "pinterest",
            "https://pinterest.com/pin/create/button/?url=",
            "&media=&description=",
        ),
    ),
    (
        "linkedin",
        shared(
            "#0077b5",
            "linkedin",
            "https://www.linkedin.com/shareArticle?mini=true&url=",
            "&title=&summary=&source=",
        ),
    ),
    (
        "tumblr",
        shared(
            "#344356",
            "tumblr",
            "https://www.tumblr.com/widgets/share/tool?canonicalUrl=",
            "",
        ),
    ),
    (
        "xing",
        shared(
            "#296366",
            "xing",
            "https://www.xing.com/app/user?op=share&url=",
            "",
        ),
    ),
    ("instagram", linked("#3f729b", "instagram")),
    ("web", linked("#4BADE9", "web")),
    ("snapchat", linked("#FFFA54", "snapchat")),
    ("youtube", linked("#EB3323", "youtube")),
    ("github", linked("#000000", "github")),
    ("vimeo", linked("#53B4E7", "vimeo")),
    ("medium", linked("#000000", "medium")),
    ("soundcloud", linked("#EF7F31", "soundcloud")),
    ("dribbble", linked("#D95988", "dribbble")),
];

/// A network that shares an address, which stands between two texts.
const fn shared(
    colour: &'static str,
    icon: &'static str,
    before: &'static str,
    after: &'static str,
) -> Network {
    Network {
        colour,
        icon,
        share: Some((before, after)),
    }
}

/// A network that can only be linked to.
const fn linked(colour: &'static str, icon: &'static str) -> Network {
    Network {
        colour,
        icon,
        share: None,
    }
}

/// The network of a name; with `-noshare` it is linked to only.
fn network(name: &str) -> Option<Network> {
    let sharing = name.strip_suffix("-noshare");
    let mut networks = NETWORKS.iter();
    let (_, found) = networks.find(|(known, _)| *known == sharing.unwrap_or(name))?;
    Some(Network {
        share: found.share.filter(|_| sharing.is_none()),
        ..*found
    })
}

pub fn social(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let mut handed = at.handed_down();
    if let Some(padding) = at.truthy("inner-padding") {
        handed.push(("padding", padding));
    }
    if !at.is("mode", "horizontal") {
        body.html.open_table().set("style", "margin:0px;").done();
        body.html.raw("<tbody>");
        body.each(part, part.context, &handed, |body, child| {
            body.component(child);
        });
        body.html.raw("</tbody></table>");
        return;
    }
    body.html.outlook();
    body.html.open_table().take(at, &["align"]).done();
    body.html.raw("<tr>");
    body.html.outlook_end();
    body.each(part, part.context, &handed, |body, child| {
        body.html.for_outlook("<td>");
        let table = body.html.open_table().take(&part.attributes, &["align"]);
        let css = table.style().set("float", "none");
        css.set("display", "inline-table").done();
        body.html.raw("<tbody>");
        body.component(child);
        body.html.raw("</tbody></table>");
        body.html.for_outlook("</td>");
    });
    body.html.for_outlook("</tr></table>");
}

pub fn element(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let tr = body.html.open("tr").may("class", at.get("css-class"));
    tr.done();
    let left = at.is("icon-position", "left");
    if left {
        icon(body, part);
    }
    let text = raw_text(part.element);
    if !text.is_empty() {
        label(body, part, text);
    }
    if !left {
        icon(body, part);
    }
    body.html.close("tr");
}

/// Where the icon and the text lead.
fn target(part: &Part<'_>, network: Option<&Network>) -> Option<String> {
    let href = part.attributes.truthy("href")?;
    Some(match network.and_then(|network| network.share) {
        Some((before, after)) => format!("{before}{href}{after}"),
        None => href.to_owned(),
    })
}

fn icon(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let network = network(at.get("name").unwrap_or_default());
    let colour = at.truthy("background-color");
    let colour = colour.or(network.as_ref().map(|network| network.colour));
    let own = at.truthy("src").map(str::to_owned);
    if own.is_none() && network.is_some() && !body.options.foreign_icons {
        let span = part.element.span.clone();
        body.foreign_icon.get_or_insert(span);
    }
    let known = || Some(format!("{MJML_ICONS}{}.png", network.as_ref()?.icon));
    let source = own.or_else(known);
    let size = at.truthy("icon-size");
    let html = &mut body.html;
    let css = html.open("td").style().padding(at, "");
    css.take(at, &["vertical-align"]).done();
    let css = html.open_table().style().may("background", colour);
    css.take(at, &["border-radius"]).may("width", size).done();
    html.raw("<tbody>");
    html.open("tr").done();
    let css = html.open("td").style();
    css.may("padding", at.get("icon-padding"))
        .set("font-size", "0")
        .may("height", at.truthy("icon-height").or(size))
        .set("vertical-align", "middle")
        .may("width", size)
        .done();
    let href = target(part, network.as_ref());
    if let Some(href) = &href {
        let a = html.open("a").set("href", href);
        a.take(at, &["rel", "target"]).done();
    }
    let img = html.open("img").take(at, &["alt", "title"]);
    img.may("src", source)
        .set("width", measure::int(size.unwrap_or_default()))
        .may("sizes", at.truthy("sizes"))
        .may("srcset", at.truthy("srcset"))
        .style()
        .take(at, &["border", "border-radius"])
        .set("display", "block")
        .end()
        .void();
    if href.is_some() {
        html.close("a");
    }
    html.raw("</td></tr></tbody></table></td>");
}

fn label(body: &mut Body<'_>, part: &Part<'_>, text: &str) {
    let at = &part.attributes;
    let network = network(at.get("name").unwrap_or_default());
    let href = target(part, network.as_ref());
    let html = &mut body.html;
    let css = html.open("td").style().set("vertical-align", "middle");
    css.may("padding", at.get("text-padding"))
        .may("text-align", at.get("align"))
        .done();
    let name = if href.is_some() { "a" } else { "span" };
    let tag = html.open(name).may("href", href.as_ref());
    let tag = match href {
        Some(_) => tag.take(at, &["rel", "target"]),
        None => tag,
    };
    tag.style()
        .take(
            at,
            &[
                "color",
                "font-size",
                "font-weight",
                "font-style",
                "font-family",
                "line-height",
                "text-decoration",
            ],
        )
        .done();
    html.raw(text);
    html.close(name);
    html.close("td");
}
