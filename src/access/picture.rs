//! The address of a second factor as a picture, which the camera of a telephone reads (ISO/IEC 18004).
//!
//! Promises: dark on light with its quiet zone, whatever the colours of the terminal; the picture holds what was given
//! to it and nothing else. Leaves to the caller whether a terminal is there.

use anyhow::{Context, bail};
use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of nothing around the picture that a reader asks for.
const QUIET: i32 = 4;
/// Black on bright white (ECMA-48, SGR), and back.
const INK: &str = "\u{1b}[30;107m";
const PLAIN: &str = "\u{1b}[0m";

/// A picture for a terminal.
#[derive(Debug)]
pub struct Picture {
    /// Lines of blocks, two modules above each other in each, with the colours in them.
    pub lines: String,
    /// Columns that it takes.
    pub width: usize,
}

/// The picture of `text`. An error where no picture can hold so much.
pub fn picture(text: &str) -> anyhow::Result<Picture> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low);
    let code = code.context("the address is too long for a picture")?;
    let Ok(width) = usize::try_from(code.size() + 2 * QUIET) else {
        bail!("the picture has no width");
    };
    let mut lines = String::new();
    // An odd number of rows: the last line has one row, and nothing below it.
    for y in (-QUIET..code.size() + QUIET).step_by(2) {
        lines.push_str(INK);
        for x in -QUIET..code.size() + QUIET {
            // What lies outside is light.
            lines.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (false, false) => ' ',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (true, true) => '\u{2588}',
            });
        }
        lines.push_str(PLAIN);
        lines.push('\n');
    }
    Ok(Picture { lines, width })
}

#[cfg(test)]
mod tests {
    use super::{INK, PLAIN, picture};

    /// Whether each module is dark, the quiet zone with it.
    fn modules(lines: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in lines.lines() {
            let blocks = line
                .strip_prefix(INK)
                .and_then(|line| line.strip_suffix(PLAIN));
            let blocks = blocks.expect("colours around each line");
            rows.push(
                blocks
                    .chars()
                    .map(|c| matches!(c, '\u{2580}' | '\u{2588}'))
                    .collect(),
            );
            rows.push(
                blocks
                    .chars()
                    .map(|c| matches!(c, '\u{2584}' | '\u{2588}'))
                    .collect(),
            );
        }
        rows
    }

    #[test]
    fn a_picture_has_its_three_eyes_and_light_around_it() {
        let url =
            "otpauth://totp/Field%20Notes:author?secret=JBSWY3DPEHPK3PXP&issuer=Field%20Notes";
        let picture = picture(url).expect("a picture");
        let rows = modules(&picture.lines);
        assert!(rows.iter().all(|row| row.len() == picture.width));
        let last = picture.width - 1;
        for at in 0..4 {
            assert!(!rows[at].contains(&true) && !rows[last - at].contains(&true));
            assert!(rows.iter().all(|row| !row[at] && !row[last - at]));
        }
        let eye = [
            "#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######",
        ];
        for (top, left) in [(4, 4), (4, picture.width - 11), (picture.width - 11, 4)] {
            for (y, line) in eye.iter().enumerate() {
                let seen: String = rows[top + y][left..left + 7]
                    .iter()
                    .map(|&dark| if dark { '#' } else { '.' })
                    .collect();
                assert_eq!(&seen, line);
            }
        }
        // 0.5 KiB of name are read from a telephone's screen no more, and are still a picture.
        super::picture(&"x".repeat(3000)).expect_err("too much");
    }
}
