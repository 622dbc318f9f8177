//! Shared by the tests of reading.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod cases;

use watertight_ingest::{Diagnostic, Input, Loaded, Options, Refused, Severity, read};
use watertight_model::World;

pub(crate) const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
pub(crate) const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
pub(crate) const NAME: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(crate) fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    )
}

pub(crate) fn load(text: &str, options: &Options) -> Result<Loaded, Refused> {
    read(&[Input::Text { name: "in.yaml".to_owned(), text: text.to_owned() }], options)
}

/// Messages of all errors, in order.
pub(crate) fn faults(text: &str) -> Vec<String> {
    let errors =
        |list: Vec<Diagnostic>| list.into_iter().filter(|d| d.severity == Severity::Error).map(|d| d.message).collect();
    match load(text, &Options::default()) {
        Ok(_) => Vec::new(),
        Err(refused) => errors(refused.diagnostics),
    }
}

/// As a server without strict checks of blocks.
pub(crate) fn faults_lenient(text: &str) -> (World, Vec<Diagnostic>) {
    let options = Options { strict_cidr: false, ..Options::default() };
    match load(text, &options) {
        Ok(loaded) => (loaded.world, loaded.diagnostics),
        Err(refused) => unreachable!("{:?}", refused.diagnostics),
    }
}
