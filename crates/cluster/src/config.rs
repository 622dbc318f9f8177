//! From what the user said to `kube`'s configuration, credentials ready to use.
//!
//! Input: [`Access`]. Output: a configuration and the place it leads to. Files are read, and a credential plugin is run, each
//! time this is asked for: a watch that outlives its credentials asks again.

use crate::access::{Access, Timeouts};
use crate::error::{AccessError, Place};
use crate::kubeconfig::{self, Chosen};
use crate::plugin::{self, Credential};
use crate::proxy;
use crate::words::one_line;
use base64::Engine;
use http::Uri;
use kube::Config;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, KubeConfigOptions, KubeconfigError, LoadDataError};
use tokio::runtime::Runtime;

/// The configuration for what the user said, and where it leads.
pub(crate) fn configuration(access: &Access, asking: Asking) -> Result<(Config, Place), AccessError> {
    // `kube` reads files in asynchronous functions that wait for nothing.
    let runtime = runtime()?;
    match kubeconfig::choose(access)? {
        Some(chosen) => configure(access, chosen, &runtime, asking),
        None => in_cluster(),
    }
}

/// Whether a credential plugin may ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// If there is a terminal.
    Allowed,
    /// In the middle of a watch nobody expects a question.
    Never,
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<Runtime, AccessError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| AccessError::Host { why: e.to_string() })
}

/// A client with this configuration. It starts a task of its own, and must be made inside a runtime.
pub(crate) fn build(config: Config, place: &Place, timeouts: Timeouts) -> Result<kube::Client, AccessError> {
    let builder = ClientBuilder::try_from(with_bounds(config, timeouts)).map_err(|e| unusable(place, &e))?;
    Ok(builder.build())
}

/// True if nobody in between can read or answer.
pub(crate) fn verified(config: &Config) -> bool {
    let here = config.cluster_url.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    here || (config.cluster_url.scheme_str() == Some("https") && !config.accept_invalid_certs)
}

/// `kube`'s configuration for a context, credentials ready to use.
fn configure(
    access: &Access,
    chosen: Chosen,
    runtime: &Runtime,
    asking: Asking,
) -> Result<(Config, Place), AccessError> {
    let Chosen { mut config, files, context } = chosen;
    let shown = one_line(&context);
    let bad_cluster = |why: String| AccessError::BadCluster { files: files.clone(), context: shown.clone(), why };
    let bad_user = |why: String| AccessError::BadCredentials { files: files.clone(), context: shown.clone(), why };

    let cluster_name = config.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let cluster_name = cluster_name.map(|c| c.cluster.clone()).unwrap_or_default();
    let cluster = config.clusters.iter_mut().find(|c| c.name == cluster_name).and_then(|c| c.cluster.as_mut());
    let cluster = cluster.ok_or_else(|| bad_cluster("it is empty".into()))?;
    let server = cluster.server.clone().unwrap_or_default();
    let server: Uri =
        server.parse().map_err(|_| bad_cluster(format!("`server: {}` is not a URL", redacted(&server))))?;
    if !matches!(server.scheme_str(), Some("http" | "https")) || server.host().is_none() {
        return Err(bad_cluster(format!("`server: {}` is not an http or https URL", redacted(&server.to_string()))));
    }
    let proxy = proxy::choose(&server, cluster.proxy_url.as_deref(), &access.environment).map_err(&bad_cluster)?;
    // Any value keeps `kube` from looking into the environment; the real choice is put in below.
    let written_proxy = cluster.proxy_url.replace("http://proxy.invalid".into());

    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let mut config = runtime.block_on(Config::from_custom_kubeconfig(config, &options)).map_err(|e| match &e {
        KubeconfigError::LoadCertificateAuthority(_) => bad_cluster(format!("certificate authority: {}", source(&e))),
        KubeconfigError::ParseCertificates(_) => bad_cluster("the certificate authority is not PEM".into()),
        KubeconfigError::ParseNoProxy(_) => bad_cluster("NO_PROXY cannot be understood".into()),
        _ => bad_cluster(one_line(&e.to_string())),
    })?;
    config.proxy_url = proxy;
    if let Some(shown) = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut()) {
        shown.proxy_url = written_proxy;
    }
    credentials(&mut config.auth_info, access.timeouts, asking).map_err(|e| match e {
        Refusal::Ours(why) => bad_user(why),
        Refusal::Plugins(error) => error,
    })?;
    if config.default_namespace.is_empty() {
        config.default_namespace = "default".into();
    }
    let place = Place { files, context: shown, server: redacted(&server.to_string()) };
    Ok((config, place))
}

enum Refusal {
    Ours(String),
    Plugins(AccessError),
}

/// Turns every indirect credential (plugin, file) into a direct one.
fn credentials(user: &mut AuthInfo, timeouts: Timeouts, asking: Asking) -> Result<(), Refusal> {
    let readable = |what: &str, path: &Option<String>, inline: bool| match path {
        Some(path) if !inline => match std::fs::File::open(path) {
            Ok(_) => Ok(()),
            Err(e) => Err(Refusal::Ours(format!("cannot read {what} `{}`: {e}", one_line(path)))),
        },
        _ => Ok(()),
    };
    readable("client certificate", &user.client_certificate, user.client_certificate_data.is_some())?;
    readable("client key", &user.client_key, user.client_key_data.is_some())?;
    if let Some(provider) = &user.auth_provider {
        // `kube` would run the provider's command without bound, and quote what it prints.
        if provider.name != "oidc" || !provider.config.contains_key("id-token") {
            let name = one_line(&provider.name);
            return Err(Refusal::Ours(format!(
                "auth provider `{name}` is not supported (Kubernetes 1.26 replaced it with a credential plugin, `exec`)"
            )));
        }
        return Ok(());
    }
    if user.token.is_some() || (user.username.is_some() && user.password.is_some()) {
        return Ok(());
    }
    if let Some(path) = user.token_file.take() {
        let token = std::fs::read_to_string(&path)
            .map_err(|e| Refusal::Ours(format!("cannot read token file `{}`: {e}", one_line(&path))))?;
        user.token = Some(token.trim().to_owned().into());
        return Ok(());
    }
    if let Some(exec) = user.exec.take() {
        match plugin::run(&exec, timeouts.plugin, asking).map_err(Refusal::Plugins)? {
            Credential::Token(token) => user.token = Some(token.into()),
            Credential::Certificate { certificate, key } => {
                let base64 = base64::engine::general_purpose::STANDARD;
                user.client_certificate_data = Some(base64.encode(certificate));
                user.client_key_data = Some(base64.encode(key).into());
            }
        }
    }
    Ok(())
}

/// The service account of the pod that this process runs in.
fn in_cluster() -> Result<(Config, Place), AccessError> {
    let context = "in-cluster".to_owned();
    let config = Config::incluster().map_err(|e| AccessError::BadCredentials {
        files: Vec::new(),
        context: context.clone(),
        why: one_line(&e.to_string()),
    })?;
    let place = Place { files: Vec::new(), context, server: redacted(&config.cluster_url.to_string()) };
    Ok((config, place))
}

fn with_bounds(mut config: Config, timeouts: Timeouts) -> Config {
    config.connect_timeout = Some(timeouts.connect);
    config.read_timeout = Some(timeouts.call);
    config.write_timeout = Some(timeouts.call);
    // `kube` would try 15 times and follow any `Retry-After`.
    config.default_retry = false;
    config
}

/// The client could not be built: certificates or keys that are not PEM, a proxy that does not work.
fn unusable(place: &Place, error: &kube::Error) -> AccessError {
    let why = match error {
        kube::Error::RustlsTls(_) => "the client certificate or its key is not usable (base64 of PEM, and a pair?)",
        kube::Error::InferKubeconfig(_) => "the client certificate or its key is not base64",
        kube::Error::ProxyProtocolUnsupported { .. } => "the proxy's protocol is not supported",
        _ => "the credentials are not usable",
    };
    AccessError::BadCredentials { files: place.files.clone(), context: place.context.clone(), why: why.into() }
}

/// What is wrong with a file or inline data, without quoting any of it.
fn source(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::LoadCertificateAuthority(LoadDataError::ReadFile(e, file)) => {
            format!("cannot read `{}`: {e}", one_line(&file.display().to_string()))
        }
        _ => "not base64".into(),
    }
}

/// An address without user information, without a trailing slash.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let joined = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
    one_line(&if path.is_empty() { joined } else { format!("{joined}/{path}") })
}
