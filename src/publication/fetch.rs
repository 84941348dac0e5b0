//! Pictures that an imported text leaves on other hosts, brought beside the issue when the author asks for it.
//!
//! Promises: what may be asked is `web`'s to say; a picture, and all of them, may be so large and take so long and no
//! more; a file is kept only when its octets are those of a picture, under a name made here, and none is written over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use imagesize::ImageType;
use percent_encoding::percent_decode_str;
use reqwest::{Client, Url};

use crate::web::{self, Trouble, may_ask};

/// Octets of one picture; an issue takes no larger ones before they are made smaller.
const ONE: usize = 16 * 1024 * 1024;
/// Octets of all of them.
const ALL: usize = 128 * 1024 * 1024;
/// Pictures of one text.
const COUNT: usize = 100;
/// For one picture, from the question to its last octet.
const PATIENCE: Duration = Duration::from_secs(30);
/// For all of them.
const WHOLE: Duration = Duration::from_secs(300);
/// Characters of a file's name.
const NAME: usize = 60;

/// What came of fetching.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The file beside the issue, by the address it came from.
    pub files: BTreeMap<String, String>,
    /// Each that stays where it is, and why.
    pub failed: Vec<(String, String)>,
}

/// Fetches each of `sources` into `folder`, one after the other. `at_home` allows addresses of this machine.
pub async fn fetch(
    sources: &BTreeSet<String>,
    folder: &Path,
    at_home: bool,
) -> anyhow::Result<Fetched> {
    let client = web::client(at_home, "import of pictures", PATIENCE)?;
    let mut fetched = Fetched::default();
    let mut room = ALL;
    let deadline = tokio::time::Instant::now() + WHOLE;
    for (number, source) in sources.iter().enumerate() {
        let refused = match () {
            () if number >= COUNT => Some(format!("is one of more than {COUNT}")),
            () if room == 0 => Some("was left: the others are heavy enough".into()),
            () => None,
        };
        let octets = match refused {
            Some(why) => Err(why),
            None => {
                let one = one(&client, source, at_home, room.min(ONE));
                let late = || Err("was left: the others took too long".to_owned());
                let octets = tokio::time::timeout_at(deadline, one).await;
                octets.unwrap_or_else(|_| late())
            }
        };
        let kept = octets.and_then(|octets| Ok((ending(&octets)?, octets)));
        match kept {
            Ok((end, octets)) => {
                room -= octets.len().min(room);
                let name = keep(folder, &stem(source), end, &octets)?;
                fetched.files.insert(source.clone(), name);
            }
            Err(why) => fetched.failed.push((source.clone(), why)),
        }
    }
    Ok(fetched)
}

/// The octets of a picture; the error goes on behind its address.
async fn one(
    client: &Client,
    source: &str,
    at_home: bool,
    limit: usize,
) -> Result<Vec<u8>, String> {
    let url = Url::parse(source).map_err(|_| "is no address".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not asked for: its address is neither http nor https".into());
    }
    if !may_ask(&url, at_home) {
        return Err(Trouble::Private.sentence(PATIENCE));
    }
    let failed = |error: reqwest::Error| Trouble::of(&error).sentence(PATIENCE);
    let request = client.get(url).header("accept", "image/*");
    let mut answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("is not given out ({})", answer.status().as_u16()));
    }
    let heavy = || match limit < ONE {
        true => "was left: all pictures together are too large".to_owned(),
        false => format!("is larger than {} MiB", ONE / 1024 / 1024),
    };
    if answer
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(heavy());
    }
    let mut octets = Vec::new();
    // What a host says of the length need not be so.
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if octets.len() + chunk.len() > limit {
            return Err(heavy());
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// How the file of a picture ends; by its octets, whatever its host says.
fn ending(octets: &[u8]) -> Result<&'static str, String> {
    match imagesize::image_type(octets) {
        Ok(ImageType::Png) => Ok("png"),
        Ok(ImageType::Jpeg) => Ok("jpg"),
        Ok(ImageType::Gif) => Ok("gif"),
        Ok(ImageType::Webp) => Ok("webp"),
        _ => Err("is no PNG, JPEG, GIF or WebP".into()),
    }
}

/// What a picture is called, from the last part of its address: letters, digits and `-`.
fn stem(source: &str) -> String {
    let path = Url::parse(source).map(|url| url.path().to_owned());
    let path = path.unwrap_or_default();
    // Some hosts put another one's whole address into their own.
    let path = percent_decode_str(&path).decode_utf8_lossy();
    let last = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let last = last.split(['?', '#']).next().unwrap_or_default();
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    let mut name = String::new();
    for c in stem.chars().take(NAME) {
        match c.is_ascii_alphanumeric() {
            true => name.push(c.to_ascii_lowercase()),
            false if name.ends_with('-') || name.is_empty() => {}
            false => name.push('-'),
        }
    }
    match name.trim_matches('-') {
        "" => "picture".to_owned(),
        // Beside `a.png`, `a@2x.png` is another thing; a name of ours has no such mark.
        name => name.to_owned(),
    }
}

/// Writes a picture under a name that nothing has, and gives it.
fn keep(folder: &Path, stem: &str, end: &str, octets: &[u8]) -> anyhow::Result<String> {
    for number in 1.. {
        let name = match number {
            1 => format!("{stem}.{end}"),
            number => format!("{stem}-{number}.{end}"),
        };
        let path = folder.join(&name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = match file {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            file => file.with_context(|| format!("`{}` cannot be written", path.display()))?,
        };
        let written = file.write_all(octets);
        if written.is_err() {
            // Half a picture is none.
            fs::remove_file(&path).ok();
        }
        written.with_context(|| format!("`{}` cannot be written", path.display()))?;
        return Ok(name);
    }
    unreachable!("numbers do not end before names do")
}

#[cfg(test)]
mod tests {
    use super::{ending, stem};

    #[test]
    fn a_picture_is_named_by_its_address_and_by_nothing_that_could_lead_elsewhere() {
        for (source, expected) in [
            ("https://a.example/x/Cable%20Ship_1.PNG?t=1", "cable-ship-1"),
            (
                "https://cdn.example/fetch/w_1,c_limit/https%3A%2F%2Fs3.example%2Fpublic%2F9f_1200x800.png",
                "9f-1200x800",
            ),
            ("https://a.example/", "picture"),
            ("https://a.example/..%2F..%2Fetc%2Fpasswd", "passwd"),
            ("https://a.example/a%00b@2x.gif", "a-b-2x"),
            ("https://a.example/%E6%97%A5.png", "picture"),
        ] {
            assert_eq!(stem(source), expected, "{source}");
        }
        assert!(ending(b"<svg></svg>").is_err());
        assert_eq!(ending(b"GIF89a\x01\x00\x01\x00\x80\x00\x00;"), Ok("gif"));
    }
}
