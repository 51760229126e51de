//! Gathers the configuration from its sources and checks it.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::Serialize;

use super::{CallerSection, Config, KeyProvider, Role, Scope, in_earnest};

/// The file that is read where no other is named.
const FILE: &str = "auren.toml";
/// What begins the name of a variable that configures AUREN.
pub(super) const PREFIX: &str = "AUREN__";

/// Where values come from besides the defaults and the environment.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file, where one was named. It must exist; `auren.toml` need not.
    pub file: Option<PathBuf>,
    /// Flags, as `section.key` and a value in TOML.
    pub overrides: Vec<(String, String)>,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named is not there.
    #[error("the configuration file {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// A value of the wrong type, or a key that nobody knows.
    #[error("configuration: {0}")]
    Shape(String),
    /// A value that must not be.
    #[error("configuration: {key} {why}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// What it must be.
        why: String,
    },
    /// Where real people's data are, something is as it may only be for trying: each key, and why.
    #[error(
        "configuration: node.profile is \"prod\", and {}",
        .0.iter().map(|(key, why)| format!("{key} {why}")).collect::<Vec<_>>().join("\nconfiguration: ")
    )]
    Earnest(Vec<(String, String)>),
}

/// Reads and checks the configuration.
///
/// # Errors
/// [`ConfigError`] names the key, where it was set, and what it must be.
pub fn load(source: &Source) -> Result<Config, ConfigError> {
    let config = extracted(&gathered(source)?, source)?;
    check(&config)?;
    in_earnest(&config)?;
    Ok(config)
}

/// All sources, the later ones over the earlier.
pub(super) fn gathered(source: &Source) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    figment = match &source.file {
        Some(file) if !file.is_file() => return Err(ConfigError::NoFile(file.clone())),
        Some(file) => figment.merge(Toml::file_exact(file)),
        None if Path::new(FILE).is_file() => figment.merge(Toml::file_exact(FILE)),
        None => figment,
    };
    figment = figment.merge(Env::prefixed(PREFIX).split("__"));
    for (key, value) in &source.overrides {
        figment = figment.merge(Serialized::default(key, typed(value)));
    }
    Ok(figment)
}

/// What the sources come to, unchecked.
pub(super) fn extracted(figment: &Figment, source: &Source) -> Result<Config, ConfigError> {
    figment.extract().map_err(|error| shape(error, source))
}

/// A flag's value: a number or a truth value where it reads as one, text otherwise.
fn typed(value: &str) -> impl Serialize + use<> {
    value.parse::<toml::Value>().unwrap_or_else(|_| toml::Value::String(value.to_owned()))
}

fn shape(error: figment::Error, source: &Source) -> ConfigError {
    let lines = error.into_iter().map(|one| {
        let key = one.path.join(".");
        let flag =
            |(name, _): &(String, String)| *name == key || key.is_empty() || name.starts_with(&format!("{key}."));
        let place = match one.metadata.as_ref() {
            _ if source.overrides.iter().any(flag) => " (in a flag)".to_owned(),
            Some(metadata) if metadata.name.contains("environment") => {
                format!(" (in the environment: {PREFIX}{})", key.to_uppercase().replace('.', "__"))
            }
            Some(metadata) if metadata.source.is_some() => {
                let file = source.file.as_deref().unwrap_or(Path::new(FILE));
                format!(" (in {})", file.display())
            }
            _ => String::new(),
        };
        if key.is_empty() { format!("{}{place}", one.kind) } else { format!("{key}: {}{place}", one.kind) }
    });
    ConfigError::Shape(lines.collect::<Vec<_>>().join("; "))
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |key: &'static str, why: &str| Err(ConfigError::Value { key, why: why.to_owned() });
    let name = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    if !name(&config.node.id) {
        return wrong("node.id", "must be 1 to 64 letters, digits, dots, dashes and underscores");
    }
    if config.node.roles.is_empty() {
        return wrong("node.roles", &format!("must name at least one of {}", Role::all_names()));
    }
    if let Some((key, why)) = config.kafka.fault() {
        return wrong(key, why);
    }
    if !config.kafka.prefix.is_empty() && !name(&config.kafka.prefix) {
        return wrong("kafka.prefix", "must be at most 64 letters, digits, dots, dashes and underscores");
    }
    within("kafka.transaction_timeout_ms", config.kafka.transaction_timeout_ms, 1_000..=900_000)?;
    within("kafka.session_timeout_ms", config.kafka.session_timeout_ms, 1_000..=300_000)?;
    let redis = |url: &str| url.starts_with("redis://") || url.starts_with("rediss://");
    if config.redis.url.as_ref().is_some_and(|url| !redis(url.reveal())) {
        return wrong("redis.url", "must be rediss://[user:password@]host:port/[database], or redis:// without TLS");
    }
    let given = |file: &Path| !file.as_os_str().is_empty();
    if given(&config.redis.certificate_file) != given(&config.redis.key_file) {
        return wrong("redis.certificate_file", "and redis.key_file belong together: set both or neither");
    }
    if config.redis.prefix.len() > 64 {
        return wrong("redis.prefix", "must be at most 64 bytes");
    }
    within("redis.timeout_ms", config.redis.timeout_ms, 10..=60_000)?;
    within("redis.flush_ms", config.redis.flush_ms, 1..=60_000)?;
    within("topics.partitions", config.topics.partitions, 1..=1024)?;
    within("topics.replication", config.topics.replication, 1..=16)?;
    if config.phi.tenant.is_empty() || config.phi.tenant.len() > 128 {
        return wrong("phi.tenant", "must be 1 to 128 bytes");
    }
    if config.phi.provider == KeyProvider::Vault && config.vault.token.is_none() {
        return wrong("vault.token", "must be set where phi.provider is \"vault\" (AUREN__VAULT__TOKEN)");
    }
    if config.callers.0.values().any(|caller| caller.token.reveal().len() < 24) {
        return wrong(
            "callers",
            "must each have a token of at least 24 characters, such as `openssl rand -hex 24` prints",
        );
    }
    if config.node.roles == [Role::Project] && config.history().is_none() {
        return wrong(
            "project.url",
            "must name a database where \"project\" is the only one of node.roles (AUREN__PROJECT__URL): there is nothing to \
             do without",
        );
    }
    within("project.max_batch", config.project.max_batch, 1..=100_000)?;
    within("project.max_readers", config.project.max_readers, 1..=64)?;
    within("project.read_limit_ms", config.project.read_limit_ms, 100..=60_000)?;
    let chats = |caller: &CallerSection| caller.scopes.contains(&Scope::Chat);
    if !config.callers.0.keys().all(|caller| name(caller)) || config.callers.0.values().any(chats) {
        return wrong(
            "callers",
            "must each be named with at most 64 letters, digits, dots, dashes and underscores, and none may have the scope \
             chat: who chats is the `sub` of a JWT (section tokens)",
        );
    }
    if let Some((key, why)) = config.tokens.fault() {
        return wrong(key, why);
    }
    within("lanes.threads_per_role", config.lanes.threads_per_role, 1..=64)?;
    within("lanes.max_batch", config.lanes.max_batch, 1..=100_000)?;
    at_least_one("lanes.max_resident", config.lanes.max_resident)?;
    at_least_one("lanes.park_after", config.lanes.park_after)?;
    within("lanes.park_ms", config.lanes.park_ms, 1..=86_400_000)?;
    within("lanes.watchdog_seconds", config.lanes.watchdog_seconds, 1..=3600)?;
    at_least_one("converse.quiet_minutes", config.converse.quiet_minutes)?;
    within("converse.agent_deadline_ms", config.converse.agent_deadline_ms, 1..=3_600_000)?;
    if let Some((key, why)) = config.converse.fault() {
        return wrong(key, &why);
    }
    within("converse.agent_attempts", config.converse.agent_attempts, 1..=100)?;
    within("converse.agent_retry_ms", config.converse.agent_retry_ms, 1..=3_600_000)?;
    at_least_one("converse.agent_max_open", config.converse.agent_max_open)?;
    at_least_one("converse.agent_circuit_failures", config.converse.agent_circuit_failures)?;
    within("converse.agent_circuit_ms", config.converse.agent_circuit_ms, 1..=3_600_000)?;
    if let Some((key, why)) = config.agents.fault() {
        return wrong(key, &why);
    }
    if let Some((key, why)) = config.http.fault() {
        return wrong(key, why);
    }
    if config.http.idle_ms <= config.chat.heartbeat_ms {
        return wrong("http.idle_ms", "must be more than chat.heartbeat_ms, at which streams give a sign of life");
    }
    if let Some((key, why)) = config.chat.fault() {
        return wrong(key, why);
    }
    if let Some((key, why)) = config.telemetry.fault() {
        return wrong(key, why);
    }
    if config.log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        return wrong("log.level", "must be a level, or directives such as info,auren::lane=debug");
    }
    Ok(())
}

fn within<T: PartialOrd + Display>(key: &'static str, value: T, bounds: RangeInclusive<T>) -> Result<(), ConfigError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Value { key, why: format!("must be from {} to {}", bounds.start(), bounds.end()) })
}

fn at_least_one<T: PartialEq + Default>(key: &'static str, value: T) -> Result<(), ConfigError> {
    if value != T::default() {
        return Ok(());
    }
    Err(ConfigError::Value { key, why: "must be at least 1".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Result<Config, ConfigError> {
        let overrides = vec![(key.to_owned(), value.to_owned())];
        load(&Source { file: None, overrides })
    }

    #[test]
    fn the_defaults_are_good() {
        assert_eq!(load(&Source::default()).unwrap(), Config::default());
    }

    #[test]
    fn a_file_is_read_and_flags_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "[topics]\npartitions = 3\nreplication = 2\n").unwrap();
        let overrides = vec![("topics.partitions".to_owned(), "4".to_owned())];
        let config = load(&Source { file: Some(file), overrides }).unwrap();
        assert_eq!((config.topics.partitions, config.topics.replication), (4, 2));
    }

    #[test]
    fn the_example_file_shows_every_key_with_its_default() {
        let example = include_str!("../../config/auren.example.toml");
        let shown: toml::Table = toml::from_str(example).unwrap();
        assert_eq!(shown, toml::Table::try_from(Config::default()).unwrap());
        // They have no default, so they stand there as comments.
        let named = [
            "master_key = ",
            "keyring_url = ",
            "token = ",
            "[callers.NAME]",
            "[agents.http.NAME]",
            "[agents.llm.NAME]",
            "[agents.a2a.NAME]",
            "[agents.kafka.NAME]",
            "url = \"redis",
            "url = \"postgres",
            "url = \"https",
            "secret = ",
            "password = ",
        ];
        for key in named {
            assert!(
                example.contains(&format!(
                    "
# {key}"
                )),
                "{key}"
            );
        }
    }

    #[test]
    fn a_word_may_look_like_a_number_and_roles_may_stand_in_one_line() {
        let config = with("node.id", "17").unwrap();
        assert_eq!(config.node.id, "17");
        let config = with("node.roles", "\"enrich, detect\"").unwrap();
        assert_eq!(config.node.roles, [Role::Enrich, Role::Detect]);
    }

    #[test]
    fn errors_name_the_key_and_what_it_must_be() {
        assert_eq!(
            with("topics.partitions", "0").unwrap_err().to_string(),
            "configuration: topics.partitions must be from 1 to 1024"
        );
        let error = with("topics.partition", "1").unwrap_err().to_string();
        assert!(error.contains("unknown field") && error.contains("partition"), "{error}");
        let error = with("node.roles", "[\"cook\"]").unwrap_err().to_string();
        assert!(error.contains("node.roles") && error.contains("enrich"), "{error}");
        for address in ["8420", ":8420", "localhost", "localhost:http"] {
            let error = with("http.address", &format!("\"{address}\"")).unwrap_err().to_string();
            assert!(error.starts_with("configuration: http.address must be `host:port`"), "{error}");
        }
        with("http.address", "\"\"").unwrap();
        with("http.address", "\"[::1]:0\"").unwrap();
        let missing = Source { file: Some("no/such.toml".into()), overrides: Vec::new() };
        assert_eq!(load(&missing).unwrap_err().to_string(), "the configuration file no/such.toml does not exist");
    }

    #[test]
    fn the_bounds_of_the_http_server_fit_each_other() {
        for (key, value, why) in [
            ("http.trusted_proxies", "[\"nowhere\"]", "http.trusted_proxies must each be an address or a network"),
            ("http.idle_ms", "20000", "http.idle_ms must be more than chat.heartbeat_ms"),
            ("http.tls.certificate", "\"a.pem\"", "http.tls must have both a certificate and a key"),
            ("chat.bytes_per_second", "1000", "chat.bytes_per_second must be at least half of chat.max_frame_bytes"),
            ("tokens.jwks", "\"ftp://idp.example/keys\"", "tokens.jwks must be https://host/path, or a file"),
            ("tokens.jwks_keep_s", "1", "tokens.jwks_keep_s must be at least tokens.jwks_refresh_s"),
        ] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        with("http.trusted_proxies", "[\"10.0.0.0/8\", \"::1\"]").unwrap();
        with("http.trusted_proxies", "[]").unwrap();
    }

    #[test]
    fn how_panels_are_asked_is_checked() {
        let config = with("converse.panels.hrv_drop", "\"first\"").unwrap().converse;
        assert_eq!(config.panels["hrv_drop"], auren_agents::events::PanelMode::First);
        for (key, value, why) in [
            ("converse.panel", "\"last\"", "converse.panel: unknown variant"),
            ("converse.routing", "[\"luck\"]", "unknown variant"),
            ("converse.max_hand_offs", "17", "converse.max_hand_offs must be from 0 to 16"),
            ("converse.agent_deadlines_ms.coach", "0", "converse.agent_deadlines_ms of coach: must be from 1"),
            ("converse.summary_agent", "\"a\\nb\"", "converse.summary_agent must be an agent's name"),
        ] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    fn prod(more: &[(&str, &str)]) -> Result<Config, String> {
        let all = [("node.profile", "prod")].iter().chain(more);
        let overrides = all.map(|(key, value)| ((*key).into(), (*value).into())).collect();
        load(&Source { file: None, overrides }).map_err(|error| error.to_string())
    }

    #[test]
    fn in_earnest_a_key_file_of_our_own_is_refused() {
        let error = prod(&[]).unwrap_err();
        assert!(error.contains("phi.provider must be \"secret\" or \"vault\""), "{error}");
        prod(&[("phi.provider", "secret")]).unwrap();
        let error = prod(&[("phi.provider", "vault")]).unwrap_err();
        assert!(error.starts_with("configuration: vault.token must be set"), "{error}");
        prod(&[("phi.provider", "vault"), ("vault.token", "t")]).unwrap();
    }

    #[test]
    fn in_earnest_everything_that_can_be_read_on_its_way_is_named_at_once() {
        let plain = [
            ("bus.kind", "kafka"),
            ("redis.url", "redis://127.0.0.1:6379/"),
            ("phi.keyring_url", "postgres://db/keys"),
            ("project.url", "postgres://db/auren?sslmode=require"),
            ("vault.address", "http://vault:8200"),
            ("vault.token", "t"),
            ("phi.provider", "vault"),
            ("agents.http.sleeper.url", "http://agents.example/"),
            ("agents.http.beside.url", "http://127.0.0.1:8421/"),
            ("agents.llm.far.base_url", "http://api.example/v1"),
            ("agents.llm.far.model", "small"),
            ("tokens.secret", "a development-only secret that everybody knows"),
        ];
        let error = prod(&plain).unwrap_err();
        let of = |line: &str| line.trim_start_matches("configuration: node.profile is \"prod\", and ").to_owned();
        let named: Vec<_> = error.lines().map(|line| of(line.trim_start_matches("configuration: "))).collect();
        let keys: Vec<_> = named.iter().map(|line| line.split(' ').next().unwrap()).map(|key| key.trim()).collect();
        let last = [
            "redis.url",
            "phi.keyring_url",
            "project.url",
            "vault.address",
            "agents.http.sleeper.url",
            "agents.llm.far.base_url",
            "tokens.secret",
        ];
        assert!(
            error.starts_with("configuration: node.profile is \"prod\", and kafka.security_protocol must be"),
            "{error}"
        );
        assert_eq!(keys[1..], last, "{error}");
        assert!(with("redis.url", "redis://127.0.0.1:6379/").is_ok(), "for trying all of it may be");

        let tls = [
            ("bus.kind", "kafka"),
            ("kafka.security_protocol", "sasl_ssl"),
            ("kafka.username", "auren"),
            ("kafka.password", "\"s3cret\""),
            ("redis.url", "rediss://127.0.0.1:6379/"),
            ("phi.keyring_url", "postgres://db/keys?sslmode=verify-full"),
            ("project.url", "postgres:///auren?host=/run/postgresql"),
            ("vault.token", "t"),
            ("phi.provider", "vault"),
        ];
        prod(&tls).unwrap();
        for (key, value) in [
            ("redis.url", "rediss://127.0.0.1:6379/#insecure"),
            ("project.url", "postgres://db/auren"),
            ("project.url", "postgres://db/auren?sslmode=prefer"),
            ("kafka.security_protocol", "sasl_plaintext"),
        ] {
            let error = prod(&[&tls[..], &[(key, value)]].concat()).unwrap_err();
            assert!(error.contains(&format!("{key} must ")), "{error}");
        }
    }

    #[test]
    fn brokers_that_ask_who_comes_are_told() {
        let all = |more: &[(&str, &str)]| {
            let overrides = more.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            load(&Source { file: None, overrides }).map_err(|error| error.to_string())
        };
        let asked = [("kafka.security_protocol", "sasl_ssl"), ("kafka.username", "auren")];
        let error = all(&asked).unwrap_err();
        assert!(error.contains("kafka.password must be set") && error.contains("AUREN__KAFKA__PASSWORD"), "{error}");
        let error = all(&[("kafka.password", "\"p\"")]).unwrap_err();
        assert!(error.contains("kafka.password is of no use"), "{error}");
        let error = all(&[("kafka.key_file", "\"k.pem\"")]).unwrap_err();
        assert!(error.contains("belong together"), "{error}");
        let more =
            [("kafka.password", "\"p\""), ("kafka.sasl_mechanism", "SCRAM-SHA-256"), ("kafka.ca_file", "\"ca.pem\"")];
        let properties = all(&[&asked[..], &more].concat()).unwrap().kafka.settings().properties;
        let said: Vec<_> = properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "sasl.mechanism=SCRAM-SHA-256",
            "sasl.password=p",
            "sasl.username=auren",
            "security.protocol=sasl_ssl",
            "ssl.ca.location=ca.pem",
        ];
        assert_eq!(said, expected);
        assert!(Config::default().kafka.settings().properties.is_empty());
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "rediss://auren:p@redis/\n").unwrap();
        let from = |value: &str| with("redis.url.file", value).map_err(|error| error.to_string());
        let config = from(&format!("'{}'", file.display())).unwrap();
        assert_eq!(config.redis.url.unwrap().reveal(), "rediss://auren:p@redis/");
        let error = from("'no/such'").unwrap_err();
        assert!(error.starts_with("configuration: redis.url: the file no/such cannot be read"), "{error}");
        std::fs::write(&file, "\n").unwrap();
        assert!(from(&format!("'{}'", file.display())).unwrap_err().contains("is empty"));
    }

    #[test]
    fn an_agent_over_http_is_named_and_has_an_address() {
        let agent = |name: &str, key: &str, value: &str| {
            let url = (format!("agents.http.{name}.url"), "https://agents.example/sleeper".to_owned());
            let overrides = vec![url, (format!("agents.http.{name}.{key}"), value.to_owned())];
            load(&Source { file: None, overrides }).map_err(|error| error.to_string())
        };
        let config = agent("sleeper", "token", "\"s3cret\"").unwrap();
        assert_eq!(config.agents.http["sleeper"].max_answer_bytes, 1_048_576);
        assert!(!toml::to_string(&config).unwrap().contains("s3cret"));
        let of = |name: &str, key: &str, value: &str| agent(name, key, value).unwrap_err();
        assert_eq!(
            of("sleeper", "url", "\"sleeper:80\""),
            "configuration: agents.http of sleeper: its address must be like https://host/path"
        );
        assert!(of("sleeper", "url", "\"https://a:b@host/\"").contains("no password"));
        assert!(of("user", "version", "\"2\"").contains("must not have this name"));
        assert!(of("sleeper", "max_answer_bytes", "1").contains("from 1024 to"));
        assert!(of("sleeper", "tokens", "\"t\"").contains("unknown field"));
    }

    #[test]
    fn a_language_model_has_an_address_a_name_and_bounds() {
        let agent = |more: &[(&str, &str)]| {
            let base = [("base_url", "https://api.example/v1"), ("model", "small")];
            let all = base.iter().chain(more);
            let overrides = all.map(|(key, value)| (format!("agents.llm.companion.{key}"), (*value).to_owned()));
            load(&Source { file: None, overrides: overrides.collect() }).map_err(|error| error.to_string())
        };
        let config = agent(&[("options.temperature", "0.2"), ("api_key", "\"s3cret\"")]).unwrap();
        assert_eq!(config.agents.llm["companion"].options["temperature"], 0.2);
        assert!(!toml::to_string(&config).unwrap().contains("s3cret"));
        for (more, why) in [
            (&[("model", "\"\"")][..], "model must be set"),
            (&[("options.stream", "false")], "options must not hold"),
            (&[("max_tokens", "0")], "max_tokens must be from 1"),
            (&[("tools", "[\"sing\"]")], "tools must be of recent_nights, said_before and hand_off"),
            (&[("max_tool_calls", "33")], "max_tool_calls must be from 0 to 32"),
            (&[("cost_per_day", "2.5")], "bounds nothing without price_asked"),
            (&[("price_asked", "-1.0")], "must be from 0 to"),
            (&[("api_key", "\"a\""), ("api_key_file", "\"b\"")], "must not both be set"),
        ] {
            let error = agent(more).unwrap_err();
            assert!(error.starts_with("configuration: agents.llm of companion: ") && error.contains(why), "{error}");
        }
        let twice = [("agents.http.a.url", "http://localhost/"), ("agents.llm.a.model", "small")];
        let overrides = twice.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let error = load(&Source { file: None, overrides }).unwrap_err().to_string();
        assert!(error.contains("an agent of the same name is in agents.llm"), "{error}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = with("phi.master_key", "\"c2VjcmV0\"").unwrap();
        assert!(!format!("{config:?}").contains("c2VjcmV0"));
        assert!(!toml::to_string(&config).unwrap().contains("c2VjcmV0"));
    }
}
