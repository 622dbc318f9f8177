# shellcheck shell=bash
# Certificates and kubeconfigs of one cluster. Three authorities: for clients of the API server, for clients of etcd, and
# for proxies that vouch for others; a node must be neither of the last two. Keys never leave the state folder, which only root can enter.

readonly PKI="$STATE/pki"
readonly DAYS=30

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# authority NAME: NAME.crt and NAME.key.
authority() {
  new_key "$PKI/$1.key"
  openssl req -x509 -new -key "$PKI/$1.key" -days "$DAYS" -subj "/CN=watertight testbed $1" \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$PKI/$1.crt"
}

# certificate AUTHORITY NAME SUBJECT [ALTERNATIVE NAMES [DAYS]]: for both ends of a connection.
certificate() {
  local authority="$1" name="$2" subject="$3" names="${4:-}" days="${5:-$DAYS}"
  new_key "$PKI/$name.key"
  {
    echo 'extendedKeyUsage=serverAuth,clientAuth'
    if [ -n "$names" ]; then echo "subjectAltName=$names"; fi
  } >"$PKI/$name.ext"
  openssl req -new -key "$PKI/$name.key" -subj "$subject" -out "$PKI/$name.csr"
  openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/$authority.crt" -CAkey "$PKI/$authority.key" -days "$days" \
    -extfile "$PKI/$name.ext" -out "$PKI/$name.crt" 2>/dev/null
  rm "$PKI/$name.csr" "$PKI/$name.ext"
}

# kubeconfig NAME FILE: for the client certificate NAME. Everything inside, so that the file can be copied.
kubeconfig() {
  local credentials
  credentials="client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")"
  write_kubeconfig "$2" "$credentials" "$1"
}

# write_kubeconfig FILE CREDENTIALS USER
write_kubeconfig() {
  (
    umask 077
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
current-context: $PREFIX
clusters:
- name: $PREFIX
  cluster: {server: "$API", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}
contexts:
- name: $PREFIX
  context: {cluster: $PREFIX, user: $3}
users:
- name: $3
  user: {$2}
YAML
  )
}

make_pki() {
  mkdir -p "$PKI"
  authority ca
  authority etcd-ca
  authority front-proxy-ca
  local api_names="IP:$HOST_IP,IP:$API_SERVICE_IP,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  certificate etcd-ca etcd "/CN=etcd" "IP:$HOST_IP"
  certificate etcd-ca etcd-client "/CN=kube-apiserver"
  certificate ca apiserver "/CN=kube-apiserver" "$api_names"
  certificate ca kubelet-client "/O=system:masters/CN=kube-apiserver-kubelet-client"
  certificate ca admin "/O=system:masters/CN=testbed-admin"
  certificate ca controller-manager "/CN=system:kube-controller-manager"
  certificate ca scheduler "/CN=system:kube-scheduler"
  certificate ca kube-proxy "/CN=system:kube-proxy"
  certificate ca flannel "/CN=flannel"
  # Run out with the second in which they are made.
  certificate ca apiserver-expired "/CN=kube-apiserver" "$api_names" 0
  certificate ca admin-expired "/O=system:masters/CN=testbed-admin" "" 0
  new_key "$PKI/service-account.key"
  openssl ec -in "$PKI/service-account.key" -pubout -out "$PKI/service-account.pub" 2>/dev/null
  local name
  for name in controller-manager scheduler kube-proxy flannel; do kubeconfig "$name" "$PKI/$name.kubeconfig"; done
  kubeconfig admin "$KUBECONFIG_ADMIN"
}

# node_pki NODE ADDRESS: the kubelet's own, for both of its directions.
node_pki() {
  certificate ca "kubelet-$1" "/O=system:nodes/CN=system:node:$1" "IP:$2,DNS:$1"
  kubeconfig "kubelet-$1" "$PKI/kubelet-$1.kubeconfig"
}
