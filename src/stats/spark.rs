//! Numbers as a line of little bars.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar for each number, the largest at full height; a blank for nothing at all.
pub fn line(numbers: &[i64]) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let bar = |&number: &i64| match number {
        ..=0 => ' ',
        _ => {
            let step = number * 8 / most - 1;
            BARS[usize::try_from(step.max(0)).unwrap_or(0).min(7)]
        }
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_largest_is_full_and_nothing_is_a_blank() {
        assert_eq!(line(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(line(&[5, 5]), "██");
        assert_eq!(line(&[0, 0]), "  ");
        assert_eq!(line(&[]), "");
    }
}
