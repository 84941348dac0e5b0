//! Values that MJML takes and refuses, as measured with MJML itself.

use proptest::prelude::{any, proptest};

use crate::mjml::components::COMPONENTS;
use crate::mjml::values::{
    ALIGN, BOOLEAN, COLOR, FULL_WIDTH, INTEGER, LENGTH, LENGTH_OR_AUTO, LENGTHS, LINE_HEIGHT,
    PIXELS, PIXELS_OR_AUTO, SPACING, TEXT, Type, VERTICAL,
};

fn assert_takes(value: Type, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(value.takes(text), "{value:?} refuses {text:?}");
    }
    for text in bad {
        assert!(!value.takes(text), "{value:?} takes {text:?}");
    }
}

#[test]
fn lengths_are_numbers_with_a_unit_or_zero() {
    assert_takes(
        PIXELS,
        &["0", "10px", "10.5px", "1,5px", "10px ", "0 ", "0px", ".px"],
        &[
            "",
            " ",
            "10",
            "10%",
            " 10px",
            "10PX",
            "-1px",
            "10px  ",
            "10px 10px",
            "00",
            "px",
            "auto",
            "10px\n",
        ],
    );
    assert_takes(LENGTH, &["10%", "10px", "0"], &["10", "10em", "1px%"]);
    assert_takes(
        LINE_HEIGHT,
        &["1.5", "1", "22px", "150%", "0"],
        &["", "1.5em", "normal"],
    );
    assert_takes(
        SPACING,
        &["-1px", "0.5em", "0", "-0.1em"],
        &["1%", "normal", "-1"],
    );
    assert_takes(
        PIXELS_OR_AUTO,
        &["auto", "auto ", "20px"],
        &["20%", "autoauto"],
    );
    assert_takes(LENGTH_OR_AUTO, &["auto", "20%", "20px"], &["20"]);
}

#[test]
fn several_lengths_stand_one_blank_apart() {
    assert_takes(
        LENGTHS,
        &[
            "0",
            "10px 25px",
            "1px 2px 3px 4px",
            "0 0 10px 5%",
            "10px20px",
            "0000",
            "0 0 0 0 ",
            "010px",
        ],
        &[
            "",
            "1px 2px 3px 4px 5px",
            "10px  25px",
            "10px 25",
            "00000",
            "10px, 25px",
            "0 00 000",
        ],
    );
}

#[test]
fn colours_are_names_in_lower_case_hex_or_functions() {
    assert_takes(
        COLOR,
        &[
            "red",
            "inherit",
            "transparent",
            "#fff",
            "#FFF",
            "#1a2B3c",
            "rgb(1,2,3)",
            "rgb(1, 2, 3)",
            "RGB(1,2,3)",
            "rgba(0,0,0,0.5)",
            "rgba(0, 0, 0, 1)",
            "rgba(999,0,0,9.999)",
            "a rgb(1,2,3) b",
        ],
        &[
            "",
            "Red",
            "reddish",
            "fff",
            "#ff",
            "#ffff",
            "#ffffffff",
            "#ggg",
            "rgb(1,2)",
            "rgb(1 2 3)",
            "rgba(0,0,0,.5)",
            "rgba(0,0,0)",
            "rgb(0,0,0,0)",
            "hsl(1, 2%, 3%)",
            "rgb(1,  2,3)",
            "none",
            "rgba(0,0,0,0.1234)",
            "{{ color }}",
        ],
    );
}

#[test]
fn words_are_taken_as_they_are() {
    assert_takes(BOOLEAN, &["true", "false"], &["True", "1", "", "yes"]);
    assert_takes(
        FULL_WIDTH,
        &["full-width", "false", ""],
        &["true", "full-width "],
    );
    assert_takes(INTEGER, &["4", "04", "4px", "a1"], &["", "none"]);
    assert_takes(TEXT, &["", "anything", "\u{1f916}"], &[]);
}

#[test]
fn what_is_likely_meant_is_always_taken() {
    let meant = |value: Type, text: &str| value.meant(text).unwrap_or_default();
    assert_eq!(meant(COLOR, "Red"), "red");
    assert_eq!(meant(COLOR, "#FFFF"), "#fff");
    assert_eq!(meant(COLOR, "1a2b3cff"), "#1a2b3c");
    assert_eq!(meant(COLOR, "ornage"), "orange");
    assert_eq!(meant(COLOR, "rgba( 0,0,0 , .5)"), "rgba(0, 0, 0, 0.5)");
    assert_eq!(meant(COLOR, "hsl(1, 2%, 3%)"), "");
    assert_eq!(meant(LENGTHS, " 10  20px"), "10px 20px");
    assert_eq!(meant(LENGTH, "50"), "50px");
    assert_eq!(meant(LENGTH, "half"), "");
    assert_eq!(meant(BOOLEAN, "TRUE"), "true");
    assert_eq!(meant(FULL_WIDTH, "fullwidth"), "full-width");
    assert_eq!(meant(ALIGN, "middle"), "center");
    assert_eq!(meant(ALIGN, "centre"), "center");
    assert_eq!(meant(VERTICAL, "center"), "middle");
}

#[test]
fn every_default_is_a_value_of_its_attribute() {
    for component in &COMPONENTS {
        for attribute in component.attributes() {
            if let Some(default) = attribute.default {
                assert!(
                    attribute.value.takes(default),
                    "{} {}={default:?}",
                    component.name,
                    attribute.name
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn no_value_is_worse_for_its_correction(text in any::<String>(), numeric in "[0-9a-f#rgb().,% px-]{0,20}") {
        for value in [COLOR, LENGTH, LENGTHS, SPACING, LENGTH_OR_AUTO, BOOLEAN, FULL_WIDTH, INTEGER] {
            for text in [&text, &numeric] {
                if let Some(meant) = value.meant(text) {
                    assert!(value.takes(&meant), "{value:?} {text:?} {meant:?}");
                }
            }
        }
    }
}
