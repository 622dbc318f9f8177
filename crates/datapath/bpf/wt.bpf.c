// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause
/*
 * The programs. Two stand on the host's end of every pod's cable: `wt_from_pod` sees what the pod sends, `wt_to_pod` what it is
 * about to receive. `wt_after_dnat` stands in netfilter and decides what they left open: egress to a Service, of which the
 * backend is known only there. `wt_start` starts the sweeper.
 *
 * The way of a packet: parse, look up its flow; if it was judged under the current epoch it passes. Else it is judged.
 */
#include "service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Passing is "next": what else is attached still has its say. */
#define PASS (-1)
#define DROP 2

static __always_inline int drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &reason);

	if (n)
		*n += 1;
	return DROP;
}

/* Doubt closes if some policy has a say in this direction (parser contract, rule 2). */
static __always_inline int doubt(const struct wt_slot *slot, __u8 direction, __u32 reason)
{
	if (slot->flags & (direction == WT_EGRESS ? WT_SLOT_EGRESS : WT_SLOT_INGRESS))
		return drop(reason);
	count(WT_COUNT_DOUBT_PASSED);
	return PASS;
}

static __always_inline bool link_local(const __u32 *addr)
{
	return (addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* The link-local address that goes with the pod's MAC (RFC 4291, appendix A). */
static __always_inline bool own_link_local(const struct wt_slot *slot, const __u32 *addr)
{
	const __u8 *m = slot->mac;
	bool known = m[0] | m[1] | m[2] | m[3] | m[4] | m[5];

	return known && addr[0] == bpf_htonl(0xfe800000) && addr[1] == 0 &&
	       addr[2] == bpf_htonl((__u32)(m[0] ^ 2) << 24 | m[1] << 16 | m[2] << 8 | 0xff) &&
	       addr[3] == bpf_htonl(0xfeU << 24 | m[3] << 16 | m[4] << 8 | m[5]);
}

static __always_inline bool own_address(__u32 ifindex, __u64 epoch, const struct wt_slot *slot, __u8 family,
					const __u32 *addr)
{
	struct wt_peer *peer = owner(epoch, family, addr);

	if (peer && peer->ifindex == ifindex)
		return true;
	return family == WT_IPV6 && link_local(addr) && own_link_local(slot, addr);
}

/*
 * A frame to a Service's address that reached a pod was never translated: a pod that is let out toward a Service (P29) sent it
 * past the router to an accomplice.
 */
static __always_inline bool service_address(__u64 epoch, const struct packet *p)
{
	struct wt_peer *peer = owner(epoch, p->family, p->dst);

	return peer && (peer->flags & WT_PEER_SERVICE);
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) | (a[5] ^ b[5]));
}

/* P21: a pod speaks for its own address only. */
static __always_inline int arp(struct __sk_buff *skb, const struct packet *p, const struct wt_slot *slot, __u64 epoch,
			       __u8 direction)
{
	static const __u8 ethernet_ipv4[6] = { 0, 1, 8, 0, 6, 4 };
	const __u8 *m = slot->mac;
	__u32 sender[4] = {};
	__u8 h[28], from[6];

	if (direction == WT_INGRESS)
		return PASS;
	if (bpf_skb_load_bytes(skb, p->l3, h, sizeof(h)) || bpf_skb_load_bytes(skb, 6, from, sizeof(from)) ||
	    !same_mac(h, ethernet_ipv4))
		return drop(WT_DROP_SPOOFED_ARP);
	__builtin_memcpy(sender, h + 14, 4);
	/* A probe for duplicates (RFC 5227) has no sender. */
	if (sender[0] && !own_address(skb->ifindex, epoch, slot, WT_IPV4, sender))
		return drop(WT_DROP_SPOOFED_ARP);
	if ((m[0] | m[1] | m[2] | m[3] | m[4] | m[5]) && (!same_mac(h + 8, m) || !same_mac(from, m)))
		return drop(WT_DROP_SPOOFED_ARP);
	return PASS;
}

/* P16, P20. */
static __always_inline int neighbour(struct __sk_buff *skb, const struct packet *p, const struct wt_slot *slot, __u64 epoch,
				     __u8 direction)
{
	__u32 target[4] = {};
	__u8 hops = 0;

	/* From further away than the link it is a forgery (RFC 4861, section 6.1). Listener reports have 1 (RFC 2710). */
	if (bpf_skb_load_bytes(skb, p->l3 + 7, &hops, 1) || hops != (p->icmp >= 133 && p->icmp <= 137 ? 255 : 1))
		return direction == WT_EGRESS ? drop(WT_DROP_SPOOFED_NEIGHBOUR) :
						doubt(slot, direction, WT_DROP_SPOOFED_NEIGHBOUR);
	if (direction == WT_INGRESS)
		return PASS;
	if ((p->src[0] | p->src[1] | p->src[2] | p->src[3]) && !own_address(skb->ifindex, epoch, slot, WT_IPV6, p->src))
		return drop(WT_DROP_SPOOFED_NEIGHBOUR);
	if (p->icmp == 136) {
		if (p->l4_len < 24 || bpf_skb_load_bytes(skb, p->l4 + 8, target, 16) ||
		    !own_address(skb->ifindex, epoch, slot, WT_IPV6, target))
			return drop(WT_DROP_SPOOFED_NEIGHBOUR);
	}
	return PASS;
}

/* P22: an error passes if it is about a flow of this pod that is allowed. */
static __noinline int related(struct __sk_buff *skb, struct packet *p, __u8 direction, __u64 now)
{
	struct packet inner = { .l3 = p->l4 + 8, .family = p->family };
	struct wt_flow_key key = {};
	struct wt_flow *flow;
	__u8 h[8];

	if (p->family == WT_IPV4) {
		struct ipv4 ip;

		if (p->l4_len < 8 + 20 + 8 || bpf_skb_load_bytes(skb, inner.l3, &ip, sizeof(ip)) || ip.version_ihl >> 4 != 4)
			return 0;
		__u32 header = (ip.version_ihl & 15) * 4;
		if (header < 20 || p->l4_len < 8 + header + 8 || (bpf_ntohs(ip.fragment) & 0x1fff))
			return 0;
		inner.src[0] = ip.src;
		inner.dst[0] = ip.dst;
		inner.protocol = ip.protocol;
		inner.l4 = inner.l3 + header;
	} else {
		struct ipv6 ip;

		if (p->l4_len < 8 + 40 + 8 || bpf_skb_load_bytes(skb, inner.l3, &ip, sizeof(ip)) ||
		    bpf_ntohl(ip.version_flow) >> 28 != 6)
			return 0;
		__builtin_memcpy(inner.src, ip.src, 16);
		__builtin_memcpy(inner.dst, ip.dst, 16);
		inner.protocol = ip.next;
		inner.l4 = inner.l3 + 40;
	}
	if (bpf_skb_load_bytes(skb, inner.l4, h, 8))
		return 0;
	switch (inner.protocol) {
	case PROTO_TCP:
	case PROTO_UDP:
	case PROTO_SCTP:
		inner.sport = (__u16)(h[0] << 8 | h[1]);
		inner.dport = (__u16)(h[2] << 8 | h[3]);
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		inner.sport = (__u16)(h[4] << 8 | h[5]);
		inner.echo = h[0] == 8 || h[0] == 128 ? 1 : h[0] == 0 || h[0] == 129 ? 2 : 0;
		if (!inner.echo)
			return 0;
		break;
	}
	/* What is quoted went the other way. */
	flow_key(&key, skb->ifindex, &inner, direction == WT_EGRESS ? WT_INGRESS : WT_EGRESS);
	flow = bpf_map_lookup_elem(&flows, &key);
	return flow && !(flow->flags & (WT_FLOW_CUT | WT_FLOW_PENDING)) && !expired(key.protocol, flow, flow->seen, now);
}

static __always_inline void fragment_key(struct wt_fragment_key *key, __u32 ifindex, const struct packet *p, __u8 direction)
{
	key->ifindex = ifindex;
	key->id = p->fragment_id;
	key->direction = direction;
	key->family = p->family;
	key->protocol = p->protocol;
	__builtin_memcpy(key->src, p->src, 16);
	__builtin_memcpy(key->dst, p->dst, 16);
}

/* P7: as its first fragment, in order and without overlap. */
static __noinline int later_fragment(struct __sk_buff *skb, struct packet *p, struct wt_slot *slot, __u8 direction)
{
	struct wt_fragment_key key = {};
	struct wt_fragment *known;

	fragment_key(&key, skb->ifindex, p, direction);
	known = bpf_map_lookup_elem(&fragments, &key);
	if (!known)
		return doubt(slot, direction, WT_DROP_FRAGMENT_UNKNOWN);
	if (p->fragment_at < known->end)
		return doubt(slot, direction, WT_DROP_FRAGMENT_OVERLAP);
	known->end = p->fragment_at + p->fragment_len;
	if (known->verdict == WT_ALLOW)
		return PASS;
	return drop(WT_DROP_POLICY);
}

/* P5. `verdict` is what the first fragment got. */
static __noinline int first_fragment(struct __sk_buff *skb, struct packet *p, __u8 direction, int verdict)
{
	struct wt_fragment_key key = {};
	struct wt_fragment fresh = { .verdict = verdict == PASS ? WT_ALLOW : WT_DENY, .end = p->fragment_len };

	fragment_key(&key, skb->ifindex, p, direction);
	bpf_map_update_elem(&fragments, &key, &fresh, BPF_ANY);
	return verdict;
}

/* Remembers an allowed flow. A full table is refused where a policy has a say, and counted everywhere. */
static __always_inline int remember(const struct wt_flow_key *key, struct wt_flow *old, const struct wt_flow *fresh,
				    const struct wt_slot *slot)
{
	if (old) {
		/* One word at a time; the last makes it count. */
		old->opener = fresh->opener;
		old->flags = fresh->flags;
		old->backend_port = 0;
		old->epoch = fresh->epoch;
		old->seen = fresh->seen;
		return PASS;
	}
	if (!bpf_map_update_elem(&flows, key, fresh, BPF_ANY)) {
		count(WT_COUNT_FLOWS_NEW);
		return PASS;
	}
	if (slot->flags)
		return drop(WT_DROP_FLOW_TABLE_FULL);
	count(WT_COUNT_FLOW_UNTRACKED);
	return PASS;
}

/* A packet without a flow, or one that opens a flow anew. */
static __always_inline int open_flow(struct __sk_buff *skb, const struct packet *p, const struct wt_slot *slot,
				     const struct wt_control *now_control, __u64 epoch, const struct wt_flow_key *key,
				     struct wt_flow *old, __u8 direction, __u64 now)
{
	struct wt_flow fresh = { .seen = now, .epoch = (__u32)epoch, .opener = direction };
	struct answer a = {};
	/* An answer to nothing, or the middle of a connection, may pass on its own merits; it opens no way back (P25). */
	bool opens = p->protocol == PROTO_TCP ? (p->tcp & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN : p->echo != 2;

	if (direction == WT_INGRESS && !skb->ingress_ifindex) {
		/* P31: no device brought it, so a process of this node sent it (rows 96, 97). */
		fresh.flags = WT_FLOW_LOCAL;
		return remember(key, old, &fresh, slot);
	}
	if (direction == WT_EGRESS && (slot->flags & WT_SLOT_EGRESS)) {
		struct wt_peer *peer = owner(epoch, key->family, key->remote);

		if (peer && (peer->flags & WT_PEER_SERVICE)) {
			/* P29: the backend decides, and a cluster tier that denies the Service's own address does too (row 90). */
			judge_flow(slot, epoch, key, WT_EGRESS, 0, &a);
			if (a.verdict != WT_ALLOW && (a.flags & WT_TABLE_TIER_DENY)) {
				note(key, direction, &a, now);
				return drop(a.reason);
			}
			if (!(now_control->flags & WT_CONTROL_DEFER) || !opens)
				return drop(WT_DROP_SERVICE_UNDECIDED);
			fresh.flags = WT_FLOW_PENDING;
			count(WT_COUNT_DEFERRED);
			return remember(key, old, &fresh, slot);
		}
	}
	judge_flow(slot, epoch, key, direction, 0, &a);
	note(key, direction, &a, now);
	if (a.verdict != WT_ALLOW)
		return drop(a.reason);
	if (!opens)
		return PASS;
	return remember(key, old, &fresh, slot);
}

/* The epoch has moved: a flow that is still allowed goes on, one that is not is cut. */
static __noinline int judge_again(struct wt_slot *slot, __u64 epoch, struct wt_flow_key *key, struct wt_flow *flow, __u64 now)
{
	struct answer a = {};

	count(WT_COUNT_FLOWS_JUDGED_AGAIN);
	if (flow->opener == WT_EGRESS && (slot->flags & WT_SLOT_EGRESS) && !(flow->flags & WT_FLOW_BACKEND)) {
		struct wt_peer *peer = owner(epoch, key->family, key->remote);

		/* Opened while egress was free, so nobody asked about the backend: netfilter does now. */
		if (peer && (peer->flags & WT_PEER_SERVICE))
			flow->flags |= WT_FLOW_PENDING;
	}
	if (flow->flags & (WT_FLOW_LOCAL | WT_FLOW_PENDING)) {
		flow->epoch = (__u32)epoch;
		return 1;
	}
	judge_flow(slot, epoch, key, flow->opener, flow, &a);
	if (a.verdict == WT_ALLOW) {
		flow->flags &= ~WT_FLOW_CUT;
		flow->epoch = (__u32)epoch;
		return 1;
	}
	/*
	 * Never the epoch in force: if another processor writes the flags back as it read them, the flow is still not taken for
	 * one that was judged.
	 */
	flow->epoch = (__u32)epoch - 1;
	flow->flags |= WT_FLOW_CUT;
	note(key, flow->opener, &a, now);
	return 0;
}

static __always_inline int gate(struct __sk_buff *skb, __u8 direction)
{
	struct packet p = {};
	struct wt_flow_key key = {};
	struct wt_control *ctl;
	struct wt_slot *slot;
	struct wt_flow *flow;
	__u32 zero = 0;
	__u64 epoch, now;
	int problem, verdict;

	ctl = bpf_map_lookup_elem(&control, &zero);
	if (!ctl)
		return DROP;
	epoch = *(volatile __u64 *)&ctl->epoch;
	now = bpf_ktime_get_coarse_ns();
	count(WT_COUNT_PACKETS);

	problem = wt_parse(skb, &p);
	if (!problem && p.kind == KIND_FLOW) {
		flow_key(&key, skb->ifindex, &p, direction);
		flow = bpf_map_lookup_elem(&flows, &key);
		if (flow) {
			__u64 seen = flow->seen;
			__u8 flags = flow->flags;

			/* The common case, and the only fast one. */
			if (flow->epoch == (__u32)epoch && !(flags & WT_FLOW_CUT) && !expired(p.protocol, flow, seen, now) &&
			    !(p.tcp & (TCP_SYN | TCP_FIN | TCP_RST)) && !p.first_fragment) {
				if (flow->opener != direction && !(flags & WT_FLOW_ANSWERED))
					flow->flags = flags | WT_FLOW_ANSWERED;
				if (now - seen > SECOND)
					/* Loses to the sweeper, whose 0 is final. */
					__sync_val_compare_and_swap(&flow->seen, seen, now);
				return PASS;
			}
		}
	} else {
		flow = 0;
	}

	slot = slot_of(skb->ifindex, epoch);
	if (!slot)
		return drop(WT_DROP_UNKNOWN_ENDPOINT);
	if (problem)
		return doubt(slot, direction, problem);
	switch (p.kind) {
	case KIND_ARP:
		return arp(skb, &p, slot, epoch, direction);
	case KIND_NEIGHBOUR:
		return neighbour(skb, &p, slot, epoch, direction);
	case KIND_ROUTER:
		if (direction == WT_EGRESS)
			return drop(WT_DROP_ROUTER_MESSAGE);
		return neighbour(skb, &p, slot, epoch, direction);
	}
	if (direction == WT_EGRESS && !own_address(skb->ifindex, epoch, slot, p.family, p.src))
		return drop(WT_DROP_SPOOFED_SOURCE);
	if (direction == WT_INGRESS && service_address(epoch, &p))
		return drop(WT_DROP_SERVICE_ADDRESS);
	if (p.kind == KIND_LATER_FRAGMENT)
		return later_fragment(skb, &p, slot, direction);
	if (p.kind == KIND_ICMP_ERROR) {
		if (direction == WT_INGRESS && !skb->ingress_ifindex)
			return PASS;
		if (related(skb, &p, direction, now))
			return PASS;
		return doubt(slot, direction, WT_DROP_ICMP_UNRELATED);
	}

	if (flow) {
		__u64 seen = flow->seen;
		bool syn = p.protocol == PROTO_TCP && (p.tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;

		if (!seen) {
			/* The sweeper holds it: judged, and remembered from its next packet on. */
			flow = 0;
			verdict = open_flow(skb, &p, slot, ctl, epoch, &key, 0, direction, now);
		} else if (expired(p.protocol, flow, seen, now) || (syn && flow->opener != direction)) {
			verdict = open_flow(skb, &p, slot, ctl, epoch, &key, flow, direction, now);
		} else if ((flow->epoch != (__u32)epoch && !judge_again(slot, epoch, &key, flow, now)) ||
			   (flow->flags & WT_FLOW_CUT)) {
			verdict = drop(WT_DROP_FLOW_CUT);
		} else {
			if (p.tcp & (TCP_FIN | TCP_RST))
				flow->flags |= WT_FLOW_CLOSING;
			else if (syn)
				flow->flags &= ~WT_FLOW_CLOSING;
			if (flow->opener != direction)
				flow->flags |= WT_FLOW_ANSWERED;
			__sync_val_compare_and_swap(&flow->seen, seen, now);
			verdict = PASS;
		}
	} else {
		verdict = open_flow(skb, &p, slot, ctl, epoch, &key, 0, direction, now);
	}
	if (p.first_fragment)
		return first_fragment(skb, &p, direction, verdict);
	return verdict;
}

SEC("tcx/ingress")
int wt_from_pod(struct __sk_buff *skb)
{
	return gate(skb, WT_EGRESS);
}

SEC("tcx/egress")
int wt_to_pod(struct __sk_buff *skb)
{
	return gate(skb, WT_INGRESS);
}

SEC("syscall")
int wt_start(void *ctx)
{
	__u32 zero = 0;
	struct sweep *s = bpf_map_lookup_elem(&sweeper, &zero);

	if (!s)
		return 1;
	/* Busy if it runs already: then only its program is replaced. */
	bpf_timer_init(&s->timer, &sweeper, 1 /* CLOCK_MONOTONIC */);
	if (bpf_timer_set_callback(&s->timer, sweep))
		return 2;
	return bpf_timer_start(&s->timer, SWEEP_EVERY, 0) ? 3 : 0;
}
