//! Who may name whom: client libraries in one folder each, and imports in one direction.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of a folder by its path, without its comments.
fn code(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(&root.join(folder), &mut found);
    assert!(!found.is_empty());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path.strip_prefix(root).unwrap().display().to_string(), lines.join("\n"))
    };
    found.into_iter().map(read).collect()
}

#[test]
fn a_client_library_is_named_in_one_folder_only() {
    for (library, homes) in [
        ("rdkafka::", &["src/bus/kafka"][..]),
        // The keyring is a database of its own: it must not share a file, a backup or a fate with the log.
        ("sqlx::", &["src/bus/embedded", "src/phi/store", "src/project", "src/sqlite.rs"]),
        ("vaultrs", &["src/phi/master"]),
        ("ed25519_dalek", &["src/phi/"]),
        ("redis::", &["src/lane/snapshots.rs", "src/provisional/relay.rs"]),
        ("aes_gcm", &["src/phi/"]),
        ("axum", &["src/gateway"]),
        ("hyper", &["src/gateway/"]),
        ("jsonwebtoken", &["src/gateway/"]),
        ("prometheus_client", &["src/gateway/"]),
        ("hkdf::", &["src/phi/"]),
        ("reqwest", &["src/consult/service.rs", "src/trace/export.rs", "src/gateway/tokens/place.rs"]),
        ("rustls::", &["src/tls.rs", "src/gateway/tls.rs", "src/gateway/server.rs"]),
        ("opentelemetry", &["src/trace"]),
        ("sse_stream", &["src/consult/service.rs"]),
        ("figment", &["src/config/"]),
        ("csv::", &["src/import/"]),
        ("cel::", &["src/detect/"]),
        ("serde_saphyr", &["src/detect/"]),
        ("plotters", &["src/cli/rules/"]),
        ("indicatif", &["src/cli/"]),
        ("anyhow", &["src/cli", "src/main.rs"]),
    ] {
        let named: Vec<_> = code("src").into_iter().filter(|(_, code)| code.contains(library)).collect();
        assert!(!named.is_empty(), "{library} is named nowhere: take it out of this test and of Cargo.toml");
        for (path, _) in named {
            assert!(homes.iter().any(|home| path.starts_with(home)), "{path} names {library}");
        }
    }
}

#[test]
fn imports_go_down_the_river_s_bed_and_never_up() {
    for (below, above) in [
        (
            "src/bus",
            &["lane", "enrich", "detect", "converse", "consult", "app", "client", "config", "phi", "gateway"][..],
        ),
        ("src/lane", &["enrich", "detect", "converse", "consult", "app", "client", "phi", "intake"]),
        ("src/phi", &["bus", "lane", "enrich", "detect", "converse", "consult", "app", "config", "intake"]),
        ("src/detect", &["phi", "enrich", "converse", "consult", "app", "intake"]),
        ("src/converse", &["phi", "enrich", "detect", "app", "intake"]),
        ("src/gateway", &["enrich", "detect", "converse", "app"]),
        // Of its parts only `people` has keys.
        ("src/gateway/ops", &["phi", "intake"]),
        ("src/gateway/metrics", &["phi", "intake"]),
        ("src/gateway/readings", &["phi"]),
        // What only reads touches no lane.
        ("src/gateway/history", &["phi", "intake", "lane", "consult"]),
        ("src/gateway/console", &["phi", "intake"]),
        ("src/enrich", &["detect", "converse", "consult", "app"]),
    ] {
        for (path, code) in code("src").iter().filter(|(path, _)| path.starts_with(below)) {
            // `use crate::{…}` lists modules a line each, the others name them in full.
            let lists = code.split("use crate::{\n").skip(1).filter_map(|rest| rest.split("};").next());
            let lists = lists.collect::<String>();
            for module in above {
                let named = format!("crate::{module}::");
                let listed = format!("    {module}::");
                assert!(!code.contains(&named) && !lists.contains(&listed), "{path} imports {module}");
            }
        }
    }
}

#[test]
fn agents_know_no_hub() {
    for (path, code) in code("agents/src") {
        for name in ["rdkafka", "sqlx", "auren::", "aes_gcm", "tokio::net"] {
            assert!(!code.contains(name), "{path} names {name}");
        }
    }
}
