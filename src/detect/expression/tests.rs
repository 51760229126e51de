//! Conditions that cannot be meant: what is said, and at which character.

use super::*;
use crate::detect::compile::EventScope;

fn fault(text: &str) -> (usize, String) {
    let fault = compile(text, &EventScope).unwrap_err();
    (fault.at, format!("{} ({})", fault.what, fault.hint.unwrap_or_default()))
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_hint() {
    for (text, at, part) in [
        ("severty >= 0.5", 0, "did you mean `severity`?"),
        ("severity >= 35.0", 9, "`severity` is from 0 to 1"),
        ("severity >= \"high\"", 9, "a number and a text do not compare"),
        ("band == ", 8, ""),
        ("rank - 1 > 0.5", 7, "write 1.0"),
        ("[1, 2].all(x, x > 0)", 10, "loops are not used"),
        ("size(band) > 3", 4, "`size` is not used"),
        ("band.matches(\"a.*\")", 12, "`matches` is not used"),
    ] {
        let (place, what) = fault(text);
        assert!(what.contains(part), "{text}: {what}");
        assert_eq!(place, at, "{text}");
    }
}
