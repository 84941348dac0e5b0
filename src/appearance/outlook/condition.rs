//! The conditions of conditional comments, as Outlook 2016 and later decide them.

/// What `[if mso 16]` and its like compare with: Outlook 2016, 2019, 2021 and 365 all call themselves this.
const VERSION: f32 = 16.0;
/// Brackets within brackets that are followed; more is nonsense.
const DEPTH: usize = 16;

/// Reads `[if CONDITION]>` at the start of a comment: whether it holds, and what stands behind it.
pub(super) fn read(comment: &str) -> Option<(bool, &str)> {
    let rest = comment.strip_prefix('[')?.trim_start();
    let condition = rest.strip_prefix("if").or(rest.strip_prefix("IF"))?;
    let (condition, rest) = condition.split_once(']')?;
    let rest = rest.trim_start().strip_prefix('>')?;
    let tokens = tokens(condition);
    let mut reader = Reader {
        tokens: &tokens,
        depth: 0,
    };
    Some((reader.any(), rest))
}

fn tokens(condition: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(condition.len() * 2);
    for c in condition.chars() {
        if matches!(c, '!' | '&' | '|' | '(' | ')') {
            spaced.push_str(&format!(" {c} "));
        } else {
            spaced.push(c.to_ascii_lowercase());
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Reader<'a> {
    tokens: &'a [String],
    depth: usize,
}

impl Reader<'_> {
    fn take(&mut self, wanted: &str) -> bool {
        let found = self.tokens.first().is_some_and(|token| token == wanted);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.take("|") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.take("&") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        let mut negated = false;
        while self.take("!") {
            negated = !negated;
        }
        let holds = if self.take("(") {
            self.depth += 1;
            let holds = self.depth < DEPTH && self.any();
            self.take(")");
            self.depth -= 1;
            holds
        } else {
            self.feature()
        };
        holds != negated
    }

    fn feature(&mut self) -> bool {
        let order = ["gte", "gt", "lte", "lt"];
        let compare = order.into_iter().find(|word| self.take(word));
        let Some((name, rest)) = self.tokens.split_first() else {
            return false;
        };
        self.tokens = rest;
        let version = rest.first().and_then(|token| token.parse::<f32>().ok());
        if version.is_some() {
            self.tokens = &rest[1..];
        }
        // `ie` is the old Internet Explorer: Outlook has drawn with Word since 2007.
        let known = matches!(name.as_str(), "mso" | "vml" | "true");
        known
            && version.is_none_or(|version| match compare {
                Some("gte") => VERSION >= version,
                Some("gt") => VERSION > version,
                Some("lte") => VERSION <= version,
                Some("lt") => VERSION < version,
                _ => (VERSION - version).abs() < f32::EPSILON,
            })
    }
}
