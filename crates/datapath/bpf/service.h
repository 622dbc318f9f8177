/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the gate left open: egress to a Service. After the translation, in netfilter's FORWARD and LOCAL_IN, the kernel's own
 * conntrack says which backend was chosen, and the backend is judged (rows 88 to 91). Whatever cannot be told is dropped.
 */
#ifndef WT_SERVICE_H
#define WT_SERVICE_H

#include "flow.h"
#include <bpf/bpf_core_read.h>

#define NF_DROP 0
#define NF_ACCEPT 1
#define NFPROTO_IPV4 2
/* include/uapi/linux/netfilter/nf_conntrack_common.h */
#define IPS_DST_NAT (1 << 5)
#define IP_CT_ESTABLISHED 0
#define IP_CT_IS_REPLY 3

static __always_inline int nf_drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &reason);

	if (n)
		*n += 1;
	return NF_DROP;
}

/* Source and destination as the header has them now. */
static __always_inline int header(struct sk_buff *skb, __u8 family, __u32 *src, __u32 *dst)
{
	unsigned char *at = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);

	if (family == WT_IPV4)
		return bpf_probe_read_kernel(src, 4, at + 12) | bpf_probe_read_kernel(dst, 4, at + 16);
	return bpf_probe_read_kernel(src, 16, at + 8) | bpf_probe_read_kernel(dst, 16, at + 24);
}

/* Judges the backend of a translated flow. Not static: proven once. */
__attribute__((noinline)) int wt_judge_backend(struct wt_flow_key *key, struct wt_flow *to, __u64 epoch)
{
	struct wt_flow_key backend = {};
	struct answer a = {};
	struct wt_slot *slot;
	struct wt_flow *flow;
	__u64 now = bpf_ktime_get_ns();

	if (!key || !to)
		return NF_DROP;
	slot = slot_of(key->ifindex, epoch);
	if (!slot)
		return nf_drop(WT_DROP_UNKNOWN_ENDPOINT);
	if (!(slot->flags & WT_SLOT_EGRESS))
		return NF_ACCEPT;
	flow = bpf_map_lookup_elem(&flows, key);
	if (flow && (flow->flags & (WT_FLOW_BACKEND | WT_FLOW_CUT)) == WT_FLOW_BACKEND && flow->epoch == (__u32)epoch &&
	    flow->backend_port == to->backend_port && flow->backend[0] == to->backend[0] &&
	    flow->backend[1] == to->backend[1] && flow->backend[2] == to->backend[2] && flow->backend[3] == to->backend[3])
		return NF_ACCEPT;
	__builtin_memcpy(&backend, key, sizeof(backend));
	__builtin_memcpy(backend.remote, to->backend, 16);
	backend.remote_port = to->backend_port;
	judge_flow(slot, epoch, &backend, WT_EGRESS, 0, &a);
	note(&backend, WT_EGRESS, &a, now);
	count(WT_COUNT_DECIDED);
	if (flow) {
		__u8 flags = (flow->flags & ~(WT_FLOW_PENDING | WT_FLOW_CUT)) | WT_FLOW_BACKEND;

		__builtin_memcpy(flow->backend, to->backend, 16);
		flow->backend_port = to->backend_port;
		/* A cut flow never has the epoch in force (see judge_again). */
		flow->epoch = a.verdict == WT_ALLOW ? (__u32)epoch : (__u32)epoch - 1;
		flow->flags = a.verdict == WT_ALLOW ? flags : flags | WT_FLOW_CUT;
	}
	return a.verdict == WT_ALLOW ? NF_ACCEPT : nf_drop(a.reason);
}

SEC("netfilter")
int wt_after_dnat(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	__u8 family = ctx->state->pf == NFPROTO_IPV4 ? WT_IPV4 : WT_IPV6;
	unsigned long nfct = BPF_CORE_READ(skb, _nfct);
	struct nf_conn *ct = (struct nf_conn *)(nfct & ~7UL);
	struct wt_flow_key key = { .family = family };
	struct wt_flow to = {};
	struct wt_control *ctl;
	struct wt_slot *slot;
	struct wt_peer *peer;
	__u32 zero = 0;
	__u64 epoch;

	if (ct && (nfct & 7) >= IP_CT_IS_REPLY)
		return NF_ACCEPT;
	ctl = bpf_map_lookup_elem(&control, &zero);
	if (!ctl)
		return NF_DROP;
	epoch = *(volatile __u64 *)&ctl->epoch;
	if (ct && (BPF_CORE_READ(ct, status) & IPS_DST_NAT)) {
		BPF_CORE_READ_INTO(&key.local, ct, tuplehash[0].tuple.src.u3);
		BPF_CORE_READ_INTO(&key.remote, ct, tuplehash[0].tuple.dst.u3);
		key.local_port = bpf_ntohs(BPF_CORE_READ(ct, tuplehash[0].tuple.src.u.all));
		key.remote_port = bpf_ntohs(BPF_CORE_READ(ct, tuplehash[0].tuple.dst.u.all));
		key.protocol = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.protonum);
		peer = owner(epoch, family, key.local);
		if (!peer || !peer->ifindex)
			return NF_ACCEPT;
		key.ifindex = peer->ifindex;
		/* Answers come from the backend. */
		BPF_CORE_READ_INTO(&to.backend, ct, tuplehash[1].tuple.src.u3);
		to.backend_port = bpf_ntohs(BPF_CORE_READ(ct, tuplehash[1].tuple.src.u.all));
		return wt_judge_backend(&key, &to, epoch) == NF_ACCEPT ? NF_ACCEPT : NF_DROP;
	}
	/* Its first packet came through here. */
	if (ct && (nfct & 7) == IP_CT_ESTABLISHED)
		return NF_ACCEPT;
	/* Not translated. To a Service all the same: nobody knows where it would end. */
	if (header(skb, family, key.local, key.remote))
		return nf_drop(WT_DROP_UNREADABLE);
	peer = owner(epoch, family, key.local);
	if (!peer || !peer->ifindex)
		return NF_ACCEPT;
	slot = slot_of(peer->ifindex, epoch);
	if (!slot || !(slot->flags & WT_SLOT_EGRESS))
		return NF_ACCEPT;
	peer = owner(epoch, family, key.remote);
	if (peer && (peer->flags & WT_PEER_SERVICE))
		return nf_drop(WT_DROP_SERVICE_UNDECIDED);
	return NF_ACCEPT;
}

#endif
