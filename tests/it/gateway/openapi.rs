//! The OpenAPI document: it has every route of the gateway and nothing else, and a node hands it out.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::support::{Kind, Program, River, http::get, on_system};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// Every route that the sources name: `.route("PATH", METHOD(…`.
fn routes(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
            continue;
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        for route in code.split(".route(").skip(1) {
            let (route, handlers) = route.trim_start().strip_prefix('"').unwrap().split_once('"').unwrap();
            let handlers = handlers.trim_start_matches([',', ' ', '\n']);
            let (method, _) = handlers.split_once('(').unwrap();
            assert!(METHODS.contains(&method), "{}: what does {route} take? {method}", path.display());
            found.insert((route.to_owned(), method.to_owned()));
        }
    }
}

fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |(path, item): (&String, &Value)| {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    on_system(async {
        let mut river = River::open(Kind::Embedded).await;
        let (hub, address) = river.served().await;
        let answer = get(address, "/openapi.json").await;
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        let document = answer.json();
        let mut found = BTreeSet::new();
        routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway"), &mut found);
        assert!(found.len() > 20, "{found:?}");
        assert_eq!(described(&document), found);
        // Every name that is used is there, and every operation says what it is for.
        let text = document.to_string();
        for name in text.split("\"#/components/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document.pointer(&format!("/components/{name}")).is_some(), "{name}");
        }
        for item in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
        {
            assert!(item["summary"].is_string() && item["operationId"].is_string(), "{item}");
        }
        // The same is written as a file.
        let program = Program::new();
        assert!(program.run(&["schema", "export", "."]).status.success());
        let written = fs::read(program.folder().join("openapi.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), document);
        hub.stop().await;
    });
}
