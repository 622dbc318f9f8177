/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection tracking of our own, per pod: the key carries the device, so nobody else's packet finds it. An entry exists only
 * for a flow that was allowed. It remembers the epoch under which it was judged; when the epoch has moved, the next packet
 * judges it again in the direction in which it was opened. A flow that is no longer allowed stays as a cut one, so that packets
 * in flight cannot open it again from the other side.
 */
#ifndef WT_FLOW_H
#define WT_FLOW_H

#include "judge.h"

#define SECOND 1000000000ULL
/* Idle times after which an entry no longer counts. TCP: RFC 5382 asks for at least 2 h 4 min; we keep a day. */
#define IDLE_TCP (86400 * SECOND)
#define IDLE_TCP_OPENING (60 * SECOND)
/* Longer than the kernel's own FIN_WAIT (nf_conntrack_proto_tcp.c): the other half may still be sending. */
#define IDLE_TCP_CLOSING (120 * SECOND)
/* UDP and the rest: RFC 4787 asks for at least 2 min. */
#define IDLE_OTHER (180 * SECOND)
#define IDLE_CUT (120 * SECOND)

static __always_inline __u64 idle_limit(__u8 protocol, __u8 flags)
{
	if (flags & WT_FLOW_CUT)
		return IDLE_CUT;
	if (protocol != PROTO_TCP)
		return IDLE_OTHER;
	if (flags & WT_FLOW_CLOSING)
		return IDLE_TCP_CLOSING;
	return flags & WT_FLOW_ANSWERED ? IDLE_TCP : IDLE_TCP_OPENING;
}

static __always_inline bool expired(__u8 protocol, const struct wt_flow *flow, __u64 seen, __u64 now)
{
	return !seen || now > seen + idle_limit(protocol, flow->flags);
}

static __always_inline void flow_key(struct wt_flow_key *key, __u32 ifindex, const struct packet *p, __u8 direction)
{
	key->ifindex = ifindex;
	key->family = p->family;
	key->protocol = p->protocol;
	if (direction == WT_EGRESS) {
		__builtin_memcpy(key->local, p->src, 16);
		__builtin_memcpy(key->remote, p->dst, 16);
		key->local_port = p->sport;
		key->remote_port = p->dport;
	} else {
		__builtin_memcpy(key->local, p->dst, 16);
		__builtin_memcpy(key->remote, p->src, 16);
		key->local_port = p->dport;
		key->remote_port = p->sport;
	}
	if (p->echo) {
		/* An echo belongs to who asks: the same identifier asked from the other side is another flow (P23). */
		bool pod_asks = (direction == WT_EGRESS) == (p->echo == 1);

		key->local_port = p->sport;
		key->remote_port = pod_asks ? 1 : 2;
	}
}

/* protocol * 65536 + port, for the table of ports. */
static __always_inline __u32 place(__u8 protocol, __u16 port)
{
	switch (protocol) {
	case PROTO_TCP:
		return port;
	case PROTO_UDP:
		return 1 << 16 | port;
	case PROTO_SCTP:
		return 2 << 16 | port;
	default:
		return WT_OTHER_PROTOCOL << 16;
	}
}

/* The answer for a flow of this pod, opened in `opener`. */
static __always_inline void judge_flow(const struct wt_slot *slot, __u64 epoch, const struct wt_flow_key *key, __u8 opener,
				       const struct wt_flow *flow, struct answer *a)
{
	const __u32 *remote = key->remote;
	struct wt_peer peer = {};
	__u16 port;
	int found;

	if (opener == WT_EGRESS && flow && (flow->flags & WT_FLOW_BACKEND)) {
		remote = flow->backend;
		port = flow->backend_port;
	} else {
		port = opener == WT_EGRESS ? key->remote_port : key->local_port;
	}
	found = resolve(epoch & 1, key->family, remote, &peer);
	a->exact = found == 1;
	wt_judge(opener == WT_EGRESS ? slot->egress : slot->ingress, found < 0 ? WT_NOBODY : peer.identity,
		 place(key->protocol, port), a);
}

static __always_inline void note(const struct wt_flow_key *key, __u8 opener, const struct answer *a, __u64 now)
{
	bool has_port = key->protocol == PROTO_TCP || key->protocol == PROTO_UDP || key->protocol == PROTO_SCTP;
	struct wt_edge_key edge = {
		.ifindex = key->ifindex,
		.answer = a->answer,
		.shadow_answer = a->shadow_answer,
		.family = key->family,
		.protocol = key->protocol,
		.direction = opener,
		.verdict = a->verdict,
		.shadow = a->shadow,
		.peer = { key->remote[0], key->remote[1], key->remote[2], key->remote[3] },
	};

	if (has_port)
		edge.port = opener == WT_EGRESS ? key->remote_port : key->local_port;
	if (a->verdict == WT_ALLOW && a->shadow != WT_ALLOW)
		count(WT_COUNT_SHADOW_DENIED);
	note_edge(&edge, now, a->exact);
}

/* Removes flows that were idle for longer than their limit, unless a packet comes first. */
static long sweep_one(void *map, const struct wt_flow_key *key, struct wt_flow *flow, __u64 *now)
{
	__u64 seen = flow->seen;

	if (!seen || !expired(key->protocol, flow, seen, *now))
		return 0;
	/* Only if nobody touched it since: from here on its packets are judged as new. */
	if (__sync_val_compare_and_swap(&flow->seen, seen, 0) != seen)
		return 0;
	bpf_map_delete_elem(map, key);
	count(WT_COUNT_FLOWS_EXPIRED);
	return 0;
}

#define SWEEP_EVERY (10 * SECOND)

static int sweep(void *map, __u32 *key, struct sweep *value)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_for_each_map_elem(&flows, sweep_one, &now, 0);
	bpf_timer_start(&value->timer, SWEEP_EVERY, 0);
	return 0;
}

#endif
