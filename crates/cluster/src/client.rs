//! A connection to one API server, and single requests over it.
//!
//! Input: [`Access`]. Output: [`Client`], whose requests are bounded in time, size and number of attempts. Knows
//! nothing of kinds: lists are [`crate::read()`]'s.

use crate::access::{Access, Timeouts};
use crate::error::{AccessError, Place, TlsFault};
use crate::fault::{Fault, classify};
use crate::kubeconfig::{self, Chosen};
use crate::plugin::{self, Credential};
use crate::proxy;
use crate::words::one_line;
use base64::Engine;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::Config;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, KubeConfigOptions, KubeconfigError, LoadDataError};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Attempts per request: the first and three more.
const ATTEMPTS: u32 = 4;
/// An answer larger than this, unpacked, is refused. Pages of 500 objects have a few MiB; what may be large is a list
/// that had to be asked for whole.
const MAX_ANSWER: usize = 512 << 20;
/// `User-Agent`.
const AGENT: &str = concat!("watertight/", env!("CARGO_PKG_VERSION"));

/// A connection to one API server.
pub struct Client {
    kube: kube::Client,
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
    timeouts: Timeouts,
    place: Place,
    namespace: String,
    server_version: Option<String>,
    verified: bool,
}

/// An answer with its status, whatever that is.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) retry_after: Option<Duration>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = (&self.place, &self.namespace, &self.server_version);
        f.debug_tuple("Client").field(&known).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A name lookup that hangs sits on a thread of the runtime; an ordinary drop would wait for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Finds the kubeconfig and the context, gets credentials, and asks the server for its version.
///
/// # Errors
/// Everything that can be wrong between here and an answer that accepts the credentials.
pub fn connect(access: &Access) -> Result<Client, AccessError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| AccessError::Host { why: e.to_string() })?;
    let (config, place) = match kubeconfig::choose(access)? {
        Some(chosen) => configure(access, chosen, &runtime)?,
        None => in_cluster()?,
    };
    let namespace = config.default_namespace.clone();
    let verified = verified(&config);
    let kube = {
        // The client starts a task of its own, and needs a runtime to start it on.
        let _inside = runtime.enter();
        let builder =
            ClientBuilder::try_from(with_bounds(config, access.timeouts)).map_err(|e| unusable(&place, &e))?;
        builder.build()
    };
    let mut client = Client {
        kube,
        runtime: Some(runtime),
        timeouts: access.timeouts,
        place,
        namespace,
        server_version: None,
        verified,
    };
    client.server_version = client.version()?;
    Ok(client)
}

impl Client {
    /// Which kubeconfig, context and server.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The context's namespace, `default` if it has none.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The server's version, such as `v1.37.1`; `None` if it does not say.
    pub fn server_version(&self) -> Option<&str> {
        self.server_version.as_deref()
    }

    /// True if nobody in between can read or answer: TLS with a checked certificate, or this host itself.
    pub fn verified(&self) -> bool {
        self.verified
    }

    /// Asks for the version: any server that accepts the credentials answers it, and one that does not says 401.
    fn version(&self) -> Result<Option<String>, AccessError> {
        const PATH: &str = "/version";
        let answer = self.get(PATH)?;
        match answer.status {
            200 => {
                let version: serde_json::Value = serde_json::from_slice(&answer.body)
                    .map_err(|e| self.bad_answer(PATH, format!("not JSON: {e}")))?;
                match version.get("gitVersion").and_then(|v| v.as_str()) {
                    Some(text) => Ok(Some(one_line(text))),
                    None => Err(self.bad_answer(PATH, "no `gitVersion` in it".into())),
                }
            }
            // Somebody took `system:public-info-viewer` away: it is a server all the same.
            403 => Ok(None),
            503 => Err(self.overloaded(PATH, 503)),
            status => Err(self.bad_answer(PATH, format!("status {status}"))),
        }
    }

    /// GET; any status but 401 and a persistent 429 is an answer.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, AccessError> {
        self.request(&Method::GET, path, Vec::new())
    }

    /// POST of a JSON text. Only for reviews, which change nothing: it is repeated like a GET.
    pub(crate) fn post(&self, path: &str, body: String) -> Result<Answer, AccessError> {
        self.request(&Method::POST, path, body.into_bytes())
    }

    pub(crate) fn bad_answer(&self, what: &str, why: String) -> AccessError {
        AccessError::BadAnswer { place: self.place.clone(), what: what.to_owned(), why: one_line(&why) }
    }

    /// Any request, for who has more than one thing to wait for. Repeated like a GET: the caller takes a second refusal of what
    /// had succeeded (409, 404) for success.
    pub(crate) async fn send(&self, method: &Method, path: &str, body: &str) -> Result<Answer, AccessError> {
        self.attempts(method, path, body.as_bytes()).await
    }

    /// Runs a future on this client's runtime.
    ///
    /// # Errors
    /// The client was closed.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, AccessError> {
        match &self.runtime {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => Err(AccessError::Host { why: "the client was closed".into() }),
        }
    }

    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Result<Answer, AccessError> {
        self.block_on(self.attempts(method, path, &body))?
    }

    async fn attempts(&self, method: &Method, path: &str, body: &[u8]) -> Result<Answer, AccessError> {
        let mut pause = self.timeouts.backoff;
        for attempt in 1.. {
            let last = attempt == ATTEMPTS;
            let wait = match tokio::time::timeout(self.timeouts.call, self.once(method, path, body)).await {
                Err(_) => return Err(self.timeout(path)),
                Ok(Err(fault)) if last || !self.transient(&fault) => return Err(self.explain(fault, path)),
                Ok(Err(_)) => pause,
                Ok(Ok(answer)) => match answer.status {
                    401 => return Err(AccessError::Unauthorized { place: self.place.clone() }),
                    429 if last => return Err(self.overloaded(path, 429)),
                    429 | 500 | 502 | 503 | 504 if !last => {
                        answer.retry_after.map_or(pause, |after| after.min(self.timeouts.retry_after))
                    }
                    _ => return Ok(answer),
                },
            };
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        Err(self.timeout(path))
    }

    /// One GET without another attempt; any status is an answer.
    pub(crate) async fn ask(&self, path: &str) -> Result<Answer, AccessError> {
        match tokio::time::timeout(self.timeouts.call, self.once(&Method::GET, path, &[])).await {
            Err(_) => Err(self.timeout(path)),
            Ok(answer) => answer.map_err(|fault| self.explain(fault, path)),
        }
    }

    /// One GET whose answer is read as it comes. Waits for the status only.
    pub(crate) async fn open(&self, path: &str) -> Result<Response<kube::client::Body>, AccessError> {
        match tokio::time::timeout(self.timeouts.call, self.begin(&Method::GET, path, &[])).await {
            Err(_) => Err(self.timeout(path)),
            Ok(response) => response.map_err(|fault| self.explain(fault, path)),
        }
    }

    /// The runtime, for someone who keeps it busy; this client can only be asked asynchronously afterwards.
    pub(crate) fn take_runtime(&mut self) -> Result<Runtime, AccessError> {
        self.runtime.take().ok_or_else(|| AccessError::Host { why: "the client was closed".into() })
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    async fn begin(&self, method: &Method, path: &str, body: &[u8]) -> Result<Response<kube::client::Body>, Fault> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, AGENT)
            .body(kube::client::Body::from(body.to_vec()))
            .map_err(|e| Fault::Other(e.to_string()))?;
        self.kube.send(request).await.map_err(|e| classify(&e))
    }

    async fn once(&self, method: &Method, path: &str, body: &[u8]) -> Result<Answer, Fault> {
        whole(self.begin(method, path, body).await?, MAX_ANSWER).await
    }

    /// A server that has answered once and is gone for a moment (restarted, failed over) is asked again.
    fn transient(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Cut(_) | Fault::Tls(TlsFault::Other, _) => true,
            Fault::Refused => self.server_version.is_some(),
            Fault::Dns | Fault::Timeout | Fault::Tls(..) | Fault::TooLarge(_) | Fault::Other(_) => false,
        }
    }

    fn overloaded(&self, path: &str, status: u16) -> AccessError {
        AccessError::Overloaded { place: self.place.clone(), what: path.to_owned(), status }
    }

    fn timeout(&self, path: &str) -> AccessError {
        AccessError::Timeout { place: self.place.clone(), what: path.to_owned(), after: self.timeouts.call }
    }

    fn explain(&self, fault: Fault, path: &str) -> AccessError {
        let place = self.place.clone();
        match fault {
            Fault::Refused => AccessError::Refused { place },
            Fault::Dns => {
                let uri: Uri = self.place.server.parse().unwrap_or_default();
                AccessError::Dns { place, host: uri.host().unwrap_or_default().to_owned() }
            }
            Fault::Timeout => AccessError::Timeout { place, what: path.to_owned(), after: self.timeouts.connect },
            Fault::Tls(fault, why) => AccessError::Tls { place, fault, why: one_line(&why) },
            Fault::Cut(why) => self.bad_answer(path, format!("cut off ({why})")),
            Fault::TooLarge(mib) => self.bad_answer(path, format!("larger than {mib} MiB")),
            Fault::Other(why) => AccessError::Connection { place, why: one_line(&why) },
        }
    }
}

/// An answer with its body, which has at most `limit` bytes.
pub(crate) async fn whole(response: Response<kube::client::Body>, limit: usize) -> Result<Answer, Fault> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map_err(|e| if e.is::<LengthLimitError>() { Fault::TooLarge(limit >> 20) } else { classify(e.as_ref()) })?;
    Ok(Answer { status, body: body.to_bytes().into(), retry_after })
}

/// `Retry-After` in seconds, as API servers send it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn verified(config: &Config) -> bool {
    let here = config.cluster_url.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    here || (config.cluster_url.scheme_str() == Some("https") && !config.accept_invalid_certs)
}

/// `kube`'s configuration for a context, credentials ready to use.
fn configure(access: &Access, chosen: Chosen, runtime: &Runtime) -> Result<(Config, Place), AccessError> {
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
    credentials(&mut config.auth_info, access.timeouts).map_err(|e| match e {
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

/// Turns every indirect credential (plugin, file) into a direct one. A snapshot takes seconds; nothing is refreshed.
fn credentials(user: &mut AuthInfo, timeouts: Timeouts) -> Result<(), Refusal> {
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
        match plugin::run(&exec, timeouts.plugin).map_err(Refusal::Plugins)? {
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
