//! The rules of a carousel, by which the chosen radio button shows its image, arrows and thumbnail.
//!
//! Promises: without radio buttons the first image stands there, and nothing to be pressed.

use std::fmt::Write;

use crate::mjml::render::body::Part;
use crate::mjml::render::carousel::Wheel;

const HIDE: &str = "display: none !important;";
const SHOW: &str = "display: block !important;";

/// The rules of one carousel, as they stand in the head.
pub(super) fn rules(part: &Part<'_>, wheel: Wheel) -> String {
    let get = |name: &str| part.attributes.get(name).unwrap_or_default();
    let mut rules = Rules {
        wheel,
        css: String::new(),
    };
    rules.buttons(get("icon-width"));
    rules.images();
    rules.arrows();
    rules.thumbnails(get("tb-selected-border-color"));
    rules.hovered(get("tb-hover-border-color"));
    rules.without_buttons();
    rules.css
}

struct Rules {
    wheel: Wheel,
    css: String,
}

impl Rules {
    /// What is pressed, and not read.
    fn buttons(&mut self, width: &str) {
        let id = self.wheel.id;
        self.add(
            ".mj-carousel",
            "-webkit-user-select: none; -moz-user-select: none; user-select: none;",
        );
        self.add(
            &format!(".mj-carousel-{id}-icons-cell"),
            &format!("display: table-cell !important; width: {width} !important;"),
        );
        self.add(
            ".mj-carousel-radio, .mj-carousel-next, .mj-carousel-previous",
            HIDE,
        );
        self.add(
            ".mj-carousel-thumbnail, .mj-carousel-next, .mj-carousel-previous",
            "touch-action: manipulation;",
        );
    }

    /// The chosen image, and no other.
    fn images(&mut self) {
        let id = self.wheel.id;
        let any = self.all(|number| {
            let steps = after(number - 1);
            format!(
                ".mj-carousel-{id}-radio:checked {steps}+ .mj-carousel-content .mj-carousel-image"
            )
        });
        self.add(&any, HIDE);
        let chosen = self.all(|number| self.chosen(number, &format!("image-{number}")));
        self.add(&chosen, SHOW);
    }

    /// The arrows that lead from the chosen image to its neighbours.
    fn arrows(&mut self) {
        let images = self.wheel.images;
        let next = self.all(|number| {
            let behind = number % images + 1;
            self.chosen(number, &format!("next-{behind}"))
        });
        let previous = self.all(|number| {
            let before = (number + images - 2) % images + 1;
            self.chosen(number, &format!("previous-{before}"))
        });
        self.add(
            &format!(".mj-carousel-previous-icons, .mj-carousel-next-icons, {next}, {previous}"),
            SHOW,
        );
    }

    /// The thumbnails, and the border of the chosen one.
    fn thumbnails(&mut self, colour: &str) {
        let id = self.wheel.id;
        let own = self.all(|number| self.chosen(number, &format!("{id}-thumbnail-{number}")));
        self.add(&own, &format!("border-color: {colour} !important;"));
        let any = self.all(|number| self.chosen(number, &format!("{id}-thumbnail")));
        self.add(&any, "display: inline-block !important;");
        self.add(
            ".mj-carousel-image img + div, .mj-carousel-thumbnail img + div",
            HIDE,
        );
    }

    /// The image of the thumbnail under the pointer.
    fn hovered(&mut self, colour: &str) {
        let Wheel { id, images } = self.wheel;
        let hovered = |number: usize, thumbnail: &str, image: &str| {
            let steps = after(images - number);
            format!(
                ".mj-carousel-{id}-{thumbnail}:hover {steps}+ .mj-carousel-main .mj-carousel-{image}"
            )
        };
        let any = self.all(|number| hovered(number, "thumbnail", "image"));
        self.add(&any, HIDE);
        self.add(
            ".mj-carousel-thumbnail:hover",
            &format!("border-color: {colour} !important;"),
        );
        let own = self.all(|number| {
            let (thumbnail, image) = (format!("thumbnail-{number}"), format!("image-{number}"));
            hovered(number, &thumbnail, &image)
        });
        self.add(&own, SHOW);
    }

    /// For programs that know no radio buttons, and those that draw them wrong.
    fn without_buttons(&mut self) {
        let id = self.wheel.id;
        self.add(".mj-carousel noinput", SHOW);
        self.add(".mj-carousel noinput .mj-carousel-image-1", SHOW);
        self.add(
            ".mj-carousel noinput .mj-carousel-arrows, .mj-carousel noinput .mj-carousel-thumbnails",
            HIDE,
        );
        self.add("[owa] .mj-carousel-thumbnail", HIDE);
        let first = self.chosen(1, &format!("{id}-thumbnail-1"));
        self.add(
            "@media screen yahoo",
            &format!(
                ".mj-carousel-{id}-icons-cell, .mj-carousel-previous-icons, .mj-carousel-next-icons \
                 {{ {HIDE} }} {first} {{ border-color: transparent; }}"
            ),
        );
    }

    fn add(&mut self, selectors: &str, declarations: &str) {
        writeln!(self.css, "{selectors} {{ {declarations} }}").expect("a string takes everything");
    }

    /// One selector for each image.
    fn all(&self, selector: impl Fn(usize) -> String) -> String {
        let selectors: Vec<String> = (1..=self.wheel.images).map(selector).collect();
        selectors.join(",")
    }

    /// What is of the class `target`, while the radio button of this number is chosen.
    fn chosen(&self, number: usize, target: &str) -> String {
        let Wheel { id, images } = self.wheel;
        let steps = after(images - number);
        format!(
            ".mj-carousel-{id}-radio-{number}:checked {steps}+ .mj-carousel-content .mj-carousel-{target}"
        )
    }
}

/// From a radio button (or a hovered thumbnail) over its later siblings to what they stand before.
fn after(steps: usize) -> String {
    "+ * ".repeat(steps)
}
