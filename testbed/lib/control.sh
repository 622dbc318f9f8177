# shellcheck shell=bash
# The control plane: four processes of the machine itself, on the bridge's address.

start_etcd() {
  # No disk is waited for: a cluster that lives for minutes need not survive a power cut.
  daemon etcd "$(part_dir etcd)/etcd" --name "$PREFIX" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "https://$HOST_IP:2379" --advertise-client-urls "https://$HOST_IP:2379" \
    --listen-peer-urls "https://$HOST_IP:2380" --initial-advertise-peer-urls "https://$HOST_IP:2380" \
    --initial-cluster "$PREFIX=https://$HOST_IP:2380" \
    --cert-file "$PKI/etcd.crt" --key-file "$PKI/etcd.key" --trusted-ca-file "$PKI/etcd-ca.crt" --client-cert-auth \
    --peer-cert-file "$PKI/etcd.crt" --peer-key-file "$PKI/etcd.key" --peer-trusted-ca-file "$PKI/etcd-ca.crt" \
    --peer-client-cert-auth
}

# start_api_server [CERTIFICATE]: `apiserver` unless a test wants another.
start_api_server() {
  local certificate="${1:-apiserver}"
  daemon kube-apiserver "$(part_dir kubernetes)/kube-apiserver" \
    --bind-address "$HOST_IP" --advertise-address "$HOST_IP" --secure-port 6443 \
    --etcd-servers "https://$HOST_IP:2379" --etcd-cafile "$PKI/etcd-ca.crt" \
    --etcd-certfile "$PKI/etcd-client.crt" --etcd-keyfile "$PKI/etcd-client.key" \
    --tls-cert-file "$PKI/$certificate.crt" --tls-private-key-file "$PKI/$certificate.key" \
    --client-ca-file "$PKI/ca.crt" --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" --requestheader-allowed-names front-proxy-client \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-client-certificate "$PKI/kubelet-client.crt" \
    --kubelet-client-key "$PKI/kubelet-client.key" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/service-account.pub" \
    --service-account-signing-key-file "$PKI/service-account.key" \
    --service-cluster-ip-range "$SERVICE_CIDR" --allow-privileged --profiling=false
}

start_controllers() {
  start_controller_manager
  daemon kube-scheduler "$(part_dir kubernetes)/kube-scheduler" \
    --bind-address "$HOST_IP" --leader-elect=false --profiling=false --kubeconfig "$PKI/scheduler.kubeconfig" \
    --kube-api-qps 500 --kube-api-burst 1000 --authentication-kubeconfig "$PKI/scheduler.kubeconfig" --authorization-kubeconfig "$PKI/scheduler.kubeconfig"
}

start_controller_manager() {
  # A client per controller starts with requests of its own: with the usual 20 a second that alone takes seconds.
  daemon kube-controller-manager "$(part_dir kubernetes)/kube-controller-manager" --kube-api-qps 500 --kube-api-burst 1000 \
    --bind-address "$HOST_IP" --leader-elect=false --profiling=false --use-service-account-credentials \
    --kubeconfig "$PKI/controller-manager.kubeconfig" \
    --authentication-kubeconfig "$PKI/controller-manager.kubeconfig" \
    --authorization-kubeconfig "$PKI/controller-manager.kubeconfig" \
    --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/service-account.key" \
    --allocate-node-cidrs --cluster-cidr "$POD_CIDR" --service-cluster-ip-range "$SERVICE_CIDR"
}

api_listens() { (exec 3<>"/dev/tcp/$HOST_IP/6443"); }

api_ready() { api_listens && kubectl get --raw /readyz --request-timeout 2s; }

# Controllers make this one in every namespace: when it is there, both of them work.
controllers_ready() { kubectl -n default get serviceaccount default --request-timeout 2s; }
