//! The images that an issue names: read from its folder, or left on the web.

use percent_encoding::percent_decode_str;

use crate::compile::Image;
use crate::compile::image::{double, prepare};
use crate::diagnostic::Diagnostic;
use crate::issue::Issue;
use crate::issue::block::Picture;
use crate::issue::target;
use crate::publication::attic::Attic;
use crate::publication::folder::Folder;

/// Images with their octets.
type Pictures = Vec<(Image, Vec<u8>)>;

/// Reads each image of the folder once, and the one with twice the pixels beside it. What cannot be read
/// or shown is told at its place.
pub(super) fn read_pictures(
    issue: &Issue,
    folder: &Folder,
    attic: Option<&Attic>,
    found: &mut Vec<Diagnostic>,
) -> Pictures {
    let mut images = Pictures::new();
    let pictures = issue.pictures();
    for (number, picture) in pictures.iter().enumerate() {
        let mut before = pictures[..number].iter();
        let other = before.find(|other| other.source == picture.source);
        if other.is_some_and(|other| other.still != picture.still) {
            let message = format!(
                "`{}` moves in one place and stands still in another; copy it under another name",
                picture.source
            );
            let error = issue.source().error(picture.offset, "image", message);
            found.push(error);
            continue;
        }
        if images
            .iter()
            .any(|(image, _)| image.source == picture.source)
        {
            continue;
        }
        // Told where the issue was read.
        if picture.source.contains("[[") {
            continue;
        }
        let elsewhere = picture.source.contains("://") || picture.source.starts_with("data:");
        if let Some(read) = attic.and_then(|attic| kept(&picture.source, elsewhere, folder, attic))
        {
            images.push(read);
            continue;
        }
        if elsewhere {
            found.extend(remote(issue, picture));
            continue;
        }
        match local(issue, picture, folder, found) {
            Ok(Some(read)) => images.extend(read),
            Ok(None) => found.push(missing(issue, picture, folder)),
            Err(problem) => {
                found.push(issue.source().error(picture.offset, "image", problem));
            }
        }
    }
    images
}

/// The image of an export, if it has the one of this address: what cannot be shown of it stays where it was.
fn kept(
    address: &str,
    elsewhere: bool,
    folder: &Folder,
    attic: &Attic,
) -> Option<(Image, Vec<u8>)> {
    if !elsewhere && matches!(octets_of(address, folder), Ok(Some(_))) {
        return None;
    }
    let prepared = prepare(address, attic.read(address)?, false).ok()?;
    Some((prepared.image, prepared.octets))
}

fn remote(issue: &Issue, picture: &Picture) -> Option<Diagnostic> {
    let source = issue.source();
    let shown = &picture.source;
    match target::web(shown) {
        // Who gives its size knows that it stands elsewhere.
        Ok(_)
            if shown.starts_with("https://")
                && picture.width.is_some()
                && picture.height.is_some() =>
        {
            None
        }
        Ok(_) if shown.starts_with("https://") => Some(
            source
                .warning(
                    picture.offset,
                    "remote-image",
                    format!("`{shown}` stays on another host, which sees who opens the mail"),
                )
                .help(match issue.layout {
                    Some(_) => "put the file beside the issue, and name it here",
                    None => {
                        "put the file beside the issue, or give its size as `{width=600 height=400}`"
                    }
                }),
        ),
        _ => Some(
            source
                .error(
                    picture.offset,
                    "image",
                    format!("`{shown}` is neither a file of the issue nor an `https://` address"),
                )
                .help("put the file beside the issue"),
        ),
    }
}

/// Tells a file that is not there, with the one that was most likely meant.
fn missing(issue: &Issue, picture: &Picture, folder: &Folder) -> Diagnostic {
    let name = &picture.source;
    let message = format!("there is no file `{name}` in the issue's folder");
    let error = issue.source().error(picture.offset, "image", message);
    match folder.near(name) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// The image, and its variant for dense screens where there is one; none where there is no such file.
fn local(
    issue: &Issue,
    picture: &Picture,
    folder: &Folder,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<Pictures>, String> {
    let Some(octets) = octets_of(&picture.source, folder)? else {
        return Ok(None);
    };
    let mut say = |notes: Vec<(&'static str, String)>| {
        let finding = |(code, note)| issue.source().warning(picture.offset, code, note);
        found.extend(notes.into_iter().map(finding));
    };
    let once = prepare(&picture.source, octets, picture.still)?;
    say(once.notes);
    let mut images = vec![(once.image, once.octets)];
    let Some(source) = double(&picture.source) else {
        return Ok(Some(images));
    };
    if let Some(octets) = octets_of(&source, folder)? {
        let twice = prepare(&source, octets, picture.still)?;
        let (width, expected) = (twice.natural.0, once.natural.0.saturating_mul(2));
        if width.abs_diff(expected) > 2 {
            let message = format!(
                "`{source}` is {width} pixels wide, not twice the {} of `{}`, and is left out",
                once.natural.0, picture.source
            );
            say(vec![("image-2x", message)]);
        } else {
            say(twice.notes);
            images.push((twice.image, twice.octets));
        }
    }
    Ok(Some(images))
}

/// The octets of a file by its name, or by that which Markdown writes with `%20` for a blank.
fn octets_of(source: &str, folder: &Folder) -> Result<Option<Vec<u8>>, String> {
    let read = |name: &str| folder.read(name).map_err(|error| format!("{error:#}"));
    if let Some(octets) = read(source)? {
        return Ok(Some(octets));
    }
    match percent_decode_str(source).decode_utf8() {
        Ok(name) if name != source => read(&name),
        _ => Ok(None),
    }
}
