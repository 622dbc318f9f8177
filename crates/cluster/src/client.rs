//! A connection to one API server, and single requests over it.
//!
//! Input: [`Access`]. Output: [`Client`], whose requests are bounded in time, size and number of attempts. Knows
//! nothing of kinds: lists are [`crate::read()`]'s.

use crate::access::{Access, Timeouts};
use crate::config::{Asking, build, configuration, runtime, verified};
use crate::error::{AccessError, Place, TlsFault};
use crate::fault::{Fault, classify};
use crate::renew::{Current, Renewal};
use crate::words::one_line;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
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
    current: Current,
    renewal: Renewal,
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
    let (config, place) = configuration(access, Asking::Allowed)?;
    let namespace = config.default_namespace.clone();
    let verified = verified(&config);
    let runtime = runtime()?;
    let kube = {
        let _inside = runtime.enter();
        build(config, &place, access.timeouts)?
    };
    let mut client = Client {
        current: Current::new(kube),
        renewal: Renewal::new(access, &place),
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

    /// One GET without another attempt; any status is an answer. Credentials that are not accepted are renewed once.
    pub(crate) async fn ask(&self, path: &str) -> Result<Answer, AccessError> {
        let ask = async || match tokio::time::timeout(self.timeouts.call, self.once(&Method::GET, path, &[])).await {
            Err(_) => Err(self.timeout(path)),
            Ok(answer) => answer.map_err(|fault| self.explain(fault, path)),
        };
        let generation = self.current.generation();
        match ask().await? {
            answer if answer.status == 401 => {
                self.renewal.renew(&self.current, generation, self.timeouts).await?;
                ask().await
            }
            answer => Ok(answer),
        }
    }

    /// One GET whose answer is read as it comes. Waits for the status only. Credentials are renewed as in [`Self::ask`].
    pub(crate) async fn open(&self, path: &str) -> Result<Response<kube::client::Body>, AccessError> {
        let open = async || match tokio::time::timeout(self.timeouts.call, self.begin(&Method::GET, path, &[])).await {
            Err(_) => Err(self.timeout(path)),
            Ok(response) => response.map_err(|fault| self.explain(fault, path)),
        };
        let generation = self.current.generation();
        match open().await? {
            response if response.status() == StatusCode::UNAUTHORIZED => {
                self.renewal.renew(&self.current, generation, self.timeouts).await?;
                open().await
            }
            response => Ok(response),
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
        self.current.client().send(request).await.map_err(|e| classify(&e))
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

    pub(crate) fn overloaded(&self, path: &str, status: u16) -> AccessError {
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
