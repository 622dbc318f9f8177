//! Which proxy, if any, stands between us and the API server.
//!
//! Input: the cluster's `proxy-url`, else the environment. Output: the proxy's address. `kube` compares `NO_PROXY` with
//! the address of the proxy; it is meant for the address of the server, so the choice is made here.
//! Meaning of the variables: <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>, which kubectl follows.

use crate::access::Environment;
use http::Uri;
use std::net::IpAddr;
use watertight_model::Cidr;

/// The proxy for `server`; `Err` says in words what is wrong with the setting.
pub(crate) fn choose(server: &Uri, proxy_url: Option<&str>, environment: &Environment) -> Result<Option<Uri>, String> {
    if let Some(url) = proxy_url.filter(|url| !url.is_empty()) {
        return parse(url, "`proxy-url`").map(Some);
    }
    let (variable, url) = match server.scheme_str() {
        Some("https") => ("HTTPS_PROXY", &environment.https_proxy),
        _ => ("HTTP_PROXY", &environment.http_proxy),
    };
    match url {
        Some(url) if !bypassed(server, environment.no_proxy.as_deref()) => parse(url, variable).map(Some),
        _ => Ok(None),
    }
}

fn parse(url: &str, variable: &str) -> Result<Uri, String> {
    // The address may hold a password: it is not quoted.
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = with_scheme.parse().map_err(|_| format!("{variable} is not a URL"))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some() => Ok(uri),
        _ => Err(format!("{variable} is not an http, https or socks5 URL")),
    }
}

/// True if the server is asked directly: this host itself, or named by `NO_PROXY`.
fn bypassed(server: &Uri, no_proxy: Option<&str>) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
        return true;
    }
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("https") { 443 } else { 80 });
    no_proxy.unwrap_or_default().split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| {
        let (name, wanted_port) = match entry.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') => (name.to_owned(), digits.parse::<u16>().ok()),
            _ => (entry.clone(), None),
        };
        if name.is_empty() || wanted_port.is_some_and(|wanted| wanted != port) {
            return false;
        }
        if name == "*" {
            return true;
        }
        if let Some(address) = address {
            return name.parse::<Cidr>().is_ok_and(|cidr| cidr.contains(address)) || name.parse() == Ok(address);
        }
        match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
            Some(suffix) => host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')),
            None => host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, no_proxy: &str) -> bool {
        let environment = Environment {
            https_proxy: Some("http://proxy:3128".into()),
            no_proxy: Some(no_proxy.into()),
            ..Environment::default()
        };
        choose(&server.parse().unwrap(), None, &environment).unwrap().is_some()
    }

    #[test]
    fn no_proxy_is_about_the_server() {
        assert!(chosen("https://api.example.com:6443", ""));
        assert!(chosen("https://api.example.com:6443", "proxy,example.org"));
        assert!(!chosen("https://api.example.com:6443", "a.b, example.com"));
        assert!(!chosen("https://api.example.com:6443", ".example.com"));
        assert!(chosen("https://example.com", ".example.com"));
        assert!(chosen("https://badexample.com", "example.com"));
        assert!(!chosen("https://api.example.com:6443", "api.example.com:6443"));
        assert!(chosen("https://api.example.com:6443", "api.example.com:443"));
        assert!(!chosen("https://10.1.2.3", "10.0.0.0/8"));
        assert!(chosen("https://11.1.2.3", "10.0.0.0/8"));
        assert!(!chosen("https://api.example.com", "*"));
        assert!(!chosen("https://127.0.0.1:6443", "") && !chosen("https://[::1]:6443", ""));
    }

    #[test]
    fn the_kubeconfig_wins_and_mistakes_are_not_quoted() {
        let environment = Environment { https_proxy: Some("ftp://user:pw@x".into()), ..Environment::default() };
        let server: Uri = "https://api.example.com".parse().unwrap();
        let named = choose(&server, Some("socks5://inner:1080"), &environment).unwrap().unwrap();
        assert_eq!(named.host(), Some("inner"));
        let error = choose(&server, None, &environment).unwrap_err();
        assert_eq!(error, "HTTPS_PROXY is not an http, https or socks5 URL");
    }
}
