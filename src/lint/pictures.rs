//! Images: what stands for them, how heavy they are, and who shows them.

use crate::compile::image::SIZE_WARNING;
use crate::compile::image::container::frames;
use crate::issue::block::Picture;
use crate::lint::Desk;

/// Octets of one image beyond which a reader on a phone waits.
const ONE: usize = 300 * 1024;
/// The same for all images of an issue.
const ALL: usize = 1024 * 1024;
/// Characters that a screen reader says in one go.
const ALT: usize = 200;

pub(super) fn check(desk: &mut Desk<'_>) {
    let inputs = desk.inputs;
    let pictures = inputs.issue.pictures();
    for picture in &pictures {
        alt(desk, picture);
    }
    let mut total = 0;
    for (image, octets) in inputs.images {
        let picture = pictures
            .iter()
            .find(|picture| picture.source == image.source);
        let Some(picture) = picture else { continue };
        let at = (picture.offset, 2);
        let name = &image.source;
        let moves = frames(&image.media_type, octets) > 1;
        total += octets.len();
        if octets.len() > ONE {
            let message = format!(
                "`{name}` weighs {}; phones load it slowly",
                kib(octets.len())
            );
            let help = match moves {
                true if octets.len() > SIZE_WARNING => {
                    lighter(name, inputs.issue.text[picture.offset..].starts_with('!'))
                }
                true => {
                    "what moves is served as it is: fewer frames, colours and pixels make it small"
                        .into()
                }
                false => {
                    "1200 pixels are wide enough for every mail; JPEG is small for photographs"
                        .into()
                }
            };
            desk.say("image-weight", at, message, &help);
        }
        if image.media_type == "image/webp" {
            let message = format!("`{name}` is WebP, which Outlook for Windows does not show");
            desk.say("image-format", at, message, "save it as PNG or JPEG");
        }
        if moves {
            let message = format!("`{name}` moves; Outlook for Windows shows its first frame only");
            let help =
                "let the first frame say it all, and let it stop after five seconds (WCAG 2.2.2)";
            desk.say("image-animated", at, message, help);
        }
    }
    if total > ALL {
        let message = format!("the images weigh {} together", kib(total));
        desk.say_about(
            "image-weight",
            message,
            "a reader on the road may never see them",
        );
    }
}

/// What to do about what moves and is sent as it is, although it is heavy.
fn lighter(name: &str, markdown: bool) -> String {
    let quoted = match name.contains([' ', '\'', '(', '&', ';']) {
        true => format!("'{}'", name.replace('\'', "'\\''")),
        false => name.to_owned(),
    };
    let tool = match name.to_ascii_lowercase().ends_with(".gif") {
        true => format!(
            "`gifsicle -O3 --lossy=80 --colors 128 --resize-fit-width 600 {quoted} -o small.gif` makes it smaller"
        ),
        false => "fewer frames, colours and pixels make it small".to_owned(),
    };
    let still = match markdown {
        true => "; `{motion=still}` behind it sends its first frame only",
        false => "",
    };
    format!("what moves is served as it is. {tool}{still}; or link a still picture to a film")
}

fn alt(desk: &mut Desk<'_>, picture: &Picture) {
    let at = (picture.offset, 2 + picture.alt.len());
    let text = picture.alt.trim();
    let lower = text.to_lowercase();
    let file = picture
        .source
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let stem = file
        .rsplit_once('.')
        .map_or(file.as_str(), |(stem, _)| stem);
    let ends = [".png", ".jpg", ".jpeg", ".gif", ".webp"];
    let empty_words = [
        "image",
        "photo",
        "picture",
        "screenshot",
        "graphic",
        "chart",
        "diagram",
        "figure",
        "img",
        "alt",
        "alt text",
        "untitled",
    ];
    let help = "say what readers would miss if they did not see it";
    if text.is_empty() {
        // The compiler refuses it; nothing more to say.
    } else if lower == stem || lower == file || ends.iter().any(|end| lower.ends_with(end)) {
        let message = format!("`{text}` is the name of the file, not what the image shows");
        desk.say("alt-text", at, message, help);
    } else if empty_words.contains(&lower.as_str()) {
        let message = format!("`{text}` does not say what the image shows");
        desk.say("alt-text", at, message, help);
    } else if text.chars().count() > ALT {
        let count = text.chars().count();
        let message =
            format!("the image's text has {count} characters; screen readers say it in one breath");
        desk.say(
            "alt-text",
            at,
            message,
            "say it in one sentence, and the rest in the text below",
        );
    }
}

fn kib(octets: usize) -> String {
    format!("{} KiB", octets.div_ceil(1024))
}
