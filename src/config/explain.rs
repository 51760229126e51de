//! Where each value of the configuration comes from.

use std::path::PathBuf;

use figment::{Figment, Source as Place};

use super::{
    Config, ConfigError, Source,
    load::{self, PREFIX},
};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A flag.
    Flag,
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// `section.key`.
    pub key: String,
    /// The value, in TOML; secrets are hidden.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Every value that is in force, by key. It is read again: what is wrong with it has been said before.
///
/// # Errors
/// As [`load`](super::load).
pub fn explain(source: &Source) -> Result<Vec<Explained>, ConfigError> {
    let figment = load::gathered(source)?;
    let config: Config = load::extracted(&figment, source)?;
    let shown = toml::Table::try_from(&config).map_err(|error| ConfigError::Shape(error.to_string()))?;
    let mut all = Vec::new();
    flatten(String::new(), &toml::Value::Table(shown), &mut |key, value| {
        let origin = origin(&figment, source, &key);
        all.push(Explained { key, value: value.to_string(), origin });
    });
    all.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(all)
}

fn flatten(path: String, value: &toml::Value, each: &mut impl FnMut(String, &toml::Value)) {
    match value {
        toml::Value::Table(table) if !path.is_empty() && table.is_empty() => {}
        toml::Value::Table(table) => {
            for (key, value) in table {
                flatten(if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, each);
            }
        }
        value => each(path, value),
    }
}

fn origin(figment: &Figment, source: &Source, key: &str) -> Origin {
    let within =
        |one: &str, other: &str| one == other || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
    if source.overrides.iter().any(|(flag, _)| within(key, flag) || within(flag, key)) {
        return Origin::Flag;
    }
    let Some(metadata) = figment.find_metadata(key) else { return Origin::Default };
    match &metadata.source {
        Some(Place::File(file)) => Origin::File(file.clone()),
        _ if metadata.name.contains("environment") => {
            Origin::Environment(format!("{PREFIX}{}", key.to_uppercase().replace('.', "__")))
        }
        _ => Origin::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_origin_and_secrets_are_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("a.toml"), folder.path().join("secret"));
        std::fs::write(&secret, "redis://:p@h/").unwrap();
        let text = format!("[topics]\npartitions = 3\n[redis]\nurl = {{ file = '{}' }}\n", secret.display());
        std::fs::write(&file, text).unwrap();
        let overrides = vec![("node.id".to_owned(), "n-2".to_owned())];
        let all = explain(&Source { file: Some(file.clone()), overrides }).unwrap();
        let of = |key: &str| all.iter().find(|one| one.key == key).unwrap();
        assert_eq!((of("node.id").value.as_str(), &of("node.id").origin), ("\"n-2\"", &Origin::Flag));
        assert_eq!(
            (of("topics.partitions").value.as_str(), of("topics.replication").origin.clone()),
            ("3", Origin::Default)
        );
        assert!(matches!(&of("topics.partitions").origin, Origin::File(from) if from.ends_with("a.toml")));
        assert_eq!(of("redis.url").value, "\"(hidden)\"");
        assert!(matches!(of("redis.url").origin, Origin::File(_)));
        assert_eq!(of("node.roles").value, r#"["enrich", "detect", "converse", "project"]"#);
    }
}
