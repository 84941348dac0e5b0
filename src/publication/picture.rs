//! The images that an issue names: read from its folder, or left on the web with a warning.

use crate::compile::Image;
use crate::compile::image::measure;
use crate::diagnostic::Diagnostic;
use crate::issue::Issue;
use crate::issue::block::Picture;
use crate::issue::target;
use crate::publication::folder::Folder;

/// Reads each image of the folder once. What cannot be read or shown is told at its place.
pub(super) fn read_pictures(
    issue: &Issue,
    folder: &Folder,
    found: &mut Vec<Diagnostic>,
) -> Vec<(Image, Vec<u8>)> {
    let mut images: Vec<(Image, Vec<u8>)> = Vec::new();
    for picture in issue.pictures() {
        if images
            .iter()
            .any(|(image, _)| image.source == picture.source)
        {
            continue;
        }
        if picture.source.contains("://") || picture.source.starts_with("data:") {
            found.push(remote(issue, picture));
            continue;
        }
        match local(picture, folder) {
            Ok((image, octets)) => {
                images.push((image, octets));
            }
            Err(problem) => {
                found.push(issue.source().error(picture.offset, "image", problem));
            }
        }
    }
    images
}

fn remote(issue: &Issue, picture: &Picture) -> Diagnostic {
    let source = issue.source();
    let shown = &picture.source;
    match target::web(shown) {
        Ok(_) if shown.starts_with("https://") => source
            .warning(
                picture.offset,
                "remote-image",
                format!("`{shown}` stays on another host, which sees who opens the mail"),
            )
            .help("put the file beside the issue"),
        _ => source
            .error(
                picture.offset,
                "image",
                format!("`{shown}` is neither a file of the issue nor an `https://` address"),
            )
            .help("put the file beside the issue"),
    }
}

fn local(picture: &Picture, folder: &Folder) -> Result<(Image, Vec<u8>), String> {
    let read = folder.read(&picture.source);
    let octets = read.map_err(|error| format!("{error:#}"))?;
    let octets = octets.ok_or_else(|| {
        format!(
            "there is no file `{}` in the issue's folder",
            picture.source
        )
    })?;
    let image = measure(&picture.source, &octets)?;
    Ok((image, octets))
}
