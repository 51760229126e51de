//! What the shipped rules do, and what is said of rules that cannot be used.

use super::*;

#[test]
fn the_shipped_rules_compile_and_pass_their_own_tests() {
    let all =
        Rules::compile(&shipped()).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(all.err(), None);
    for text in shipped() {
        let trialled = try_rule(&text).unwrap();
        assert!(!trialled.is_empty(), "{} has no tests", text.file);
        let wrong: Vec<_> = trialled.into_iter().filter(|trial| trial.wrong.is_some()).collect();
        assert_eq!(wrong, []);
    }
}
