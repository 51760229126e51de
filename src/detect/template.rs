//! Texts with CEL between braces: what a rule says and how it is explained.

use super::expression::{Checked, Fault, Node, Scope, Type, Values, compile};

/// A text with gaps.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value(Node, Type),
}

impl Template {
    /// Compiles the expressions between the braces.
    pub(super) fn compile(text: &str, scope: &impl Scope) -> Result<Self, Fault> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let at = text.len() - rest.len() + open;
            let end = close(&rest[open + 1..]).ok_or_else(|| Fault {
                at,
                what: "this brace is not closed".to_owned(),
                hint: Some("an expression stands between { and }".to_owned()),
            })?;
            pieces.push(Piece::Text(rest[..open].to_owned()));
            let inner = &rest[open + 1..open + 1 + end];
            let Checked { node, gives } =
                compile(inner, scope).map_err(|fault| Fault { at: at + 1 + fault.at, ..fault })?;
            pieces.push(Piece::Value(node, gives));
            rest = &rest[open + end + 2..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text for some values.
    pub(super) fn render(&self, values: &impl Values) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Value(node, Type::Number) => match node.number(values) {
                    Some(value) => text.push_str(&number(value)),
                    None => text.push_str("an unknown number of"),
                },
                Piece::Value(node, Type::Text) => text.push_str(node.text(values).unwrap_or_default()),
                Piece::Value(node, Type::Flag) => {
                    text.push_str(if node.flag(values) == Some(true) { "yes" } else { "no" });
                }
            }
        }
        text.trim().to_owned()
    }
}

/// Where the brace closes that is open, outside of quotes.
fn close(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            (None, '}') => return Some(at),
            (None, '"' | '\'') => quote = Some(sign),
            (Some(open), sign) if open == sign => quote = None,
            _ => {}
        }
    }
    None
}

/// A number as a person reads it: at most two digits after the point.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
